// Fills the table of kernels for one ISA.  Included by the two-line unit that the build generates per ISA, and by
// kernels/select.hpp in a header-only build.  Layer 2, but it may include only core/, simd/, kernels/micro/ and the
// types of the table: what else were compiled for AVX-512 here could be kept by the linker and crash an older CPU.
#pragma once

#include "clipon/kernels/micro/attention.hpp"
#include "clipon/kernels/micro/blocking.hpp"
#include "clipon/kernels/micro/convert.hpp"
#include "clipon/kernels/micro/dot_topk.hpp"
#include "clipon/kernels/micro/gemm_by_type.hpp"
#include "clipon/kernels/micro/layer_norm.hpp"
#include "clipon/kernels/micro/pack.hpp"
#include "clipon/kernels/micro/peak.hpp"
#include "clipon/kernels/micro/pool.hpp"
#include "clipon/kernels/micro/quantise.hpp"
#include "clipon/kernels/micro/resize_pass.hpp"
#include "clipon/kernels/micro/row_dots.hpp"
#include "clipon/kernels/micro/row_exp.hpp"
#include "clipon/kernels/micro/rows_of_few.hpp"
#include "clipon/kernels/micro/strassen.hpp"
#include "clipon/kernels/micro/winograd.hpp"
#include "clipon/kernels/table.hpp"

namespace clipon::inline CLIPON_ABI::kernels {

template <class Arch>
const KernelTable& kernel_table() {
  static constexpr KernelTable table = {
      .isa = Arch::isa,
      .fast_i8 = Arch::fast_i8,
      .windows = Arch::has_amx,
      .bf16_runs_as = Arch::fast_bf16_dot || Arch::has_amx ? DataType::bf16 : DataType::f32,
      .int8_runs_as = Arch::has_byte_dot ? DataType::i8 : DataType::i16,
      .gemm_rows = gemm_rows<Arch>,
      .panel_columns = panel_columns<Arch>,
      .block_bytes = block_bytes<Arch>,
      .winograd_bytes = winograd_bytes<Arch>,
      .rows_a_pass = rows_a_pass<Arch>,
      .least_rows_alone = least_rows_alone<Arch>,
      .least_row_share = least_row_share<Arch>,
      .pack_panel = pack_panel<Arch>,
      .gemm = gemm<Arch>,
      .strassen_panels = strassen_panels<Arch>,
      .strassen_sums = strassen_sums<Arch>,
      .strassen_block = strassen_block<Arch>,
      .peak = peak<Arch>,
      .quantise = quantise<Arch>,
      .scale_of_row = scale_of_row<Arch>,
      .row_to_bytes = row_to_bytes<Arch>,
      .layer_norm = layer_norm<Arch>,
      .attention_scratch = attention_scratch<Arch>,
      .attention_head = attention_head<Arch>,
      .widen = widen<Arch>,
      .normalise_pixels = normalise_pixels<Arch>,
      .resize_rows = resize_rows<Arch>,
      .resize_columns = resize_columns<Arch>,
      .row_dots = row_dots<Arch>,
      .row_exp = row_exp<Arch>,
      .exp_of_rows = exp_of_rows<Arch>,
      .best_two_of_rows = best_two_of_rows<Arch>,
      .exponentials = exponentials<Arch>,
      .best_of_row = best_of_row<Arch>,
      .average_pool_2x2 = average_pool_2x2<Arch>,
      .dot_topk = dot_topk<Arch>,
      .winograd_input = winograd_input<Arch>,
      .winograd_output = winograd_output<Arch>,
  };
  return table;
}

}  // namespace clipon::inline CLIPON_ABI::kernels

#define CLIPON_INSTANTIATE_KERNELS(tag)                                         \
  template const clipon::kernels::KernelTable& /* one definition per library */ \
  clipon::kernels::kernel_table<clipon::simd::tag>();
