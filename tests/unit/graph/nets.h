// Small nets, one for each thing that channel classes must get right. Shared by the tests of classes and of slicing.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "base/graph/builder.h"

namespace ds::graph::nets {

inline Dim sym(const char* name) { return Dim::symbol(name); }
inline Value image(Builder& b, std::int64_t channels = 3, std::int64_t size = 4) {
  return b.input("image", DType::kF32, {sym("N"), channels, size, size});
}
inline Graph done(Builder& b, const Value& x) {
  b.output("logits", x);
  return b.finish();
}

/// conv1 (4) - bn1 - relu - conv2 (2, output)
inline Graph chain() {
  Builder b;
  Value x = b.relu("relu1", b.batch_norm2d("bn1", b.conv2d("conv1", image(b), 4, 3, 1, 1)));
  return done(b, b.conv2d("conv2", x, 2, 1));
}

/// a (4) + b(a) (4), both read by the sum, then the head.
inline Graph residual() {
  Builder b;
  const Value a = b.conv2d("a", image(b), 4, 1), c = b.conv2d("b", b.relu("relu", a), 4, 3, 1, 1);
  return done(b, b.conv2d("head", b.add("sum", c, a), 2, 1));
}

/// a (2) and b (3) side by side.
inline Graph concat() {
  Builder b;
  const Value x = image(b), a = b.conv2d("a", x, 2, 1), c = b.conv2d("b", x, 3, 1);
  return done(b, b.conv2d("head", b.node("concat", "cat", {a, c}, {{"axis", 1}}), 2, 1));
}

/// concat(x, x): each channel of `a` (3) is read at two places.
inline Graph concat_twice() {
  Builder b;
  const Value a = b.conv2d("a", image(b), 3, 1);
  return done(b, b.conv2d("head", b.node("concat", "cat", {a, a}, {{"axis", 1}}), 2, 1));
}

/// a (5) split in 2 and 3, each with a head of its own: two outputs.
inline Graph split() {
  Builder b;
  const Value parts = b.node("split", "parts", {b.conv2d("a", image(b), 5, 1)}, {{"axis", 1}, {"sizes", {2, 3}}});
  b.output("left", b.conv2d("left_head", parts, 2, 1));
  b.output("right", b.conv2d("right_head", Builder::output_of(parts, 1), 2, 1));
  return b.finish();
}

/// conv (3 channels of 2 x 2) - flatten - fc.
inline Graph flatten() {
  Builder b;
  const Value x = b.relu("relu", b.conv2d("conv", image(b), 3, 3));
  return done(b, b.linear("fc", b.flatten("flat", x), 2));
}

/// a (6) - grouped (6 -> 4, 2 groups) - head.
inline Graph grouped() {
  Builder b;
  const Value x = b.conv2d("grouped", b.conv2d("a", image(b), 6, 1), 4, 3, 1, 1, true, 2);
  return done(b, b.conv2d("head", x, 2, 1));
}

/// a (3) - depthwise with two filters a channel - head.
inline Graph depthwise() {
  Builder b;
  const Value x = b.conv2d("deep", b.conv2d("a", image(b), 3, 1), 6, 3, 1, 1, false, 3);
  return done(b, b.conv2d("head", x, 2, 1));
}

/// Tokens [N, S] of a table whose rows are the head's weights too.
inline Graph tied() {
  Builder b;
  Value x = b.input("tokens", DType::kI64, {sym("N"), sym("S")});
  x = b.node("embedding", "embed", {x}, {{"num_embeddings", 5}, {"dim", 4}});
  x = b.linear("mix", x, 4);
  return done(b, b.node("linear", "head", {x}, {{"out_features", 5}}, {{"weight", {"embed.weight"}}}));
}

/// Two heads of 2 over rows of one matrix of projections, with a residual and a norm, as in a transformer.
inline Graph heads(std::int64_t kv_heads = 0) {
  Builder b;
  const std::int64_t kv = kv_heads == 0 ? 8 : 2 * kv_heads;
  const Value x = b.linear("embed", b.input("tokens", DType::kF32, {sym("N"), sym("S"), 3}), 6);
  b.tensor({"in_proj_weight", DType::kF32, {8 + 2 * kv, 6}, Role::kParameter, {{"kind", "xavier_uniform"}, {"fan_in", 6}, {"fan_out", 24}}});
  b.tensor({"in_proj_bias", DType::kF32, {8 + 2 * kv}, Role::kParameter, {{"kind", "zeros"}}});
  const auto project = [&](const char* name, std::int64_t begin, std::int64_t n) {
    return b.node("linear", name, {x}, {{"out_features", n}},
                  {{"weight", {"in_proj_weight", 0, begin, begin + n}}, {"bias", {"in_proj_bias", 0, begin, begin + n}}});
  };
  const Value q = project("q", 0, 8), k = project("k", 8, kv), v = project("v", 8 + kv, kv);
  Json attrs = {{"heads", 4}};
  if (kv_heads != 0) attrs["kv_heads"] = kv_heads;
  const Value out = b.linear("out_proj", b.node("attention", "attend", {q, k, v}, std::move(attrs)), 6);
  return done(b, b.linear("head", b.add("sum", x, out), 2));
}

/// Rows of a shared matrix, one slice in front of the other, without attention: a reads rows 0 to 2, b rows 3 to 6.
inline Graph sliced() {
  Builder b;
  const Value x = b.input("x", DType::kF32, {sym("N"), 3});
  b.tensor({"shared", DType::kF32, {7, 3}, Role::kParameter, {{"kind", "zeros"}}});
  const Value a = b.node("linear", "a", {x}, {{"out_features", 3}}, {{"weight", {"shared", 0, 0, 3}}}, {"bias"});
  const Value c = b.node("linear", "b", {x}, {{"out_features", 4}}, {{"weight", {"shared", 0, 3, 7}}}, {"bias"});
  return done(b, b.linear("head", b.node("concat", "cat", {a, c}, {{"axis", 1}}), 2));
}

/// Every net with its name. None has a norm over its channels, so slicing equals masking.
inline std::vector<std::pair<std::string, Graph>> all() {
  return {{"chain", chain()}, {"residual", residual()}, {"concat", concat()},   {"concat_twice", concat_twice()},
          {"split", split()}, {"flatten", flatten()},   {"grouped", grouped()}, {"depthwise", depthwise()},
          {"tied", tied()},   {"heads", heads()},       {"gqa", heads(2)},      {"sliced", sliced()}};
}

}  // namespace ds::graph::nets
