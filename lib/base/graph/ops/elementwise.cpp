#include <fmt/format.h>

#include "base/graph/ops/common.h"

namespace ds::graph::opset::elementwise {

/// Two inputs with broadcasting: axes are aligned at the end, and an axis of size 1 (or none) meets any size.
class Binary : public Op {
 public:
  Binary(std::string name_, std::string summary_) {
    name = std::move(name_);
    summary = std::move(summary_);
    min_inputs = max_inputs = 2;
  }

  std::vector<ValueType> infer(const NodeView& view) const override {
    require_float(view, 0);
    require_float(view, 1);
    const ValueType &a = view.input(0), &b = view.input(1);
    const std::size_t n = std::max(a.dims.size(), b.dims.size());
    // Of two types of float the wider one holds both: a mask of float32 meets the float64 of a proof.
    ValueType type{io::dtype_bits(a.dtype) >= io::dtype_bits(b.dtype) ? a.dtype : b.dtype, std::vector<Dim>(n)};
    for (std::size_t i = 0; i < n; ++i) {
      const Dim x = at(a, i, n), y = at(b, i, n);
      if (x == y || y == Dim(1)) type.dims[i] = x;
      else if (x == Dim(1)) type.dims[i] = y;
      else view.fail(fmt::format("inputs {} and {} cannot be broadcast: {} against {} at axis {}", text(a), text(b), x.text(), y.text(), i));
    }
    return {type};
  }

  void channels(ChannelRule& rule) const override {
    const ValueType &a = rule.view().input(0), &b = rule.view().input(1);
    const std::size_t n = std::max(a.dims.size(), b.dims.size());
    for (std::size_t i = 0; i < n; ++i) {
      const bool one_a = at(a, i, n) == Dim(1), one_b = at(b, i, n) == Dim(1);
      const Atoms x = atoms(rule, 0, i, n), y = atoms(rule, 1, i, n);
      if (one_a != one_b) {  // broadcast: the one element belongs to no channel
        if (one_a) rule.freeze(x, "is broadcast"); else rule.freeze(y, "is broadcast");
        if (!(one_a ? y : x).empty()) rule.output(0, static_cast<int>(i), one_a ? y : x);
      } else {
        rule.unify(x, y);
        if (!x.empty() || !y.empty()) rule.output(0, static_cast<int>(i), x.empty() ? y : x);
      }
    }
  }

 private:
  static Dim at(const ValueType& type, std::size_t i, std::size_t n) {
    const std::size_t skip = n - type.dims.size();
    return i < skip ? Dim(1) : type.dims[i - skip];
  }
  static Atoms atoms(ChannelRule& rule, std::size_t input, std::size_t i, std::size_t n) {
    const std::size_t skip = n - rule.view().input(input).dims.size();
    return i < skip ? Atoms{} : rule.input(input, static_cast<int>(i - skip));
  }
};

const OpRegistrar add{std::make_unique<Binary>("add", "sum of two values, with broadcasting")};
const OpRegistrar mul{std::make_unique<Binary>("mul", "product of two values, with broadcasting")};

}  // namespace ds::graph::opset::elementwise
