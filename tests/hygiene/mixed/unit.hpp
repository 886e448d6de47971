// What each unit of the mixed program offers: the label that its own build of clipon gives a picture, and how it ran.
#pragma once

#include <string>

struct Answer {
  std::string label;
  std::string isa;
};

Answer baseline_answer(const std::string& model, const std::string& picture);
Answer avx2_answer(const std::string& model, const std::string& picture);
Answer dispatch_answer(const std::string& model, const std::string& picture);

/// Width times height of a picture, by the application's own stb_image, included before and after clipon.
int own_stb_before(const std::string& picture);
int own_stb_after(const std::string& picture);
