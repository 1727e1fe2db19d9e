// ds-bench: models run in turns, so that whatever else the machine does hits all of them alike.
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <chrono>
#include <cmath>

#include "base/commands/bench_options.h"
#include "base/core/error.h"
#include "base/core/host.h"
#include "base/core/log.h"
#include "base/core/signals.h"
#include "base/io/files.h"
#include "base/report/table.h"
#include "engine/commands/session.h"
#include "engine/exec/memory.h"

namespace ds::commands {

namespace {

using Clock = std::chrono::steady_clock;

struct Candidate {
  std::string name, engine;
  std::int64_t file_bytes = 0;
  Opened opened;
  std::unique_ptr<exec::Executor> executor;
  train::Evaluation evaluation;
};

double quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  const double at = q * double(values.size() - 1);
  const std::size_t low = std::size_t(at), high = std::min(low + 1, values.size() - 1);
  return values[low] + (at - double(low)) * (values[high] - values[low]);
}

struct Interval {
  double middle, low, high;
};

/// The median with the order statistics that hold it with 95 % (binomial, normal approximation).
Interval median_interval(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const double n = double(values.size()), half = 0.98 * std::sqrt(n);
  const auto at = [&](double i) { return values[std::size_t(std::clamp(std::floor(i), 0.0, n - 1))]; };
  return {quantile(values, 0.5), at(n / 2 - half), at(n / 2 + half)};
}

std::string file_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

Candidate open_candidate(const std::string& path, const std::string& engine, core::Record& record) {
  Candidate c;
  c.opened = open_model("model", path, record);
  c.name = file_name(c.opened.checkpoint.path.empty() ? path : c.opened.checkpoint.path);
  const bool int8 = c.opened.model.is_quantized();
  c.engine = int8 ? "int8" : "eager";
  if (engine != "auto" && engine != c.engine)
    throw Error(Exit::kInput, path, int8 ? "an int8 model, which the eager float engine does not run" : "a float model, which the int8 engine does not run",
                int8 ? "give --engine auto" : "make it int8 with ds-quantize, or give --engine auto");
  struct stat status {};
  if (stat(c.opened.checkpoint.path.c_str(), &status) == 0) c.file_bytes = status.st_size;
  return c;
}

/// The first `batch` samples of the split, the same ones again where it is smaller.
std::vector<at::Tensor> from_split(const data::Split& split, const Json& preprocessing, std::int64_t batch) {
  std::vector<at::Tensor> inputs = data::batch_of(split, preprocessing, 0, std::min(batch, split.size())).inputs;
  for (at::Tensor& x : inputs) {
    while (x.size(0) < batch) {
      std::vector<std::int64_t> twice(static_cast<std::size_t>(x.dim()), 1);
      twice[0] = 2;
      x = x.repeat(twice).narrow(0, 0, std::min(batch, 2 * x.size(0)));
    }
    x = x.dim() == 4 ? x.contiguous(at::MemoryFormat::ChannelsLast) : x.contiguous();
  }
  return inputs;
}

/// What is timed: a batch and, for tokens, a length (0: as the data have it).
struct Size {
  std::int64_t batch, length;
};

std::vector<at::Tensor> make_inputs(const Candidate& c, const data::Split* split, const Size& size) {
  const Json& preprocessing = c.opened.checkpoint.preprocessing;
  if (split && size.length == 0) return from_split(*split, preprocessing, size.batch);
  std::vector<at::Tensor> inputs = sample_inputs(c.opened.model.graph, preprocessing, size.batch, size.length);
  if (inputs.empty()) throw Error(Exit::kUsage, "--data", "the size of the model's input is not known", "name a data set");
  return inputs;
}

std::int64_t bytes_of(const std::vector<at::Tensor>& inputs) {
  std::int64_t bytes = 0;
  for (const at::Tensor& x : inputs) bytes += static_cast<std::int64_t>(x.nbytes());
  return bytes;
}

struct Timing {
  std::vector<double> seconds;      ///< per call
  std::vector<double> per_round;    ///< median of a round's calls
  std::int64_t peak_activations = 0;
};

void run_turn(Candidate& c, const std::vector<at::Tensor>& inputs, double min_time, Timing* timing) {
  const exec::RunContext context;
  std::vector<double> calls;
  double total = 0;
  do {
    const auto begin = Clock::now();
    c.executor->run(inputs, context);
    calls.push_back(std::chrono::duration<double>(Clock::now() - begin).count());
    total += calls.back();
  } while (total < min_time || calls.size() < 3);
  if (!timing) return;
  timing->seconds.insert(timing->seconds.end(), calls.begin(), calls.end());
  timing->per_round.push_back(quantile(calls, 0.5));
}

std::vector<Timing> measure(std::vector<Candidate>& candidates, const data::Split* split, const BenchCommand& o, const Size& size) {
  const c10::InferenceMode inference;
  std::vector<Timing> timings(candidates.size());
  std::vector<std::vector<at::Tensor>> inputs;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    inputs.push_back(make_inputs(candidates[i], split, size));
    candidates[i].executor->run(inputs[i], exec::RunContext{});  // binds and packs
    const std::int64_t before = exec::memory_use().live;
    exec::reset_peak();
    candidates[i].executor->run(inputs[i], exec::RunContext{});
    timings[i].peak_activations = exec::memory_use().peak - before + bytes_of(inputs[i]);
  }
  for (std::int64_t round = -o.warmup; round < o.rounds; ++round) {
    if (core::stop_requested()) throw Error(Exit::kInterrupted, "", "stopped by a signal");
    for (std::size_t k = 0; k < candidates.size(); ++k) {
      // Who goes first changes, so that no model always runs in the wake of the same one.
      const std::size_t i = (k + std::size_t(round + o.warmup)) % candidates.size();
      run_turn(candidates[i], inputs[i], o.min_time, round < 0 ? nullptr : &timings[i]);
    }
  }
  return timings;
}

