#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>

#include "base/core/error.h"
#include "base/text/unicode.h"
#include "engine/commands/predict.h"

namespace ds::commands::predict {
namespace {

enum class Head { kClasses, kTokens, kMasked, kNext, kEmbedding, kNumbers };

/// Whether a token sees those before it alone.
bool is_causal(const graph::Graph& graph) {
  return std::any_of(graph.nodes.begin(), graph.nodes.end(),
                     [](const graph::Node& node) { return node.op == "attention" && node.attrs.value("causal", false); });
}

class Texts : public Kind {
 public:
  Texts(const Opened& opened, const PredictCommand& options)
      : file_(file_of(opened)), raw_(options.raw), jsonl_(options.jsonl), top_(options.top), tokenizer_(tokenizer_of(opened, file_)),
        targets_(opened.checkpoint.preprocessing, file_) {
    const Json& preprocessing = opened.checkpoint.preprocessing;
    const Json length = preprocessing.value("max_length", Json());
    if (!length.is_null() && (!length.is_number_unsigned() || length.get<std::uint64_t>() > (std::uint64_t{1} << 31)))
      throw Error(Exit::kInput, file_ + ":/documents/preprocessing", fmt::format("max_length is {}, expected a number of tokens", length.dump()));
    if (length.is_number_unsigned() && length.get<std::int64_t>() > 0) encode_.max_length = length.get<std::int64_t>();
    const graph::Graph& graph = opened.model.graph;
    for (const graph::Input& input : graph.inputs) {
      if (input.name != "input_ids" && input.name != "attention_mask" && input.name != "token_type_ids")
        throw Error(Exit::kInput, file_, fmt::format("the model takes '{}', which a text does not give", input.name),
                    "it can be run from the library");
      inputs_.push_back(input.name);
    }
    find_head(opened);
  }

  bool take(const std::string& source, std::int64_t line, Item& item) override {
    if (line == 1 && item.line.starts_with("\xEF\xBB\xBF")) item.line.erase(0, 3);
    item.name = item.line;
    const bool json = jsonl_ || source.ends_with(".jsonl");
    if (json) {
      try {
        read_object(item);
      } catch (const Error& e) {
        item.error = e.message();
      }
    }
    return true;
  }

  void read(Item& item) const override {
    item.tokens = item.pair ? tokenizer_.encode(item.line, *item.pair, encode_) : tokenizer_.encode(item.line, encode_);
    if (item.tokens.ids.empty()) throw Error(Exit::kInput, "", "has no tokens");
    for (const std::int64_t id : item.tokens.ids)
      if (id >= vocabulary_) throw Error(Exit::kInput, "", fmt::format("has token {} of the tokenizer, but the model knows {}", id, vocabulary_));
    if (head_ == Head::kMasked && !raw_ && std::find(item.tokens.ids.begin(), item.tokens.ids.end(), mask_) == item.tokens.ids.end())
      throw Error(Exit::kInput, "", fmt::format("has no {} to be filled", *tokenizer_.token(mask_)));
  }

  std::int64_t size(const Item& item) const override { return static_cast<std::int64_t>(item.tokens.ids.size()); }

  std::vector<at::Tensor> batch(const std::vector<const Item*>& items) const override {
    std::vector<text::Encoding> encodings;
    for (const Item* item : items) encodings.push_back(item->tokens);
    const text::Batch batch = tokenizer_.pad(encodings);
    std::vector<at::Tensor> inputs;
    for (const std::string& name : inputs_) {
      const io::Array& array = name == "input_ids" ? batch.input_ids : name == "attention_mask" ? batch.attention_mask : batch.token_type_ids;
      at::Tensor tensor = at::empty(array.shape, at::TensorOptions().dtype(at::kLong));
      std::copy_n(array.as<std::int64_t>(), array.numel(), tensor.mutable_data_ptr<std::int64_t>());
      inputs.push_back(tensor);
    }
    return inputs;
  }

  at::Tensor own(const Item& item, const at::Tensor& row) const override { return row.dim() == 2 ? row.narrow(0, 0, size(item)) : row; }

  std::string values(const Item& item, const at::Tensor& scores) const override {
    const float* values = scores.const_data_ptr<float>();
    const std::int64_t width = scores.size(-1);
    switch (head_) {
      case Head::kEmbedding:
        return ",\"embedding\":" + nested(scores.sizes(), values);
      case Head::kNumbers:
        return numbers(scores, targets_);
      case Head::kClasses:
        return labels_and_scores(values, labels_, top_);
      case Head::kTokens:
        return token_labels(item, values, width);
      case Head::kMasked:
        return filled(item, values, width);
      case Head::kNext:
        return ",\"next\":" + tokens_and_scores(values + (size(item) - 1) * width, width);
    }
    return "";
  }

 private:
  static text::Tokenizer tokenizer_of(const Opened& opened, const std::string& file) {
    if (opened.checkpoint.tokenizer.is_null())
      throw Error(Exit::kInput, file, "has no tokenizer, which makes tokens of texts",
                  "convert the model from its folder, where the tokenizer's files are");
    return text::Tokenizer(opened.checkpoint.tokenizer, file + ":/documents/tokenizer");
  }

