#include "base/graph/ops/common.h"

namespace ds::graph::opset::dropout {

const std::vector<AttrSpec> kAttrs{{"p", AttrType::kFloat, nullptr, 0, 1}};

const OpRegistrar dropout{
    std::make_unique<Unary>("dropout", "zeroes elements with probability p in training and scales the others by 1 / (1 - p)", kAttrs)};
const OpRegistrar dropout2d{
    std::make_unique<Unary>("dropout2d", "zeroes whole channels of a sample with probability p in training and scales the others by 1 / (1 - p)", kAttrs)};
const OpRegistrar drop_path{
    std::make_unique<Unary>("drop_path", "zeroes whole samples with probability p in training and scales the others by 1 / (1 - p)", kAttrs)};

}  // namespace ds::graph::opset::dropout
