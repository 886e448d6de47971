#define ANSWER baseline_answer
#include "answer.inc"
