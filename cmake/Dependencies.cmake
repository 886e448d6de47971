# The packages that clipon stands on: the system's, or with CLIPON_FETCH_DEPENDENCIES=ON pinned releases where the system
# has none.  Called by CMakeLists.txt; what an installed clipon needs again is listed in cliponConfig.cmake.in.
include(FetchContent)

set(CLIPON_FETCHED "")

# clipon_dependency(<package> <target> <git> <commit>): find_package, else fetch.
macro(clipon_dependency package target git commit)
  find_package(${package} QUIET)
  if(NOT TARGET ${target})
    if(NOT CLIPON_FETCH_DEPENDENCIES)
      message(FATAL_ERROR "clipon: ${package} not found. Install it (packaging/debian-packages.txt lists Debian's names) "
                          "or configure with -DCLIPON_FETCH_DEPENDENCIES=ON to download a pinned release.")
    endif()
    FetchContent_Declare(${package} GIT_REPOSITORY ${git} GIT_TAG ${commit})
    FetchContent_MakeAvailable(${package})
    list(APPEND CLIPON_FETCHED ${package})
  endif()
endmacro()

set(CMAKE_POLICY_DEFAULT_CMP0077 NEW)
clipon_dependency(Eigen3 Eigen3::Eigen https://gitlab.com/libeigen/eigen.git
                  3147391d946bb4b6c68edd901f2add6ac1f31f8c) # 3.4.0

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
clipon_headers(CliponXsimd clipon::xsimd https://github.com/xtensor-stack/xsimd.git
               1577b02d549cca52aa5e943c16f2600950480289 include) # 8.1.0
clipon_headers(CliponStb clipon::stb https://github.com/nothings/stb.git 31c1ad37456438565541f4919958214b6e762fb4 .)

if(CLIPON_PARALLEL STREQUAL "openmp")
  find_package(OpenMP REQUIRED COMPONENTS CXX)
endif()
find_package(Threads REQUIRED)

# libjpeg-turbo decodes JPEG exactly as Pillow does, and faster than stb_image; optional.
set(CLIPON_HAS_TURBOJPEG OFF)
if(CLIPON_WITH_TURBOJPEG)
  find_package(CliponTurboJpeg QUIET)
  set(CLIPON_HAS_TURBOJPEG ${CliponTurboJpeg_FOUND})
endif()

if(CLIPON_BUILD_CLI OR CLIPON_BUILD_BENCH)
  clipon_dependency(CLI11 CLI11::CLI11 https://github.com/CLIUtils/CLI11.git
                    70f8072f9dd2292fd0b9f9e5f58e279f60483ed3) # 2.1.2
  clipon_dependency(nlohmann_json nlohmann_json::nlohmann_json https://github.com/nlohmann/json.git
                    bc889afb4c5bf1c0d8ee29ef35eaaf4c8bef8a5d) # 3.11.2
endif()
if(CLIPON_BUILD_TESTS)
  clipon_dependency(doctest doctest::doctest https://github.com/doctest/doctest.git
                    b7c21ec5ceeadb4951b00396fc1e4642dd347e5f) # 2.4.9
endif()
