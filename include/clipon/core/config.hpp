// Compile-time configuration: version, the ABI inline namespace and the few compiler attributes we need.
// Included by every header, directly or through core/types.hpp.  Layer 0.
//
// clipon is header-only, so two translation units of one program may be compiled with other -march flags or modes.
// Everything therefore lives in an inline namespace that names the version, the mode and the compiled ISA: units that
// differ get different symbols instead of silently sharing one body (which would crash older CPUs).  Units with
// CLIPON_DISPATCH have one name for all: those of a program should be compiled with the same -march, as what they share
// of the standard library must be.
#pragma once

#define CLIPON_VERSION_MAJOR 0
#define CLIPON_VERSION_MINOR 1
#define CLIPON_VERSION_PATCH 0
#define CLIPON_VERSION_STRING "0.1.0"

// g++ and newer clang name the macros as in the first line, clang 14 as in the second.
#if (defined(__AMX_TILE__) && defined(__AMX_BF16__) && defined(__AMX_INT8__)) || \
    (defined(__AMXTILE__) && defined(__AMXBF16__) && defined(__AMXINT8__))
#define CLIPON_COMPILED_AMX
#endif

// AArch64's matrix instructions for bytes and bf16, and its dot products of bytes.
#if defined(__ARM_FEATURE_MATMUL_INT8) && defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC)
#define CLIPON_COMPILED_MMLA
#endif
#if defined(__ARM_FEATURE_DOTPROD)
#define CLIPON_COMPILED_DOT
#endif

#if defined(__SANITIZE_ADDRESS__)
#define CLIPON_ADDRESS_SANITIZER
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CLIPON_ADDRESS_SANITIZER
#endif
#endif

// CLIPON_DISPATCH is defined by the CMake target clipon::dispatch: kernels come from libclipon_dispatch.a, one set per
// ISA, and are picked at run time.  Without it the kernels are compiled here, for the ISA that the compiler was told
// of.
#if defined(CLIPON_DISPATCH)
#define CLIPON_ABI_MODE dispatch
#elif defined(CLIPON_COMPILED_AMX) && defined(__AVX512BF16__) && defined(__AVX512VNNI__) && defined(__AVX512BW__) && \
    defined(__AVX512VL__) && defined(__AVX512DQ__)
#define CLIPON_ABI_MODE amx
#elif defined(__AVX512BF16__) && defined(__AVX512VNNI__) && defined(__AVX512BW__) && defined(__AVX512VL__) && \
    defined(__AVX512DQ__)
#define CLIPON_ABI_MODE avx512_bf16
#elif defined(__AVX512VNNI__) && defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512DQ__)
#define CLIPON_ABI_MODE avx512_vnni
#elif defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512DQ__)
#define CLIPON_ABI_MODE avx512
#elif defined(__AVX2__) && defined(__FMA__) && defined(__F16C__) && defined(__AVXVNNI__)
#define CLIPON_ABI_MODE avx2_vnni
#elif defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
#define CLIPON_ABI_MODE avx2
#elif defined(__SSE2__)
#define CLIPON_ABI_MODE sse2
#elif defined(CLIPON_COMPILED_MMLA)
#define CLIPON_ABI_MODE neon_i8mm
#elif defined(CLIPON_COMPILED_DOT)
#define CLIPON_ABI_MODE neon_dot
#elif defined(__aarch64__)
#define CLIPON_ABI_MODE neon
#else
#define CLIPON_ABI_MODE scalar
#endif

