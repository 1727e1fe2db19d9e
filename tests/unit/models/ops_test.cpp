#include <doctest/doctest.h>

#include <cmath>
#include <functional>

#include "base/core/error.h"
#include "base/graph/builder.h"
#include "base/graph/channels.h"
#include "base/graph/schema.h"

using namespace ds::graph;

namespace {

using Dims = std::vector<Dim>;
using Shape = std::vector<std::int64_t>;

Dim sym(const char* name) { return Dim::symbol(name); }

/// The graph of one node over inputs of these types.
Graph one(const std::string& op, const std::vector<ValueType>& inputs, const Json& attrs, const std::set<std::string>& without = {}) {
  Builder b;
  std::vector<Value> values;
  for (std::size_t i = 0; i < inputs.size(); ++i) values.push_back(b.input("x" + std::to_string(i), inputs[i].dtype, inputs[i].dims));
  b.output("y", b.node(op, "node", values, attrs, {}, without));
  return b.finish();
}

std::string type_of(const std::string& op, const std::vector<ValueType>& inputs, const Json& attrs = Json::object()) {
  return type_text(infer_types(one(op, inputs, attrs)).at("node"));
}

std::string type_of(const std::string& op, const Dims& dims, const Json& attrs = Json::object()) { return type_of(op, {{DType::kF32, dims}}, attrs); }

std::string failure(const std::string& op, const std::vector<ValueType>& inputs, const Json& attrs = Json::object()) {
  try {
    one(op, inputs, attrs);
  } catch (const ds::Error& e) {
    CHECK(e.code() == ds::Exit::kInput);
    CHECK(e.where() == "node 'node' (" + op + ")");
    return e.message();
  }
  return "no error";
}

std::string failure(const std::string& op, const Dims& dims, const Json& attrs = Json::object()) { return failure(op, {{DType::kF32, dims}}, attrs); }

std::int64_t macs_of(const std::string& op, const std::vector<ValueType>& inputs, const Json& attrs) {
  return cost(one(op, inputs, attrs), {{"N", 2}, {"S", 5}, {"H", 9}, {"W", 9}}).macs;
}

const Dims kImage{Dim::symbol("N"), 6, 9, 9};
const Dims kTokens{Dim::symbol("N"), Dim::symbol("S"), 8};
ValueType f32(Dims dims) { return {DType::kF32, std::move(dims)}; }

}  // namespace

TEST_CASE("ops: conv2d has the shape of its window, also for unknown sizes") {
  const Json three = {{"out_channels", 4}, {"kernel", {3, 3}}};
  CHECK(type_of("conv2d", kImage, three) == "float32[N, 4, 7, 7]");
  CHECK(type_of("conv2d", kImage, {{"out_channels", 4}, {"kernel", {3, 5}}, {"stride", {2, 1}}, {"padding", {1, 2}}}) == "float32[N, 4, 5, 9]");
  CHECK(type_of("conv2d", kImage, {{"out_channels", 4}, {"kernel", {3, 3}}, {"dilation", {2, 4}}}) == "float32[N, 4, 5, 1]");
  CHECK(type_of("conv2d", {sym("N"), 6, sym("H"), sym("W")}, {{"out_channels", 4}, {"kernel", {3, 3}}, {"stride", {2, 2}}, {"padding", {1, 1}}}) ==
        type_text(f32({sym("N"), 4, floor_div(sym("H") + Dim(-1), 2) + Dim(1), floor_div(sym("W") + Dim(-1), 2) + Dim(1)})));
  const Graph grouped = one("conv2d", {f32(kImage)}, {{"out_channels", 8}, {"kernel", {3, 3}}, {"groups", 2}});
  CHECK(grouped.tensor("node.weight").shape == Shape{8, 3, 3, 3});
  CHECK(grouped.tensor("node.bias").shape == Shape{8});
  CHECK(grouped.tensor("node.weight").init == Json{{"kind", "kaiming_uniform"}, {"a", std::sqrt(5.0)}, {"fan_in", 27}});
  CHECK(grouped.tensor("node.bias").init["b"].get<double>() == doctest::Approx(1 / std::sqrt(27.0)).epsilon(1e-15));
  CHECK(one("conv2d", {f32(kImage)}, three, {"bias"}).find_tensor("node.bias") == nullptr);
  CHECK(macs_of("conv2d", {f32(kImage)}, three) == 2 * 4 * 7 * 7 * 6 * 9);
  CHECK(macs_of("conv2d", {f32(kImage)}, {{"out_channels", 6}, {"kernel", {3, 3}}, {"groups", 6}}) == 2 * 6 * 7 * 7 * 9);

  CHECK(failure("conv2d", kImage, {{"out_channels", 4}, {"kernel", {3, 3}}, {"groups", 4}}) ==
        "6 input and 4 output channels cannot be divided into 4 groups");
  CHECK(failure("conv2d", kImage, {{"out_channels", 4}, {"kernel", {11, 3}}}) == "a window of 11 does not fit into 9 + 2 * 0 (size and padding)");
  CHECK(failure("conv2d", kImage, {{"out_channels", 4}, {"kernel", {3}}}) == "attribute 'kernel' has 1 numbers, expected 2: [height, width]");
  CHECK(failure("conv2d", kTokens, three) == "input 0 is float32[N, S, 8], expected 4 axes");
  CHECK(failure("conv2d", {sym("N"), sym("C"), 9, 9}, three) == "input 0 is float32[N, C, 9, 9]: the number of channels (axis 1) must be known");
  CHECK(failure("conv2d", {{DType::kI64, kImage}}, three) == "input 0 is int64[N, 6, 9, 9], expected a float type");
}

