// The training loop. Features plug in as callbacks: distillation, fake-quantization, sparsity, privacy, logging, saving.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/commands/fit_options.h"
#include "base/io/checkpoint.h"
#include "engine/data/dataset.h"
#include "engine/exec/executor.h"
#include "engine/optim/optimizer.h"

namespace ds::train {

using Json = nlohmann::json;

class Trainer;

/// What a run says of a step that is done.
struct StepFigures {
  std::int64_t step = 0;        ///< 0-based
  double loss = 0;              ///< mean over what counted in the step
  double lr = 0;
  double gradient_norm = 0;     ///< of all gradients together before clipping; NaN where nothing asked for it
  double loss_scale = 1;        ///< of fp16
  bool skipped = false;         ///< fp16 overflowed: no update was made
  std::int64_t samples = 0;
  std::int64_t counted = 0;     ///< samples, or tokens with a label
  std::int64_t parts = 1;       ///< in which the step was computed
  double seconds = 0;           ///< from batch to update
  double loader_seconds = 0;    ///< waited for the batch
};

/// Something that a person should know of at once.
struct Alarm {
  std::string kind;             ///< "loss", "gradient_norm", "loader", "memory"
  std::string text;             ///< one line
  double value = 0, limit = 0;
  std::int64_t step = 0;
};

/// What a callback may see and change, in the order of the calls of one step. Callbacks run in the order they were added: regularizers by name,
/// those of the tool, trackers by name.
class Callback {
 public:
  virtual ~Callback();
  virtual void on_start(Trainer&) {}
  virtual void on_epoch_start(Trainer&) {}
  /// The whole batch of a step, before the forward pass: may change inputs or labels.
  virtual void on_batch(Trainer&, data::Batch&) {}
  /// Taps for the forward passes of this step (distillation of hidden layers, scores).
  virtual std::vector<exec::Tap> taps(Trainer&) { return {}; }
  /// A step may be computed in parts. The loss so far, a mean over what counts in this part: returns what to minimise, a mean too (each part
  /// weighs as much as it counts). outputs[0] = logits [n, classes], or [n, S, classes] where the labels are [n, S].
  virtual at::Tensor on_loss(Trainer&, const data::Batch& part, const std::vector<at::Tensor>& outputs, const at::Tensor& loss) {
    (void)part, (void)outputs;
    return loss;
  }
  /// Gradients of the whole batch are there: may move the weights, compute_gradients() anew and put the weights back (SAM).
  virtual void on_gradients(Trainer&) {}
  /// Gradients are final but for clipping, the update is not done. Not called in a step whose gradients overflowed in fp16.
  virtual void on_backward(Trainer&) {}
  virtual void on_step(Trainer&) {}
  virtual void on_alarm(Trainer&, const Alarm&) {}
  /// After the last step of an epoch; averaged() is asked for next.
  virtual void before_validation(Trainer&) {}
  /// Tensors by name that validation, best weights and the result of the run use in place of the model's own (averages of weights); null: none.
  virtual const std::map<std::string, at::Tensor>* averaged() const { return nullptr; }
  /// After the validation of an epoch; may add metrics.
  virtual void on_epoch(Trainer&, Json& metrics) { (void)metrics; }
  /// The run is done, its weights are in the model.
  virtual void on_finish(Trainer&) {}
  /// What must be saved for a bit-equal resume.
  virtual Json state() const { return nullptr; }
  virtual void load_state(const Json&) {}
  /// The same for tensors, by name.
  virtual std::map<std::string, at::Tensor> tensors() const { return {}; }
  virtual void load_tensors(const std::map<std::string, at::Tensor>&) {}
};

struct TrainerOptions {
  std::uint64_t seed = 42;
  std::vector<std::string> augment = {};
  std::string sampler = "shuffle"; ///< "weighted": each class as often as the others; "length": batches of like length
  std::string run_dir = {};        ///< args.yaml, metrics.csv, last.h5, best.h5; "" = none
  std::string partial = {};        ///< file for the state when stopped by a signal (`<output>.partial`); "" = run_dir/last.h5 or nowhere
  bool resume = false;
  std::string phase = "epoch";     ///< what progress says
  bool reproducible = false;       ///< no times, no memory in history and files
  bool overwrite = false;          ///< a run folder that holds a run already is begun anew
  /// What else shapes the result, as an object of objects: {"prune": {...}, "inputs": {"teacher": digest}}. A state of another run is no
  /// state to go on from.
  Json run = {};
  /// What the net becomes where it is used, as in best.h5, if that is another than the one that is trained; null = the same.
  std::function<exec::Model(const exec::Model&)> deploy = {};
  /// Learning rate of a step (0-based), in place of optimizer and schedule; null = theirs.
  std::function<double(std::int64_t step)> rate = {};
  Json provenance = {};            ///< this step's record for what is saved in the run folder; the last metrics are added. null = none
};

enum class Outcome { kDone, kStopped };

class Trainer {
 public:
  /// `checkpoint` gives documents (preprocessing, labels, config) for saving; its tensors are replaced by the model's.
  Trainer(exec::Model& model, const data::Dataset& data, const commands::FitOptions& fit, TrainerOptions options, io::Checkpoint& checkpoint);
  ~Trainer();

