// BERT and its kin as transformers' configuration classes describe them (models/bert, roberta, distilbert: configuration_*.py).
#include "base/models/hf.h"

namespace ds::models::hf_bert {

/// Not read and not missed: indices that newer classes make themselves, and the second task of BERT's training.
const std::vector<std::string> kIgnored = {"embeddings.position_ids", "embeddings.token_type_ids", "cls.seq_relationship.weight",
                                           "cls.seq_relationship.bias",
                                           "pooler.dense.weight",         "pooler.dense.bias"};

/// BertModel has a layer behind its first token; the encoder of sentences that a file holds may have been saved without.
void fit_pooler(const std::map<std::string, io::Array>& tensors, Json& options) {
  if (options.value("head", "") == "embedding") options["pooler"] = tensors.count("pooler.dense.weight") != 0;
}

HfFamily bert(const char* type, std::vector<std::string> families, const std::string& prefix, double eps, int types, std::vector<HfClass> classes) {
  HfFamily family{.model_type = type,
                  .families = std::move(families),
                  .prefix = prefix,
                  .keys = {{"vocab_size", "vocab_size", nullptr},
                           {"hidden_size", "dim", 768},
                           {"num_hidden_layers", "depth", 12},
                           {"num_attention_heads", "heads", 12},
                           {"intermediate_size", "mlp_dim", 3072},
                           {"max_position_embeddings", "max_positions", 512}},
                  .fixed = {{"hidden_act", "gelu", "gelu"},
                            {"position_embedding_type", "absolute", "absolute"},
                            {"layer_norm_eps", eps, 1e-12},
                            {"type_vocab_size", types, 2},
                            {"is_decoder", false, false},
                            {"add_cross_attention", false, false}},
                  .classes = std::move(classes),
                  .ignored = kIgnored,
                  .tied = {},
                  .fit = fit_pooler};
  return family;
}

const HfRegistrar kBert{[] {
  HfFamily family = bert("bert", {"bert", "minilm"}, "bert.", 1e-12, 2,
                         {{"BertModel", {{"head", "embedding"}}, "feature-extraction"},
                          {"BertForMaskedLM", {{"head", "masked-lm"}}, "fill-mask"},
                          {"BertForPreTraining", {{"head", "masked-lm"}}, "fill-mask"},
                          {"BertForSequenceClassification", {{"head", "classification"}}, "text-classification"},
                          {"BertForTokenClassification", {{"head", "token"}}, "token-classification"}});
  family.tied = {{"cls.predictions.decoder.weight", "bert.embeddings.word_embeddings.weight"}, {"cls.predictions.decoder.bias", "cls.predictions.bias"}};
  return family;
}()};

const HfRegistrar kRoberta{[] {
  HfFamily family = bert("roberta", {"roberta"}, "roberta.", 1e-5, 1,
                         {{"RobertaModel", {{"head", "embedding"}}, "feature-extraction"},
                          {"RobertaForMaskedLM", {{"head", "masked-lm"}}, "fill-mask"},
                          {"RobertaForSequenceClassification", {{"head", "classification"}}, "text-classification"},
                          {"RobertaForTokenClassification", {{"head", "token"}}, "token-classification"}});
  family.fixed.push_back({"pad_token_id", 1, 1});
  family.tied = {{"lm_head.decoder.weight", "roberta.embeddings.word_embeddings.weight"}, {"lm_head.decoder.bias", "lm_head.bias"}};
  return family;
}()};

const HfRegistrar kDistilBert{{.model_type = "distilbert",
                               .families = {"distilbert"},
                               .prefix = "distilbert.",
                               .keys = {{"vocab_size", "vocab_size", nullptr},
                                        {"dim", "dim", 768},
                                        {"n_layers", "depth", 6},
                                        {"n_heads", "heads", 12},
                                        {"hidden_dim", "mlp_dim", 3072},
                                        {"max_position_embeddings", "max_positions", 512}},
                               .fixed = {{"activation", "gelu", "gelu"}},
                               .classes = {{"DistilBertModel", {{"head", "embedding"}}, "feature-extraction"},
                                           {"DistilBertForMaskedLM", {{"head", "masked-lm"}}, "fill-mask"},
                                           {"DistilBertForSequenceClassification", {{"head", "classification"}}, "text-classification"},
                                           {"DistilBertForTokenClassification", {{"head", "token"}}, "token-classification"}},
                               .ignored = kIgnored,
                               .tied = {{"vocab_projector.weight", "distilbert.embeddings.word_embeddings.weight"}}}};

}  // namespace ds::models::hf_bert
