#include <fmt/format.h>

#include "base/commands/convert_hf.h"
#include "base/core/yaml.h"
#include "base/graph/graph.h"

namespace ds::commands {
namespace hf_card {

using io::Json;

constexpr std::size_t kMostLabels = 20;  ///< listed by name

std::string grouped(std::int64_t number) {
  std::string digits = std::to_string(number);
  for (std::ptrdiff_t at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > 0; at -= 3) digits.insert(static_cast<std::size_t>(at), ",");
  return digits;
}

/// As text of Markdown that means nothing else: labels and command lines are what people wrote.
std::string plain(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\n' || c == '\r') out += ' ';
    else if (std::string("\\`*_{}[]<>#|").find(c) != std::string::npos) out += std::string("\\") + c;
    else out += c;
  }
  return out;
}

/// A line of numbers as a table: what the last epoch and an evaluation say.
std::string metrics(const io::Checkpoint& checkpoint) {
  std::string rows;
  if (checkpoint.history.is_array() && !checkpoint.history.empty() && checkpoint.history.back().is_object())
    for (const auto& [key, value] : checkpoint.history.back().items())
      if (value.is_number() && (key.find("loss") != std::string::npos || key.starts_with("val_") || key.starts_with("test_") || key == "epoch"))
        rows += fmt::format("| {} | {} |\n", plain(key), value.dump());
  if (const Json& e = checkpoint.evaluation; e.is_object() && e.contains("top1") && e["top1"].is_number())
    rows += fmt::format("| top-1 on {} ({} samples) | {} |\n", plain(e.value("split", std::string("test"))), e.value("n", std::int64_t{0}), e["top1"].dump());
  return rows.empty() ? "" : "## Metrics\n\n| metric | value |\n| --- | --- |\n" + rows + "\n";
}

std::string labels(const Json& labels) {
  if (!labels.is_array() || labels.empty()) return "";
  std::string text = fmt::format("It tells {} classes apart: ", labels.size());
  for (std::size_t i = 0; i < std::min(labels.size(), kMostLabels); ++i) text += (i > 0 ? ", " : "") + plain(labels[i].get<std::string>());
  return text + (labels.size() > kMostLabels ? " ...\n\n" : ".\n\n");
}

std::string loading(const ModelCard& card) {
  const std::string own = "    ds-convert FOLDER/ -o model.h5\n    ds-predict model.h5 INPUT...\n";
  std::string text = "## Loading it\n\n" + own;
  if (card.library == "sentence-transformers")
    text += "\nor in Python, `FOLDER` being where these files are:\n\n```python\nfrom sentence_transformers import SentenceTransformer\n\n"
            "SentenceTransformer(\"FOLDER\").encode([\"a text\"])\n```\n";
  if (card.library == "transformers" || card.library == "sentence-transformers")
    text += fmt::format("\n```python\nfrom transformers import AutoTokenizer, {}\n\nmodel = {}.from_pretrained(\"FOLDER\")\n"
                        "tokenizer = AutoTokenizer.from_pretrained(\"FOLDER\")\n```\n",
                        card.class_name, card.class_name);
  if (card.library == "timm")
    text += "\n```python\nimport timm\n\nmodel = timm.create_model(\"local-dir:FOLDER\", pretrained=True)\n```\n";
  return text + "\n";
}

}  // namespace hf_card

std::string model_card(const ModelCard& card) {
  const io::Checkpoint& checkpoint = card.checkpoint;
  const graph::Graph graph = graph::from_json(checkpoint.graph, "graph");
  const graph::Cost cost = graph::cost(graph);
  std::string text = "---\n";
  text += fmt::format("library_name: {}\n", card.library);
  if (!card.task.empty()) text += fmt::format("pipeline_tag: {}\n", card.task);
  text += "tags:\n- ds\n";
  const std::string arch = graph.meta.value("arch", "");
  if (!arch.empty()) text += fmt::format("- {}\n", core::yaml_string(arch));
  text += fmt::format("---\n\n# {}\n\n", hf_card::plain(card.name));
  text += fmt::format("{}, {} parameters", arch.empty() ? "A net" : hf_card::plain(arch), hf_card::grouped(cost.parameters));
  text += fmt::format(", {} bytes of tensors. It takes", hf_card::grouped(cost.tensor_bytes));
  for (std::size_t i = 0; i < graph.inputs.size(); ++i)
    text += fmt::format("{} `{}` {}", i > 0 ? "," : "", graph.inputs[i].name, graph::type_text(graph.inputs[i].type));
  const auto types = graph::infer_types(graph);
  text += " and gives";
  for (std::size_t i = 0; i < graph.outputs.size(); ++i)
    text += fmt::format("{} `{}` {}", i > 0 ? "," : "", graph.outputs[i].name, graph::type_text(types.at(graph.outputs[i].value)));
  text += ".\n\n" + hf_card::labels(checkpoint.labels) + hf_card::metrics(checkpoint);
  if (checkpoint.provenance.is_array() && !checkpoint.provenance.empty()) {
    text += "## How it was made\n\n";
    for (const io::Json& step : checkpoint.provenance) text += "    " + provenance_line(step) + "\n";
    text += "\n";
  }
  return text + hf_card::loading(card) + fmt::format("Digest of graph and tensors: `{}`\n", checkpoint.digest);
}

}  // namespace ds::commands
