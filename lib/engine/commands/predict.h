// ds-predict: what becomes of one kind of inputs, from what the user names to the values of its line.
#pragma once
#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/commands/predict_options.h"
#include "base/io/image.h"
#include "base/text/tokenizer.h"
#include "engine/commands/session.h"
#include "engine/data/targets.h"

namespace ds::commands::predict {

/// One input on its way to its line.
struct Item {
  std::string name;        ///< what its line calls it: a path, a text, a row's place
  std::string place = {};  ///< what errors call it: a path, or "texts.txt:3"
  std::string line = {};   ///< what was read; empty where the name says it all
  std::string error = {};  ///< why it has no prediction
  std::string more = {};   ///< what its line says beside the input, as JSON: ",\"pair\":..."
  std::optional<std::string> pair = {};
  io::Image picture = {};
  text::Encoding tokens = {};
  std::vector<float> row = {};
};

class Kind {
 public:
  virtual ~Kind() = default;
  /// Inputs are lines of the files that are named (and of stdin), rather than the files.
  virtual bool reads_lines() const { return true; }
  /// Called for each line of a source, from line 1: false where it is no input (the header of a table). Throws ds::Error(kInput).
  virtual bool take(const std::string& source, std::int64_t line, Item& item) = 0;
  /// Makes an item ready; from several threads at once. Throws ds::Error(kInput) where it cannot be read.
  virtual void read(Item& item) const = 0;
  /// Items of like size go in one batch.
  virtual std::int64_t size(const Item&) const { return 0; }
  /// The inputs of the graph for these items, in the graph's order.
  virtual std::vector<at::Tensor> batch(const std::vector<const Item*>& items) const = 0;
  /// What of the output belongs to an item: all of it, or without padding. `row`: [..] of the output [N, ..].
  virtual at::Tensor own(const Item&, const at::Tensor& row) const { return row; }
  /// The values of a line, as JSON behind the name: ",\"labels\":...". `scores`: float32, contiguous, finite. Throws ds::Error(kInput).
  virtual std::string values(const Item& item, const at::Tensor& scores) const = 0;
};

/// The kind that the checkpoint's preprocessing says. Throws ds::Error(kInput) where model and preprocessing do not fit.
std::unique_ptr<Kind> make_kind(const Opened& opened, const PredictCommand& options);
std::unique_ptr<Kind> pictures(const Opened& opened, const PredictCommand& options);
std::unique_ptr<Kind> texts(const Opened& opened, const PredictCommand& options);
std::unique_ptr<Kind> rows(const Opened& opened, const PredictCommand& options);

/// As JSON; bytes that are no UTF-8 become U+FFFD.
std::string json_text(const std::string& text);
/// Lists in lists, the shortest decimals that give the floats back.
std::string nested(at::IntArrayRef sizes, const float* values);
/// The checkpoint's labels as JSON, their indices where it has none. Throws ds::Error(kInput) where there are not `classes`.
std::vector<std::string> read_labels(const Opened& opened, std::int64_t classes);
/// "stdin" for "-".
std::string file_of(const Opened& opened);

/// The `top` likeliest of `classes` scores with their softmax; of equal scores the first class is first.
struct Best {
  std::int64_t index;
  double share;
};
std::vector<Best> best(const float* scores, std::int64_t classes, std::int64_t top);
/// ",\"values\":{name:number}" of a regression, in the units of the data.
std::string numbers(const at::Tensor& outputs, const data::Targets& targets);
/// ",\"labels\":[...],\"scores\":[...]"; `labels` as JSON.
std::string labels_and_scores(const float* scores, const std::vector<std::string>& labels, std::int64_t top);

}  // namespace ds::commands::predict
