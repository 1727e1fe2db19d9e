// What a Trainer holds, for the files of this folder.
#pragma once
#include <chrono>
#include <map>

#include "base/core/error.h"
#include "base/io/files.h"
#include "engine/train/loss.h"
#include "engine/train/trainer.h"

namespace ds::train {

/// Where a run is: all that goes on from here is a function of this, the tensors and the options.
struct Position {
  std::int64_t epoch = 0, batch = 0;        ///< batches of this epoch that are done
  std::int64_t step = 0;                    ///< optimizer steps that are done
  double loss_sum = 0;                      ///< over the samples of this epoch
  std::int64_t correct = 0, seen = 0;       ///< the same
  Json to_json() const;
  static Position from_json(const Json& json);
};

struct Trainer::State {
  State(exec::Model& model_, const data::Dataset& data_, const commands::FitOptions& fit_, TrainerOptions options_, io::Checkpoint& checkpoint_);

  exec::Model& model;
  const data::Dataset& data;
  commands::FitOptions fit;
  TrainerOptions options;
  io::Checkpoint& checkpoint;
  exec::Executor executor;
  std::unique_ptr<data::Loader> loader;
  std::vector<optim::Parameter> parameters;
  std::unique_ptr<optim::Optimizer> optimizer;
  std::unique_ptr<Loss> loss;
  std::vector<std::shared_ptr<Callback>> callbacks, trackers;  ///< trackers join the callbacks' end when the run begins
  std::size_t tracked = 0;                         ///< callbacks at the end that are trackers: they have no state, and may be others after a resume
  std::unique_ptr<io::FolderLock> lock;

  Position at;
  Json history = Json::array(), best = nullptr;
  std::map<std::string, at::Tensor> best_tensors;  ///< only with keep: best
  std::string saved;
  bool channels_last = true;
  at::ScalarType autocast = at::ScalarType::Undefined;
  exec::Checkpointing checkpointing;               ///< of activations
  bool scaled = false;                             ///< fp16's loss scale
  std::int64_t norm_every = 0;                     ///< steps from one whose gradient norm is worked out to the next; 0: none is
  double lr = 0;                                   ///< of the step done last
  double elapsed_before = 0;                       ///< seconds of the runs that this one resumes
  std::chrono::steady_clock::time_point begun, epoch_begun;
  std::int64_t samples = 0;                        ///< since epoch_begun

  data::Batch batch;                               ///< of the step at hand
  StepFigures figures;                             ///< of it
  std::int64_t correct = 0;                        ///< of it
  std::int64_t part_rows = 0;                      ///< samples that are computed at once
  double loss_scale = 65536;                       ///< doubled after kScaleGrows steps without overflow, halved after one
                                                   ///< (Micikevicius et al. 2018, section 3.2)
  std::int64_t scale_age = 0;                      ///< steps since it changed
  std::int64_t alarms = 0;                         ///< of this epoch
  std::string ends_early;                          ///< why, or ""
  static constexpr std::int64_t kScaleGrows = 2000;

  double elapsed() const;
  bool keeps_best() const { return fit.loop.keep == "best" && data.val.size() > 0; }

  // step.cpp
  void step(Trainer& trainer);
  void compute(Trainer& trainer);
  void compute_part(Trainer& trainer, const data::Batch& part, std::int64_t total);
  void split(Trainer& trainer, const Error& error);
  void update(Trainer& trainer);
  bool unscale();
  void drop_gradients();
  void note_written();
  exec::RunContext context_of(const data::Batch& part) const;
  std::vector<at::Tensor> forward(const data::Batch& part, const exec::RunContext& context, const std::vector<exec::Tap>& taps);

  // trainer.cpp
  const std::map<std::string, at::Tensor>* averaged() const;
  bool validate(Json& row);
  [[noreturn]] void diverged(const data::Batch& batch, const exec::RunContext& context, double loss);
  [[noreturn]] void diverged_on_validation(double loss);
  bool end_epoch(Trainer& trainer, Json& row);
  void take_best();

  // saving.cpp
  std::string run_file(const char* name) const { return options.run_dir + "/" + name; }
  void open_run_folder();
  /// The checkpoint as it is now; with the state that a resume needs, or without.
  io::Checkpoint snapshot(bool with_state) const;
  /// Saves the state to last.h5 or the partial file; false where there is no place for it.
  bool save_state();
  void save_best();
  void write_metrics() const;
  /// Goes on from the saved state, if there is one.
  void resume();
  void restore(const io::Checkpoint& from);
};

/// evaluate(), which gives up and returns false as soon as a stop is requested where `stoppable`.
bool evaluate_into(Evaluation& result, exec::Executor& executor, const data::Split& split, const Json& preprocessing, std::int64_t num_classes,
                   std::int64_t batch_size, const exec::PlanOptions& plan, at::ScalarType autocast, bool stoppable, bool detailed = false);

}  // namespace ds::train
