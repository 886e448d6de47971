# Finds xsimd's headers.  xsimd's own package is not used: Debian's 8.1 asks every user to link xtl, which clipon does not
# need and which libxsimd-dev does not bring.
# Defines CliponXsimd_FOUND, CliponXsimd_INCLUDE_DIR and the target clipon::xsimd.
find_path(CliponXsimd_INCLUDE_DIR xsimd/xsimd.hpp)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(CliponXsimd REQUIRED_VARS CliponXsimd_INCLUDE_DIR)
if(CliponXsimd_FOUND AND NOT TARGET clipon::xsimd)
  add_library(clipon::xsimd INTERFACE IMPORTED)
  set_target_properties(clipon::xsimd PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${CliponXsimd_INCLUDE_DIR}")
endif()
mark_as_advanced(CliponXsimd_INCLUDE_DIR)
