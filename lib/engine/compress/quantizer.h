// Static int8: fold BatchNorm, calibrate activations, lower to int8 ops; and the way back to a float net with fake-quantization for training.
// The meaning of int8 is the design's: u8 activations in 0..127, s8 weights a channel, s32 bias, round half to even.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "base/core/registry.h"
#include "engine/data/dataset.h"
#include "engine/exec/executor.h"

namespace ds::compress {

using Json = nlohmann::json;

/// Calls what it is given with the inputs of each batch of samples to calibrate on, the same ones every time.
using EachBatch = std::function<void(const std::function<void(const std::vector<at::Tensor>&)>&)>;

struct CalibrationOptions {
  std::int64_t samples = 512;              ///< of the training split, without augmentation
  std::int64_t batch_size = 64;
  core::Choice observer{"observer", "histogram"};
  std::vector<std::string> skip = {};      ///< nodes that stay float, by name
};

/// The int8 model of a float one. `report` gets per layer {"tensor","from","to","bytes_before","bytes_after","mse","sqnr_db",
/// "output_sqnr_db"}: signal to noise of the weights, and of the layer's output on the first calibration batch against the float net.
/// Nodes without an int8 twin stay float between dequantize and quantize.
/// An int8 model is quantized anew, from its float twin: activations get ranges from these samples, weights codes with scales of their own.
exec::Model quantize_static(const exec::Model& model, const data::Dataset& data, const Json& preprocessing, const CalibrationOptions& options, Json& report);

/// The same on any inputs; `options.samples` and `batch_size` are of no account.
exec::Model quantize_static(const exec::Model& model, const EachBatch& batches, const CalibrationOptions& options, Json& report);

/// The float twin of an int8 net: weights q * s, biases q * x_scale * s, and nothing rounded in between. Its nodes have the int8 ones' names.
exec::Model to_float(const exec::Model& int8_model);
/// A float net that computes what the int8 one means: masters = q * s, fake-quantized weights and activations with straight-through gradients.
exec::Model to_fake_quantized(const exec::Model& int8_model);
/// `int8_model` with the weights and biases of the trained net: quantized anew, activation ranges as they were.
exec::Model from_fake_quantized(const exec::Model& trained, const exec::Model& int8_model);

}  // namespace ds::compress
