// What units with clipon::dispatch find in its library instead of compiling it (clipon/core/config.hpp).
#define CLIPON_BODIES 1
#define CLIPON_BODY [[gnu::used]] inline
#include "clipon/clipon.hpp"
