// Architectures: one family a file, each builds a graph. Sizes of a family are entries of their own (resnet18, resnet50).
// Tensors have the names and shapes of torchvision, save that BatchNorm has no num_batches_tracked (nothing reads it).
#pragma once
#include <map>
#include <source_location>
#include <string>
#include <vector>

#include "base/core/registry.h"
#include "base/graph/graph.h"

namespace ds::models {

enum class InputKind { kImages, kTokens };

/// What the data are, as far as the net has to know; 0 = they do not say.
struct DataSizes {
  InputKind kind = InputKind::kImages;
  std::int64_t num_classes = 0;
  std::int64_t channels = 0, height = 0, width = 0;  ///< of images
  std::int64_t vocab_size = 0, length = 0;           ///< of tokens: entries of the tokenizer, and tokens of the longest sequence
};

/// Options that every architecture has; 0 = as the data say. What a net takes is what its options can be fitted to.
struct NetOptions : core::Options {
  std::int64_t num_classes = 0;
  double dropout = -1;  ///< -1: the architecture's own default; set from regularize.dropout
  void fields(core::Fields& f) override;
  virtual bool takes(InputKind kind) const = 0;
  /// Sizes that are left open become those of the data, which are of a kind that it takes. Throws ds::Error(kUsage) where they do not fit.
  virtual void fit(const DataSizes& data) = 0;
  /// What it was fitted to, for messages: "images of 3x32x32".
  virtual std::string fitted_to() const = 0;
};

/// Options of a net for images. (For sequences of tokens: text.h.)
struct ArchOptions : NetOptions {
  std::int64_t in_channels = 0, height = 0, width_px = 0;
  void fields(core::Fields& f) override;
  bool takes(InputKind kind) const override { return kind == InputKind::kImages; }
  void fit(const DataSizes& data) override;
  std::string fitted_to() const override;
};

/// An option that is 0 takes what the data say. Throws ds::Error(kUsage, "model.<name>") where the two differ, or both are 0.
void fill(std::int64_t& option, std::int64_t data, const std::string& name);

/// Kind "architecture"; the body takes its options with all sizes set. A graph that comes with `meta` keeps it.
using Build = graph::Graph(const core::Options& options);

/// What an architecture for images is made for, for sizes and costs where there are no data: square ones of that side and channels, so many classes.
struct Usual {
  std::int64_t side = 224, channels = 3, classes = 1000;
  /// Beginnings of the names of tensors that published files have for training alone: auxiliary heads, which the graph leaves out.
  std::vector<std::string> training_only = {};
  bool centred = false;  ///< published weights want pixels from -1 to 1, that is, mean and deviation 0.5, in place of ImageNet's
};

/// Registers an architecture: card and body in one, since both are torch-free. Its family is the source file that registers it.
struct Architecture {
  template <class T>
  static Architecture make(const char* name, const char* summary, const char* source, Build* build, Usual usual = {},
                           std::source_location here = std::source_location::current()) {
    add_to_family(name, here.file_name(), usual);
    core::add_card<T>(core::Card{"architecture", name, summary, source});
    core::add_body("architecture", name, reinterpret_cast<void (*)()>(build));
    return {};
  }

 private:
  static void add_to_family(const char* name, const char* file, Usual usual);
};

/// Architectures by family, both sorted: {"resnet": {"resnet101", "resnet18", ...}}.
const std::map<std::string, std::vector<std::string>>& families();

/// What the architecture was registered with. Throws ds::Error(kUsage) for an unknown name.
const Usual& usual(const std::string& arch);

/// The data that an architecture is made for; of nets for tokens, sequences of graph::kUsualLength.
DataSizes usual_data(const std::string& arch);

/// The same choice with options of its own: nothing is shared with the original.
core::Choice copy(const core::Choice& choice);

/// Whether an architecture of that name takes such data.
bool takes(const std::string& arch, InputKind kind);

/// Builds the graph of a chosen architecture, with the sizes of the data filled in where the options leave them 0.
/// Throws ds::Error(kUsage) where it does not take such data or the sizes do not fit the architecture, kInput where a file that describes the
/// net cannot be read or does not fit the data.
graph::Graph build(const core::Choice& choice, const DataSizes& data, double dropout = -1);
/// The same for images.
graph::Graph build(const core::Choice& choice, std::int64_t num_classes, std::int64_t channels, std::int64_t height, std::int64_t width,
                   double dropout = -1);

}  // namespace ds::models
