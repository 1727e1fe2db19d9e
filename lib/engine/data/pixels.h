// From stored pixels to what a model sees: the document `preprocessing` as code, used by the loader, evaluation and serving alike.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace ds::data {

/// x = (u * scale - mean[c]) / std[c], worked out in float64 and rounded once: a uint8 and a float32 pixel of the same value give the same x.
struct Pixels {
  std::int64_t channels = 0, height = 0, width = 0;
  double scale = 0;
  std::vector<double> mean, std;  ///< [C]
  std::vector<float> table;       ///< [C, 256]: x of every byte

  /// Throws ds::Error(kInput, where, ...) for a document of another kind or with missing, wrong or non-finite values.
  /// mean and std may have one value for all channels. The columns of a table (kind "table") are channels of one pixel.
  explicit Pixels(const nlohmann::json& preprocessing, const std::string& where = "preprocessing");
  /// Throws ds::Error(kInput) unless images are [N, C, H, W] of this shape, uint8 or float32.
  void check(const at::Tensor& images) const;
  /// Elements of one image.
  std::int64_t numel() const { return channels * height * width; }
  /// One image [C, H, W] to [H, W, C].
  void convert(const std::uint8_t* planes, float* out) const;
  void convert(const float* planes, float* out) const;
};

}  // namespace ds::data