TEST_CASE("ops: linear works over the last axis") {
  CHECK(type_of("linear", kTokens, {{"out_features", 3}}) == "float32[N, S, 3]");
  const Graph g = one("linear", {f32(kTokens)}, {{"out_features", 3}});
  CHECK(g.tensor("node.weight").shape == Shape{3, 8});
  CHECK(macs_of("linear", {f32(kTokens)}, {{"out_features", 3}}) == 2 * 5 * 8 * 3);
  CHECK(failure("linear", {sym("N"), sym("F")}, {{"out_features", 3}}) == "input 0 is float32[N, F]: the number of features (axis 1) must be known");
  CHECK(failure("linear", kTokens) == "attribute 'out_features' is missing");
}

TEST_CASE("ops: norms keep the shape; running statistics are buffers") {
  CHECK(type_of("batch_norm2d", kImage) == "float32[N, 6, 9, 9]");
  CHECK(type_of("batch_norm2d", {sym("N"), 6}) == "float32[N, 6]");
  const Graph g = one("batch_norm2d", {f32(kImage)}, Json::object());
  CHECK(g.tensor("node.weight").role == Role::kParameter);
  CHECK(g.tensor("node.running_var").role == Role::kBuffer);
  CHECK(g.tensor("node.running_var").init == Json{{"kind", "ones"}});
  CHECK(g.tensor("node.running_mean").init == Json{{"kind", "zeros"}});
  CHECK(failure("batch_norm2d", kTokens) == "input 0 is float32[N, S, 8], expected [N, C, H, W] or [N, C]");
  CHECK(type_of("layer_norm", kTokens) == "float32[N, S, 8]");
  CHECK(one("layer_norm", {f32(kTokens)}, Json::object()).tensor("node.weight").shape == Shape{8});
  CHECK(type_of("group_norm", kImage, {{"groups", 3}}) == "float32[N, 6, 9, 9]");
  CHECK(failure("group_norm", kImage, {{"groups", 4}}) == "6 channels cannot be divided into 4 groups");
}

