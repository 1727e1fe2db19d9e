// rope, relative_bias, last_token
#include "base/graph/positions.h"

#include <cmath>
#include <cstring>

#include "onnx/ops/common.h"

namespace ds::onnx::ops::position {

/// Angles in float64, and brought within one turn before they become float32: of a large one no place behind the point would be left.
void rope(Emitter& e) {
  const std::int64_t heads = e.view().i("heads"), d = e.type().dims[2].value() / heads, half = d / 2;
  const std::vector<double> frequencies = graph::rope_frequencies(e.view());
  io::Array table = io::make_array(io::DType::kF64, {half}), turn = io::make_array(io::DType::kF64, {});
  std::memcpy(table.data, frequencies.data(), table.bytes());
  *turn.as<double>() = 2 * M_PI;
  const std::string place = e.add("Unsqueeze", {e.add("Cast", {positions(e, e.in())}, {{"to", kDouble}}), e.ints({1, 2})});  // [S, 1, 1]
  const std::string angle = e.add("Mod", {e.add("Mul", {place, e.constant(table)}), e.constant(turn)}, {{"fmod", 1}});
  const std::string radians = e.add("Cast", {angle}, {{"to", kFloat}});
  const std::string cos = e.add("Cos", {radians}), sin = e.add("Sin", {radians});  // [S, 1, d / 2]
  const std::string x = e.add("Reshape", {e.in(), e.ints({0, 0, heads, d})});
  const std::string first = e.add("Slice", {x, e.ints({0}), e.ints({half}), e.ints({3})});
  const std::string second = e.add("Slice", {x, e.ints({half}), e.ints({d}), e.ints({3})});
  const std::string one = e.add("Sub", {e.add("Mul", {first, cos}), e.add("Mul", {second, sin})});
  const std::string two = e.add("Add", {e.add("Mul", {second, cos}), e.add("Mul", {first, sin})});
  e.add("Reshape", {e.add("Concat", {one, two}, {{"axis", -1}}), e.ints({0, 0, heads * d})}, {}, e.out());
}

/// The bucket of each distance is a table: beyond max_distance it is the last one.
void relative_bias(Emitter& e) {
  const std::int64_t most = e.view().i("max_distance");
  std::vector<std::int64_t> buckets;
  for (std::int64_t distance = -most; distance <= most; ++distance)
    buckets.push_back(graph::relative_bucket(distance, e.view().i("buckets"), most, e.view().b("bidirectional")));
  const std::string queries = e.add("Unsqueeze", {positions(e, e.in(0)), e.ints({1})});
  const std::string distance = e.add("Sub", {positions(e, e.in(1)), queries});  // [S, T]
  const std::string held = e.add("Clip", {distance, e.integer(-most), e.integer(most)});
  const std::string rows = e.add("Gather", {e.ints(buckets), e.add("Add", {held, e.integer(most)})});
  const std::string bias = e.add("Transpose", {e.add("Gather", {e.slot("weight"), rows})}, {{"perm", {2, 0, 1}}});
  e.add("Unsqueeze", {bias, e.ints({0})}, {}, e.out());
}

void last_token(Emitter& e) {
  const std::string place = e.add("Mul", {positions(e, e.in(1)), as_truth(e, e.in(1), kInt64)});
  const std::string last = e.add("ReduceMax", {place}, {{"axes", {1}}, {"keepdims", 1}});  // [N, 1]
  e.add("GatherND", {e.in(0), last}, {{"batch_dims", 1}}, e.out());
}

const core::Body<ExportOp> bodies[] = {{"onnx", "rope", rope}, {"onnx", "relative_bias", relative_bias}, {"onnx", "last_token", last_token}};

}  // namespace ds::onnx::ops::position
