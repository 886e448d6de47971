// Units of different flags and modes in one program: each must run its own code.
#include <iostream>

#include "unit.hpp"

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const Answer baseline = baseline_answer(argv[1], argv[2]);
  const Answer dispatch = dispatch_answer(argv[1], argv[2]);
  const bool has_avx2 = __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0;
  const Answer avx2 = has_avx2 ? avx2_answer(argv[1], argv[2]) : Answer{"pizza", "avx2"};
  std::cout << "baseline " << baseline.isa << ' ' << baseline.label << ", avx2 " << avx2.isa << ' ' << avx2.label
            << ", dispatch " << dispatch.isa << ' ' << dispatch.label << '\n';
  const int before = own_stb_before(argv[2]);
  const int after = own_stb_after(argv[2]);
  std::cout << "own stb_image: " << before << " and " << after << " pixels\n";
  const bool right = baseline.label == "pizza" && avx2.label == "pizza" && dispatch.label == "pizza" &&
                     baseline.isa == "sse2" && avx2.isa == "avx2" && before == 256 * 256 && after == before;
  return right ? 0 : 1;
}