TEST_CASE("ops: pooling") {
  CHECK(type_of("max_pool2d", kImage, {{"kernel", {2, 2}}, {"stride", {2, 2}}}) == "float32[N, 6, 4, 4]");
  CHECK(type_of("avg_pool2d", kImage, {{"kernel", {3, 3}}, {"stride", {2, 1}}, {"padding", {1, 0}}}) == "float32[N, 6, 5, 7]");
  CHECK(type_of("global_avg_pool", kImage) == "float32[N, 6, 1, 1]");
  CHECK(type_of("adaptive_avg_pool2d", {sym("N"), 6, sym("H"), 9}, {{"size", {4, 7}}}) == "float32[N, 6, 4, 7]");
  CHECK(failure("adaptive_avg_pool2d", kImage, {{"size", {4}}}) == "attribute 'size' has 1 numbers, expected 2: [height, width]");
  CHECK(type_of("mean", kImage, {{"axes", {2, -1}}}) == "float32[N, 6]");
  CHECK(type_of("mean", kImage, {{"axes", {1}}, {"keepdim", true}}) == "float32[N, 1, 9, 9]");
  CHECK(failure("mean", kImage, {{"axes", {1, -3}}}) == "axes has axis -3 twice");
  CHECK(failure("mean", kImage, {{"axes", Json::array()}}) == "axes is empty, expected at least one axis");
  CHECK(failure("max_pool2d", kImage, {{"kernel", {2, 2}}, {"stride", {2, 2}}, {"padding", {2, 0}}}) ==
        "padding is 2, expected at most half of the kernel's 2");
}

TEST_CASE("ops: pooling that rounds up has PyTorch's windows, in float and int8") {
  // size, kernel, stride, padding -> windows, from torch.nn.functional.max_pool2d(ceil_mode=True)
  const std::int64_t cases[][5] = {{9, 2, 2, 0, 5}, {9, 3, 2, 0, 4}, {10, 3, 2, 0, 5}, {2, 3, 2, 0, 1}, {9, 2, 2, 1, 5}, {10, 2, 2, 1, 6},
                                   {10, 3, 3, 1, 4}, {7, 3, 4, 1, 2}, {9, 3, 1, 1, 9}, {7, 1, 3, 0, 3}, {8, 2, 5, 1, 2}};
  for (const auto& [size, kernel, stride, padding, windows] : cases) {
    CAPTURE(size);
    CAPTURE(kernel);
    CAPTURE(stride);
    CAPTURE(padding);
    Json attrs = {{"kernel", {kernel, kernel}}, {"stride", {stride, stride}}, {"padding", {padding, padding}}, {"ceil_mode", true}};
    const std::string w = std::to_string(windows);
    CHECK(type_of("max_pool2d", {sym("N"), 6, size, size}, attrs) == "float32[N, 6, " + w + ", " + w + "]");
    CHECK(type_of("qmax_pool2d", {{DType::kU8, {sym("N"), 6, size, size}}}, attrs) == "uint8[N, 6, " + w + ", " + w + "]");
    const ValueType open = infer_types(one("max_pool2d", {f32({sym("N"), 6, sym("H"), 9})}, attrs)).at("node");
    CHECK(open.dims[2].evaluate({{"H", size}}) == windows);
  }
  const Json three = {{"kernel", {3, 3}}, {"stride", {2, 2}}};
  CHECK(type_of("max_pool2d", kImage, three) == "float32[N, 6, 4, 4]");
  CHECK(failure("max_pool2d", {sym("N"), 6, 1, 1}, {{"kernel", {3, 3}}, {"stride", {2, 2}}, {"ceil_mode", true}}) ==
        "a window of 3 does not fit into 1 + 2 * 0 (size and padding)");
}

TEST_CASE("ops: a convolution's padding may differ at opposite sides") {
  const Json attrs = {{"out_channels", 4}, {"kernel", {3, 2}}, {"stride", {2, 1}}, {"padding", {0, 1, 1, 3}}};
  CHECK(type_of("conv2d", {sym("N"), 6, 8, 9}, attrs) == "float32[N, 4, 4, 12]");  // (8 + 0 + 1 - 3) / 2 + 1, 9 + 1 + 3 - 2 + 1
  CHECK(infer_types(one("conv2d", {f32({sym("N"), 6, sym("H"), 9})}, attrs)).at("node").dims[2].evaluate({{"H", 8}}) == 4);
  CHECK(type_of("fake_conv2d", {sym("N"), 6, 8, 9}, attrs) == "float32[N, 4, 4, 12]");
  Json q = attrs;
  q["x_scale"] = 0.1;
  CHECK(type_of("qconv2d", {{DType::kU8, {sym("N"), 6, 8, 9}}}, q) == "uint8[N, 4, 4, 12]");
  CHECK(failure("conv2d", kImage, {{"out_channels", 4}, {"kernel", {3, 3}}, {"padding", {1, 1, 1}}}) ==
        "attribute 'padding' has 3 numbers, expected 2 or 4: [height, width] or [top, left, bottom, right]");
}

