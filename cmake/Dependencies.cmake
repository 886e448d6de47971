# The packages that clipon stands on: the system's, or with CLIPON_FETCH_DEPENDENCIES=ON pinned releases where the system
# has none.  Called by CMakeLists.txt; what an installed clipon needs again is listed in cliponConfig.cmake.in.
include(FetchContent)

set(CLIPON_FETCHED "")

# clipon_dependency(<package> <url> <sha256> <target>): find_package, else fetch.
macro(clipon_dependency package url sha256 target)
  find_package(${package} QUIET)
  if(NOT TARGET ${target})
    if(NOT CLIPON_FETCH_DEPENDENCIES)
      message(FATAL_ERROR "clipon: ${package} not found. Install it (packaging/debian-packages.txt lists Debian's names) "
                          "or configure with -DCLIPON_FETCH_DEPENDENCIES=ON to download a pinned release.")
    endif()
    FetchContent_Declare(${package} URL ${url} URL_HASH SHA256=${sha256})
    FetchContent_MakeAvailable(${package})
    list(APPEND CLIPON_FETCHED ${package})
  endif()
endmacro()

set(CMAKE_POLICY_DEFAULT_CMP0077 NEW)
clipon_dependency(Eigen3 https://gitlab.com/libeigen/eigen/-/archive/3.4.0/eigen-3.4.0.tar.gz
                  8586084f71f9bde545ee7fa6d00288b264a2b7ac3607b974e54d13e7162c1c72 Eigen3::Eigen)

# clipon_headers(<package> <target> <git> <commit> <folder>): headers alone, found by our Find module, else fetched.
macro(clipon_headers package target git commit folder)
  find_package(${package} QUIET)
  if(NOT TARGET ${target})
    if(NOT CLIPON_FETCH_DEPENDENCIES)
      message(FATAL_ERROR "clipon: ${package} not found. Install it (packaging/debian-packages.txt lists Debian's names) "
                          "or configure with -DCLIPON_FETCH_DEPENDENCIES=ON to download a pinned release.")
    endif()
    FetchContent_Declare(${package} GIT_REPOSITORY ${git} GIT_TAG ${commit} SOURCE_SUBDIR none)
    FetchContent_MakeAvailable(${package})
    string(TOLOWER ${package} lower)
    add_library(${target} INTERFACE IMPORTED)
    set_target_properties(${target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${${lower}_SOURCE_DIR}/${folder}")
    list(APPEND CLIPON_FETCHED ${package})
  endif()
endmacro()
clipon_headers(XsimdHeaders Xsimd::headers https://github.com/xtensor-stack/xsimd.git 8.1.0 include)
clipon_headers(Stb Stb::Stb https://github.com/nothings/stb.git 31c1ad37456438565541f4919958214b6e762fb4 .)

if(CLIPON_PARALLEL STREQUAL "openmp")
  find_package(OpenMP REQUIRED COMPONENTS CXX)
endif()
find_package(Threads REQUIRED)

# libjpeg-turbo decodes JPEG exactly as Pillow does, and faster than stb_image; optional.
set(CLIPON_TURBOJPEG_LIBRARY "")
if(CLIPON_WITH_TURBOJPEG)
  find_path(TURBOJPEG_INCLUDE_DIR turbojpeg.h)
  find_library(TURBOJPEG_LIBRARY turbojpeg)
  if(TURBOJPEG_INCLUDE_DIR AND TURBOJPEG_LIBRARY)
    set(CLIPON_TURBOJPEG_LIBRARY ${TURBOJPEG_LIBRARY})
  endif()
endif()

if(CLIPON_BUILD_CLI)
  clipon_dependency(CLI11 https://github.com/CLIUtils/CLI11/archive/refs/tags/v2.1.2.tar.gz
                    26291377e892ba0e5b4972cdfd4a2ab3bf53af8dac1f4ea8fe0d1376b625c8cb CLI11::CLI11)
  clipon_dependency(nlohmann_json https://github.com/nlohmann/json/archive/refs/tags/v3.11.2.tar.gz
                    d69f9deb6a75e2580465c6c4c5111b89c4dc2fa94e3a85fcd2ffcd9a143d9273 nlohmann_json::nlohmann_json)
endif()
if(CLIPON_BUILD_TESTS)
  clipon_dependency(doctest https://github.com/doctest/doctest/archive/refs/tags/v2.4.9.tar.gz
                    19b2df757f2f3703a5e63cee553d85596875f06d91a3333acd80a969ef210856 doctest::doctest)
endif()
