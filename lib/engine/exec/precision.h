// How exact float32 arithmetic is.
#pragma once

namespace ds::exec {

/// A GPU's float32 matrix products and convolutions may round their factors to 10 bits of mantissa (TensorFloat-32), which is faster. Off at first.
void set_tf32(bool on);
bool tf32();

}  // namespace ds::exec