TEST_CASE("ops: elementwise ops broadcast, unknown sizes too") {
  CHECK(type_of("add", {f32(kTokens), f32({1, sym("S"), 8})}) == "float32[N, S, 8]");
  CHECK(type_of("mul", {f32({8}), f32(kTokens)}) == "float32[N, S, 8]");
  CHECK(type_of("add", {f32({3, 1}), f32({1, 4})}) == "float32[3, 4]");
  CHECK(failure("add", {f32({3, 2}), f32({3, 4})}) == "inputs float32[3, 2] and float32[3, 4] cannot be broadcast: 2 against 4 at axis 1");
  CHECK(failure("add", {f32({sym("N")}), f32({3})}).find("cannot be broadcast: N against 3") != std::string::npos);
  CHECK(type_of("mul", {f32({3}), {DType::kF64, {3}}}) == "float64[3]");
  CHECK(type_of("add", {{DType::kF64, {3}}, f32({1})}) == "float64[3]");
  CHECK(failure("mul", {f32({3}), {DType::kI64, {3}}}) == "input 1 is int64[3], expected a float type");
  CHECK(failure("add", {f32({3})}) == "has 1 inputs, expected 2");
  for (const char* op : {"relu", "relu6", "sigmoid", "hardsigmoid", "tanh", "silu", "hardswish", "gelu", "softmax", "identity"})
    CHECK(type_of(op, kTokens) == "float32[N, S, 8]");
  CHECK(type_of("identity", {{DType::kI64, {3}}}) == "int64[3]");
  CHECK(failure("relu", {{DType::kI64, {3}}}) == "input 0 is int64[3], expected a float type");
  CHECK(failure("softmax", kTokens, {{"axis", 3}}) == "axis is 3, expected -3 to 2 for an input of 3 axes");
  CHECK(failure("dropout", kTokens, {{"p", 1.5}}).find("attribute 'p' is 1.5") == 0);
  CHECK(failure("gelu", kTokens, {{"approximate", "tan"}}).find("attribute 'approximate' is 'tan', expected one of none, tanh") == 0);
}

TEST_CASE("ops: joining and taking apart") {
  CHECK(type_of("concat", {f32({sym("N"), 1, 8}), f32(kTokens)}, {{"axis", 1}}) == type_text(f32({sym("N"), sym("S") + Dim(1), 8})));
  CHECK(type_of("concat", {f32(kTokens), f32(kTokens), f32(kTokens)}, {{"axis", -1}}) == "float32[N, S, 24]");
  CHECK(failure("concat", {f32(kTokens), f32({sym("N"), sym("S"), 4})}, {{"axis", 1}}) ==
        "input 1 is float32[N, S, 4], expected float32[N, S, 8] in all but axis 1");
  const auto parts = infer_types(one("split", {f32(kTokens)}, {{"axis", 2}, {"sizes", {3, 5}}}));
  CHECK(type_text(parts.at("node")) == "float32[N, S, 3]");
  CHECK(type_text(parts.at("node:1")) == "float32[N, S, 5]");
  CHECK(failure("split", kTokens, {{"axis", 2}, {"sizes", {3, 4}}}) == "sizes [3, 4] make 7, expected 8 (axis 2 of float32[N, S, 8])");
  CHECK(failure("split", kTokens, {{"axis", 1}, {"sizes", {3, 4}}}).find("must be known") != std::string::npos);
  CHECK(type_of("slice", kTokens, {{"axis", 2}, {"begin", 2}, {"end", 8}}) == "float32[N, S, 6]");
  CHECK(failure("slice", kTokens, {{"axis", 2}, {"begin", 2}, {"end", 9}}) == "range 2:9 does not fit axis 2 of float32[N, S, 8]");
  CHECK(failure("slice", kTokens, {{"axis", 2}, {"begin", 2}, {"end", 2}}) == "range 2:2 does not fit axis 2 of float32[N, S, 8]");
  CHECK(type_of("select", kTokens, {{"axis", 1}, {"index", 0}}) == "float32[N, 8]");
  CHECK(failure("select", kTokens, {{"axis", 2}, {"index", 8}}) == "index is 8, expected 0 to 7 (axis 2 of float32[N, S, 8])");
}

