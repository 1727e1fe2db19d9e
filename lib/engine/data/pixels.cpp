#include "engine/data/pixels.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>

#include "base/core/error.h"

namespace ds::data {

namespace {

[[noreturn]] void refuse(const std::string& where, const std::string& what) { throw Error(Exit::kInput, where, what); }

std::vector<double> per_channel(const nlohmann::json& document, const char* key, std::int64_t channels, const std::string& where) {
  const auto found = document.find(key);
  if (found == document.end()) refuse(where, fmt::format("has no '{}'", key));
  if (!found->is_array() || (found->size() != 1 && std::int64_t(found->size()) != channels)) {
    refuse(where, fmt::format("'{}' is {}, expected a list of 1 or {} numbers", key, found->dump(), channels));
  }
  std::vector<double> values;
  for (const auto& value : *found) {
    if (!value.is_number() || !std::isfinite(value.get<double>()))
      refuse(where, fmt::format("'{}' has {}, expected a finite number", key, value.dump()));
    values.push_back(value.get<double>());
  }
  values.resize(std::size_t(channels), values[0]);
  return values;
}

}  // namespace

Pixels::Pixels(const nlohmann::json& preprocessing, const std::string& where) {
  if (!preprocessing.is_object()) refuse(where, fmt::format("is {}, expected a map", preprocessing.type_name()));
  const auto kind = preprocessing.value("kind", nlohmann::json("image"));
  if (kind != "image" && kind != "table") refuse(where, fmt::format("kind {}, expected \"image\" or \"table\"", kind.dump()));
  const auto shape = preprocessing.find("shape");
  const bool three = shape != preprocessing.end() && shape->is_array() && shape->size() == 3;
  for (std::size_t i = 0; i < 3; ++i) {
    if (!three || !(*shape)[i].is_number_integer() || (*shape)[i] < 1 || (*shape)[i] > 65536) {
      refuse(where, fmt::format("'shape' is {}, expected [channels, height, width]", shape == preprocessing.end() ? "missing" : shape->dump()));
    }
  }
  channels = (*shape)[0];
  height = (*shape)[1];
  width = (*shape)[2];
  const auto factor = preprocessing.find("scale");
  if (factor == preprocessing.end() || !factor->is_number() || !std::isfinite(factor->get<double>()) || factor->get<double>() == 0) {
    refuse(where, fmt::format("'scale' is {}, expected a finite number other than 0", factor == preprocessing.end() ? "missing" : factor->dump()));
  }
  scale = *factor;
  mean = per_channel(preprocessing, "mean", channels, where);
  std = per_channel(preprocessing, "std", channels, where);
  for (const double value : std) {
    if (value <= 0) refuse(where, fmt::format("'std' has {}, expected a number above 0", value));
  }
  table.resize(std::size_t(channels) * 256);
  for (std::size_t c = 0; c < std::size_t(channels); ++c) {
    for (std::size_t u = 0; u < 256; ++u) table[c * 256 + u] = static_cast<float>((double(u) * scale - mean[c]) / std[c]);
  }
}

void Pixels::check(const at::Tensor& images) const {
  if (!images.defined()) refuse("images", "there are none");
  if (images.scalar_type() != at::kByte && images.scalar_type() != at::kFloat) {
    refuse("images", fmt::format("dtype {}, expected uint8 or float32", c10::toString(images.scalar_type())));
  }
  if (images.dim() != 4 || images.size(1) != channels || images.size(2) != height || images.size(3) != width) {
    refuse("images", fmt::format("shape [{}], expected [N,{},{},{}] as the preprocessing says",
                                 fmt::join(images.sizes().begin(), images.sizes().end(), ","), channels, height, width));
  }
}

void Pixels::convert(const std::uint8_t* planes, float* out) const {
  const std::int64_t size = height * width;
  for (std::int64_t c = 0; c < channels; ++c) {
    const float* values = table.data() + c * 256;
    for (std::int64_t p = 0; p < size; ++p) out[p * channels + c] = values[planes[c * size + p]];
  }
}

void Pixels::convert(const float* planes, float* out) const {
  const std::int64_t size = height * width;
  for (std::int64_t c = 0; c < channels; ++c) {
    const double m = mean[std::size_t(c)], s = std[std::size_t(c)];
    for (std::int64_t p = 0; p < size; ++p) out[p * channels + c] = static_cast<float>((double(planes[c * size + p]) * scale - m) / s);
  }
}

}  // namespace ds::data
