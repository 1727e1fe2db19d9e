#include "engine/exec/init.h"

#include <cmath>

#include "base/core/error.h"
#include "engine/exec/random.h"

namespace ds::exec {

void initialise(at::Tensor& tensor, const graph::TensorSpec& spec, std::uint64_t seed) {
  const graph::Json& init = spec.init;
  const std::string kind = init.is_object() ? init.value("kind", "zeros") : "zeros";
  const auto number = [&](const char* key, double otherwise) { return init.is_object() ? init.value(key, otherwise) : otherwise; };
  const std::uint64_t key = stream_key(seed, "init", spec.name);
  if (kind == "zeros") {
    tensor.zero_();
  } else if (kind == "ones") {
    tensor.fill_(1);
  } else if (kind == "constant") {
    tensor.fill_(number("value", 0));
  } else if (kind == "uniform") {
    fill_uniform(tensor, number("a", 0), number("b", 1), key);
  } else if (kind == "normal") {
    fill_normal(tensor, number("mean", 0), number("std", 1), key);
  } else if (kind == "truncated_normal") {
    const double std = number("std", 0.02);
    fill_truncated_normal(tensor, std, -2 * std, 2 * std, key);
  } else if (kind == "kaiming_uniform") {
    const double a = number("a", std::sqrt(5.0)), bound = std::sqrt(6 / ((1 + a * a) * number("fan_in", 1)));
    fill_uniform(tensor, -bound, bound, key);
  } else if (kind == "kaiming_normal") {
    fill_normal(tensor, 0, number("gain", std::sqrt(2.0)) / std::sqrt(number("fan", 1)), key);
  } else if (kind == "xavier_uniform") {
    const double bound = std::sqrt(6 / (number("fan_in", 1) + number("fan_out", 1)));
    fill_uniform(tensor, -bound, bound, key);
  } else {
    throw Error(Exit::kInput, spec.name, "unknown initialiser '" + kind + "'");
  }
}

}  // namespace ds::exec
