#include "engine/exec/init.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/linalg_qr.h>

#include <cmath>
#include <vector>

#include "base/core/error.h"
#include "engine/exec/random.h"

namespace ds::exec {

namespace init {

/// Of tables by how far apart two pixels of a square window are (Liu et al. 2021, arXiv:2103.14030, section 3.2), as torchvision stores them.
void relative_index(at::Tensor& tensor, const std::string& name) {
  const auto pixels = static_cast<std::int64_t>(std::llround(std::sqrt(static_cast<double>(tensor.numel()))));
  const auto side = static_cast<std::int64_t>(std::llround(std::sqrt(static_cast<double>(pixels))));
  if (tensor.scalar_type() != at::kLong || side * side * side * side != tensor.numel())
    throw Error(Exit::kInput, name, "initialiser 'relative_index' wants int64 of as many elements as a square window has pairs of pixels");
  auto* to = tensor.data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < pixels; ++i)
    for (std::int64_t j = 0; j < pixels; ++j) *to++ = (i / side - j / side + side - 1) * (2 * side - 1) + i % side - j % side + side - 1;
}

/// Offsets of rows and columns within a window, from -1 to 1, on a logarithmic scale (Liu et al. 2022, arXiv:2111.09883, eq. 4).
void relative_coords(at::Tensor& tensor, const std::string& name) {
  const bool fits = tensor.dim() == 4 && tensor.size(0) == 1 && tensor.size(1) == tensor.size(2) && tensor.size(1) > 1 && tensor.size(3) == 2;
  if (!fits || !tensor.is_floating_point()) throw Error(Exit::kInput, name, "initialiser 'relative_coords' wants floats of shape [1, 2 w - 1, 2 w - 1, 2]");
  const std::int64_t count = tensor.size(1), most = count / 2;
  std::vector<double> values;
  for (std::int64_t i = 0; i < 2 * count * count; ++i) {
    const std::int64_t offset = (i % 2 == 0 ? i / 2 / count : i / 2 % count) - most;
    const double x = 8.0 * static_cast<double>(offset) / static_cast<double>(most);
    values.push_back(std::copysign(std::log2(std::abs(x) + 1) / 3, x));
  }
  tensor.copy_(at::from_blob(values.data(), tensor.sizes(), at::TensorOptions().dtype(at::kDouble)));
}

/// Q of a matrix of normals; the signs of R's diagonal make it uniform over all of them (Mezzadri 2007, arXiv:math-ph/0609050, section 5).
void orthogonal(at::Tensor& tensor, const std::string& name, double gain, std::uint64_t key) {
  if (tensor.dim() < 2 || !tensor.is_floating_point()) throw Error(Exit::kInput, name, "initialiser 'orthogonal' wants floats of two axes or more");
  const std::int64_t rows = tensor.size(0), columns = tensor.numel() / std::max<std::int64_t>(1, rows);
  at::Tensor normal = at::empty({std::max(rows, columns), std::min(rows, columns)}, at::kDouble);
  fill_normal(normal, 0, 1, key);
  const auto [q, r] = at::linalg_qr(normal);
  const at::Tensor unique = q.mul(r.diagonal().sign());
  tensor.copy_((rows < columns ? unique.t() : unique).mul(gain).reshape(tensor.sizes()));
}

}  // namespace init

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
  } else if (kind == "orthogonal") {
    init::orthogonal(tensor, spec.name, number("gain", 1), key);
  } else if (kind == "relative_index") {
    init::relative_index(tensor, spec.name);
  } else if (kind == "relative_coords") {
    init::relative_coords(tensor, spec.name);
  } else {
    throw Error(Exit::kInput, spec.name, "unknown initialiser '" + kind + "'");
  }
}

}  // namespace ds::exec
