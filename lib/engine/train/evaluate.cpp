#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <fmt/format.h>

#include <cmath>

#include "base/core/error.h"
#include "base/core/interval.h"
#include "base/core/signals.h"
#include "engine/data/targets.h"
#include "engine/train/metrics/metrics.h"
#include "engine/train/state.h"

namespace ds::train {

std::pair<double, double> wilson(std::int64_t correct, std::int64_t n) {
  return core::wilson(n > 0 ? static_cast<double>(correct) / static_cast<double>(n) : 0, static_cast<double>(n));
}

Json Evaluation::metrics(const std::string& prefix) const {
  Json json = Json::object();
  json[prefix + "_n"] = n;
  json[prefix + "_loss"] = loss;
  if (classes > 0) {
    json[prefix + "_top1"] = top1;
    json[prefix + "_top1_low"] = top1_low;
    json[prefix + "_top1_high"] = top1_high;
    if (classes > 5) json[prefix + "_top5"] = top5;
    if (language) json[prefix + "_perplexity"] = std::exp(loss);
  }
  for (const auto& [name, value] : figures.items()) json[prefix + "_" + name] = value;
  return json;
}

namespace {

bool has_numbers(const data::Split& split) { return split.labels.defined() && split.labels.is_floating_point() && !data::of_pairs(split.tokens.target); }

const char* primary_of(const data::Split& split) {
  const data::Target target = split.tokens.target;
  return has_numbers(split) ? "r2" : target == data::Target::kScored ? "spearman" : data::of_vectors(target) ? "recall1" : "top1";
}

}  // namespace

const char* primary_metric(const data::Dataset& data) { return primary_of(data.train); }

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

constexpr std::int64_t kMostScores = std::int64_t{1} << 24;  ///< kept for AUROC; sorting more takes seconds

/// Sums over the batches of a split.
struct Tally {
  double loss = 0;
  std::int64_t correct5 = 0;
  bool detailed = false;
  std::vector<double> losses;           ///< [n] where detailed
  std::vector<bool> right;              ///< the same
  std::vector<float> shares;            ///< [n, classes] softmax, where detailed and not too many
};

/// Adds one batch of logits [n, classes], float32 contiguous, with labels [n] and ids [n] of samples, to the counts.
void count(Evaluation& result, const at::Tensor& logits, const at::Tensor& labels, const at::Tensor& ids, Tally& tally) {
  const std::int64_t rows = logits.size(0), classes = logits.size(1);
  const float* scores = logits.const_data_ptr<float>();
  const std::int64_t* truth = labels.const_data_ptr<std::int64_t>();
  const bool keep = tally.detailed && (static_cast<std::int64_t>(result.predictions.size()) + rows) * classes <= kMostScores;
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
    const double loss = std::log(sum) + scores[best] - scores[label];
    tally.loss += loss;
    result.correct += sane && best == label;
    tally.correct5 += sane && above < 5;
    result.predictions.push_back(best);
    result.labels.push_back(label);
    result.ids.push_back(ids.const_data_ptr<std::int64_t>()[row]);
    result.confidences.push_back(static_cast<float>(1 / sum));
    if (!result.confusion.empty()) ++result.confusion[static_cast<std::size_t>(label)][static_cast<std::size_t>(best)];
    if (!tally.detailed) continue;
    tally.losses.push_back(loss);
    tally.right.push_back(sane && best == label);
    for (std::int64_t c = 0; keep && c < classes; ++c)
      tally.shares.push_back(static_cast<float>(std::exp(static_cast<double>(scores[c]) - scores[best]) / sum));
  }
}

