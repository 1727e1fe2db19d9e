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

/// What a callback may see and change, in the order of the calls of one step. Callbacks run in the order they were added.
class Callback {
 public:
  virtual ~Callback();
  virtual void on_start(Trainer&) {}
  virtual void on_epoch_start(Trainer&) {}
  /// Before the forward pass: may change inputs or labels.
  virtual void on_batch(Trainer&, data::Batch&) {}
  /// Taps for the forward pass of this step (distillation of hidden layers, scores).
  virtual std::vector<exec::Tap> taps(Trainer&) { return {}; }
  /// The loss so far (cross-entropy first): returns what to minimise. outputs[0] = logits [n, classes], or
  /// [n, S, classes] where the labels are [n, S].
  virtual at::Tensor on_loss(Trainer&, const data::Batch&, const std::vector<at::Tensor>& outputs, const at::Tensor& loss) {
    (void)outputs;
    return loss;
  }
  /// Gradients are there, the update is not done.
  virtual void on_backward(Trainer&) {}
  virtual void on_step(Trainer&) {}
  /// After the validation of an epoch; may add metrics.
  virtual void on_epoch(Trainer&, Json& metrics) { (void)metrics; }
  virtual void on_finish(Trainer&) {}
  /// What must be saved for a bit-equal resume.
  virtual Json state() const { return nullptr; }
  virtual void load_state(const Json&) {}
};

struct TrainerOptions {
  std::uint64_t seed = 42;
  std::vector<std::string> augment = {};
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
  const Json& best() const;          ///< that of the best validation top1; null without a validation split
  std::vector<optim::Parameter>& parameters();

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

/// Accuracy of a model on one split. What is counted are samples, or where labels are of tokens those tokens that have one.
struct Evaluation {
  std::int64_t n = 0, correct = 0;
  bool language = false;                        ///< classes are the vocabulary: metrics have "<prefix>_perplexity" too, exp(loss)
  double loss = 0, top1 = 0, top5 = 0;
  double top1_low = 0, top1_high = 0;           ///< Wilson interval, 95 %
  std::vector<std::int64_t> predictions, labels, ids;  ///< [n]; ids: global ones of samples
  std::vector<std::vector<std::int64_t>> confusion;  ///< [label][prediction]; empty beyond kMostConfusion classes
  std::vector<float> confidences;               ///< softmax of the predicted class
  std::int64_t classes = 0;
  /// {"<prefix>_top1", "<prefix>_top1_low", "<prefix>_top1_high", "<prefix>_loss", "<prefix>_n"; "<prefix>_top5" beyond five classes}
  Json metrics(const std::string& prefix) const;
};
inline constexpr std::int64_t kMostConfusion = 1000;
/// Wilson's interval for `correct` of `n` at 95 % (Wilson 1927): {low, high}.
std::pair<double, double> wilson(std::int64_t correct, std::int64_t n);
/// Cross-entropy without smoothing; no gradients; BatchNorm by running statistics.
/// Throws ds::Error(kInput) where the class count or the shape of images does not fit the model; where `stoppable`, ds::Error(kInterrupted) as
/// soon as a stop is requested.
Evaluation evaluate(exec::Executor& executor, const data::Split& split, const Json& preprocessing, std::int64_t num_classes,
                    std::int64_t batch_size = 250, bool stoppable = false);

}  // namespace ds::train
