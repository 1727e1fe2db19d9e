// Architectures by family, for tests that run over all of them, or over the smallest of each family where a run costs time.
#pragma once
#include <doctest/doctest.h>

#include <set>

#include "base/core/error.h"
#include "base/core/tool.h"
#include "base/models/models.h"

namespace zoo {

inline ds::core::Choice choice(const std::string& arch, const ds::graph::Json& options = ds::graph::Json::object()) {
  ds::core::Choice c("architecture", arch, "arch");
  c.select(arch);
  ds::core::from_json(*c.options, options, "test");
  return c;
}

inline bool takes_text(const std::string& arch) { return ds::models::takes(arch, ds::models::InputKind::kTokens); }

/// Sizes with which a net for tokens runs in milliseconds: of the options that all have, those that the architecture has too.
inline ds::graph::Json small_text(const std::string& arch) {
  const ds::graph::Json small = {{"vocab_size", 24}, {"max_positions", 20}, {"dim", 24}, {"depth", 2}, {"heads", 6}, {"kv_heads", 3}, {"mlp_dim", 40}};
  const ds::core::Choice fresh = choice(arch);
  ds::graph::Json options = ds::graph::Json::object();
  const ds::core::Fields fields = ds::core::walk(*fresh.options);
  for (const ds::core::Entry& entry : fields.entries())
    if (small.contains(entry.path)) options[entry.path] = small[entry.path];
  return options;
}

/// What an architecture is as it stands: for 1000 classes, and pictures of that many pixels a side.
inline ds::graph::Graph build_usual(const std::string& arch, const ds::graph::Json& options = ds::graph::Json::object(),
                                    const std::vector<std::int64_t>& image = {3, 224, 224}) {
  if (takes_text(arch)) return ds::models::build(choice(arch, options), {.kind = ds::models::InputKind::kTokens, .num_classes = 1000});
  return ds::models::build(choice(arch, options), 1000, image[0], image[1], image[2]);
}

/// The architecture for the smallest square images with three channels that it takes, 32 pixels a side or more; for tokens as small_text says.
inline ds::graph::Graph build_small(const std::string& arch, std::int64_t classes, const ds::graph::Json& options = ds::graph::Json::object()) {
  if (takes_text(arch)) {
    ds::graph::Json all = small_text(arch);
    all.update(options);
    return ds::models::build(choice(arch, all), {.kind = ds::models::InputKind::kTokens, .num_classes = classes});
  }
  for (const std::int64_t side : {32, 64, 96, 128}) {
    try {
      return ds::models::build(choice(arch, options), classes, 3, side, side);
    } catch (const ds::Error& e) {
      if (e.code() != ds::Exit::kUsage) throw;
    }
  }
  return ds::models::build(choice(arch, options), classes, 3, 224, 224);
}

/// What the option `head` of an architecture can be; one "" where it has none.
inline std::vector<std::string> heads(const std::string& arch) {
  const ds::core::Choice fresh = choice(arch);
  const ds::core::Fields fields = ds::core::walk(*fresh.options);
  for (const ds::core::Entry& entry : fields.entries())
    if (entry.path == "head") return entry.field.choices;
  return {""};
}

/// Family -> its member with the fewest parameters, at the sizes that it has by itself. Left out is "graph", which is what a user's file says.
inline std::map<std::string, std::string> smallest_members() {
  std::map<std::string, std::string> smallest;
  for (const auto& [family, members] : ds::models::families()) {
    if (family == "graph_file") continue;
    std::int64_t least = 0;
    for (const std::string& arch : members) {
      const std::int64_t parameters = ds::graph::cost(takes_text(arch) ? build_usual(arch) : build_small(arch, 10)).parameters;
      if (!smallest.count(family) || parameters < least) smallest[family] = arch, least = parameters;
    }
  }
  return smallest;
}

/// Widths with which the smallest members run in milliseconds, in float64 too: hidden layers of 100 million weights, and depthwise 7x7 convolutions
/// that float64 has no fast kernel for, are of no use where a net is run or trained.
inline ds::graph::Json smaller(const std::string& arch) {
  static const std::map<std::string, ds::graph::Json> options = {
      {"alexnet", {{"hidden_features", 32}}}, {"convnext_tiny", {{"width", 16}}}, {"vgg11", {{"hidden_features", 32}}},
      {"mixer_s16_224", {{"dim", 64}, {"depth", 3}}}, {"swin_t", {{"dim", 24}}}, {"swin_v2_t", {{"dim", 24}}}, {"unet", {{"width", 8}}}};
  const auto found = options.find(arch);
  return found == options.end() ? ds::graph::Json::object() : found->second;
}

}  // namespace zoo