// What threads there are (parallel/parallel_for.hpp), -DCLIPON_PARALLEL=: openmp, threads (std::thread) or serial, the
// calling thread alone.  By default openmp where the compiler has it on, else serial.
#if !defined(CLIPON_PARALLEL) && defined(_OPENMP)
#define CLIPON_PARALLEL openmp
#elif !defined(CLIPON_PARALLEL)
#define CLIPON_PARALLEL serial
#endif
#define CLIPON_PARALLEL_IS_openmp 1
#define CLIPON_PARALLEL_IS_threads 2
#define CLIPON_PARALLEL_IS_serial 3
#define CLIPON_DETAIL_CONCAT_(a, b) a##b
#define CLIPON_DETAIL_CONCAT(a, b) CLIPON_DETAIL_CONCAT_(a, b)
#define CLIPON_PARALLEL_IS CLIPON_DETAIL_CONCAT(CLIPON_PARALLEL_IS_, CLIPON_PARALLEL)
#if CLIPON_PARALLEL_IS == CLIPON_PARALLEL_IS_openmp && !defined(_OPENMP)
#error "clipon: CLIPON_PARALLEL=openmp needs -fopenmp"
#elif CLIPON_PARALLEL_IS != CLIPON_PARALLEL_IS_openmp && CLIPON_PARALLEL_IS != CLIPON_PARALLEL_IS_threads && \
    CLIPON_PARALLEL_IS != CLIPON_PARALLEL_IS_serial
#error "clipon: CLIPON_PARALLEL: expected openmp, threads or serial"
#endif

// What else makes code of a unit differ: instructions beyond its mode's, and who decodes JPEGs.
#if defined(__AVX512F__)
#define CLIPON_ABI_BEYOND avx512f
#elif defined(__AVX2__)
#define CLIPON_ABI_BEYOND avx2
#elif defined(__AVX__)
#define CLIPON_ABI_BEYOND avx
#elif defined(__SSE4_1__)
#define CLIPON_ABI_BEYOND sse4
#elif defined(__SSE3__)
#define CLIPON_ABI_BEYOND sse3
#else
#define CLIPON_ABI_BEYOND base
#endif
#if defined(CLIPON_WITH_TURBOJPEG)
#define CLIPON_ABI_JPEG turbojpeg
#else
#define CLIPON_ABI_JPEG stb
#endif

#if defined(CLIPON_DISPATCH)  // the per-ISA units never see parallel_for: one name for all of them
#define CLIPON_DETAIL_ABI_(version, mode, beyond, parallel, jpeg) version##_##mode
#else
#define CLIPON_DETAIL_ABI_(version, mode, beyond, parallel, jpeg) version##_##mode##_##beyond##_##parallel##_##jpeg
#endif
#define CLIPON_DETAIL_ABI(version, mode, beyond, parallel, jpeg) \
  CLIPON_DETAIL_ABI_(version, mode, beyond, parallel, jpeg)
#define CLIPON_ABI CLIPON_DETAIL_ABI(v0_1, CLIPON_ABI_MODE, CLIPON_ABI_BEYOND, CLIPON_PARALLEL, CLIPON_ABI_JPEG)

// The bodies of Model's and Classifier's calls, of LinearProbe's and of the decoders are most of what a unit that calls
// them compiles.  With clipon::dispatch one unit of its library has them (cmake/bodies.cpp), and the headers only
// declare them (CLIPON_BODIES 0), except where a std:: container or an Eigen::Ref is laid out in another way than
// there: libstdc++'s debug mode and old strings, Eigen's indices.
#if !defined(CLIPON_BODIES)
#if !defined(CLIPON_DISPATCH) || defined(_GLIBCXX_DEBUG) || defined(EIGEN_DEFAULT_DENSE_INDEX_TYPE) || \
    (defined(_GLIBCXX_USE_CXX11_ABI) && !_GLIBCXX_USE_CXX11_ABI)
#define CLIPON_BODIES 1
#else
#define CLIPON_BODIES 0
#endif
#endif
#if !defined(CLIPON_BODY)  // what such a body begins with; the library keeps it though nobody calls it there
#define CLIPON_BODY inline
#endif

#define CLIPON_ALWAYS_INLINE inline __attribute__((always_inline))
#define CLIPON_RESTRICT __restrict__
