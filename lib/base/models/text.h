// What architectures for sequences of tokens share: their options and their inputs. An architecture whose options derive from TextOptions is
// refused for images, and one whose options derive from ArchOptions (models.h) for texts.
// Inputs are int64 [N, S], both symbols: input_ids, attention_mask (1 a token, 0 padding), and where the net has types token_type_ids.
#pragma once
#include <string>
#include <vector>

#include "base/graph/builder.h"
#include "base/models/models.h"

namespace ds::models {

/// Options of a net for tokens.
struct TextOptions : NetOptions {
  std::int64_t vocab_size = 0;          ///< 0: that of the data's tokenizer, or usual_vocab where there are no data
  std::string head = "classification";  ///< an option where fields() calls add_head
  std::int64_t usual_vocab = 30522;     ///< not an option: entries of the vocabulary that the published weights have

  void fields(core::Fields& f) override;
  bool takes(InputKind kind) const override { return kind == InputKind::kTokens; }
  void fit(const DataSizes& data) override;
  std::string fitted_to() const override;
  /// The longest sequence that the net takes; 0 = any.
  virtual std::int64_t longest() const { return 0; }
  /// Whether the head tells classes, so that num_classes must be known.
  bool has_classes() const { return head == "classification" || head == "token"; }

 protected:
  /// The option `head`, one of `choices`: classification [N, C], token [N, S, C], masked-lm or causal-lm [N, S, V], embedding [N, D].
  void add_head(core::Fields& f, const std::vector<std::string>& choices);
};

/// Options of transformers. Entries of other sizes set the members in their constructor.
struct TransformerOptions : TextOptions {
  std::int64_t max_positions = 512, dim = 768, depth = 12, heads = 12, mlp_dim = 3072;

  void fields(core::Fields& f) override;
  void check() const override;  ///< heads divide dim
  std::int64_t longest() const override { return max_positions; }
};

/// A graph input int64 [N, S].
graph::Value token_input(graph::Builder& b, const std::string& name);

/// Draws the matrices of linears and embeddings (of every node of those ops) from N(0, std) and starts biases at 0, as BERT and its kin do.
/// Rows of an embedding that stand for padding are drawn too: they are masked.
void init_text(graph::Graph& graph, double std = 0.02);

}  // namespace ds::models