Json timing_json(const Timing& t, const Timing& first, const Size& size) {
  const Interval median = median_interval(t.per_round);
  std::vector<double> ratios;
  for (std::size_t r = 0; r < t.per_round.size(); ++r) ratios.push_back(first.per_round[r] / t.per_round[r]);
  const Interval speedup = median_interval(ratios);
  return {{"batch", size.batch},
          {"latency_p50_s", quantile(t.seconds, 0.5)}, {"latency_p90_s", quantile(t.seconds, 0.9)}, {"latency_p99_s", quantile(t.seconds, 0.99)},
          {"latency_median_low_s", median.low}, {"latency_median_high_s", median.high},
          {"throughput_per_s", double(size.batch) / median.middle}, {"calls", t.seconds.size()}, {"peak_activation_bytes", t.peak_activations},
          {"speedup", speedup.middle}, {"speedup_low", speedup.low}, {"speedup_high", speedup.high}};
}

/// Difference of accuracy on the same samples, with its normal interval at 95 %.
Json paired_difference(const train::Evaluation& a, const train::Evaluation& first) {
  double sum = 0, square = 0;
  for (std::size_t i = 0; i < a.predictions.size(); ++i) {
    const double d = double(a.predictions[i] == a.labels[i]) - double(first.predictions[i] == first.labels[i]);
    sum += d;
    square += d * d;
  }
  const double n = double(a.n), mean = sum / n, half = 1.96 * std::sqrt(std::max(square / n - mean * mean, 0.0) / n);
  return {{"top1_difference", mean}, {"top1_difference_low", mean - half}, {"top1_difference_high", mean + half}};
}

double number(const Json& object, const char* key) { return object.at(key).get<double>(); }

/// "0.25": a figure's ratio to the first model's; "-" where one of them is not known.
std::string ratio(const Json& of, const Json& first, const char* key) {
  return number(of, key) > 0 && number(first, key) > 0 ? fmt::format("{:.2f}", number(of, key) / number(first, key)) : "-";
}

