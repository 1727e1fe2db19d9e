// Random numbers keyed by what they are for, never by what was drawn before: Philox4x32-10 (Salmon et al. 2011, "Parallel random
// numbers: as easy as 1, 2, 3") with key (seed, purpose, node) and counter (step, sample id, element).
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string_view>

namespace ds::exec {

/// The 64-bit key of a stream: a hash of its parts.
std::uint64_t stream_key(std::uint64_t seed, std::string_view purpose, std::string_view node = "");

/// Counter-based source of scalars for one (key, step, sample): augmentation, shuffling, search.
class Stream {
 public:
  Stream(std::uint64_t key, std::uint64_t step = 0, std::uint64_t sample = 0) : key_(key), step_(step), sample_(sample) {}
  std::uint32_t next();                         ///< 32 random bits
  double uniform();                             ///< [0, 1), 53 bits
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  double normal();                              ///< Box-Muller
  std::uint64_t below(std::uint64_t n);         ///< 0 .. n-1, unbiased

 private:
  std::uint64_t key_, step_, sample_, element_ = 0;
  std::uint32_t words_[4] = {};
  int used_ = 4;
};

/// A permutation of 0..n-1 (Fisher-Yates), a function of the key and step alone.
std::vector<std::int64_t> permutation(std::int64_t n, std::uint64_t key, std::uint64_t step);

/// Fill a contiguous float tensor, element i from counter i of the stream. The values do not depend on dtype, threads or ISA (float64 then rounded).
void fill_uniform(at::Tensor& tensor, double low, double high, std::uint64_t key);
void fill_normal(at::Tensor& tensor, double mean, double std, std::uint64_t key);
void fill_truncated_normal(at::Tensor& tensor, double std, double low, double high, std::uint64_t key);

/// Zeroes elements with probability p and scales the rest by 1/(1-p); row n of x draws from sample id n. Backward draws the mask again.
/// @param x [N, ...] float32 or float64
at::Tensor dropout(const at::Tensor& x, double p, std::uint64_t key, std::int64_t step, const at::Tensor& sample_ids);
/// The same for whole samples (stochastic depth; Huang et al. 2016).
at::Tensor drop_path(const at::Tensor& x, double p, std::uint64_t key, std::int64_t step, const at::Tensor& sample_ids);

}  // namespace ds::exec
