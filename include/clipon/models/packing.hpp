// Tensors that are checked and packed in one loop, once both towers have named theirs.  Layer 4; called by Builder.
// With loops for each tensor, threads would wait for each other hundreds of times, and bytes that were checked would
// have left L2 before they are packed.
#pragma once

#include <algorithm>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "clipon/format/weights.hpp"
#include "clipon/kernels/packed_matrix.hpp"

namespace clipon::inline CLIPON_ABI::models {

class Packing {
 public:
  using Tensors = std::vector<format::UncheckedTensor>;

  /// pack(group), from any thread, for each group of `height` rows of `tensors`, one above the other, whose bytes have
  /// just been checked; never for those of only shapes.
  void add(Tensors tensors, index_t height, std::function<void(index_t)> pack) {
    const index_t rows = rows_of(tensors);
    if (rows == 0) return;
    Job job{std::move(tensors), height, std::move(pack)};
    job.groups = (rows + height - 1) / height;
    job.first_group = groups_;
    groups_ += job.groups;
    jobs_.push_back(std::move(job));
  }

  /// Tensors [*, columns], one above the other, as one matrix.  There is room for its numbers: run() fills it.
  kernels::PackedMatrix add_matrix(const kernels::Context& context, Tensors tensors, index_t columns, DataType type,
                                   kernels::Rows a) {
    std::vector<kernels::StoredMatrix> parts;
    parts.reserve(tensors.size());
    for (const format::UncheckedTensor& tensor : tensors) parts.push_back(tensor.view);
    kernels::PackedMatrix matrix(context, rows_of(tensors), columns, type, a);
    add(std::move(tensors), matrix.first_row(1),
        [&kernels = *context.kernels, matrix, parts = std::move(parts)](index_t group) mutable {
          matrix.pack(kernels, {parts.data(), static_cast<index_t>(parts.size())}, group);
        });
    return matrix;
  }

  /// Throws Error checksum_mismatch or not_finite, of the first tensor that is not as it should be.
  void run(parallel::Threads threads, const format::Weights& weights) {
    for (Job& job : jobs_) job.found.resize(job.tensors.size() * static_cast<std::size_t>(job.groups));
    parallel::parallel_for(threads, groups_, [&](index_t group) {
      const auto next = std::upper_bound(jobs_.begin(), jobs_.end(), group,
                                         [](index_t g, const Job& job) { return g < job.first_group; });
      Job& job = *(next - 1);
      check(weights, job, group - job.first_group);
      job.pack(group - job.first_group);
    });
    for (const Job& job : jobs_) accept(weights, job);
    jobs_.clear();
    groups_ = 0;
  }

 private:
  struct Job {
    Tensors tensors;
    index_t height = 1;                           // rows of a group
    std::function<void(index_t)> pack;            // a group
    index_t groups = 0;                           // the last may be lower
    index_t first_group = 0;                      // among those of all jobs
    std::vector<format::TensorCheck> found = {};  // [groups, tensors]
  };

  static index_t rows_of(const Tensors& tensors) {
    index_t rows = 0;
    for (const format::UncheckedTensor& tensor : tensors) rows += tensor.view.rows;
    return rows;
  }

  // body(t, bytes): the bytes of tensor t among the rows of a group.
  template <class Body>
  static void for_each_part(const Job& job, index_t group, const Body& body) {
    index_t above = 0;
    for (std::size_t t = 0; t < job.tensors.size(); ++t) {
      const auto& [index, bytes, view] = job.tensors[t];
      const index_t first = std::clamp<index_t>(group * job.height - above, 0, view.rows);
      const index_t last = std::clamp<index_t>((group + 1) * job.height - above, 0, view.rows);
      const std::size_t row_bytes = bytes.size() / static_cast<std::size_t>(view.rows);
      body(t, bytes.subspan(static_cast<std::size_t>(first) * row_bytes,
                            static_cast<std::size_t>(last - first) * row_bytes));
      above += view.rows;
    }
  }

  static void check(const format::Weights& weights, Job& job, index_t group) {
    format::TensorCheck* found = job.found.data() + static_cast<std::size_t>(group) * job.tensors.size();
    for_each_part(job, group, [&](std::size_t t, std::span<const std::byte> bytes) {
      found[t] = weights.check_bytes(job.tensors[t].index, bytes);
    });
  }

  static void accept(const format::Weights& weights, const Job& job) {
    std::vector<format::TensorCheck> whole(job.tensors.size());
    for (index_t group = 0; group < job.groups; ++group) {
      const format::TensorCheck* found = job.found.data() + static_cast<std::size_t>(group) * whole.size();
      for_each_part(job, group,
                    [&](std::size_t t, std::span<const std::byte> bytes) { whole[t].append(found[t], bytes.size()); });
    }
    for (std::size_t t = 0; t < whole.size(); ++t) weights.accept(job.tensors[t].index, whole[t]);
  }

  std::vector<Job> jobs_;
  index_t groups_ = 0;  // of all jobs
};

}  // namespace clipon::inline CLIPON_ABI::models
