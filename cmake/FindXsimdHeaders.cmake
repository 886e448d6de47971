# Finds xsimd's headers.  xsimd's own package is not used: Debian's 8.1 asks every user to link xtl, which clipon does not
# need and which libxsimd-dev does not bring.
# Defines XsimdHeaders_FOUND, XsimdHeaders_INCLUDE_DIR and the target Xsimd::headers.
find_path(XsimdHeaders_INCLUDE_DIR xsimd/xsimd.hpp)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(XsimdHeaders REQUIRED_VARS XsimdHeaders_INCLUDE_DIR)
if(XsimdHeaders_FOUND AND NOT TARGET Xsimd::headers)
  add_library(Xsimd::headers INTERFACE IMPORTED)
  set_target_properties(Xsimd::headers PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${XsimdHeaders_INCLUDE_DIR}")
endif()
mark_as_advanced(XsimdHeaders_INCLUDE_DIR)
