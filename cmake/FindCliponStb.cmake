# Finds stb_image.h (Debian: libstb-dev, /usr/include/stb/stb_image.h; it has no CMake package).
# Defines CliponStb_FOUND, CliponStb_INCLUDE_DIR and the target clipon::stb, whose include path serves <stb/stb_image.h>
# or <stb_image.h>, whichever the system has.  The names are clipon's own: applications have FindStb modules too.
find_path(CliponStb_INCLUDE_DIR NAMES stb/stb_image.h stb_image.h)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(CliponStb REQUIRED_VARS CliponStb_INCLUDE_DIR)
if(CliponStb_FOUND AND NOT TARGET clipon::stb)
  add_library(clipon::stb INTERFACE IMPORTED)
  set_target_properties(clipon::stb PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${CliponStb_INCLUDE_DIR}")
endif()
mark_as_advanced(CliponStb_INCLUDE_DIR)
