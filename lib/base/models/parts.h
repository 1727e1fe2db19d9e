// What architectures share: the input of images, dropout as the options say, checks of sizes, initialisers.
#pragma once
#include <string>

#include "base/graph/builder.h"
#include "base/models/models.h"

namespace ds::models {

/// The graph's input `image` [N, C, H, W]: N is a symbol, the rest are as the options say.
graph::Value image(graph::Builder& b, const ArchOptions& options);

/// A dropout node with options.dropout, or `otherwise` where that is -1; no node where the probability is 0.
graph::Value dropout(graph::Builder& b, const std::string& name, const graph::Value& x, const ArchOptions& options, double otherwise);

/// Throws ds::Error(kUsage) where an image is smaller than `least` pixels a side.
void require_size(const ArchOptions& options, const std::string& arch, std::int64_t least);

/// Draws the weights of every convolution by kaiming_normal over the fan-out with the gain of ReLU (He et al. 2015, eq. 14), as torchvision does.
void init_convs_fan_out(graph::Graph& graph);

}  // namespace ds::models