  void add(std::shared_ptr<Callback> callback);
  /// Trains to the end, or to a signal. Then the model holds the last weights, or with `train.keep: best` those of best().
  /// Throws ds::Error(kFailure) when the loss is not finite, naming the first layer that made it; ds::Error(kUsage) where the run folder
  /// holds a run (without resume or overwrite) or one with other options; ds::Error(kInput) where a saved state does not fit.
  Outcome run();
  /// Where a signal's state was saved, "" if nowhere.
  const std::string& saved_state() const;

  exec::Model& model();
  exec::Executor& executor();
  const data::Dataset& data() const;
  std::int64_t epoch() const;        ///< 0-based
  std::int64_t step() const;         ///< optimizer steps done
  std::int64_t total_steps() const;
  const Json& history() const;       ///< one object an epoch
  const Json& best() const;          ///< that of the best primary metric on the validation split; null without a validation split
  std::vector<optim::Parameter>& parameters();
  const commands::FitOptions& fit() const;
  const TrainerOptions& options() const;
  std::int64_t steps_per_epoch() const;
  /// What makes inputs of the data: the checkpoint's own, or where it has none the data set's.
  const Json& preprocessing() const;
  /// Of the step that is done, from on_step on.
  const StepFigures& last_step() const;

  /// Drops all gradients and computes those of this step's batch at the weights as they are now. From on_gradients.
  void compute_gradients();
  /// Outputs of the net for a part of this step's batch, with gradients. `draw` > 0: with random numbers of its own. From on_loss.
  std::vector<at::Tensor> forward(const data::Batch& part, std::uint64_t draw);
  /// The loss of outputs, a mean over what counts, before any callback changes it. From on_loss.
  at::Tensor loss(const std::vector<at::Tensor>& outputs, const data::Batch& part) const;
  /// Ends the run after this epoch as if it were the last. `why` is told and kept in the history.
  void finish_early(const std::string& why);
  /// The norm of all gradients is worked out from now on, in each step whose number (of 1 for the first) is a multiple of `every`.
  void want_gradient_norm(std::int64_t every = 1);
  /// Tells all callbacks and the log.
  void raise(const Alarm& alarm);
  /// Saves the state and ends the run with ds::Error(kGate): a limit that was set is passed.
  [[noreturn]] void give_up(const Alarm& alarm, const std::string& hint);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Classes that the graph's first output tells apart: its last dim.
std::int64_t output_classes(const graph::Graph& graph);
/// Whether the graph gives vectors of features: its first output is `embedding` [N, D]. They have no classes to be right about.
bool gives_embeddings(const graph::Graph& graph);
/// Throws ds::Error(kInput, where) where the data set's images or tokens do not fit the graph's inputs.
void check_inputs(const graph::Graph& graph, const data::Dataset& data, const std::string& where);
/// The same where its classes do not fit the graph's scores either, and for a graph that gives embeddings.
void check_fit(const graph::Graph& graph, const data::Dataset& data, const std::string& where);

/// Mean cross-entropy over the labels that are not -100.
/// @param logits [n, classes] or [n, S, classes] float    @param labels int64 [n] or [n, S]
at::Tensor cross_entropy(const at::Tensor& logits, const at::Tensor& labels, double smoothing = 0);

/// The figure by which weights of a run are compared, higher = better: "top1" of classes, "r2" of numbers, "recall1" of vectors, "spearman" of scored
/// pairs. Metrics call it "<split>_<figure>".
const char* primary_metric(const data::Dataset& data);

/// How well a model does on one split. What is counted are samples, or where labels are of tokens those tokens that have one.
struct Evaluation {
  std::int64_t n = 0;
  double loss = 0;                              ///< cross-entropy; of numbers the mean square error, standardised; of vectors the loss of the data
  std::string primary = "top1";
  double score = 0;                             ///< the primary metric
  Json figures = Json::object();                ///< others by name, each with _low and _high
  std::vector<std::int64_t> ids;                ///< [n] global ones of samples
  // Of classes; else empty.
  std::int64_t classes = 0, correct = 0;
  bool language = false;                        ///< classes are the vocabulary: metrics have "<prefix>_perplexity" too, exp(loss)
  double top1 = 0, top5 = 0;
  double top1_low = 0, top1_high = 0;           ///< Wilson interval, 95 %
  std::vector<std::int64_t> predictions, labels;  ///< [n]
  std::vector<std::vector<std::int64_t>> confusion;  ///< [label][prediction]; empty beyond kMostConfusion classes
  std::vector<float> confidences;               ///< softmax of the predicted class
  // Of numbers; else undefined.
  at::Tensor predicted, truth;                  ///< [n, values] float64 in the data's own units
  /// {"<prefix>_n", "<prefix>_loss"; of classes "<prefix>_top1", "<prefix>_top1_low", "<prefix>_top1_high", "<prefix>_top5" beyond five; figures}
  Json metrics(const std::string& prefix) const;
};
inline constexpr std::int64_t kMostConfusion = 1000;
/// Wilson's interval for `correct` of `n` at 95 % (Wilson 1927): {low, high}.
std::pair<double, double> wilson(std::int64_t correct, std::int64_t n);
/// No gradients; BatchNorm by running statistics. `detailed`: precision, recall, F1, AUROC, calibration error, MCC and intervals of all figures too.
/// Throws ds::Error(kInput) where the class count or the shape of images does not fit the model; where `stoppable`, ds::Error(kInterrupted) as
/// soon as a stop is requested.
Evaluation evaluate(exec::Executor& executor, const data::Split& split, const Json& preprocessing, std::int64_t num_classes,
                    std::int64_t batch_size = 250, bool stoppable = false, bool detailed = false);

}  // namespace ds::train
