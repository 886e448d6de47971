#define ANSWER avx2_answer
#include "answer.inc"
