// Architectures by family, for tests that run over all of them, or over the smallest of each family where a run costs time.
#pragma once
#include <doctest/doctest.h>

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

/// The architecture for the smallest square images with three channels that it takes: 32 pixels a side or more.
inline ds::graph::Graph build_small(const std::string& arch, std::int64_t classes, const ds::graph::Json& options = ds::graph::Json::object()) {
  for (const std::int64_t side : {32, 64, 96, 128}) {
    try {
      return ds::models::build(choice(arch, options), classes, 3, side, side);
    } catch (const ds::Error& e) {
      if (e.code() != ds::Exit::kUsage) throw;
    }
  }
  return ds::models::build(choice(arch, options), classes, 3, 224, 224);
}

/// Family -> its member with the fewest parameters. Left out is "graph", which is what a user's file says.
inline std::map<std::string, std::string> smallest_members() {
  std::map<std::string, std::string> smallest;
  for (const auto& [family, members] : ds::models::families()) {
    if (family == "graph_file") continue;
    std::int64_t least = 0;
    for (const std::string& arch : members) {
      const std::int64_t parameters = ds::graph::cost(build_small(arch, 10)).parameters;
      if (!smallest.count(family) || parameters < least) smallest[family] = arch, least = parameters;
    }
  }
  return smallest;
}

}  // namespace zoo
