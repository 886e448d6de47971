// A second unit of the same program: nothing may be defined twice, and the embedded model must be linkable.
#include <clipon/clipon.hpp>

clipon::Model embedded_model();
clipon::Model embedded_model() {
  return clipon::Model::load_demo();
}