/// A row a model: accuracy, what it loses on the same samples, and sizes.
report::Table model_table(const Json& results) {
  report::Table t{{{"model", false}, {"engine", false}, {"top-1 %"}, {"95 %"}, {"loss, points"}, {"95 %"}, {"params"}, {"x"}, {"MACs"}, {"x"},
                   {"tensors"}, {"x"}, {"file"}, {"x"}},
                  {}};
  for (const Json& r : results) {
    std::vector<std::string> row = {r["model"], r["engine"]};
    const auto percent = [&](const char* key, double sign = 1) { return fmt::format("{:+.2f}", 100 * sign * number(r, key) + 0.0); };
    const auto share = [&](const char* key) { return fmt::format("{:.2f}", 100 * number(r, key)); };
    if (r.contains("test_top1"))
      row.insert(row.end(), {share("test_top1"), share("test_top1_low") + ".." + share("test_top1_high"), percent("top1_difference", -1),
                             percent("top1_difference_high", -1) + ".." + percent("top1_difference_low", -1)});
    else
      row.insert(row.end(), {"-", "-", "-", "-"});
    for (const char* key : {"parameters", "macs", "tensor_bytes", "file_bytes"}) {
      const bool bytes = std::string_view(key).ends_with("_bytes");
      row.push_back(number(r, key) > 0 ? (bytes ? report::bytes_text : report::count_text)(number(r, key)) : "-");
      row.push_back(ratio(r, results[0], key));
    }
    t.rows.push_back(std::move(row));
  }
  return t;
}

/// A row a model, batch size and number of threads: latency of a call, throughput, memory.
report::Table speed_table(const Json& results) {
  const bool lengths = results[0]["timings"].size() > 0 && results[0]["timings"][0].contains("length");
  report::Table t{{{"model", false}, {"batch"}, {"threads"}, {"p50"}, {"p99"}, {"samples/s"}, {"speed-up"}, {"95 %"}, {"peak memory"}, {"x"}}, {}};
  for (const Json& r : results)
    for (std::size_t i = 0; i < r["timings"].size(); ++i) {
      const Json& time = r["timings"][i];
      t.rows.push_back({r["model"], time["batch"].dump(), time["threads"].dump(), report::seconds_text(number(time, "latency_p50_s")),
                        report::seconds_text(number(time, "latency_p99_s")), report::count_text(number(time, "throughput_per_s")),
                        fmt::format("{:.2f}x", number(time, "speedup")),
                        fmt::format("{:.2f}..{:.2f}", number(time, "speedup_low"), number(time, "speedup_high")),
                        report::bytes_text(number(time, "peak_memory_bytes")), ratio(time, results[0]["timings"][i], "peak_memory_bytes")});
      if (lengths) t.rows.back().insert(t.rows.back().begin() + 2, time["length"].dump());
    }
  if (lengths) t.columns.insert(t.columns.begin() + 2, {"tokens"});
  return t;
}

/// Both tables in one, with the keys and the numbers of the record.
std::string csv_text(const Json& results) {
  Json rows = Json::array();
  for (const Json& r : results)
    for (const Json& time : r["timings"]) {
      Json row = r;
      row.erase("timings");
      row.update(time);
      rows.push_back(std::move(row));
    }
  const bool lengths = !rows.empty() && rows[0].contains("length");
  std::vector<std::string> keys = {"model", "engine", "digest", "batch", "threads", "test_n", "test_top1", "test_top1_low", "test_top1_high", "top1_difference",
                      "top1_difference_low", "top1_difference_high", "parameters", "macs", "tensor_bytes", "file_bytes", "latency_p50_s",
                      "latency_p90_s", "latency_p99_s", "throughput_per_s", "speedup", "speedup_low", "speedup_high", "peak_memory_bytes"};
  if (lengths) keys.insert(keys.begin() + 4, "length");
  return report::csv(keys, rows);
}

bool takes_tokens(const graph::Graph& graph) {
  return std::any_of(graph.inputs.begin(), graph.inputs.end(), [](const graph::Input& input) { return input.type.dtype == graph::DType::kI64; });
}

/// The data, or nullptr where neither the user nor a checkpoint for tokens names any: random ones are timed then.
const data::Dataset* find_data(const Opened& opened, const std::string& spec) {
  const bool named = !spec.empty() || (opened.checkpoint.config.is_object() && opened.checkpoint.config.contains(Json::json_pointer("/data/name")));
  return named || !takes_tokens(opened.model.graph) ? &open_data(opened, spec) : nullptr;
}