TEST_CASE("ops: changes of shape, with unknown sizes") {
  CHECK(type_of("flatten", kImage) == "float32[N, 486]");
  CHECK(type_of("flatten", kImage, {{"start", 2}}) == "float32[N, 6, 81]");
  CHECK(type_of("flatten", kImage, {{"start", 0}, {"end", 1}}) == type_text(f32({sym("N") * Dim(6), 9, 9})));
  CHECK(failure("flatten", kImage, {{"start", 3}, {"end", 1}}) == "start is axis 3, end is axis 1: expected start <= end");
  CHECK(type_of("reshape", kTokens, {{"shape", {0, 0, 2, 4}}}) == "float32[N, S, 2, 4]");
  CHECK(type_of("reshape", kTokens, {{"shape", {0, 0, 2, -1}}}) == "float32[N, S, 2, 4]");
  CHECK(type_of("reshape", kTokens, {{"shape", {0, -1}}}) == type_text(f32({sym("N"), sym("S") * Dim(8)})));
  CHECK(failure("reshape", kTokens, {{"shape", {0, 0, 3, -1}}}) == "shape [0, 0, 3, -1] does not hold the elements of float32[N, S, 8]");
  CHECK(failure("reshape", kTokens, {{"shape", {0, 0, 7}}}) == "shape [0, 0, 7] does not hold the elements of float32[N, S, 8]");
  CHECK(failure("reshape", kTokens, {{"shape", {-1, -1}}}) == "shape [-1, -1] has more than one -1");
  CHECK(failure("reshape", kTokens, {{"shape", {0, 0, 8, 0}}}).find("copies axis 3, which") != std::string::npos);
  CHECK(type_of("permute", kImage, {{"dims", {0, 2, 3, 1}}}) == "float32[N, 9, 9, 6]");
  CHECK(type_of("reorder", {sym("N"), 3, sym("H")}, {{"axis", 1}, {"order", {2, 0, 1}}}) == "float32[N, 3, H]");
  CHECK(failure("reorder", {sym("N"), 3}, {{"axis", 1}, {"order", {2, 0}}}) == "order has 2 numbers, expected 3 (axis 1 of float32[N, 3])");
  CHECK(failure("reorder", {sym("N"), 3}, {{"axis", 1}, {"order", {2, 0, 2}}}) == "order has 2 twice, expected each of 0 to 2 once");
  CHECK(failure("reorder", {sym("N"), 3}, {{"axis", 1}, {"order", {2, 0, 3}}}) == "order has 3, expected each of 0 to 2 once");
  CHECK(failure("reorder", {sym("N"), 3}, {{"axis", 0}, {"order", {0}}}).find("must be known") != std::string::npos);
  CHECK(failure("permute", kImage, {{"dims", {0, 2, 2, 1}}}) == "dims [0, 2, 2, 1] are not an order of the axes of float32[N, 6, 9, 9]");
}

