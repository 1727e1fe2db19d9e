#include "engine/exec/precision.h"

#include <ATen/Context.h>

namespace ds::exec {

void set_tf32(bool on) {
  at::globalContext().setFloat32MatmulPrecision(on ? "high" : "highest");
  at::globalContext().setAllowTF32CuDNN(on);
}

bool tf32() { return at::globalContext().float32MatmulPrecision() == at::Float32MatmulPrecision::HIGH; }

}  // namespace ds::exec