/// Figures of each model, with its accuracy where it is wanted and there is data for it.
Json describe(std::vector<Candidate>& candidates, const data::Dataset* data, bool accuracy) {
  Json results = Json::array();
  for (Candidate& c : candidates) {
    Json r = figures(c.opened.model.graph);
    r.update({{"model", c.name}, {"digest", c.opened.checkpoint.digest}, {"engine", c.engine}, {"file_bytes", c.file_bytes}, {"timings", Json::array()}});
    if (accuracy && data && data->test.size() > 0) {
      c.evaluation = train::evaluate(*c.executor, data->test, c.opened.checkpoint.preprocessing, data->num_classes, 250, true);
      r.update(c.evaluation.metrics("test"));
      if (c.evaluation.classes > 0) r.update(paired_difference(c.evaluation, candidates[0].evaluation));
    }
    results.push_back(std::move(r));
  }
  return results;
}

void run(const core::CommandOptions& base, core::Record& record) {
  const auto& o = static_cast<const BenchCommand&>(base);
  std::vector<Candidate> candidates;
  for (std::size_t i = 0; i < o.inputs.size(); ++i) candidates.push_back(open_candidate(o.inputs[i], o.engine[o.engine.size() == 1 ? 0 : i], record));
  const data::Dataset* data = find_data(candidates[0].opened, o.data);
  for (Candidate& c : candidates) {
    if (data) train::check_fit(c.opened.model.graph, *data, c.name);
    if (!o.length.empty() && !takes_tokens(c.opened.model.graph))
      throw Error(Exit::kUsage, "--length", fmt::format("'{}' takes no tokens", c.name), "only nets for tokens have lengths to choose");
    c.executor = std::make_unique<exec::Executor>(c.opened.model);
  }
  if (o.common.dry_run) return;

  Json results = describe(candidates, data, o.accuracy);
  const std::vector<std::int64_t> threads = o.bench_threads.empty() ? std::vector<std::int64_t>{core::thread_count(o.common.threads)} : o.bench_threads;
  Json raw = Json::array();
  std::vector<Size> sizes;
  for (const std::int64_t batch : o.batch)
    for (const std::int64_t length : o.length.empty() ? std::vector<std::int64_t>{0} : o.length) sizes.push_back({batch, length});
  const data::Split* split = data ? &data->split(data->test.size() > 0 ? "test" : "val") : nullptr;
  core::Progress progress("bench", std::int64_t(threads.size() * sizes.size()));
  for (const std::int64_t n : threads) {
    at::set_num_threads(int(n));
    for (const Size& size : sizes) {
      const auto timings = measure(candidates, split, o, size);
      for (std::size_t i = 0; i < timings.size(); ++i) {
        Json t = timing_json(timings[i], timings[0], size);
        t["threads"] = n;
        if (size.length > 0) t["length"] = size.length;
        t["peak_memory_bytes"] = results[i]["tensor_bytes"].get<std::int64_t>() + timings[i].peak_activations;
        results[i]["timings"].push_back(std::move(t));
        raw.push_back({{"model", candidates[i].name}, {"batch", size.batch}, {"threads", n}, {"samples_s", timings[i].seconds}});
        if (size.length > 0) raw.back()["length"] = size.length;
      }
      progress.update(std::int64_t(raw.size() / candidates.size()));
    }
  }
  progress.finish();
  if (data) record["data"] = {{"name", data->spec}, {"fingerprint", data->fingerprint}, {"test_n", data->test.size()}};
  record["isa"] = core::cpu_isa();
  record["results"] = results;
  const report::Table models = model_table(results), speed = speed_table(results);
  if (o.common.format == "table")
    record.text =
        models.text() + "\n" + speed.text() +
        fmt::format(
            "\nisa {}, {} rounds in turns; x and speed-up are to {}; loss is paired on {} test samples; peak memory is tensors and activations\n",
            core::cpu_isa(), o.rounds, candidates[0].name, data ? candidates[0].evaluation.n : 0);
  if (o.common.format == "md") record.text = models.markdown() + "\n" + speed.markdown();
  if (o.common.format == "csv") record.text = csv_text(results);
  if (o.output.empty()) return;
  Json whole = record.fields;
  whole["raw"] = raw;
  const std::string text = whole.dump(1) + "\n";
  io::write_file(o.output, text);
  record.output("bench", o.output, io::sha256(text.data(), text.size()));
}

const core::Body<core::Command> body{"command", "bench", run};

}  // namespace
}  // namespace ds::commands
