// Temporal convolutional net, with the names of the authors' code (github.com/locuslab/TCN, word_cnn and TCN): `encoder`, `tcn.network.<level>.conv1`,
// `conv2` and `downsample`, `decoder` of a language model or `linear` of a classifier. Their weight normalisation (weight_g, weight_v) is left out:
// it changes how weights are trained, not what a net can compute, and plain weights can be pruned and quantized.
#include <fmt/format.h>

#include "base/core/error.h"
#include "base/models/parts.h"
#include "base/models/text.h"

namespace ds::models::tcn {

using graph::Builder;
using graph::Value;

struct Options : TextOptions {
  std::int64_t dim = 128, hidden_size = 128, depth = 4, kernel_size = 3;
  bool tie_weights = false;

  void fields(core::Fields& f) override {
    TextOptions::fields(f);
    add_head(f, {"classification", "causal-lm"});
    f.add({.name = "dim", .doc = "features of a token; of a language model also channels of the last level", .min = 1, .max = 65536}, dim);
    f.add({.name = "hidden_size", .doc = "channels of a level", .min = 1, .max = 65536}, hidden_size);
    f.add({.name = "depth", .doc = "levels, each with twice the dilation of the one before", .min = 1, .max = 24}, depth);
    f.add({.name = "kernel_size", .doc = "tokens of a convolution's window", .min = 2, .max = 256}, kernel_size);
    f.add({.name = "tie_weights", .doc = "the output layer of a language model shares the embedding's weights"}, tie_weights);
  }
  void check() const override {
    if (tie_weights && head != "causal-lm") throw Error(Exit::kUsage, "model.tie_weights", fmt::format("head is {}, expected causal-lm", head));
  }
};

/// A convolution that sees a token and those before it: [N, C, S] -> [N, out, S].
Value causal(Builder& b, const std::string& name, const Value& x, std::int64_t out, std::int64_t dilation, const Options& o) {
  const std::int64_t before = (o.kernel_size - 1) * dilation;
  return b.node("conv1d", name, {x}, {{"out_channels", out}, {"kernel", o.kernel_size}, {"dilation", dilation}, {"padding", {before, 0}}});
}

/// relu(x + f(x)), f being twice a convolution, ReLU and dropout (Bai et al. 2018, figure 1b).
Value level(Builder& b, const std::string& name, const Value& x, std::int64_t out, std::int64_t dilation, const Options& o) {
  Value f = x;
  for (const char* n : {"1", "2"}) {
    f = b.relu(name + ".relu" + n, causal(b, name + ".conv" + n, f, out, dilation, o));
    f = dropout(b, name + ".dropout" + n, f, o, 0.2);
  }
  Value shortcut = x;
  if (!(b.type(x).dims[1] == graph::Dim(out))) shortcut = b.node("conv1d", name + ".downsample", {x}, {{"out_channels", out}, {"kernel", 1}});
  return b.relu(name + ".relu", b.add(name + ".add", f, shortcut));
}

/// As the authors' code starts: its N(0, 0.01) for conv1 and conv2 is without effect, since weight normalisation computes them anew.
void initialise(graph::Graph& graph) {
  for (graph::TensorSpec& t : graph.tensors) {
    if (t.name.ends_with("downsample.weight")) t.init = {{"kind", "normal"}, {"mean", 0.0}, {"std", 0.01}};
    if (t.name == "encoder.weight" || t.name == "decoder.weight") t.init = {{"kind", "uniform"}, {"a", -0.1}, {"b", 0.1}};
    if (t.name == "decoder.bias") t.init = {{"kind", "zeros"}};
  }
}

graph::Graph build(const core::Options& base) {
  const auto& o = static_cast<const Options&>(base);
  const bool language = o.head == "causal-lm";
  Builder b;
  const Value ids = token_input(b, "input_ids"), mask = token_input(b, "attention_mask");
  Value x = dropout(b, "dropout", b.node("embedding", "encoder", {ids}, {{"num_embeddings", o.vocab_size}, {"dim", o.dim}}), o, 0.2);
  x = b.node("permute", "to_channels", {x}, {{"dims", {0, 2, 1}}});
  for (std::int64_t i = 0; i < o.depth; ++i)
    x = level(b, fmt::format("tcn.network.{}", i), x, language && i + 1 == o.depth ? o.dim : o.hidden_size, std::int64_t{1} << i, o);
  x = b.node("permute", "to_tokens", {x}, {{"dims", {0, 2, 1}}});
  if (language) {
    std::map<std::string, graph::Slot> slots;
    if (o.tie_weights) slots["weight"] = {"encoder.weight"};
    b.output("logits", b.node("linear", "decoder", {x}, {{"out_features", o.vocab_size}}, slots));
  } else {
    b.output("logits", b.linear("linear", b.node("last_token", "last", {x, mask}), o.num_classes));
  }
  graph::Graph graph = b.finish();
  initialise(graph);
  return graph;
}

[[maybe_unused]] const Architecture entries[] = {
    Architecture::make<Options>("tcn", "temporal convolutional net: residual levels of dilated causal convolutions over embeddings of tokens",
                                "Bai et al. 2018, arXiv:1803.01271, section 3", build),
};

}  // namespace ds::models::tcn
