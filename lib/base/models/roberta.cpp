// RoBERTa: BERT's layers over byte-pair tokens of one type, with positions that count from behind the padding's index.
#include <fmt/format.h>

#include "base/core/error.h"
#include "base/models/bert.h"
#include "base/models/parts.h"

namespace ds::models::roberta {

constexpr std::int64_t kPadding = 1;  ///< index of <pad> in every published vocabulary

struct Options : BertOptions {
  Options() { usual_vocab = 50265, max_positions = 514; }
  std::int64_t longest() const override { return max_positions - kPadding - 1; }
  void check() const override {
    BertOptions::check();
    if (longest() < 1)
      throw Error(Exit::kUsage, "model.max_positions", fmt::format("is {}, expected at least {}: the first {} are padding's", max_positions, kPadding + 2,
                                                                  kPadding + 1));
  }
};

template <int layers, int features, int attention_heads>
struct Sized : Options {
  Sized() { depth = layers, dim = features, heads = attention_heads, mlp_dim = 4 * features; }
};

graph::Graph build(const core::Options& options) {
  const auto& o = static_cast<const Options&>(options);
  const BertKind kind{.name = "roberta", .eps = 1e-5, .padding = kPadding, .types = false};
  graph::Builder b;
  const BertBody body = bert_body(b, o, kind);
  if (o.head == "embedding") {
    embedding_head(b, body, o);
  } else if (o.head == "classification") {
    graph::Value x = b.node("select", "classifier.first_token", {body.hidden}, {{"axis", 1}, {"index", 0}});
    x = b.linear("classifier.dense", dropout(b, "classifier.dropout", x, o, 0.1), o.dim);
    x = dropout(b, "classifier.dropout_2", b.node("tanh", "classifier.tanh", {x}), o, 0.1);
    b.output("logits", b.linear("classifier.out_proj", x, o.num_classes));
  } else if (o.head == "token") {
    b.output("logits", b.linear("classifier", dropout(b, "dropout", body.hidden, o, 0.1), o.num_classes));
  } else {
    graph::Value x = b.gelu("lm_head.gelu", b.linear("lm_head.dense", body.hidden, o.dim));
    x = b.layer_norm("lm_head.layer_norm", x, kind.eps);
    b.output("logits", tied_decoder(b, "lm_head.decoder", x, body.prefix + "embeddings.word_embeddings", "lm_head.bias", o.vocab_size));
  }
  graph::Graph graph = b.finish();
  init_text(graph);
  return graph;
}

constexpr const char* kSource = "Liu et al. 2019, arXiv:1907.11692, section 3";

[[maybe_unused]] const Architecture entries[] = {
    Architecture::make<Sized<12, 768, 12>>("roberta_base", "RoBERTa of 12 layers, 768 features and 12 heads: 125 million parameters", kSource, build),
    Architecture::make<Sized<24, 1024, 16>>("roberta_large", "RoBERTa of 24 layers, 1024 features and 16 heads: 355 million parameters", kSource, build),
    Architecture::make<Sized<6, 768, 12>>("distilroberta_base", "RoBERTa of 6 layers, 768 features and 12 heads, as distilled: 82 million parameters",
                                          "Sanh et al. 2019, arXiv:1910.01108, section 3", build),
};

}  // namespace ds::models::roberta