void finish_classes(Evaluation& result, const Tally& tally) {
  result.n = static_cast<std::int64_t>(result.predictions.size());
  const double n = static_cast<double>(std::max<std::int64_t>(1, result.n));
  result.loss = tally.loss / n;
  result.score = result.top1 = static_cast<double>(result.correct) / n;
  result.top5 = static_cast<double>(tally.correct5) / n;
  std::tie(result.top1_low, result.top1_high) = wilson(result.correct, result.n);
  if (!tally.detailed || result.n == 0) return;
  const metrics::Estimate loss = metrics::mean(tally.losses, 0);
  result.figures["loss_low"] = loss.low, result.figures["loss_high"] = loss.high;
  if (result.classes > 5)
    std::tie(result.figures["top5_low"], result.figures["top5_high"]) = wilson(tally.correct5, result.n);
  if (result.language) {
    result.figures["perplexity_low"] = std::exp(loss.low), result.figures["perplexity_high"] = std::exp(loss.high);
    return;  // a class a word: means over the classes say nothing
  }
  metrics::put_classes(result.figures, result.labels, result.predictions, result.classes);
  if (tally.shares.size() == result.predictions.size() * static_cast<std::size_t>(result.classes))
    metrics::put(result.figures, "auroc", metrics::auroc(tally.shares, result.labels, result.classes));
  metrics::put(result.figures, "ece", metrics::calibration_error(result.confidences, tally.right));
}

void finish_numbers(Evaluation& result, const std::vector<at::Tensor>& outputs, const data::Split& split, const data::Targets& targets, bool detailed) {
  const at::Tensor all = at::cat(outputs), wanted = targets.standardised(split.labels);
  const at::Tensor losses = all.to(at::kDouble).sub(wanted.to(at::kDouble)).square().mean(1).contiguous();
  result.n = split.size();
  result.predicted = targets.restored(all);
  result.truth = split.labels.to(at::kDouble).contiguous();
  const auto* each = losses.const_data_ptr<double>();
  const metrics::Estimate loss = metrics::mean({each, each + losses.numel()}, 0);
  result.loss = loss.value;
  if (std::isfinite(loss.value)) metrics::put_numbers(result.figures, result.predicted, result.truth);
  result.score = result.figures.value("r2", -1e300);
  if (detailed) result.figures["loss_low"] = loss.low, result.figures["loss_high"] = loss.high;
}

void finish_vectors(Evaluation& result, const std::vector<at::Tensor>& outputs, const data::Split& split) {
  constexpr double kTemperature = 0.05;
  constexpr std::int64_t kRows = 64;  // vectors that are held against one another by the loss
  const at::Tensor all = at::cat(outputs), firsts = all.slice(0, 0, {}, 2), seconds = all.slice(0, 1, {}, 2);
  const data::Target target = split.tokens.target;
  result.n = data::of_pairs(target) ? split.size() / 2 : split.size();
  metrics::Estimate figure;
  double sum = 0;
  for (std::int64_t first = 0; target != data::Target::kScored && first < split.size(); first += kRows) {
    const std::int64_t rows = std::min(kRows, split.size() - first);
    const at::Tensor block = all.narrow(0, first, rows);
    sum += (target == data::Target::kPair ? pair_loss(block, kTemperature) : near_loss(block, split.labels.narrow(0, first, rows), kTemperature))
               .sum().item<double>();
  }
  if (target == data::Target::kScored) {
    const at::Tensor cosine = unit_rows(firsts).mul(unit_rows(seconds)).sum(1).to(at::kDouble).contiguous();
    const at::Tensor score = split.labels.slice(0, 0, {}, 2).squeeze(1).to(at::kDouble).contiguous();
    sum = 2 * cosine.sub(score).square().sum().item<double>();
    const auto *a = cosine.const_data_ptr<double>(), *b = score.const_data_ptr<double>();
    figure = metrics::spearman({a, a + result.n}, {b, b + result.n});
  } else {
    figure = target == data::Target::kPair ? metrics::recall_at_1(firsts, seconds, {}) : metrics::recall_at_1(all, all, split.labels.contiguous());
  }
  result.loss = sum / static_cast<double>(split.size());
  result.score = std::isfinite(figure.value) ? figure.value : -1;
  metrics::put(result.figures, result.primary, figure);
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
  const data::Target target = data.train.tokens.target;
  if (data::of_vectors(target) != gives_embeddings(graph)) {
    if (data::of_vectors(target))
      throw Error(
          Exit::kInput, where,
          fmt::format("the model gives '{}', data '{}' ask for a vector of each text", graph.outputs.empty() ? "" : graph.outputs[0].name, data.spec),
          "take a net with model.head: embedding");
    throw Error(Exit::kInput, where, "the model gives embeddings, which tell no classes apart",
                "ds-predict prints them; ds-prune and ds-quantize hold them against those of the model before; csv:FILE?task=embedding trains them");
  }
  check_inputs(graph, data, where);
  if (data::of_vectors(target)) return;
  const std::int64_t classes = output_classes(graph);
  const char* things = data.values.empty() ? "classes" : "numbers";
  if (classes != data.num_classes)
    throw Error(
        Exit::kInput, where,
        fmt::format("the model tells {} {}{}, data '{}' has {}", classes, things, data.values.empty() ? " apart" : "", data.spec, data.num_classes));
  const bool each_token = data.has_tokens() && data::of_each_token(target);
  const graph::ValueType scores = graph::infer_types(graph).at(graph.outputs[0].value);
  if (scores.dims.size() != (each_token ? 3 : 2))
    throw Error(Exit::kInput, where, fmt::format("the model gives {}, data '{}' asks for scores of {}", graph::type_text(scores), data.spec,
                                                 each_token ? "each token, [N, S, classes]" : "each sample, [N, classes]"));
}

