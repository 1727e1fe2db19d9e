#include "engine/data/targets.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <cmath>

#include "base/core/error.h"

namespace ds::data {

Targets::Targets(const nlohmann::json& preprocessing, const std::string& where) {
  if (!preprocessing.is_object() || !preprocessing.contains("targets")) return;
  const nlohmann::json& document = preprocessing.at("targets");
  try {
    names = document.at("names").get<std::vector<std::string>>();
    mean = document.at("mean").get<std::vector<double>>();
    std = document.at("std").get<std::vector<double>>();
  } catch (const nlohmann::json::exception&) {
    throw Error(Exit::kInput, where, fmt::format("targets {}, expected names, mean and std of each", document.dump().substr(0, 200)));
  }
  bool sane = !names.empty() && mean.size() == names.size() && std.size() == names.size();
  for (std::size_t i = 0; sane && i < names.size(); ++i) sane = std::isfinite(mean[i]) && std::isfinite(std[i]) && std[i] > 0;
  if (!sane) throw Error(Exit::kInput, where, fmt::format("targets {}, expected a finite mean and a std above 0 of each name", document.dump().substr(0, 200)));
}

namespace {

template <class Element, class Change>
at::Tensor changed(const at::Tensor& values, std::size_t columns, Change change) {
  if (values.dim() != 2 || values.size(1) != static_cast<std::int64_t>(columns))
    throw Error(
        Exit::kInput, "data",
        fmt::format("{} values a sample, expected {} as preprocessing.targets names", values.dim() == 2 ? values.size(1) : values.dim(), columns));
  const at::Tensor from = values.to(at::kDouble).contiguous();
  at::Tensor to = at::empty(from.sizes(), at::TensorOptions().dtype(c10::CppTypeToScalarType<Element>::value));
  for (std::int64_t i = 0; i < from.numel(); ++i)
    to.mutable_data_ptr<Element>()[i] = static_cast<Element>(change(from.const_data_ptr<double>()[i], static_cast<std::size_t>(i) % columns));
  return to;
}

}  // namespace

at::Tensor Targets::standardised(const at::Tensor& values) const {
  if (empty()) return values.to(at::kFloat);
  return changed<float>(values, names.size(), [this](double value, std::size_t c) { return (value - mean[c]) / std[c]; });
}

at::Tensor Targets::restored(const at::Tensor& outputs) const {
  if (empty()) return outputs.to(at::kDouble);
  return changed<double>(outputs, names.size(), [this](double value, std::size_t c) { return value * std[c] + mean[c]; });
}

nlohmann::json measure_targets(const std::vector<std::string>& names, const at::Tensor& values) {
  const at::Tensor all = values.to(at::kDouble).contiguous();
  const auto columns = static_cast<std::int64_t>(names.size()), n = all.size(0);
  std::vector<double> mean, deviation;
  for (std::int64_t c = 0; c < columns; ++c) {
    double sum = 0, square = 0;
    for (std::int64_t i = 0; i < n; ++i) sum += all.const_data_ptr<double>()[i * columns + c];
    const double middle = sum / static_cast<double>(n);
    for (std::int64_t i = 0; i < n; ++i) square += std::pow(all.const_data_ptr<double>()[i * columns + c] - middle, 2);
    mean.push_back(middle);
    deviation.push_back(square > 0 ? std::sqrt(square / static_cast<double>(n)) : 1);
  }
  return {{"names", names}, {"mean", mean}, {"std", deviation}};
}

}  // namespace ds::data
