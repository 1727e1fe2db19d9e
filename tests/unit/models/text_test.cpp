// Nets for texts: what their tensors' names and shapes do not say. (Names and shapes: zoo_test.cpp. Outputs: tests/unit/exec/parity_test.cpp.)
#include "base/graph/channels.h"
#include "unit/models/zoo.h"

using namespace ds;
using graph::Json;
using models::InputKind;

namespace {

graph::Graph make(const std::string& arch, const Json& options, const models::DataSizes& data, double dropout = -1) {
  return models::build(zoo::choice(arch, options), data, dropout);
}

std::string failure(const std::string& arch, const Json& options, const models::DataSizes& data) {
  try {
    make(arch, options, data);
  } catch (const Error& e) {
    CHECK((e.code() == Exit::kUsage));
    return e.where() + ": " + e.message();
  }
  return "no error";
}

models::DataSizes texts(std::int64_t classes, std::int64_t vocab = 0, std::int64_t length = 0) {
  return {.kind = InputKind::kTokens, .num_classes = classes, .vocab_size = vocab, .length = length};
}

std::vector<std::string> names(const std::vector<graph::Input>& inputs) {
  std::vector<std::string> all;
  for (const graph::Input& input : inputs) all.push_back(input.name + " " + graph::type_text(input.type));
  return all;
}

}  // namespace

TEST_CASE("text: a net for images is refused for texts and the other way round") {
  CHECK(models::takes("bert_tiny", InputKind::kTokens));
  CHECK(!models::takes("bert_tiny", InputKind::kImages));
  CHECK(!models::takes("resnet18", InputKind::kTokens));
  const models::DataSizes images{.num_classes = 3, .channels = 3, .height = 32, .width = 32};
  CHECK(failure("bert_tiny", Json::object(), images) == "model.arch: 'bert_tiny' takes texts, the data are images");
  CHECK(failure("resnet18", Json::object(), texts(3)) == "model.arch: 'resnet18' takes images, the data are texts");
}

TEST_CASE("text: vocabulary, classes and length are the data's unless the options say otherwise and fit") {
  const auto words = [](const graph::Graph& g) { return g.tensor("bert.embeddings.word_embeddings.weight").shape[0]; };
  CHECK(words(make("bert_tiny", Json::object(), texts(2))) == 30522);
  CHECK(words(make("bert_tiny", Json::object(), texts(2, 40))) == 40);
  CHECK(words(make("bert_tiny", {{"vocab_size", 64}}, texts(2, 40))) == 64);
  CHECK(failure("bert_tiny", {{"vocab_size", 30}}, texts(2, 40)) == "model.vocab_size: is 30, but the tokenizer has 40 entries");
  CHECK(failure("bert_tiny", Json::object(), texts(0)) == "model.num_classes: is 0, expected a number above 0");
  CHECK(failure("bert_tiny", {{"num_classes", 3}}, texts(2)) == "model.num_classes: is 3, but the data have 2");
  CHECK(failure("bert_tiny", {{"max_positions", 16}}, texts(2, 40, 17)) ==
        "model.max_positions: leaves room for 16 tokens, but the data have sequences of 17");
  // RoBERTa's table begins with two rows that no token has.
  CHECK(failure("roberta_base", {{"max_positions", 18}, {"depth", 1}}, texts(2, 40, 17)) ==
        "model.max_positions: leaves room for 16 tokens, but the data have sequences of 17");
  CHECK(failure("roberta_base", {{"max_positions", 2}}, texts(2, 40)) == "model.max_positions: is 2, expected at least 3: the first 2 are padding's");
  CHECK(failure("bert_tiny", {{"heads", 3}}, texts(2)) == "model.dim: is 128, expected a multiple of model.heads (3)");
  CHECK_NOTHROW(make("minilm_l6", {{"depth", 1}}, texts(0, 40)));  // an encoder of sentences has no classes
}

