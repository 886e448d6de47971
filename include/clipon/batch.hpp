// What a call on many items can be told, and what it tells back.  PUBLIC, layer 5.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "clipon/error.hpp"
#include "clipon/options.hpp"

namespace clipon::inline CLIPON_ABI {

/// How one item of a batch fared.
struct ItemStatus {
  bool ok = true;
  ErrorCode code = ErrorCode::invalid_argument;  ///< meaningful where ok is false
  std::string message;                           ///< the error's text, else empty
};

struct BatchOptions {
  bool normalize = true;  ///< false: embeddings as the tower gives them, not of unit length
  TokenizeOptions tokenize = {};
  /// Compute a prefix that several texts share only once; false: once for each text, with the same bits.
  bool share_prefixes = true;
  DecodeOptions decode = {};  ///< for calls that read files
  /// Where to note each item's fate: resized to the batch.  A failed item's row is NaN and the others are kept.
  /// Null: the first failure is thrown.
  std::vector<ItemStatus>* status = nullptr;
  /// Called with (items done, items in all) after each pass, from one thread at a time, not always the caller's.  What
  /// it throws ends the call; it must not end the process (std::exit), since the model's threads are at work.
  std::function<void(std::size_t, std::size_t)> progress = {};
};

}  // namespace clipon::inline CLIPON_ABI
