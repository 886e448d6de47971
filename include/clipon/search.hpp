// Search: many stored embeddings, and the nearest of them to a query, exactly.  PUBLIC, layer 6.
// Every row is looked at: a query reads the store once, at the speed of memory, so a million rows of 512 float16 take
// about a twentieth of a second where memory gives 20 GB/s.  Beyond some millions an approximate index pays (FAISS,
// USearch); `clipon index` writes .npy files that they read.
//
// search/stored_vectors.hpp  VectorsView, StoredVectors
// search/top_k.hpp           search
// search/duplicates.hpp      duplicate_groups
#pragma once

#include "clipon/search/duplicates.hpp"
#include "clipon/search/stored_vectors.hpp"
#include "clipon/search/top_k.hpp"