TEST_CASE("text: inputs and outputs are those that the heads say") {
  const std::vector<std::string> two{"input_ids int64[N, S]", "attention_mask int64[N, S]"};
  std::vector<std::string> three = two;
  three.push_back("token_type_ids int64[N, S]");
  for (const auto& [arch, inputs] : {std::pair{"bert_tiny", three}, {"minilm_l6", three}, {"roberta_base", two}, {"distilbert_base", two}}) {
    CAPTURE(arch);
    for (const auto& [head, outputs] : {std::pair<std::string, std::vector<std::string>>{"classification", {"logits float32[N, 7]"}},
                                        {"token", {"logits float32[N, S, 7]"}},
                                        {"masked-lm", {"logits float32[N, S, 24]"}},
                                        {"embedding", {"embedding float32[N, 24]"}}}) {
      CAPTURE(head);
      const graph::Graph g = zoo::build_small(arch, 7, {{"head", head}});
      CHECK(names(g.inputs) == inputs);
      const auto types = graph::infer_types(g);
      CHECK(g.outputs[0].name + " " + graph::type_text(types.at(g.outputs[0].value)) == outputs[0]);
      CHECK(g.meta["options"]["head"] == head);
    }
  }
  // The layer behind the first token of an encoder is an output of its own, or not there.
  CHECK(zoo::build_small("minilm_l6", 0).outputs.at(1).name == "pooled");
  CHECK(zoo::build_small("minilm_l6", 0, {{"pooler", false}}).outputs.size() == 1);
  CHECK(zoo::build_small("minilm_l6", 0, {{"pooler", false}}).find_tensor("pooler.dense.weight") == nullptr);
  CHECK(zoo::build_small("minilm_l6", 0, {{"normalize", false}}).find_node("normalize") == nullptr);
}

TEST_CASE("text: the scores of words have the table of the words for weights") {
  for (const auto& [arch, name, words, bias] : {std::tuple{"bert_tiny", "cls.predictions.decoder", "bert.", "cls.predictions.bias"},
                                                {"roberta_base", "lm_head.decoder", "roberta.", "lm_head.bias"},
                                                {"distilbert_base", "vocab_projector", "distilbert.", "vocab_projector.bias"}}) {
    const graph::Graph g = zoo::build_small(arch, 0, {{"head", "masked-lm"}});
    CHECK(g.find_node(name)->slots.at("weight").tensor == words + std::string("embeddings.word_embeddings.weight"));
    CHECK(g.find_node(name)->slots.at("bias").tensor == bias);
  }
}

TEST_CASE("text: weights start from N(0, 0.02), biases at 0, norms at 1") {
  const Json normal = {{"kind", "normal"}, {"mean", 0.0}, {"std", 0.02}};
  for (const char* arch : {"bert_tiny", "roberta_base", "distilbert_base", "minilm_l6"}) {
    CAPTURE(arch);
    for (const std::string& head : zoo::heads(arch)) {
      for (const graph::TensorSpec& t : zoo::build_small(arch, 7, {{"head", head}}).tensors) {
        CAPTURE(t.name);
        if (t.shape.size() == 2) CHECK(t.init == normal);
        else CHECK(t.init["kind"] == (t.name.ends_with("weight") ? "ones" : "zeros"));
      }
    }
  }
}

TEST_CASE("text: dropout is 0.1 behind the tables and every sum, unless it is stated") {
  const auto chances = [](const graph::Graph& g) {
    std::vector<double> all;
    for (const graph::Node& node : g.nodes)
      if (node.op == "dropout") all.push_back(node.attrs["p"]);
    return all;
  };
  CHECK(chances(zoo::build_small("bert_tiny", 7)) == std::vector<double>(1 + 2 * 2 + 1, 0.1));
  CHECK(chances(zoo::build_small("roberta_base", 7)) == std::vector<double>(1 + 2 * 2 + 2, 0.1));
  CHECK(chances(zoo::build_small("distilbert_base", 7)) == std::vector<double>{0.1, 0.1, 0.1, 0.2});
  CHECK(chances(make("bert_tiny", {{"depth", 1}}, texts(2, 40), 0)).empty());
  CHECK(chances(make("bert_tiny", {{"depth", 1}}, texts(2, 40), 0.3)) == std::vector<double>(4, 0.3));
}

TEST_CASE("text: heads and hidden features go, features of tokens only where norms may change") {
  const graph::Graph g = zoo::build_small("bert_tiny", 7);
  const graph::ChannelClasses all = graph::channel_classes(g);
  CHECK(all.notes.empty());
  const auto class_with = [&](const std::string& tensor, int axis) -> const graph::ChannelClass& {
    for (const graph::ChannelClass& c : all.classes)
      if (c.members.count({tensor, axis})) return c;
    FAIL("no class");
    return all.classes.front();
  };
  const std::string layer = "bert.encoder.layer.1.";
  CHECK(class_with(layer + "attention.self.query.weight", 0).members.at({layer + "attention.output.dense.weight", 1}).size() == 4);  // a head of 4
  CHECK(!class_with(layer + "attention.self.query.weight", 0).coupled);
  CHECK(class_with(layer + "intermediate.dense.weight", 0).members.at({layer + "output.dense.weight", 1}).size() == 1);
  CHECK(!class_with(layer + "intermediate.dense.weight", 0).frozen);
  const graph::ChannelClass& token = class_with(layer + "output.dense.weight", 0);
  CHECK(token.coupled);
  CHECK(token.members.count({"bert.embeddings.word_embeddings.weight", 1}) == 1);
  CHECK(token.members.count({"bert.pooler.dense.weight", 1}) == 1);
}
