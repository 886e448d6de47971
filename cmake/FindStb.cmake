# Finds stb_image.h (Debian: libstb-dev, /usr/include/stb/stb_image.h; it has no CMake package).
# Defines Stb_FOUND, Stb_INCLUDE_DIR and the target Stb::Stb, whose include path serves <stb/stb_image.h> or
# <stb_image.h>, whichever the system has.
find_path(Stb_INCLUDE_DIR NAMES stb/stb_image.h stb_image.h)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Stb REQUIRED_VARS Stb_INCLUDE_DIR)
if(Stb_FOUND AND NOT TARGET Stb::Stb)
  add_library(Stb::Stb INTERFACE IMPORTED)
  set_target_properties(Stb::Stb PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${Stb_INCLUDE_DIR}")
endif()
mark_as_advanced(Stb_INCLUDE_DIR)
