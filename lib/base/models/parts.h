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

/// The mean of size x size windows that cover the image; no node where it is of that size already.
graph::Value adaptive_avg_pool(graph::Builder& b, const std::string& name, const graph::Value& x, std::int64_t size);

/// Throws ds::Error(kUsage) where an image is smaller than `least` pixels a side.
void require_size(const ArchOptions& options, const std::string& arch, std::int64_t least);

/// Draws the weights of every convolution by kaiming_normal over the fan-out with the gain of ReLU (He et al. 2015, eq. 14), as torchvision does.
void init_convs_fan_out(graph::Graph& graph);

/// Draws the weights of every node of that op from N(0, std).
void init_normal(graph::Graph& graph, const std::string& op, double std);

/// Starts the biases of every node of that op at 0.
void init_zero_biases(graph::Graph& graph, const std::string& op);

}  // namespace ds::models
