// The table of kernels of one ISA: everything above kernels/micro/ calls through it and knows no instruction set.
// Layer 2.
#pragma once

#include "clipon/kernels/types.hpp"
#include "clipon/simd/arch.hpp"

namespace clipon::inline CLIPON_ABI::kernels {

struct KernelTable {
  Isa isa;
  bool fast_i8;                                // int8 products faster than f32's
  bool windows;                                // gemm takes the windows of a convolution for A
  DataType bf16_runs_as;                       // what bf16 is computed in: bf16, or f32 with weights that are widened
  DataType int8_runs_as;                       // what int8 is computed in: i8, or i16 without a product of bytes
  index_t (*gemm_rows)(DataType type);         // MR: rows of a register tile
  index_t (*panel_columns)(DataType type);     // NR: columns of a packed panel
  index_t block_bytes;                         // of A that pass each panel of W: see kernels/micro/blocking.hpp
  index_t winograd_bytes;                      // between Winograd's transforms: the same
  index_t (*rows_a_pass)(DataType type);       // of a Transformer's activations: see kernels/micro/blocking.hpp
  index_t (*least_rows_alone)(DataType type);  // a thread's, of a pass that it computes alone: the same
  index_t (*least_row_share)(DataType type, index_t threads);  // a thread's, of a pass that all compute: the same
  void (*pack_panel)(const StoredStack& w, index_t first_row, const PanelRows& out);
  void (*gemm)(const GemmBlock& block);
  void (*strassen_panels)(const StrassenPanels& job);
  void (*strassen_sums)(const StrassenSums& job);
  void (*strassen_block)(const StrassenBlock& block);
  double (*peak)(DataType type, index_t steps);
  void (*quantise)(const Operand& x, index_t rows, index_t n, const OperandRows& out);
  RowScale (*scale_of_row)(const Operand& row, index_t n);
  void (*row_to_bytes)(const Operand& row, index_t n, const RowScale& scale, std::uint8_t* out);
  void (*layer_norm)(const LayerNormRows& job);
  index_t (*attention_scratch)(index_t keys, index_t head_width);
  void (*attention_head)(const AttentionHead& head);
  void (*widen)(const StoredMatrix& matrix, index_t row, index_t first, index_t n, float* out);
  void (*normalise_pixels)(const std::uint8_t* pixels, const float* scale, const float* offset, index_t n, float* out);
  void (*resize_rows)(const ResizeRows& job);
  void (*resize_columns)(const ResizeColumns& job);
  void (*row_dots)(const RowDots& job);
  RowExp (*row_exp)(const float* x, index_t n, float scale);
  void (*exp_of_rows)(const RowsOfFew& rows, float scale, float* greatest, float* sum);
  void (*best_two_of_rows)(const RowsOfFew& rows, const BestTwo& out);
  void (*exponentials)(const float* x, index_t n, float scale, float shift, float* out);
  void (*best_of_row)(const float* x, index_t n, index_t k, float* values, std::int32_t* indices);
  void (*average_pool_2x2)(const void* in, DataType type, index_t height, index_t width, index_t channels, void* out);
  index_t (*dot_topk)(const TopkRows& job);
  void (*winograd_input)(const WinogradTiles& tiles, const void* maps, const WinogradRows& rows);
  void (*winograd_output)(const WinogradTiles& tiles, const float* sums, index_t position_stride, const float* bias,
                          bool pool, void* maps);
};

/// What the rows of a product in `type` are, on these kernels.
inline DataType operand_type(const KernelTable& kernels, DataType type) {
  return type == DataType::bf16 ? kernels.bf16_runs_as : is_integer(type) ? kernels.int8_runs_as : type;
}

/// The table of one ISA.  Header-only builds define it for the compiled ISA alone, by including
/// kernels/instantiate.hpp; with CLIPON_DISPATCH each ISA's unit in libclipon_dispatch.a defines its own.
template <class Arch>
const KernelTable& kernel_table();

}  // namespace clipon::inline CLIPON_ABI::kernels
