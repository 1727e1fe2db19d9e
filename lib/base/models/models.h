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

/// Options that every architecture has; 0 = as the data say.
struct ArchOptions : core::Options {
  std::int64_t num_classes = 0, in_channels = 0, height = 0, width_px = 0;
  double dropout = -1;  ///< -1: the architecture's own default; set from regularize.dropout
  void fields(core::Fields& f) override;
};

/// Kind "architecture"; the body takes its options with all sizes set. A graph that comes with `meta` keeps it.
using Build = graph::Graph(const core::Options& options);

/// Registers an architecture: card and body in one, since both are torch-free. Its family is the source file that registers it.
struct Architecture {
  template <class T>
  static Architecture make(const char* name, const char* summary, const char* source, Build* build,
                           std::source_location here = std::source_location::current()) {
    add_to_family(name, here.file_name());
    core::add_card<T>(core::Card{"architecture", name, summary, source});
    core::add_body("architecture", name, reinterpret_cast<void (*)()>(build));
    return {};
  }

 private:
  static void add_to_family(const char* name, const char* file);
};

/// Architectures by family, both sorted: {"resnet": {"resnet101", "resnet18", ...}}.
const std::map<std::string, std::vector<std::string>>& families();

/// Builds the graph of a chosen architecture, with the sizes of the data filled in where the options leave them 0.
/// Throws ds::Error(kUsage) where the sizes do not fit the architecture, kInput where a file that describes the net cannot be read or does
/// not fit the data.
graph::Graph build(const core::Choice& choice, std::int64_t num_classes, std::int64_t channels, std::int64_t height, std::int64_t width,
                   double dropout = -1);

}  // namespace ds::models