  /// What the output means: by its name and shape, and whether the classes are the vocabulary.
  void find_head(const Opened& opened) {
    const graph::Graph& graph = opened.model.graph;
    const auto types = graph::infer_types(graph);
    const auto& dims = types.at(graph.outputs.at(0).value).dims;
    vocabulary_ = INT64_MAX;
    for (const graph::Node& node : graph.nodes) {
      if (node.op != "embedding" || node.inputs.empty() || node.inputs[0] != "input_ids" || !node.slots.contains("weight")) continue;
      for (const graph::TensorSpec& tensor : graph.tensors)
        if (tensor.name == node.slots.at("weight").tensor) vocabulary_ = tensor.shape.at(0);
    }
    if (raw_) return;
    const bool known = !dims.empty() && dims.back().is_known();
    if (dims.size() == 2 && graph.outputs[0].name == "embedding") {
      head_ = Head::kEmbedding;
    } else if (dims.size() == 2 && !targets_.empty()) {
      head_ = Head::kNumbers;
    } else if (dims.size() == 2 && known) {
      head_ = Head::kClasses;
      labels_ = read_labels(opened, dims.back().value());
    } else if (dims.size() == 3 && known) {
      const std::int64_t classes = dims.back().value();
      const Json& labels = opened.checkpoint.labels;
      const bool named = labels.is_array() && static_cast<std::int64_t>(labels.size()) == classes;
      const bool language = !named && classes >= tokenizer_.size();
      head_ = !language ? Head::kTokens : is_causal(graph) ? Head::kNext : Head::kMasked;
      if (!language) labels_ = read_labels(opened, classes);
      if (head_ == Head::kMasked) {
        const auto mask = tokenizer_.named("mask_token");
        if (!mask) throw Error(Exit::kInput, file_, "fills masks, but its tokenizer has no mask token", "--raw prints any output");
        mask_ = *mask;
      }
    } else {
      throw Error(Exit::kInput, file_,
                  fmt::format("its output is {}, of which no labels are known", graph::type_text(types.at(graph.outputs[0].value))),
                  "--raw prints any output");
    }
  }

  void read_object(Item& item) const {
    const Json json = Json::parse(item.line, nullptr, false);
    if (!json.is_object() || !json.contains("text") || !json["text"].is_string() || (json.contains("pair") && !json["pair"].is_string()))
      throw Error(Exit::kInput, "", "is no JSON object with a \"text\" (and a \"pair\")");
    item.name = item.line = json["text"].get<std::string>();
    if (!json.contains("pair")) return;
    item.pair = json["pair"].get<std::string>();
    item.more = ",\"pair\":" + json_text(*item.pair);
  }

  /// {"tokens":[...],"scores":[...]}, the likeliest first.
  std::string tokens_and_scores(const float* values, std::int64_t width) const {
    std::string tokens, shares;
    for (const Best& found : best(values, std::min(width, tokenizer_.size()), top_)) {
      tokens += (tokens.empty() ? "" : ",") + json_text(tokenizer_.decode({found.index}, false));
      shares += fmt::format("{}{:.6f}", shares.empty() ? "" : ",", found.share);
    }
    return "{\"tokens\":[" + tokens + "],\"scores\":[" + shares + "]}";
  }

  /// For each token of the text itself the likeliest label.
  std::string token_labels(const Item& item, const float* values, std::int64_t width) const {
    std::string tokens, labels, shares;
    for (std::size_t i = 0; i < item.tokens.ids.size(); ++i, values += width) {
      if (item.tokens.special[i] != 0) continue;
      const char* comma = tokens.empty() ? "" : ",";
      const Best found = best(values, width, 1)[0];
      tokens += comma + json_text(tokenizer_.token(item.tokens.ids[i]).value_or(""));
      labels += comma + labels_[static_cast<std::size_t>(found.index)];
      shares += fmt::format("{}{:.6f}", comma, found.share);
    }
    return ",\"tokens\":[" + tokens + "],\"labels\":[" + labels + "],\"scores\":[" + shares + "]";
  }

  /// Each mask's likeliest tokens, and the text with the first of each.
  std::string filled(const Item& item, const float* values, std::int64_t width) const {
    std::string masks;
    std::vector<std::int64_t> ids = item.tokens.ids;
    for (std::int64_t& id : ids) {
      if (id == mask_) {
        masks += (masks.empty() ? "" : ",") + tokens_and_scores(values, width);
        id = best(values, std::min(width, tokenizer_.size()), 1)[0].index;
      }
      values += width;
    }
    return ",\"filled\":" + json_text(tokenizer_.decode(ids)) + ",\"masks\":[" + masks + "]";
  }

  std::string file_;
  bool raw_, jsonl_;
  std::int64_t top_;
  text::Tokenizer tokenizer_;
  data::Targets targets_;
  text::EncodeOptions encode_;
  std::vector<std::string> inputs_, labels_;
  Head head_ = Head::kClasses;
  std::int64_t mask_ = -1, vocabulary_ = 0;
};

}  // namespace

std::unique_ptr<Kind> texts(const Opened& opened, const PredictCommand& options) { return std::make_unique<Texts>(opened, options); }

}  // namespace ds::commands::predict
