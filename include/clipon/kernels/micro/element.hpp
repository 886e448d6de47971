// Elements of a map or a row, f32 or bf16, as registers of floats.  Used by what reads either type.  Per ISA.
#pragma once

#include "clipon/simd/store_bf16.hpp"

namespace clipon::inline CLIPON_ABI::kernels {

template <class Arch, class T>
struct Element;

template <class Arch>
struct Element<Arch, float> {
  using V = simd::F32<Arch>;
  using Batch = typename V::Batch;
  static CLIPON_ALWAYS_INLINE Batch load(const float* p) { return V::load(p); }
  static CLIPON_ALWAYS_INLINE Batch load_part(const float* p, index_t n) { return V::load_part(p, n); }
  static CLIPON_ALWAYS_INLINE void store(float* p, Batch x) { V::store(p, x); }
  static CLIPON_ALWAYS_INLINE void store_part(float* p, Batch x, index_t n) { V::store_part(p, x, n); }
};

template <class Arch>
struct Element<Arch, std::uint16_t> {
  using V = simd::F32<Arch>;
  using Batch = typename V::Batch;
  static CLIPON_ALWAYS_INLINE Batch load(const std::uint16_t* p) { return V::from_bf16(p); }
  static CLIPON_ALWAYS_INLINE Batch load_part(const std::uint16_t* p, index_t n) {
    std::uint16_t part[V::width] = {};
    for (index_t i = 0; i < V::width; ++i) {
      if (i < n) part[i] = p[i];
    }
    return V::from_bf16(part);
  }
  static CLIPON_ALWAYS_INLINE void store(std::uint16_t* p, Batch x) { V::store_bf16(p, x); }
  static CLIPON_ALWAYS_INLINE void store_part(std::uint16_t* p, Batch x, index_t n) {
    simd::store_bf16_part<Arch>(p, x, n);
  }
};

/// All lanes of a register, or the first n.
template <class Arch>
struct AllLanes {
  using Batch = typename simd::F32<Arch>::Batch;
  template <class T>
  CLIPON_ALWAYS_INLINE Batch load(const T* p) const {
    return Element<Arch, T>::load(p);
  }
  template <class T>
  CLIPON_ALWAYS_INLINE void store(T* p, Batch x) const {
    Element<Arch, T>::store(p, x);
  }
};
template <class Arch>
struct FirstLanes {
  using Batch = typename simd::F32<Arch>::Batch;
  index_t n;
  template <class T>
  CLIPON_ALWAYS_INLINE Batch load(const T* p) const {
    return Element<Arch, T>::load_part(p, n);
  }
  template <class T>
  CLIPON_ALWAYS_INLINE void store(T* p, Batch x) const {
    Element<Arch, T>::store_part(p, x, n);
  }
};

/// each(first, lanes) for the registers that n elements make.  The last one overlaps the one before rather than being
/// cut, so what is stored must not be what is read.
template <class Arch, class Each>
CLIPON_ALWAYS_INLINE void for_each_register(index_t n, const Each& each) {
  constexpr index_t width = simd::F32<Arch>::width;
  if (n < width) return each(index_t{0}, FirstLanes<Arch>{n});
  for (index_t i = 0; i < n; i += width) each(i + width <= n ? i : n - width, AllLanes<Arch>{});
}

}  // namespace clipon::inline CLIPON_ABI::kernels
