// What BERT, RoBERTa and MiniLM share: the encoder with norms after the sums. Tensors are called as in Hugging Face's classes.
#pragma once
#include <string>

#include "base/models/text.h"

namespace ds::models {

struct BertOptions : TransformerOptions {
  bool pooler = true;      ///< with the head `embedding`: the layer that BertModel has behind its first token, as a second output `pooled`
  bool normalize = false;  ///< with the head `embedding`
  void fields(core::Fields& f) override;
};

/// Where the nets differ in what is below their layers.
struct BertKind {
  std::string name;           ///< prefix of the tensors under a head: "bert"
  double eps = 1e-12;         ///< of the norms
  std::int64_t padding = -1;  ///< positions count from here, without the padding; -1: from 0, all of them
  bool types = true;          ///< an input token_type_ids; without one every token has the one type
};

/// A net's inputs and its layers: what the heads build on.
struct BertBody {
  std::string prefix;        ///< "bert.", or nothing where the layers are all there is
  graph::Value mask;         ///< the input attention_mask
  graph::Value hidden;       ///< [N, S, dim] behind the last layer
};

BertBody bert_body(graph::Builder& b, const BertOptions& o, const BertKind& kind);

/// tanh of a linear layer `<prefix>pooler.dense` on the first token: [N, dim].
graph::Value bert_pooler(graph::Builder& b, const BertBody& body, std::int64_t dim);

/// Output `embedding` [N, dim]: the mean over the tokens that are no padding, of norm 1 if the options say so; and `pooled` if they say so.
void embedding_head(graph::Builder& b, const BertBody& body, const BertOptions& o);

/// The vocabulary's scores of x [N, S, dim] (behind a head's transform): a linear layer `name` whose weight is the word embeddings of the body,
/// with the bias `bias`.
graph::Value tied_decoder(graph::Builder& b, const std::string& name, const graph::Value& x, const std::string& words, const std::string& bias,
                          std::int64_t vocab_size);

/// BERT with the head that the options say; they are BertOptions.
graph::Graph build_bert(const core::Options& options);

}  // namespace ds::models
