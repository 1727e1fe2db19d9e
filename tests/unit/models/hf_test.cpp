// config.json of transformers, both ways, against what save_pretrained of each class wrote (tests/golden/make_hf.py).
#include "base/models/hf.h"

#include <doctest/doctest.h>

#include <fstream>
#include <set>

#include "base/core/error.h"
#include "base/models/text.h"

namespace models = ds::models;
using ds::graph::Graph;
using models::Json;

namespace {

Json stored() {
  std::ifstream file(DS_SOURCE_DIR "/tests/golden/hf.json");
  return Json::parse(file);
}

Graph build(const models::HfNet& net) { return models::build_hf(net, "config.json"); }

bool same(const Json& a, const Json& b) { return a.is_number() && b.is_number() ? a.get<double>() == b.get<double>() : a == b; }

std::string refusal(const Json& config) {
  try {
    (void)build(models::read_hf_config(config, Json::object(), "config.json"));
  } catch (const ds::Error& e) {
    CHECK(e.code() == ds::Exit::kInput);
    return e.what();
  }
  return "";
}

}  // namespace

TEST_CASE("hf: every class's config.json gives a net with the tensors that the class saves") {
  std::set<std::string> classes;
  for (const Json& entry : stored()) {
    CAPTURE(entry["class"].get<std::string>());
    const models::HfNet net = models::read_hf_config(entry["config"], Json::object(), "config.json");
    CHECK(net.of->name == entry["class"]);
    classes.insert(net.of->name);
    const Graph graph = build(net);
    Json shapes = Json::object();
    for (const auto& tensor : graph.tensors) shapes[tensor.name] = tensor.shape;
    CHECK(shapes == entry["tensors"]);
  }
  CHECK(classes.size() == 17);
}

TEST_CASE("hf: the config.json that is written says what the class's own says, and reads as the same net") {
  for (const Json& entry : stored()) {
    CAPTURE(entry["class"].get<std::string>());
    const models::HfNet net = models::read_hf_config(entry["config"], Json::object(), "config.json");
    std::string name, task;
    const Json config = models::write_hf_config(build(net), name, task);
    CHECK(name == entry["class"]);
    CHECK(!task.empty());
    const std::set<std::string> known_apart = {"n_inner", "torch_dtype", "rope_theta", "rope_scaling", "tie_word_embeddings"};
    std::size_t compared = 0;
    for (const auto& [key, value] : config.items()) {
      CAPTURE(key);
      if (known_apart.count(key) || !entry["config"].contains(key)) continue;
      CHECK(same(value, entry["config"][key]));
      ++compared;
    }
    CHECK(compared >= 9);
    const models::HfNet again = models::read_hf_config(config, Json::object(), "config.json");
    Json expected = net.options;
    if (const Json labels = entry["config"].value("id2label", Json()); labels.is_object() && net.options.contains("num_classes"))
      expected["num_classes"] = 2;  // the labels are the checkpoint's, and without any there are two
    for (const auto& [key, value] : expected.items()) {
      CAPTURE(key);
      if (value == 0 && (key == "head_dim" || key == "kv_heads" || key == "decoder_depth")) continue;  // 0 = as the others say
      CHECK(same(again.options[key], value));
    }
    CHECK(again.arch == net.arch);
  }
}

TEST_CASE("hf: nets that were changed are not as built, and have no class") {
  Graph graph = build(models::read_hf_config(stored()[0]["config"], Json::object(), "config.json"));
  CHECK(models::is_as_built(graph));
  Graph renamed = graph;
  renamed.nodes[0].name += "_";
  CHECK(!models::is_as_built(renamed));
  graph.meta["arch"] = "nothing";
  CHECK(!models::is_as_built(graph));
  graph.meta["arch"] = "resnet18";
  std::string name, task;
  CHECK(models::write_hf_config(graph, name, task).is_null());
}

TEST_CASE("hf: what a net does not compute is refused by key and value") {
  const Json entries = stored();
  const auto with = [&](const std::string& type, const char* key, const Json& value) {
    for (const Json& entry : entries) {
      if (entry["config"]["model_type"] != type) continue;
      Json config = entry["config"];
      config[key] = value;
      return refusal(config);
    }
    return std::string("no such type");
  };
  const auto has = [](const std::string& text, const char* part) {
    CAPTURE(text);
    CHECK(text.find(part) != std::string::npos);
  };
  has(with("bert", "hidden_act", "gelu_new"), "'hidden_act' is \"gelu_new\", the net computes \"gelu\"");
  has(with("bert", "position_embedding_type", "relative_key"), "'position_embedding_type' is \"relative_key\"");
  has(with("bert", "is_decoder", true), "'is_decoder' is true");
  has(with("bert", "hidden_size", 17), "expected a multiple of model.heads (2)");
  has(with("roberta", "pad_token_id", 0), "'pad_token_id' is 0, the net computes 1");
  has(with("gpt2", "activation_function", "relu"), "'activation_function' is \"relu\"");
  has(with("llama", "rope_parameters", {{"rope_type", "yarn"}, {"rope_theta", 1e4}}), "the net knows the rule of Llama 3.1 alone");
  has(with("llama", "attention_bias", true), "'attention_bias' is true");
  has(with("t5", "feed_forward_proj", "gated-silu"), "'feed_forward_proj' is \"gated-silu\"");
  has(with("t5", "architectures", Json::array({"T5EncoderModel"})), "class 'T5EncoderModel' of 'architectures' is none that is read: T5ForConditionalGeneration");
  has(with("bert", "architectures", "BertModel"), "expected a list of class names");
  has(with("bert", "num_hidden_layers", 0), "depth: ");
  has(with("bert", "num_hidden_layers", 1e300), "depth: ");
  has(refusal(Json::array()), "is array, expected an object");
}

TEST_CASE("hf: the architecture is the one whose own sizes are the nearest") {
  Json config = stored()[0]["config"];
  config.update({{"hidden_size", 384}, {"num_hidden_layers", 6}, {"num_attention_heads", 12}, {"intermediate_size", 1536}, {"vocab_size", 30522}});
  config["max_position_embeddings"] = 512;
  CHECK(models::read_hf_config(config, {{"head", "embedding"}, {"normalize", true}}, "c").arch == "minilm_l6");
  config.update({{"hidden_size", 128}, {"num_hidden_layers", 2}, {"num_attention_heads", 2}, {"intermediate_size", 512}});
  CHECK(models::read_hf_config(config, Json::object(), "c").arch == "bert_tiny");
  // options from elsewhere choose the class
  CHECK(models::read_hf_config(config, {{"head", "masked-lm"}}, "c").of->name == "BertForMaskedLM");
}
