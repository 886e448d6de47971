// What CLIP computes with embeddings: cosines, logits, the contrastive loss and its gradients, retrieval.  PUBLIC,
// layer 6.  Radford et al. 2021, figure 3 (the pseudocode); openai/CLIP clip/model.py, CLIP.forward.
//
// similarity/cosine.hpp       similarity, logits, softmax
// similarity/contrastive.hpp  contrastive_loss, contrastive_gradients: InfoNCE, both ways
// similarity/retrieval.hpp    recall_at
#pragma once

#include "clipon/similarity/contrastive.hpp"
#include "clipon/similarity/cosine.hpp"
#include "clipon/similarity/retrieval.hpp"
