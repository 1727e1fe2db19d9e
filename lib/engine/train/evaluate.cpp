#include <ATen/core/grad_mode.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <fmt/format.h>

#include <cmath>

#include "base/core/error.h"
#include "base/core/interval.h"
#include "base/core/signals.h"
#include "engine/train/state.h"

namespace ds::train {

std::pair<double, double> wilson(std::int64_t correct, std::int64_t n) {
  return core::wilson(n > 0 ? static_cast<double>(correct) / static_cast<double>(n) : 0, static_cast<double>(n));
}

Json Evaluation::metrics(const std::string& prefix) const {
  Json json = Json::object();
  json[prefix + "_n"] = n;
  json[prefix + "_loss"] = loss;
  json[prefix + "_top1"] = top1;
  json[prefix + "_top1_low"] = top1_low;
  json[prefix + "_top1_high"] = top1_high;
  if (classes > 5) json[prefix + "_top5"] = top5;
  if (language) json[prefix + "_perplexity"] = std::exp(loss);
  return json;
}

std::int64_t output_classes(const graph::Graph& graph) {
  if (graph.outputs.empty()) throw Error(Exit::kInput, "graph", "no output");
  const auto types = graph::infer_types(graph);
  const auto& dims = types.at(graph.outputs[0].value).dims;
  const graph::Dim classes = dims.empty() ? graph::Dim(0) : dims.size() == 4 ? dims[1] : dims.back();  // a class a pixel: [N, C, H, W]
  if (dims.empty() || !classes.is_known())
    throw Error(Exit::kInput, graph.outputs[0].name,
                fmt::format("{} is no vector of class scores", graph::type_text(types.at(graph.outputs[0].value))));
  return classes.value();
}

namespace {

std::string dims_text(at::IntArrayRef dims) {
  std::string text;
  for (const std::int64_t dim : dims) text += (text.empty() ? "" : "x") + std::to_string(dim);
  return text;
}

/// Adds one batch of logits [n, classes], float32 contiguous, with labels [n] and ids [n] of samples, to the counts.
void count(Evaluation& result, const at::Tensor& logits, const at::Tensor& labels, const at::Tensor& ids, double& loss_sum, std::int64_t& correct5) {
  const std::int64_t rows = logits.size(0), classes = logits.size(1);
  const float* scores = logits.const_data_ptr<float>();
  const std::int64_t* truth = labels.const_data_ptr<std::int64_t>();
  for (std::int64_t row = 0; row < rows; ++row, scores += classes) {
    const std::int64_t label = truth[row];
    std::int64_t best = 0;
    for (std::int64_t c = 1; c < classes; ++c)
      if (scores[c] > scores[best]) best = c;
    double sum = 0;
    std::int64_t above = 0;
    for (std::int64_t c = 0; c < classes; ++c) {
      sum += std::exp(static_cast<double>(scores[c]) - scores[best]);
      above += scores[c] > scores[label] || (scores[c] == scores[label] && c < label);
    }
    const bool sane = std::isfinite(scores[label]);
    loss_sum += std::log(sum) + scores[best] - scores[label];
    result.correct += sane && best == label;
    correct5 += sane && above < 5;
    result.predictions.push_back(best);
    result.labels.push_back(label);
    result.ids.push_back(ids.const_data_ptr<std::int64_t>()[row]);
    result.confidences.push_back(static_cast<float>(1 / sum));
    if (!result.confusion.empty()) ++result.confusion[static_cast<std::size_t>(label)][static_cast<std::size_t>(best)];
  }
}

/// Every input must be one that tokens give, and each id must have a row in what looks it up.
void check_tokens(const graph::Graph& graph, const data::Dataset& data, const std::string& where) {
  for (const graph::Input& input : graph.inputs) {
    if (input.type.dtype != graph::DType::kI64 || input.type.dims.size() != 2)
      throw Error(Exit::kInput, where, fmt::format("the model takes {} as '{}', data '{}' has tokens, int64[N, S]", graph::type_text(input.type),
                                                   input.name, data.spec));
    if (input.name != "input_ids" && input.name != "attention_mask" && input.name != "token_type_ids")
      throw Error(Exit::kInput, where, fmt::format("the model takes an input '{}', which data '{}' does not have", input.name, data.spec),
                  "data of tokens have input_ids, attention_mask and token_type_ids");
    const graph::Dim& most = input.type.dims[1];
    if (most.is_known()) throw Error(Exit::kInput, where, fmt::format("the model takes sequences of {} tokens alone, expected any length", most.value()));
    for (const graph::Node* user : graph.users(input.name)) {
      if (input.name != "input_ids" || user->op != "embedding") continue;
      const std::int64_t rows = graph.tensor(user->slots.at("weight").tensor).shape.at(0);
      if (data.tokens().vocab_size > rows)
        throw Error(Exit::kInput, where, fmt::format("the model knows {} tokens, data '{}' has ids up to {}", rows, data.spec, data.tokens().vocab_size - 1));
    }
  }
}

}  // namespace

at::Tensor cross_entropy(const at::Tensor& logits, const at::Tensor& labels, double smoothing) {
  const at::Tensor rows = labels.dim() == 1 ? logits : logits.flatten(0, 1);
  return at::cross_entropy_loss(rows, labels.flatten(), {}, at::Reduction::Mean, -100, smoothing);
}

bool gives_embeddings(const graph::Graph& graph) { return !graph.outputs.empty() && graph.outputs[0].name == "embedding"; }

void check_inputs(const graph::Graph& graph, const data::Dataset& data, const std::string& where) {
  if (graph.inputs.empty()) throw Error(Exit::kInput, where, "the graph has no input");
  if (data.has_tokens()) return check_tokens(graph, data, where);
  const auto& dims = graph.inputs[0].type.dims;
  const at::Tensor& images = data.train.size() > 0 ? data.train.images : data.test.size() > 0 ? data.test.images : data.val.images;
  bool fits = !images.defined() || static_cast<std::size_t>(images.dim()) == dims.size();
  for (std::size_t i = 1; fits && images.defined() && i < dims.size(); ++i)
    fits = !dims[i].is_known() || dims[i].value() == images.size(static_cast<std::int64_t>(i));
  if (!fits)
    throw Error(Exit::kInput, where, fmt::format("the model takes {}, data '{}' has images of {}", graph::type_text(graph.inputs[0].type), data.spec,
                                                 dims_text(images.sizes().slice(1))));
}

void check_fit(const graph::Graph& graph, const data::Dataset& data, const std::string& where) {
  if (gives_embeddings(graph))
    throw Error(Exit::kInput, where, "the model gives embeddings, which tell no classes apart",
                "ds-predict prints them; ds-prune and ds-quantize hold them against those of the model before");
  const std::int64_t classes = output_classes(graph);
  if (classes != data.num_classes)
    throw Error(Exit::kInput, where, fmt::format("the model tells {} classes apart, data '{}' has {}", classes, data.spec, data.num_classes));
  check_inputs(graph, data, where);
  const bool each_token = data.has_tokens() && data.tokens().target != data::Target::kClass;
  const graph::ValueType scores = graph::infer_types(graph).at(graph.outputs[0].value);
  if (scores.dims.size() != (each_token ? 3 : 2))
    throw Error(Exit::kInput, where, fmt::format("the model gives {}, data '{}' asks for scores of {}", graph::type_text(scores), data.spec,
                                                 each_token ? "each token, [N, S, classes]" : "each sample, [N, classes]"));
}

bool evaluate_into(Evaluation& result, exec::Executor& executor, const data::Split& split, const Json& preprocessing, std::int64_t num_classes,
                   std::int64_t batch_size, const exec::PlanOptions& plan, bool autocast, bool stoppable) {
  const at::NoGradGuard no_grad;
  result = {};
  result.classes = num_classes;
  const data::Target target = split.tokens.target;
  const bool of_tokens = target != data::Target::kClass;
  result.language = target == data::Target::kNext || target == data::Target::kMasked;
  if (num_classes <= kMostConfusion)
    result.confusion.assign(static_cast<std::size_t>(num_classes), std::vector<std::int64_t>(static_cast<std::size_t>(num_classes), 0));
  double loss_sum = 0;
  std::int64_t correct5 = 0;
  // Scores of each token of a large vocabulary take more memory than all else: at most 2^26 of them at once.
  if (of_tokens) batch_size = std::clamp<std::int64_t>((1 << 26) / (num_classes * std::max<std::int64_t>(1, split.tokens.longest())), 1, batch_size);
  for (std::int64_t first = 0; first < split.size(); first += batch_size) {
    if (stoppable && core::stop_requested()) return false;
    const std::int64_t rows = std::min(batch_size, split.size() - first);
    exec::RunContext context;
    context.autocast = autocast;
    const data::Batch batch = data::batch_of(split, preprocessing, first, rows);
    at::Tensor logits = executor.run(batch.inputs, context, plan).at(0).to(at::kFloat).contiguous(), labels = batch.labels, ids = batch.ids;
    if (logits.dim() != labels.dim() + 1 || logits.size(-1) != num_classes)
      throw Error(Exit::kInput, executor.model().graph.outputs[0].name,
                  fmt::format("scores of {}, expected {}x{} for the data's classes", dims_text(logits.sizes()), dims_text(labels.sizes()), num_classes));
    if (of_tokens) {
      const at::Tensor asked = labels.flatten().ge(0).nonzero().flatten();
      ids = ids.unsqueeze(1).expand_as(labels).flatten().index_select(0, asked);
      logits = logits.flatten(0, 1).index_select(0, asked);
      labels = labels.flatten().index_select(0, asked);
    }
    count(result, logits, labels, ids, loss_sum, correct5);
  }
  result.n = static_cast<std::int64_t>(result.predictions.size());
  const double n = static_cast<double>(std::max<std::int64_t>(1, result.n));
  result.loss = loss_sum / n;
  result.top1 = static_cast<double>(result.correct) / n;
  result.top5 = static_cast<double>(correct5) / n;
  std::tie(result.top1_low, result.top1_high) = wilson(result.correct, result.n);
  return true;
}

Evaluation evaluate(exec::Executor& executor, const data::Split& split, const Json& preprocessing, std::int64_t num_classes,
                    std::int64_t batch_size, bool stoppable) {
  Evaluation result;
  if (!evaluate_into(result, executor, split, preprocessing, num_classes, batch_size, {}, false, stoppable))
    throw Error(Exit::kInterrupted, "", "stopped by a signal");
  return result;
}

}  // namespace ds::train
