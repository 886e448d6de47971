// clipon: CLIP (Radford et al. 2021) for CPUs.  This header is all that an application includes.
//
//   auto model = clipon::Model::load("ViT-B-32.gguf");
//   auto image = clipon::Image::read("cat.jpg");
//   for (const auto& p : model.zero_shot_classify(image, {"a cat", "a dog", "a bicycle"}))
//     std::cout << p.label << ' ' << p.probability << '\n';
//
// error.hpp       Error, ErrorCode
// options.hpp     Precision, Isa, LoadOptions, DecodeOptions, TokenizeOptions
// image.hpp       Image: read, decode, from_rgb, from_rgba, from_gray
// batch.hpp       BatchOptions, ItemStatus
// model.hpp       Model: load, embed_image(s), embed_text(s), embed_pixels, zero_shot_classify
// similarity.hpp  similarity, logits, softmax, contrastive_loss and its gradients, recall_at
// zero_shot.hpp   Classifier: labels x templates, kept; unknowns, several labels, calibration
// linear_probe.hpp  LinearProbe, TipAdapter: from a few labelled pictures
// search.hpp      StoredVectors, search: the nearest of many; duplicate_groups
// cpu_report.hpp  cpu_report: which instructions run, and why
#pragma once

#include "clipon/batch.hpp"
#include "clipon/cpu_report.hpp"
#include "clipon/error.hpp"
#include "clipon/image.hpp"
#include "clipon/linear_probe.hpp"
#include "clipon/model.hpp"
#include "clipon/options.hpp"
#include "clipon/search.hpp"
#include "clipon/similarity.hpp"
#include "clipon/zero_shot.hpp"