bool evaluate_into(Evaluation& result, exec::Executor& executor, const data::Split& split, const Json& preprocessing, std::int64_t num_classes,
                   std::int64_t batch_size, const exec::PlanOptions& plan, at::ScalarType autocast, bool stoppable, bool detailed) {
  const at::NoGradGuard no_grad;
  result = {};
  result.primary = primary_of(split);
  const data::Target target = split.tokens.target;
  const bool of_tokens = data::of_each_token(target), of_classes = result.primary == "top1";
  const data::Targets targets(preprocessing);
  if (of_classes) {
    result.classes = num_classes;
    result.language = target == data::Target::kNext || target == data::Target::kMasked;
    if (num_classes <= kMostConfusion)
      result.confusion.assign(static_cast<std::size_t>(num_classes), std::vector<std::int64_t>(static_cast<std::size_t>(num_classes), 0));
  }
  Tally tally;
  tally.detailed = detailed;
  std::vector<at::Tensor> kept;
  // Scores of each token of a large vocabulary take more memory than all else: at most 2^26 of them at once.
  if (of_tokens) batch_size = std::clamp<std::int64_t>((1 << 26) / (num_classes * std::max<std::int64_t>(1, split.tokens.longest())), 1, batch_size);
  for (std::int64_t first = 0; first < split.size(); first += batch_size) {
    if (stoppable && core::stop_requested()) return false;
    const std::int64_t rows = std::min(batch_size, split.size() - first);
    exec::RunContext context;
    context.autocast = autocast;
    const data::Batch batch = data::batch_of(split, preprocessing, first, rows);
    at::Tensor logits = executor.run(batch.inputs, context, plan).at(0).to(at::kFloat).contiguous(), labels = batch.labels, ids = batch.ids;
    if (!of_classes) {
      kept.push_back(logits);
      result.ids.insert(result.ids.end(), ids.const_data_ptr<std::int64_t>(), ids.const_data_ptr<std::int64_t>() + ids.numel());
      continue;
    }
    if (logits.dim() != labels.dim() + 1 || logits.size(-1) != num_classes)
      throw Error(Exit::kInput, executor.model().graph.outputs[0].name,
                  fmt::format("scores of {}, expected {}x{} for the data's classes", dims_text(logits.sizes()), dims_text(labels.sizes()), num_classes));
    if (of_tokens) {
      const at::Tensor asked = labels.flatten().ge(0).nonzero().flatten();
      ids = ids.unsqueeze(1).expand_as(labels).flatten().index_select(0, asked);
      logits = logits.flatten(0, 1).index_select(0, asked);
      labels = labels.flatten().index_select(0, asked);
    }
    count(result, logits, labels, ids, tally);
  }
  if (of_classes) finish_classes(result, tally);
  else if (result.primary == "r2") finish_numbers(result, kept, split, targets, detailed);
  else finish_vectors(result, kept, split);
  return true;
}

Evaluation evaluate(exec::Executor& executor, const data::Split& split, const Json& preprocessing, std::int64_t num_classes,
                    std::int64_t batch_size, bool stoppable, bool detailed) {
  Evaluation result;
  if (!evaluate_into(result, executor, split, preprocessing, num_classes, batch_size, {}, at::ScalarType::Undefined, stoppable, detailed))
    throw Error(Exit::kInterrupted, "", "stopped by a signal");
  return result;
}

}  // namespace ds::train