TEST_CASE("ops: attention by heads, grouped and masked") {
  const ValueType q = f32(kTokens), kv = f32({sym("N"), 7, 8}), half = f32({sym("N"), 7, 4});
  CHECK(type_of("attention", {q, kv, kv}, {{"heads", 4}}) == "float32[N, S, 8]");
  CHECK(type_of("attention", {q, half, half}, {{"heads", 4}, {"kv_heads", 2}}) == "float32[N, S, 8]");
  CHECK(type_of("attention", {q, kv, kv, f32({sym("N"), 1, 1, 7})}, {{"heads", 4}}) == "float32[N, S, 8]");
  CHECK(macs_of("attention", {q, kv, kv}, {{"heads", 4}}) == 2 * 2 * 5 * 7 * 8);
  CHECK(failure("attention", {q, kv, kv}, {{"heads", 3}}) == "q has 8 features, which cannot be divided into 3 heads");
  CHECK(failure("attention", {q, half, half}, {{"heads", 4}}) == "k and v have 4 and 4 features, expected 4 heads of 2: 8");
  CHECK(failure("attention", {q, half, half}, {{"heads", 4}, {"kv_heads", 3}}) == "4 heads cannot be divided among 3 key and value heads");
  CHECK(failure("attention", {q, kv, q}, {{"heads", 4}}).find("expected one batch, and one length of k and v") != std::string::npos);
  CHECK(failure("attention", {q, kv, kv, f32({sym("N"), 3, 1, 7})}, {{"heads", 4}}).find("cannot be broadcast to float32[N, 4, S, 7]") !=
        std::string::npos);
  CHECK(type_of("attention", {q, kv, kv, f32({1, 7})}, {{"heads", 4}, {"causal", true}, {"scale", 1.0}}) == "float32[N, S, 8]");
}

TEST_CASE("ops: masks, positions and means of tokens") {
  const ValueType ids{DType::kI64, {sym("N"), sym("S")}};
  CHECK(type_of("key_mask", {ids}) == "float32[N, 1, 1, S]");
  CHECK(failure("key_mask", kTokens) == "input 0 is float32[N, S, 8], expected int64[N, S]");
  CHECK(type_of("position_ids", {ids}) == "int64[1, S]");
  CHECK(type_of("position_ids", {ids}, {{"padding_idx", 1}}) == "int64[N, S]");
  CHECK(failure("position_ids", {{DType::kI64, {sym("N"), 7}}}, {{"limit", 6}}) == "a sequence of 7 tokens, expected at most 6");
  CHECK(failure("position_ids", {{DType::kI64, {sym("N"), 7}}}, {{"limit", 8}, {"padding_idx", 1}}) == "a sequence of 7 tokens, expected at most 6");
  CHECK(type_of("masked_mean", {f32(kTokens), ids}) == "float32[N, 8]");
  CHECK(macs_of("masked_mean", {f32(kTokens), ids}, Json::object()) == 2 * 5 * 8);
  CHECK(failure("masked_mean", {f32(kTokens), {DType::kI64, {sym("N"), 7}}}) == "the mask is int64[N, 7], expected int64[N, S] for float32[N, S, 8]");
  CHECK(type_of("l2_normalize", {f32(kTokens)}) == "float32[N, S, 8]");
}

TEST_CASE("ops: values that come from the table") {
  CHECK(type_of("embedding", {{DType::kI64, {sym("N"), sym("S")}}}, {{"num_embeddings", 11}, {"dim", 4}}) == "float32[N, S, 4]");
  CHECK(failure("embedding", kTokens, {{"num_embeddings", 11}, {"dim", 4}}) == "input 0 is float32[N, S, 8], expected int64");
  Builder b;
  const Value x = b.input("x", DType::kF32, kTokens);
  b.tensor({"token", DType::kF32, {1, 1, 8}, Role::kParameter, {{"kind", "zeros"}}});
  const Value free = b.node("tensor", "free", {}, Json::object(), {{"value", {"token"}}});
  const Value repeated = b.node("tensor", "repeated", {x}, Json::object(), {{"value", {"token"}}});
  CHECK(type_text(b.type(free)) == "float32[1, 1, 8]");
  CHECK(type_text(b.type(repeated)) == "float32[N, 1, 8]");
  b.tensor({"wide", DType::kF32, {2, 8}, Role::kParameter, {{"kind", "zeros"}}});
  CHECK_THROWS_WITH_AS(b.node("tensor", "bad", {x}, Json::object(), {{"value", {"wide"}}}),
                       "node 'bad' (tensor): its tensor is float32[2, 8], expected size 1 at axis 0 to repeat along", ds::Error);
}
