// What architectures share: the input of images, dropout as the options say, checks of sizes, initialisers.
#pragma once
#include <string>
#include <vector>

#include "base/graph/builder.h"
#include "base/models/models.h"

namespace ds::models {

/// The graph's input `image` [N, C, H, W]: N is a symbol, the rest are as the options say.
graph::Value image(graph::Builder& b, const ArchOptions& options);

/// A dropout node with options.dropout, or `otherwise` where that is -1; no node where the probability is 0.
graph::Value dropout(graph::Builder& b, const std::string& name, const graph::Value& x, const NetOptions& options, double otherwise);

/// The mean of size x size windows that cover the image; no node where it is of that size already.
graph::Value adaptive_avg_pool(graph::Builder& b, const std::string& name, const graph::Value& x, std::int64_t size);

/// q, k and v of x [..., dim]: linears `<prefix>q`, `<prefix>k`, `<prefix>v` whose weights are rows of `weight` [3 dim, dim], and whose biases are
/// those of `bias` [3 dim], as in torch.nn.MultiheadAttention. The two tensors must have been added to the builder.
std::vector<graph::Value> packed_qkv(graph::Builder& b, const std::string& prefix, const graph::Value& x, std::int64_t dim, const std::string& weight,
                                     const std::string& bias);

/// The patches of an image as tokens: convolution `name` of kernel and stride `patch`, [N, C, H, W] -> [N, H / patch * W / patch, dim].
graph::Value patch_tokens(graph::Builder& b, const std::string& name, const graph::Value& x, std::int64_t dim, std::int64_t patch);

/// Throws ds::Error(kUsage) where patches of that side do not divide the image's sides.
void require_patches(const ArchOptions& options, std::int64_t patch);

/// Throws ds::Error(kUsage) where an image is smaller than `least` pixels a side.
void require_size(const ArchOptions& options, const std::string& arch, std::int64_t least);

/// Draws the weights of every convolution by kaiming_normal over the fan-out with the gain of ReLU (He et al. 2015, eq. 14), as torchvision does.
void init_convs_fan_out(graph::Graph& graph);

/// Draws the weights of every node of that op from N(0, std).
void init_normal(graph::Graph& graph, const std::string& op, double std);

/// Starts the biases of every node of that op at 0.
void init_zero_biases(graph::Graph& graph, const std::string& op);

}  // namespace ds::models
