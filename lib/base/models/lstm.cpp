// Recurrent nets. An embedding `encoder`, layers `rnn` with the tensors of torch.nn.LSTM and torch.nn.GRU, and an output layer: `decoder` of a
// language model, as in PyTorch's example word_language_model, or `classifier`.
#include <fmt/format.h>

#include <cmath>

#include "base/core/error.h"
#include "base/models/parts.h"
#include "base/models/text.h"

namespace ds::models::lstm {

using graph::Builder;
using graph::Value;

struct Options : TextOptions {
  std::int64_t dim = 128, hidden_size = 256, depth = 1;
  bool bidirectional = false, tie_weights = false;

  void fields(core::Fields& f) override {
    TextOptions::fields(f);
    add_head(f, {"classification", "causal-lm"});
    f.add({.name = "dim", .doc = "features of a token", .min = 1, .max = 65536}, dim);
    f.add({.name = "hidden_size", .doc = "hidden units of a layer, of each direction", .min = 1, .max = 65536}, hidden_size);
    f.add({.name = "depth", .doc = "layers", .min = 1, .max = 512}, depth);
    f.add({.name = "bidirectional", .doc = "also from the last token to the first; for classification"}, bidirectional);
    f.add({.name = "tie_weights", .doc = "the output layer of a language model shares the embedding's weights"}, tie_weights);
  }
  void check() const override {
    if (bidirectional && head == "causal-lm")
      throw Error(Exit::kUsage, "model.bidirectional", "a language model must not see the tokens that it tells", "set model.bidirectional to false");
    if (tie_weights && (head != "causal-lm" || dim != hidden_size))
      throw Error(Exit::kUsage, "model.tie_weights",
                  fmt::format("head is {}, dim is {} and hidden_size is {}, expected causal-lm and equal sizes", head, dim, hidden_size));
  }
};

struct Layer {
  std::string op;
  std::int64_t gates;
};

/// One direction of layer i; its tensors are "rnn.weight_ih_l0", "rnn.weight_ih_l0_reverse" ...
Value direction(Builder& b, const Layer& layer, std::int64_t i, bool reverse, const Value& x, const Value& mask, const Options& o) {
  const std::string name = fmt::format("rnn.l{}{}", i, reverse ? "_reverse" : "");
  const double bound = 1 / std::sqrt(static_cast<double>(o.hidden_size));
  const std::int64_t rows = layer.gates * o.hidden_size;
  std::map<std::string, graph::Slot> slots;
  const auto add = [&](const std::string& slot, std::vector<std::int64_t> shape) {
    const std::string tensor = fmt::format("rnn.{}_l{}{}", slot, i, reverse ? "_reverse" : "");
    b.tensor({.name = tensor, .shape = std::move(shape), .init = {{"kind", "uniform"}, {"a", -bound}, {"b", bound}}});
    slots[slot] = {tensor};
  };
  add("weight_ih", {rows, b.type(x).dims[2].value()});
  add("weight_hh", {rows, o.hidden_size});
  add("bias_ih", {rows});
  add("bias_hh", {rows});
  graph::Json attrs = {{"hidden", o.hidden_size}};
  if (reverse) attrs["reverse"] = true;
  return b.node(layer.op, name, {x, mask}, std::move(attrs), std::move(slots));
}

/// The state behind each text's last token, and of the way back that before its first.
Value classify(Builder& b, const Value& forward, const Value& backward, const Value& mask, const Options& o) {
  Value x = b.node("last_token", "last", {forward, mask});
  if (o.bidirectional) {
    const Value first = b.node("select", "first", {backward}, {{"axis", 1}, {"index", 0}});
    x = b.node("concat", "states", {x, first}, {{"axis", 1}});
  }
  return b.linear("classifier", dropout(b, "dropout", x, o, 0.2), o.num_classes);
}

graph::Graph build_net(const Layer& layer, const Options& o) {
  Builder b;
  const Value ids = token_input(b, "input_ids"), mask = token_input(b, "attention_mask");
  Value x = dropout(b, "dropout_in", b.node("embedding", "encoder", {ids}, {{"num_embeddings", o.vocab_size}, {"dim", o.dim}}), o, 0.2);
  Value forward, backward;
  for (std::int64_t i = 0; i < o.depth; ++i) {
    if (i > 0) x = dropout(b, fmt::format("rnn.dropout{}", i), x, o, 0.2);
    forward = direction(b, layer, i, false, x, mask, o);
    if (o.bidirectional) backward = direction(b, layer, i, true, x, mask, o);
    if (o.bidirectional && i + 1 < o.depth) x = b.node("concat", fmt::format("rnn.both{}", i), {forward, backward}, {{"axis", 2}});
    else x = forward;
  }
  if (o.head == "classification") {
    b.output("logits", classify(b, forward, backward, mask, o));
  } else {
    std::map<std::string, graph::Slot> slots;
    if (o.tie_weights) slots["weight"] = {"encoder.weight"};
    b.output("logits", b.node("linear", "decoder", {dropout(b, "dropout", x, o, 0.2)}, {{"out_features", o.vocab_size}}, slots));
  }
  graph::Graph graph = b.finish();
  for (const char* name : {"encoder.weight", "decoder.weight"})
    if (graph::TensorSpec* t = graph.find_tensor(name)) t->init = {{"kind", "uniform"}, {"a", -0.1}, {"b", 0.1}};
  if (graph::TensorSpec* t = graph.find_tensor("decoder.bias")) t->init = {{"kind", "zeros"}};
  return graph;
}

graph::Graph build_lstm(const core::Options& o) { return build_net({"lstm", 4}, static_cast<const Options&>(o)); }
graph::Graph build_gru(const core::Options& o) { return build_net({"gru", 3}, static_cast<const Options&>(o)); }

[[maybe_unused]] const Architecture entries[] = {
    Architecture::make<Options>("lstm", "long short-term memory over embeddings of tokens, for classes or as a language model",
                                "Hochreiter and Schmidhuber 1997; Gers et al. 2000; torch.nn.LSTM", build_lstm),
    Architecture::make<Options>("gru", "gated recurrent units over embeddings of tokens, for classes or as a language model",
                                "Cho et al. 2014, arXiv:1406.1078; torch.nn.GRU", build_gru),
};

}  // namespace ds::models::lstm
