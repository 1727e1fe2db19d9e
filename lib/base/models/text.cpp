#include "base/models/text.h"

#include <fmt/format.h>

#include "base/core/error.h"
#include "base/models/parts.h"

namespace ds::models {

void TextOptions::fields(core::Fields& f) {
  NetOptions::fields(f);
  f.add({.name = "vocab_size", .doc = "entries of the vocabulary; 0 = as the tokenizer says", .min = 0, .max = 1 << 24}, vocab_size);
}

void TextOptions::add_head(core::Fields& f, const std::vector<std::string>& choices) {
  f.add({.name = "head", .doc = "what the net tells: classes of a text or of each token, the tokens themselves, or an embedding", .choices = choices}, head);
}

void TextOptions::fit(const DataSizes& data) {
  if (has_classes()) fill(num_classes, data.num_classes, "num_classes");
  if (vocab_size != 0 && data.vocab_size > vocab_size)
    throw Error(Exit::kUsage, "model.vocab_size", fmt::format("is {}, but the tokenizer has {} entries", vocab_size, data.vocab_size),
                "leave model.vocab_size out");
  if (vocab_size == 0) vocab_size = data.vocab_size > 0 ? data.vocab_size : usual_vocab;
  if (longest() > 0 && data.length > longest())
    throw Error(Exit::kUsage, "model.max_positions", fmt::format("leaves room for {} tokens, but the data have sequences of {}", longest(), data.length),
                "set model.max_positions higher, or cut the texts shorter");
}

std::string TextOptions::fitted_to() const { return fmt::format("a vocabulary of {}", vocab_size); }

void TransformerOptions::fields(core::Fields& f) {
  TextOptions::fields(f);
  f.add({.name = "max_positions", .doc = "rows of the table of positions: the longest sequence", .min = 1, .max = 1 << 20, .unit = "tokens"}, max_positions);
  f.add({.name = "dim", .doc = "features of a token; must be a multiple of heads", .min = 1, .max = 65536}, dim);
  f.add({.name = "depth", .doc = "layers", .min = 1, .max = 512}, depth);
  f.add({.name = "heads", .doc = "attention heads", .min = 1, .max = 1024}, heads);
  f.add({.name = "mlp_dim", .doc = "hidden features of each MLP", .min = 1, .max = 1 << 20}, mlp_dim);
}

void TransformerOptions::check() const {
  if (dim % heads != 0) throw Error(Exit::kUsage, "model.dim", fmt::format("is {}, expected a multiple of model.heads ({})", dim, heads));
}

graph::Value token_input(graph::Builder& b, const std::string& name) {
  return b.input(name, graph::DType::kI64, {graph::Dim::symbol("N"), graph::Dim::symbol("S")});
}

void init_text(graph::Graph& graph, double std) {
  for (const char* op : {"linear", "embedding"}) init_normal(graph, op, std);
  init_zero_biases(graph, "linear");
}

}  // namespace ds::models
