// rope, relative_bias, last_token
#include <ATen/TracerMode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/index_select.h>

#include "base/graph/positions.h"
#include "engine/exec/kernel.h"

namespace ds::exec::kernels::position {

/// Sines and cosines are kept from call to call, as far as the longest sequence yet.
class Rope final : public Kernel {
 public:
  explicit Rope(const graph::NodeView& v) : heads_(v.i("heads")), frequencies_(graph::rope_frequencies(v)) {}

  void run(StepArgs& a) override {
    const at::Tensor& in = a.in();
    const at::Tensor x = (in.scalar_type() == at::kDouble ? in : in.to(at::kFloat)).unflatten(-1, {heads_, in.size(-1) / heads_});  // [N, S, heads, d]
    grow(in.size(1), x.options());
    const std::int64_t half = x.size(-1) / 2;
    const at::Tensor cos = cos_.narrow(0, 0, in.size(1)), sin = sin_.narrow(0, 0, in.size(1));  // [S, 1, d / 2]
    const at::Tensor first = x.narrow(-1, 0, half), second = x.narrow(-1, half, half);
    const at::Tensor y = at::cat({first.mul(cos).sub(second.mul(sin)), second.mul(cos).add(first.mul(sin))}, -1);
    a.out(y.flatten(2).to(in.scalar_type()));
  }

 private:
  void grow(std::int64_t positions, const at::TensorOptions& options) {
    // A trace must see the table being made: its length is a size that stays open.
    if (cos_.defined() && cos_.size(0) >= positions && cos_.dtype() == options.dtype() && !at::tracer::impl::is_dispatch_enabled()) return;
    const at::Tensor frequencies = at::from_blob(frequencies_.data(), {std::int64_t(frequencies_.size())}, at::kDouble);
    const at::Tensor angles = at::arange(positions, at::kDouble).unsqueeze(1).mul(frequencies).unsqueeze(1);
    cos_ = angles.cos().to(options);
    sin_ = angles.sin().to(options);
  }

  std::int64_t heads_;
  std::vector<double> frequencies_;
  at::Tensor cos_, sin_;
};

class RelativeBias final : public Kernel {
 public:
  explicit RelativeBias(const graph::NodeView& v) : most_(v.i("max_distance")) {
    std::vector<std::int64_t> buckets;
    for (std::int64_t distance = -most_; distance <= most_; ++distance)
      buckets.push_back(graph::relative_bucket(distance, v.i("buckets"), most_, v.b("bidirectional")));
    buckets_ = at::from_blob(buckets.data(), {std::int64_t(buckets.size())}, at::kLong).clone();
  }

  void run(StepArgs& a) override {
    const std::int64_t queries = a.in(0).size(1), keys = a.in(1).size(1);
    const bool traced = at::tracer::impl::is_dispatch_enabled();
    if (traced || !rows_.defined() || rows_.size(0) != queries || rows_.size(1) != keys) find_rows(queries, keys);
    a.out(at::embedding(a.slot(0), rows_).permute({2, 0, 1}).unsqueeze(0));  // [S, T, heads] -> [1, heads, S, T]
  }

 private:
  void find_rows(std::int64_t queries, std::int64_t keys) {
    const at::Tensor distance = at::arange(keys, at::kLong).unsqueeze(0).sub(at::arange(queries, at::kLong).unsqueeze(1));
    rows_ = at::index_select(buckets_, 0, distance.clamp(-most_, most_).add(most_).flatten()).reshape({queries, keys});
  }

  std::int64_t most_;
  at::Tensor buckets_;  ///< int64 [2 * most + 1], by the distance of key and query; beyond they are as at its ends
  at::Tensor rows_;     ///< int64 [S, T], kept from call to call
};

std::unique_ptr<Kernel> rope(const BindContext& c) { return std::make_unique<Rope>(c.view); }
std::unique_ptr<Kernel> relative_bias(const BindContext& c) { return std::make_unique<RelativeBias>(c.view); }

std::unique_ptr<Kernel> last_token(const BindContext&) {
  return kernel([](StepArgs& a) {
    const at::Tensor &x = a.in(0), &mask = a.in(1);
    const at::Tensor last = at::arange(mask.size(1), mask.options()).mul(mask.ne(0)).amax(1);  // [N]
    a.out(x.gather(1, last.reshape({-1, 1, 1}).expand({-1, 1, x.size(2)})).squeeze(1));
  });
}

const core::Body<MakeKernel> bodies[] = {{"kernel", "rope", rope}, {"kernel", "relative_bias", relative_bias}, {"kernel", "last_token", last_token}};

}  // namespace ds::exec::kernels::position
