#include <ATen/core/grad_mode.h>
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
  return json;
}

std::int64_t output_classes(const graph::Graph& graph) {
  if (graph.outputs.empty()) throw Error(Exit::kInput, "graph", "no output");
  const auto types = graph::infer_types(graph);
  const auto& dims = types.at(graph.outputs[0].value).dims;
  if (dims.empty() || !dims.back().is_known())
    throw Error(Exit::kInput, graph.outputs[0].name,
                fmt::format("{} is no vector of class scores", graph::type_text(types.at(graph.outputs[0].value))));
  return dims.back().value();
}

namespace {

std::string dims_text(at::IntArrayRef dims) {
  std::string text;
  for (const std::int64_t dim : dims) text += (text.empty() ? "" : "x") + std::to_string(dim);
  return text;
}

/// Adds one batch of logits [n, classes], float32 contiguous, with labels [n], to the counts.
void count(Evaluation& result, const at::Tensor& logits, const at::Tensor& labels, double& loss_sum, std::int64_t& correct5) {
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
    result.confidences.push_back(static_cast<float>(1 / sum));
    ++result.confusion[static_cast<std::size_t>(label)][static_cast<std::size_t>(best)];
  }
}

}  // namespace

void check_fit(const graph::Graph& graph, const data::Dataset& data, const std::string& where) {
  const std::int64_t classes = output_classes(graph);
  if (classes != data.num_classes)
    throw Error(Exit::kInput, where, fmt::format("the model tells {} classes apart, data '{}' has {}", classes, data.spec, data.num_classes));
  if (graph.inputs.empty()) throw Error(Exit::kInput, where, "the graph has no input");
  const auto& dims = graph.inputs[0].type.dims;
  const at::Tensor& images = data.train.size() > 0 ? data.train.images : data.test.size() > 0 ? data.test.images : data.val.images;
  bool fits = !images.defined() || static_cast<std::size_t>(images.dim()) == dims.size();
  for (std::size_t i = 1; fits && images.defined() && i < dims.size(); ++i)
    fits = !dims[i].is_known() || dims[i].value() == images.size(static_cast<std::int64_t>(i));
  if (!fits)
    throw Error(Exit::kInput, where, fmt::format("the model takes {}, data '{}' has images of {}", graph::type_text(graph.inputs[0].type), data.spec,
                                                 dims_text(images.sizes().slice(1))));
}

bool evaluate_into(Evaluation& result, exec::Executor& executor, const data::Split& split, const Json& preprocessing, std::int64_t num_classes,
                   std::int64_t batch_size, const exec::PlanOptions& plan, bool autocast, bool stoppable) {
  const at::NoGradGuard no_grad;
  result = {};
  result.classes = num_classes;
  result.confusion.assign(static_cast<std::size_t>(num_classes), std::vector<std::int64_t>(static_cast<std::size_t>(num_classes), 0));
  double loss_sum = 0;
  std::int64_t correct5 = 0;
  for (std::int64_t first = 0; first < split.size(); first += batch_size) {
    if (stoppable && core::stop_requested()) return false;
    const std::int64_t rows = std::min(batch_size, split.size() - first);
    const at::Tensor labels = split.labels.narrow(0, first, rows).contiguous();
    exec::RunContext context;
    context.autocast = autocast;
    const at::Tensor images = data::preprocess(split.images.narrow(0, first, rows), preprocessing);
    const at::Tensor logits = executor.run({images}, context, plan).at(0).to(at::kFloat).contiguous();
    if (logits.dim() != 2 || logits.size(1) != num_classes)
      throw Error(Exit::kInput, executor.model().graph.outputs[0].name,
                  fmt::format("scores of {}, expected {}x{} for the data's classes", dims_text(logits.sizes()), rows, num_classes));
    count(result, logits, labels, loss_sum, correct5);
  }
  result.n = split.size();
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
