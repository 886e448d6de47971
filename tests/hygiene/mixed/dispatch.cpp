#define ANSWER dispatch_answer
#include "answer.inc"
