#include "engine/exec/random.h"

#include <ATen/Parallel.h>

#include <cmath>
#include <numbers>

#include "base/core/error.h"
#include "engine/exec/simd/simd.h"

namespace ds::exec {

namespace {

std::uint64_t mix(std::uint64_t state, std::uint64_t part) {  // splitmix64
  state = (state ^ part) + 0x9e3779b97f4a7c15u;
  state = (state ^ (state >> 30)) * 0xbf58476d1ce4e5b9u;
  state = (state ^ (state >> 27)) * 0x94d049bb133111ebu;
  return state ^ (state >> 31);
}

std::uint64_t mix(std::uint64_t state, std::string_view text) {
  std::uint64_t word = 0;
  std::size_t i = 0;
  for (; i < text.size(); ++i) {
    word = word << 8 | static_cast<unsigned char>(text[i]);
    if (i % 8 == 7) {
      state = mix(state, word);
      word = 0;
    }
  }
  return mix(mix(state, word), text.size());  // the length tells "a" from "a\0"
}

double to_unit(std::uint32_t a, std::uint32_t b) { return double((std::uint64_t(a) << 21) ^ (std::uint64_t(b) >> 11)) * 0x1p-53; }

/// Calls f(i, u, v): two uniforms in [0, 1) an element, of the four words 4i .. 4i + 3 of sample 0, step 0.
template <class F>
void each_element(at::Tensor& tensor, std::uint64_t key, F f) {
  if (!tensor.is_contiguous()) throw Error(Exit::kFailure, "random", "the tensor to fill is not contiguous");
  const std::int64_t n = tensor.numel();
  constexpr std::int64_t kBlock = 1024;
  const auto fill = [&](auto* out) {
    at::parallel_for(0, (n + kBlock - 1) / kBlock, 4, [&](std::int64_t first, std::int64_t last) {
      std::vector<std::uint32_t> words(4 * kBlock);
      for (std::int64_t b = first; b < last; ++b) {
        const std::int64_t begin = b * kBlock, count = std::min(kBlock, n - begin);
        simd::kernels().rows->philox_words(key, 0, 0, std::uint64_t(begin) * 4, count * 4, words.data());
        for (std::int64_t i = 0; i < count; ++i) {
          const std::uint32_t* w = &words[std::size_t(i) * 4];
          out[begin + i] = f(to_unit(w[0], w[1]), to_unit(w[2], w[3]));
        }
      }
    });
  };
  if (tensor.scalar_type() == at::kFloat) return fill(tensor.mutable_data_ptr<float>());
  if (tensor.scalar_type() == at::kDouble) return fill(tensor.mutable_data_ptr<double>());
  at::Tensor wide = tensor.to(at::kDouble);
  fill(wide.mutable_data_ptr<double>());
  tensor.copy_(wide);
}

double gaussian(double u, double v) { return std::sqrt(-2 * std::log1p(-u)) * std::cos(2 * std::numbers::pi * v); }

/// Inverse of the normal distribution function: Acklam's rational approximation with one step of Halley, to 1e-15.
double normal_quantile(double p) {
  static constexpr double a[] = {-3.969683028665376e+01, 2.209460984245205e+02,  -2.759285104469687e+02,
                                 1.383577518672690e+02,  -3.066479806614716e+01, 2.506628277459239e+00};
  static constexpr double b[] = {-5.447609879822406e+01, 1.615858368580409e+02, -1.556989798598866e+02, 6.680131188771972e+01, -1.328068155288572e+01};
  static constexpr double c[] = {-7.784894002430293e-03, -3.223964580411365e-01, -2.400758277161838e+00,
                                 -2.549732539343734e+00, 4.374664141464968e+00,  2.938163982698783e+00};
  static constexpr double d[] = {7.784695709041462e-03, 3.224671290700398e-01, 2.445134137142996e+00, 3.754408661907416e+00};
  double x;
  if (p < 0.02425 || p > 1 - 0.02425) {
    const double q = std::sqrt(-2 * std::log(p < 0.5 ? p : 1 - p));
    x = (((((c[0] * q + c[1]) * q + c[2]) * q + c[3]) * q + c[4]) * q + c[5]) / ((((d[0] * q + d[1]) * q + d[2]) * q + d[3]) * q + 1);
    if (p > 0.5) x = -x;
  } else {
    const double q = p - 0.5, r = q * q;
    x = (((((a[0] * r + a[1]) * r + a[2]) * r + a[3]) * r + a[4]) * r + a[5]) * q / (((((b[0] * r + b[1]) * r + b[2]) * r + b[3]) * r + b[4]) * r + 1);
  }
  const double e = 0.5 * std::erfc(-x / std::numbers::sqrt2) - p, u = e * std::sqrt(2 * std::numbers::pi) * std::exp(x * x / 2);
  return x - u / (1 + x * u / 2);
}

double normal_cdf(double x) { return 0.5 * std::erfc(-x / std::numbers::sqrt2); }

}  // namespace

std::uint64_t stream_key(std::uint64_t seed, std::string_view purpose, std::string_view node) { return mix(mix(mix(0, seed), purpose), node); }

std::uint32_t Stream::next() {
  if (used_ == 4) {
    simd::kernels().rows->philox_words(key_, std::uint32_t(step_), sample_, element_, 4, words_);
    element_ += 4;
    used_ = 0;
  }
  return words_[used_++];
}

double Stream::uniform() {
  const std::uint32_t a = next(), b = next();
  return to_unit(a, b);
}

double Stream::normal() {
  const double u = uniform(), v = uniform();
  return gaussian(u, v);
}

std::uint64_t Stream::below(std::uint64_t n) {
  if (n == 0) throw Error(Exit::kFailure, "random", "a number below 0 was asked for");
  const std::uint64_t limit = ~std::uint64_t{0} - (~std::uint64_t{0} % n + 1) % n;  // the largest r with r + 1 a multiple of n
  for (;;) {
    const std::uint64_t high = next(), r = high << 32 | next();
    if (r <= limit) return r % n;
  }
}

std::vector<std::int64_t> permutation(std::int64_t n, std::uint64_t key, std::uint64_t step) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(n));
  for (std::int64_t i = 0; i < n; ++i) order[std::size_t(i)] = i;
  Stream stream(key, step);
  for (std::int64_t i = n - 1; i > 0; --i) std::swap(order[std::size_t(i)], order[std::size_t(stream.below(std::uint64_t(i) + 1))]);
  return order;
}

void fill_uniform(at::Tensor& tensor, double low, double high, std::uint64_t key) {
  each_element(tensor, key, [=](double u, double) { return low + (high - low) * u; });
}

void fill_normal(at::Tensor& tensor, double mean, double std, std::uint64_t key) {
  each_element(tensor, key, [=](double u, double v) { return mean + std * gaussian(u, v); });
}

void fill_truncated_normal(at::Tensor& tensor, double std, double low, double high, std::uint64_t key) {
  const double from = normal_cdf(low / std), to = normal_cdf(high / std);
  each_element(tensor, key, [=](double u, double) { return std * normal_quantile(std::min(std::max(from + (to - from) * u, 1e-300), 1 - 1e-16)); });
}

}  // namespace ds::exec
