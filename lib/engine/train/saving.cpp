#include <ATen/core/grad_mode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>

#include "base/core/error.h"
#include "base/core/log.h"
#include "base/core/values.h"
#include "engine/train/state.h"

namespace ds::train {
namespace fs = std::filesystem;
namespace {

constexpr const char* kOptim = "optim/";
constexpr const char* kBest = "best/";
constexpr const char* kCallback = "callback/";  // then its place and "/"

/// The columns of metrics.csv. Scripts rely on their order: new ones go to the end.
constexpr const char* kColumns[] = {"epoch",     "step", "train_loss", "train_top1",      "val_loss",
                                    "val_top1", "lr",   "elapsed_s",  "samples_per_sec", "peak_mem_bytes"};

/// Dotted paths at which two configurations differ. Only what shapes the result is compared: groups and the seed.
void differences(const Json& then, const Json& now, const std::string& path, std::vector<std::string>& found) {
  for (const auto& [key, value] : now.items()) {
    const std::string here = path.empty() ? key : path + "." + key;
    if (path.empty() && (key == "memory" || (!value.is_object() && key != "seed" && key != "init"))) continue;
    const Json old = then.is_object() && then.contains(key) ? then[key] : Json();
    if (value.is_object()) {
      differences(old, value, here, found);
    } else if (!here.starts_with("watch.") && here != "train.workers" && here != "train.eval_batch_size" && old != value) {
      found.push_back(fmt::format("{} was {}, is {}", here, old.dump(), value.dump()));
    }
  }
}

}  // namespace

void Trainer::State::open_run_folder() {
  std::error_code failed;
  fs::create_directories(options.run_dir, failed);
  if (failed) throw Error(Exit::kResource, options.run_dir, "the run folder cannot be made: " + failed.message());
  lock = std::make_unique<io::FolderLock>(options.run_dir);
  if (!options.resume && io::exists(run_file("last.h5"))) {
    if (!options.overwrite)
      throw Error(Exit::kUsage, options.run_dir, "holds a run already", "go on with --resume auto, begin anew with -f, or name another folder");
    for (const char* name : {"last.h5", "best.h5", "metrics.csv"}) fs::remove(run_file(name));
  }
}

io::Checkpoint Trainer::State::snapshot(bool with_state) const {
  io::Checkpoint copy = checkpoint;
  exec::store(!with_state && options.deploy ? options.deploy(model) : model, copy);
  copy.history = history;
  if (!options.provenance.is_null()) {
    Json record = options.provenance;
    if (!history.empty()) record["metrics"] = history.back();
    io::add_provenance(copy, record, options.reproducible);
  }
  copy.state = nullptr;
  copy.state_tensors.clear();
  if (!with_state) return copy;

  Json of_callbacks = Json::array();
  for (std::size_t i = 0; i < callbacks.size() - tracked; ++i) of_callbacks.push_back(callbacks[i]->state());
  copy.state = {{"kind", "train"},  {"at", at.to_json()}, {"best", best},           {"lr", lr}, {"callbacks", of_callbacks},
                {"optim", fit.optim.name}, {"data", data.fingerprint}, {"run", options.run}, {"part_rows", part_rows}, {"alarms", alarms}};
  if (scaled) copy.state["loss_scale"] = {{"value", loss_scale}, {"age", scale_age}};
  if (!ends_early.empty()) copy.state["ends_early"] = ends_early;
  for (std::size_t i = 0; i < callbacks.size(); ++i)
    for (const auto& [name, tensor] : callbacks[i]->tensors())
      copy.state_tensors[fmt::format("{}{}/{}", kCallback, i, name)] = exec::to_array(tensor.contiguous());
  if (!options.reproducible) copy.state["elapsed_s"] = elapsed();
  for (const auto& [name, tensor] : optimizer->state()) copy.state_tensors[kOptim + name] = exec::to_array(tensor);
  for (const auto& [name, tensor] : best_tensors) copy.state_tensors[kBest + name] = exec::to_array(tensor);
  return copy;
}

bool Trainer::State::save_state() {
  saved = !options.run_dir.empty() ? run_file("last.h5") : options.partial;
  if (saved.empty()) return false;
  io::Checkpoint copy = snapshot(true);
  io::save(copy, saved, {.overwrite = true, .reproducible = options.reproducible});
  return true;
}

void Trainer::State::save_best() {
  io::Checkpoint copy = snapshot(false);
  io::save(copy, run_file("best.h5"), {.overwrite = true, .reproducible = options.reproducible});
}

void Trainer::State::write_metrics() const {
  std::string text;
  std::vector<std::string> columns(std::begin(kColumns), std::end(kColumns));
  if (const std::string key = std::string("val_") + primary_metric(data); std::find(columns.begin(), columns.end(), key) == columns.end())
    columns.push_back(key);
  for (const std::string& column : columns) text += (text.empty() ? "" : ",") + column;
  text += '\n';
  for (const Json& row : history) {
    bool first = true;
    for (const std::string& column : columns) {
      if (!first) text += ',';
      first = false;
      if (row.contains(column) && row[column].is_number()) text += row[column].dump();
    }
    text += '\n';
  }
  io::write_file(run_file("metrics.csv"), text);
}

void Trainer::State::resume() {
  std::string from;
  if (!options.run_dir.empty() && io::exists(run_file("last.h5"))) from = run_file("last.h5");
  if (from.empty() && !options.partial.empty() && io::exists(options.partial)) from = options.partial;
  if (from.empty()) return;
  const io::Checkpoint loaded = io::load(from);
  if (!loaded.state.is_object() || loaded.state.value("kind", "") != "train")
    throw Error(Exit::kInput, from, "holds no state of a training run", "--resume no begins anew");
  try {
    restore(loaded);
  } catch (const Json::exception& e) {
    throw Error(Exit::kInput, from, "malformed state: " + core::json_problem(e), "--resume no begins anew");
  }
  if (!options.run_dir.empty()) write_metrics();  // without rows of epochs that come again
  core::info(fmt::format("resumed from {}: epoch {}, step {}", from, this->at.epoch + 1, this->at.step));
}

void Trainer::State::restore(const io::Checkpoint& from) {
  const at::NoGradGuard no_grad;
  std::vector<std::string> found;
  if (checkpoint.config.is_object()) differences(from.config, checkpoint.config, "", found);
  if (options.run.is_object()) differences(from.state.value("run", Json()), options.run, "", found);
  if (!found.empty())
    throw Error(Exit::kUsage, from.path, fmt::format("the run to resume has other options: {}", fmt::join(found, ", ")),
                "give the same options (args.yaml has them), or --resume no to begin anew");
  if (from.state.at("data") != data.fingerprint) throw Error(Exit::kInput, from.path, fmt::format("the data '{}' changed since", data.spec));
  if (from.graph != graph::to_json(model.graph)) throw Error(Exit::kInput, from.path, "the state is of another model");
  if (from.state.at("callbacks").size() != callbacks.size() - tracked) throw Error(Exit::kInput, from.path, "the state is of another kind of run");

  for (auto& [name, tensor] : model.tensors) tensor.copy_(exec::to_tensor(from.tensors.at(name)));
  std::map<std::string, at::Tensor> of_optimizer;
  for (const auto& [name, array] : from.state_tensors) {
    if (name.starts_with(kOptim)) of_optimizer[name.substr(std::string(kOptim).size())] = exec::to_tensor(array);
    if (name.starts_with(kBest)) best_tensors[name.substr(std::string(kBest).size())] = exec::to_tensor(array).clone();
  }
  optimizer->load(of_optimizer);
  for (std::size_t i = 0; i < callbacks.size() - tracked; ++i) {
    callbacks[i]->load_state(from.state.at("callbacks")[i]);
    const std::string own = fmt::format("{}{}/", kCallback, i);
    std::map<std::string, at::Tensor> tensors;
    for (const auto& [name, array] : from.state_tensors)
      if (name.starts_with(own)) tensors[name.substr(own.size())] = exec::to_tensor(array);
    callbacks[i]->load_tensors(tensors);
  }
  history = from.history.is_array() ? from.history : Json::array();
  best = from.state.at("best");
  lr = from.state.at("lr").get<double>();
  part_rows = from.state.value("part_rows", part_rows);
  alarms = from.state.value("alarms", std::int64_t{0});
  ends_early = from.state.value("ends_early", "");
  if (from.state.contains("loss_scale")) {
    loss_scale = from.state["loss_scale"].at("value").get<double>();
    scale_age = from.state["loss_scale"].at("age").get<std::int64_t>();
  }
  elapsed_before = from.state.value("elapsed_s", 0.0);
  at = Position::from_json(from.state.at("at"));
  executor.rebind();
}

}  // namespace ds::train
