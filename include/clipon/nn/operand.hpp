// Rows of activations in the type that the next product computes in.  Layer 3; used by the blocks and towers.
#pragma once

#include <cstring>

#include "clipon/nn/linear.hpp"
#include "clipon/tensor/scratch.hpp"

namespace clipon::inline CLIPON_ABI::nn {

/// The type of a product's weights where it stands between two layers of `type`: an epilogue writes f32 or bf16, and
/// bytes are made from bf16.
constexpr DataType between(DataType type) {
  return type == DataType::f32 || type == DataType::i16 ? DataType::f32 : DataType::bf16;
}

/// The type of the rows between two such layers: f32 where this CPU has no product of bf16, since attention multiplies
/// these rows with each other.
inline DataType rows_between(const Context& context, DataType type) {
  return kernels::operand_type(*context.kernels, between(type));
}

/// Elements from one row to the next.  Rows of all types but f32 of an even number of cache lines get one more: rows a
/// power of two apart would share few sets of L1, and a tile (AMX) reads 16 of them at once.
inline index_t row_stride(DataType type, index_t width) {
  const index_t stride = kernels::padded_depth(type, width);
  const index_t line = static_cast<index_t>(kAlignment) / static_cast<index_t>(size_of(type));
  return type != DataType::f32 && stride % (2 * line) == 0 ? stride + line : stride;
}

inline index_t operand_bytes(DataType type, index_t rows, index_t width) {
  return Scratch::size_for<unsigned char>(rows * row_stride(type, width) * static_cast<index_t>(size_of(type))) +
         Scratch::size_for<kernels::RowScale>(is_integer(type) ? rows : 0);
}

/// Uninitialised rows: [rows, width].
inline OperandRows take_operand(Scratch& scratch, DataType type, index_t rows, index_t width) {
  OperandRows out;
  out.type = type;
  out.stride = row_stride(type, width);
  out.data = scratch.take<unsigned char>(rows * out.stride * static_cast<index_t>(size_of(type)));
  out.scales = scratch.take<kernels::RowScale>(is_integer(type) ? rows : 0);
  return out;
}

/// Zeros behind rows [rows, width] that are no whole number of steps: a product reads what lies there, and though W has
/// zeros for it, it could be NaN.
inline void clear_padding(const OperandRows& x, index_t rows, index_t width) {
  const auto bytes = static_cast<std::size_t>(kernels::padded_depth(x.type, width) - width) * size_of(x.type);
  for (index_t r = 0; bytes > 0 && r < rows; ++r) std::memset(x.from(r, width).data, 0, bytes);
}

/// x [rows, width] in f32 or bf16 -> out [rows, width] in bf16, i8 or i16.
inline void quantise(const Context& context, const Operand& x, index_t rows, index_t width, const OperandRows& out) {
  const auto span = context.timed({"quantise", out.type, width, 0, 0, static_cast<double>(rows)});
  constexpr index_t least = 8;  // rows a thread, as LayerNorm's
  parallel::parallel_ranges(context.threads, rows, least, [&](index_t first, index_t count) {
    context.kernels->quantise(x.from_row(first), count, width, out.from_row(first));
  });
}

/// x as `type` computes with it: itself where it has that type, else quantised into `out`.
inline Operand as_operand(const Context& context, const Operand& x, index_t rows, index_t width, DataType type,
                          const OperandRows& out) {
  if (x.type == type) return x;
  quantise(context, x, rows, width, out);
  return out.read();
}

}  // namespace clipon::inline CLIPON_ABI::nn
