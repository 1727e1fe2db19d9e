// Checkpoints made by hand: a net of one layer, with a chain, an evaluation and a history.
#pragma once
#include <string>
#include <vector>

#include "base/graph/builder.h"
#include "base/io/checkpoint.h"
#include "base/report/facts.h"

namespace report_test {

using ds::report::Json;

/// A digest of 64 equal letters.
inline std::string digest(char letter) { return std::string(64, letter); }

inline Json step(const std::string& tool, const std::vector<std::string>& parents, Json metrics = Json::object()) {
  return {{"tool", tool},       {"version", "0.1.0"}, {"argv", {tool, "-o", "out.h5"}},
          {"parents", parents}, {"metrics", metrics}, {"data", {{"name", "digits"}}},
          {"isa", "avx2"},      {"seed", 7},          {"threads", 2}};
}

/// A linear layer from 4 inputs to 2 classes: 10 parameters in 40 bytes, 8 MACs.
inline ds::io::Checkpoint checkpoint(char letter, std::vector<Json> provenance) {
  using namespace ds;
  graph::Builder b;
  const graph::Value x = b.input("image", graph::DType::kF32, {graph::Dim::symbol("N"), 4});
  b.output("logits", b.linear("fc", x, 2));
  io::Checkpoint c;
  c.graph = graph::to_json(b.finish({{"arch", "mlp"}}));
  c.tensors["fc.weight"] = io::make_array(io::DType::kF32, {2, 4});
  c.tensors["fc.bias"] = io::make_array(io::DType::kF32, {2});
  c.labels = {"no", "yes"};
  c.digest = digest(letter);
  c.provenance = std::move(provenance);
  return c;
}

inline Json wrong(std::int64_t id, std::int64_t label, std::int64_t prediction, const std::string& pixels = "00ff8040") {
  return {{"id", id}, {"label", label}, {"prediction", prediction}, {"confidence", 0.75}, {"shape", {1, 2, 2}}, {"pixels", pixels}};
}

inline Json evaluation() {
  return {{"split", "val"}, {"n", 16}, {"top1", 0.875}, {"confusion", {{7, 1}, {1, 7}}}, {"wrong", {wrong(3, 0, 1), wrong(9, 1, 0)}}};
}

/// base (a) -> pruned (b) -> distilled (c, base the teacher) -> int8 (d), each with one more step, given in the order of their names.
struct Family {
  Json train =
      step("ds-train", {}, {{"val_top1", 0.9}, {"val_n", 16}, {"test_top1", 0.95}, {"test_n", 20}, {"latency_b1_p50_s", 4e-3}, {"tensor_bytes", 40}});
  Json prune =
      step("ds-prune", {digest('a')},
           {{"before_val_top1", 0.9}, {"before_val_n", 16}, {"val_top1", 0.8}, {"val_n", 16}, {"latency_b1_p50_s", 2e-3}, {"tensor_bytes", 20}});
  Json distill =
      step("ds-distill", {digest('b'), digest('a')}, {{"teacher_val_top1", 0.9}, {"val_top1", 0.85}, {"val_n", 16}, {"latency_b1_p50_s", 2e-3}});
  Json quantize = step("ds-quantize", {digest('c')}, {{"val_top1", 0.85}, {"val_n", 16}, {"latency_b1_p50_s", 1e-3}});
  ds::io::Checkpoint base = checkpoint('a', {train}), pruned = checkpoint('b', {train, prune}), distilled = checkpoint('c', {train, prune, distill}),
                     int8 = checkpoint('d', {train, prune, distill, quantize});
  Family() {
    base.history = {{{"step", 10}, {"epoch", 1}, {"val_loss", 0.5}, {"train_loss", 0.7}, {"val_top1", 0.8}, {"lr", 0.01}},
                    {{"step", 20}, {"epoch", 2}, {"val_loss", 0.25}, {"train_loss", 0.3}, {"val_top1", 0.9}, {"lr", 0.0}}};
    pruned.history = {{{"step", 5}, {"epoch", 1}, {"val_loss", 0.4}, {"train_loss", 0.5}, {"val_top1", 0.8}, {"lr", 0.01}}};
    distilled.history = pruned.history;
    distilled.history[0]["val_loss"] = 0.3;
    int8.history = distilled.history;  // ds-quantize trains nothing and hands its parent's on
    for (ds::io::Checkpoint* c : {&base, &pruned, &distilled, &int8}) c->evaluation = evaluation();
  }
  ds::report::Facts facts(std::int64_t bytes = 1000) const {
    ds::report::Collector collector;
    collector.add(base, "runs/base.h5", bytes);
    collector.add(distilled, "runs/distilled.h5", bytes);
    collector.add(int8, "runs/int8.h5", bytes);
    collector.add(pruned, "runs/pruned.h5", bytes);
    return collector.finish();
  }
};

/// A record of ds-bench of one model.
inline Json bench(char letter, double top1, const std::vector<Json>& timings) {
  return {{"schema", "ds-record/1"},
          {"tool", "ds-bench"},
          {"command", {"/somewhere/bin/ds-bench", "x.h5"}},
          {"results",
           {{{"model", "x.h5"},
             {"digest", digest(letter)},
             {"engine", "int8"},
             {"parameters", 10},
             {"macs", 8},
             {"tensor_bytes", 40},
             {"file_bytes", 99},
             {"test_top1", top1},
             {"test_n", 100},
             {"timings", timings}}}}};
}

inline Json timing(int batch, int threads, double p50) {
  return {{"batch", batch},           {"threads", threads}, {"latency_p50_s", p50}, {"latency_p99_s", 2 * p50}, {"throughput_per_s", batch / p50},
          {"peak_memory_bytes", 5000}};
}

}  // namespace report_test
