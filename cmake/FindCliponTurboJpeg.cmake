# Finds libjpeg-turbo's TurboJPEG (Debian: libturbojpeg0-dev; before 3.0 it has no CMake package).
# Defines CliponTurboJpeg_FOUND and the target clipon::turbojpeg.
find_path(CliponTurboJpeg_INCLUDE_DIR turbojpeg.h)
find_library(CliponTurboJpeg_LIBRARY turbojpeg)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(CliponTurboJpeg REQUIRED_VARS CliponTurboJpeg_LIBRARY CliponTurboJpeg_INCLUDE_DIR)
if(CliponTurboJpeg_FOUND AND NOT TARGET clipon::turbojpeg)
  add_library(clipon::turbojpeg UNKNOWN IMPORTED)
  set_target_properties(clipon::turbojpeg PROPERTIES IMPORTED_LOCATION "${CliponTurboJpeg_LIBRARY}"
                        INTERFACE_INCLUDE_DIRECTORIES "${CliponTurboJpeg_INCLUDE_DIR}")
endif()
mark_as_advanced(CliponTurboJpeg_INCLUDE_DIR CliponTurboJpeg_LIBRARY)
