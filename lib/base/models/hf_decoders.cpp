// GPT-2, Llama and T5 as transformers' configuration classes describe them (models/gpt2, llama, t5: configuration_*.py).
#include <fmt/format.h>

#include "base/core/error.h"
#include "base/models/hf.h"

namespace ds::models::hf_decoders {

/// A key that may be there and null: null is what `otherwise` stands for.
Json given(const Json& config, const char* key, const Json& otherwise) {
  const auto found = config.find(key);
  return found == config.end() || found->is_null() ? otherwise : *found;
}

void read_gpt2(const Json& config, Json& options, const std::string&) {
  const Json& dim = options["dim"];
  options["mlp_dim"] = given(config, "n_inner", dim.is_number_integer() ? Json(4 * dim.get<std::int64_t>()) : dim);
}

void write_gpt2(const Json& options, Json& config) { config["n_inner"] = options["mlp_dim"]; }

const HfRegistrar kGpt2{{.model_type = "gpt2",
                         .families = {"gpt2"},
                         .prefix = "transformer.",
                         .keys = {{"vocab_size", "vocab_size", 50257},
                                  {"n_positions", "max_positions", 1024},
                                  {"n_embd", "dim", 768},
                                  {"n_layer", "depth", 12},
                                  {"n_head", "heads", 12}},
                         .fixed = {{"activation_function", "gelu_new", "gelu_new"},
                                   {"layer_norm_epsilon", 1e-5, 1e-5},
                                   {"scale_attn_weights", true, true},
                                   {"scale_attn_by_inverse_layer_idx", false, false},
                                   {"add_cross_attention", false, false},
                                   {"tie_word_embeddings", true, true}},
                         .classes = {{"GPT2LMHeadModel", {{"head", "causal-lm"}}, "text-generation"},
                                     {"GPT2ForSequenceClassification", {{"head", "classification"}}, "text-classification"}},
                         .ignored = {".attn.bias", ".attn.masked_bias"},
                         .tied = {{"lm_head.weight", "transformer.wte.weight"}},
                         .read = read_gpt2,
                         .write = write_gpt2}};

// What Llama 3.1's rule has beside the factor.
constexpr double kLowFrequency = 1, kHighFrequency = 4, kOriginalPositions = 8192;

/// Newer files have base and rule in one object, older ones in two keys.
void read_rope(const Json& config, Json& options, const std::string& where) {
  const Json rope = given(config, "rope_parameters", given(config, "rope_scaling", Json::object()));
  if (!rope.is_object()) throw Error(Exit::kInput, where, fmt::format("'rope_scaling' is {}, expected an object", rope.dump()));
  options["rope_base"] = given(rope, "rope_theta", given(config, "rope_theta", 10000.0));
  const Json type = given(rope, "rope_type", given(rope, "type", "default"));
  if (type == "default") return;
  const bool llama3 = type == "llama3" && rope.value("low_freq_factor", 0.0) == kLowFrequency && rope.value("high_freq_factor", 0.0) == kHighFrequency &&
                      rope.value("original_max_position_embeddings", 0.0) == kOriginalPositions && rope.contains("factor");
  if (!llama3) throw Error(Exit::kInput, where, fmt::format("'rope_scaling' is {}, the net knows the rule of Llama 3.1 alone", rope.dump()));
  options["rope_factor"] = rope["factor"];
}

void read_llama(const Json& config, Json& options, const std::string& where) {
  options["kv_heads"] = given(config, "num_key_value_heads", 0);
  options["head_dim"] = given(config, "head_dim", 0);
  read_rope(config, options, where);
}

void write_llama(const Json& options, Json& config) {
  const auto number = [&](const char* key) { return options.value(key, std::int64_t{0}); };
  config["num_key_value_heads"] = number("kv_heads") > 0 ? number("kv_heads") : number("heads");
  config["head_dim"] = number("head_dim") > 0 ? number("head_dim") : number("dim") / number("heads");
  config["rope_theta"] = options["rope_base"];
  if (const double factor = options.value("rope_factor", 1.0); factor != 1)
    config["rope_scaling"] = {{"rope_type", "llama3"},
                              {"factor", factor},
                              {"low_freq_factor", kLowFrequency},
                              {"high_freq_factor", kHighFrequency},
                              {"original_max_position_embeddings", static_cast<std::int64_t>(kOriginalPositions)}};
}

const HfRegistrar kLlama{{.model_type = "llama",
                          .families = {"llama"},
                          .prefix = "model.",
                          .keys = {{"vocab_size", "vocab_size", 32000},
                                   {"hidden_size", "dim", 4096},
                                   {"num_hidden_layers", "depth", 32},
                                   {"num_attention_heads", "heads", 32},
                                   {"intermediate_size", "mlp_dim", 11008},
                                   {"max_position_embeddings", "max_positions", 2048},
                                   {"rms_norm_eps", "norm_eps", 1e-6},
                                   {"tie_word_embeddings", "tie_weights", false}},
                          .fixed = {{"hidden_act", "silu", "silu"}, {"attention_bias", false, false}, {"mlp_bias", false, false}},
                          .classes = {{"LlamaForCausalLM", {{"head", "causal-lm"}}, "text-generation"},
                                      {"LlamaForSequenceClassification", {{"head", "classification"}}, "text-classification"}},
                          .ignored = {".rotary_emb.inv_freq"},
                          .tied = {{"lm_head.weight", "model.embed_tokens.weight"}},
                          .read = read_llama,
                          .write = write_llama}};

void read_t5(const Json& config, Json& options, const std::string& where) {
  options["decoder_depth"] = given(config, "num_decoder_layers", 0);
  const Json kind = given(config, "feed_forward_proj", "relu");
  if (kind != "relu" && kind != "gated-gelu")
    throw Error(Exit::kInput, where, fmt::format("'feed_forward_proj' is {}, expected \"relu\" or \"gated-gelu\"", kind.dump()));
  options["gated"] = kind == "gated-gelu";
  // Version 1.1 neither shares the output layer's weights nor scales what goes into it. transformers 5 says the latter apart and always `ties`: it
  // leaves out an output layer that happens to be the embedding.
  options["tie_weights"] = given(config, "scale_decoder_outputs", options["tie_weights"]);
}

void write_t5(const Json& options, Json& config) {
  const std::int64_t decoder = options.value("decoder_depth", std::int64_t{0});
  config["num_decoder_layers"] = decoder > 0 ? Json(decoder) : options["depth"];
  config["feed_forward_proj"] = options.value("gated", false) ? "gated-gelu" : "relu";
  config["scale_decoder_outputs"] = options.value("tie_weights", true);
  config["decoder_start_token_id"] = 0;
}

const HfRegistrar kT5{{.model_type = "t5",
                       .families = {"t5"},
                       .prefix = "",
                       .keys = {{"vocab_size", "vocab_size", 32128},
                                {"d_model", "dim", 512},
                                {"num_layers", "depth", 6},
                                {"num_heads", "heads", 8},
                                {"d_kv", "head_dim", 64},
                                {"d_ff", "mlp_dim", 2048},
                                {"relative_attention_num_buckets", "buckets", 32},
                                {"relative_attention_max_distance", "max_distance", 128},
                                {"tie_word_embeddings", "tie_weights", true}},
                       .fixed = {{"layer_norm_epsilon", 1e-6, 1e-6}, {"is_encoder_decoder", true, true}},
                       .classes = {{"T5ForConditionalGeneration", {{"head", "seq2seq-lm"}}, "text2text-generation"},
                                   {"T5WithLMHeadModel", {{"head", "seq2seq-lm"}}, "text2text-generation"}},
                       .ignored = {"EncDecAttention.relative_attention_bias.weight"},
                       .tied = {{"encoder.embed_tokens.weight", "shared.weight"},
                                {"decoder.embed_tokens.weight", "shared.weight"},
                                {"lm_head.weight", "shared.weight"}},
                       .read = read_t5,
                       .write = write_t5}};

}  // namespace ds::models::hf_decoders
