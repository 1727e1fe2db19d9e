// A small net around any op of the registry, for tests that run over all of them. An op whose attributes have no defaults is listed here.
#pragma once
#include "base/graph/builder.h"
#include "base/graph/schema.h"

namespace op_samples {

using namespace ds::graph;

inline Dim sym(const char* name) { return Dim::symbol(name); }

/// Tokens [N, S, 8] through a linear of 8, so that the last axis is tracked.
inline Value tokens(Builder& b) { return b.linear("in", b.input("x", DType::kF32, {sym("N"), sym("S"), 8}), 8); }
/// An image [N, 3, 8, 8] through a 1x1 convolution.
inline Value image(Builder& b, std::int64_t channels = 4) { return b.conv2d("in", b.input("x", DType::kF32, {sym("N"), 3, 8, 8}), channels, 1); }

/// The op's node "node" on tracked inputs, chosen by what the op's inputs must be.
inline Value sample(Builder& b, const Op& op) {
  const std::map<std::string, Json> attrs = {
      {"conv2d", {{"out_channels", 4}, {"kernel", {1, 1}}}}, {"fake_conv2d", {{"out_channels", 4}, {"kernel", {1, 1}}}},
      {"linear", {{"out_features", 4}}}, {"fake_linear", {{"out_features", 4}}}, {"group_norm", {{"groups", 2}}},
      {"max_pool2d", {{"kernel", {2, 2}}, {"stride", {2, 2}}}}, {"avg_pool2d", {{"kernel", {2, 2}}, {"stride", {2, 2}}}},
      {"adaptive_avg_pool2d", {{"size", {3, 2}}}}, {"mean", {{"axes", {2, 3}}}}, {"concat", {{"axis", 1}}}, {"split", {{"axis", 1}, {"sizes", {1, 3}}}},
      {"slice", {{"axis", 1}, {"end", 2}}}, {"select", {{"axis", 1}, {"index", 1}}}, {"reshape", {{"shape", {0, 0, 64}}}},
      {"permute", {{"dims", {0, 2, 3, 1}}}}, {"reorder", {{"axis", 1}, {"order", {2, 0, 3, 1}}}}, {"dropout", {{"p", 0.5}}}, {"drop_path", {{"p", 0.5}}}, {"dropout2d", {{"p", 0.5}}},
      {"attention", {{"heads", 2}}},
      {"embedding", {{"num_embeddings", 5}, {"dim", 4}}}, {"quantize", {{"scale", 0.1}}}, {"dequantize", {{"scale", 0.1}}},
      {"fake_quantize", {{"scale", 0.1}}}, {"qconv2d", {{"out_channels", 4}, {"kernel", {1, 1}}, {"x_scale", 0.1}}},
      {"qlinear", {{"out_features", 4}, {"x_scale", 0.1}}}, {"qadd", {{"a_scale", 0.1}, {"b_scale", 0.1}, {"y_scale", 0.1}}},
      {"qmul", {{"a_scale", 0.1}, {"b_scale", 0.1}, {"y_scale", 0.1}}},
      {"position_ids", {{"padding_idx", 1}}},
      {"conv1d", {{"out_channels", 4}, {"kernel", 3}, {"padding", {1}}}}, {"lstm", {{"hidden", 4}}}, {"gru", {{"hidden", 4}}}, {"rope", {{"heads", 2}}},
      {"relative_bias", {{"heads", 2}, {"buckets", 8}, {"max_distance", 16}}}, {"scale", {{"factor", 0.5}}},
      {"conv_transpose2d", {{"out_channels", 4}, {"kernel", {2, 2}}, {"stride", {2, 2}}}}, {"upsample2d", {{"scale", {2, 3}}}},
      {"pad", {{"axes", {1, 3}}, {"before", {0, 1}}, {"after", {2, 1}}}}, {"roll", {{"axes", {2, 3}}, {"shifts", {-1, 3}}}},
      {"window_mask", {{"size", {8, 4}}, {"window", {4, 4}}, {"shift", {2, 0}}}}, {"gather", {{"axis", 2}}}, {"clamp", {{"max", 0.5}}},
      {"qmax_pool2d", {{"kernel", {2, 2}}, {"stride", {2, 2}}}},
      {"qavg_pool2d", {{"kernel", {2, 2}}, {"stride", {2, 2}}, {"x_scale", 0.1}, {"y_scale", 0.1}}},
      {"qglobal_avg_pool", {{"x_scale", 0.1}, {"y_scale", 0.1}}}};
  const auto found = attrs.find(op.name);
  const Json json = found == attrs.end() ? Json::object() : found->second;
  if (op.name == "tensor") {
    b.tensor({"free", DType::kF32, {1, 4}, Role::kParameter, {{"kind", "zeros"}}});
    return b.node(op.name, "node", {}, json, {{"value", {"free"}}});
  }
  if (op.name == "window_mask") return b.node(op.name, "node", {}, json);
  if (op.name == "gather") {
    b.tensor({"index", DType::kI64, {2, 3}, Role::kConstant, {{"kind", "zeros"}}});
    return b.node(op.name, "node", {image(b), b.node("tensor", "indices", {}, Json::object(), {{"value", {"index"}}})}, json);
  }
  if (op.name == "embedding") return b.node(op.name, "node", {b.input("x", DType::kI64, {sym("N")})}, json);
  if (op.name == "key_mask" || op.name == "position_ids")
    return b.node(op.name, "node", {b.input("x", DType::kI64, {sym("N"), sym("S")})}, json);
  if (op.name == "conv1d") return b.node(op.name, "node", {b.node("permute", "turn", {tokens(b)}, {{"dims", {0, 2, 1}}})}, json);
  if (op.name == "masked_mean" || op.name == "last_token" || op.name == "lstm" || op.name == "gru")
    return b.node(op.name, "node", {tokens(b), b.input("mask", DType::kI64, {sym("N"), sym("S")})}, json);
  const std::set<std::string> of_tokens = {"attention", "l2_normalize", "rms_norm", "rope", "relative_bias"};
  Value x = of_tokens.count(op.name) ? tokens(b) : image(b);
  if ((op.name[0] == 'q' && op.name != "quantize") || op.name == "dequantize") x = b.node("quantize", "q", {x}, {{"scale", 0.1}});
  std::vector<Value> inputs(static_cast<std::size_t>(std::max(op.min_inputs, op.max_inputs < 0 ? 2 : 1)), x);
  return b.node(op.name, "node", inputs, json);
}

}  // namespace op_samples
