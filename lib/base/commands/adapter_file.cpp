#include "base/commands/adapter_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "base/commands/convert_formats.h"
#include "base/core/error.h"
#include "base/graph/adapters.h"

namespace ds::commands {
namespace adapter_file {

bool equal(const io::Array& a, const io::Array& b) { return a.dtype == b.dtype && a.shape == b.shape && std::memcmp(a.data, b.data, a.bytes()) == 0; }

void require_adapter(const io::Checkpoint& checkpoint) {
  if (graph::adapter_base(checkpoint.graph).digest.empty())
    throw Error(Exit::kInput, checkpoint.path, "is no adapter, but a model of its own", "an adapter is what ds-train --adapter KIND writes");
}

}  // namespace adapter_file

void check_adapter(const std::string& path) {
  if (!path.empty()) adapter_file::require_adapter(io::load(path, {.tensors = false}));
}

void to_adapter(io::Checkpoint& checkpoint, const io::Checkpoint& base) {
  std::erase_if(checkpoint.tensors, [&](const auto& entry) {
    const auto found = base.tensors.find(entry.first);
    return found != base.tensors.end() && adapter_file::equal(found->second, entry.second);
  });
  checkpoint.graph["meta"]["adapter"]["base"] = {{"digest", base.digest}, {"file", std::filesystem::path(base.path).filename().string()}};
}

io::Checkpoint with_adapter(const io::Checkpoint& base, const std::string& path, bool merge, core::Record& record) {
  io::Checkpoint whole = io::load(path);
  record.input("adapter", whole.path, whole.digest);
  adapter_file::require_adapter(whole);
  const graph::AdapterBase wanted = graph::adapter_base(whole.graph);
  if (wanted.digest != base.digest)
    throw Error(
        Exit::kInput, path,
        fmt::format("is an adapter of {} ({}), not of {} ({})", wanted.digest.substr(0, 12), wanted.file, base.digest.substr(0, 12), base.path),
        "give it with its own base");
  whole.graph["meta"]["adapter"].erase("base");
  graph::Graph graph = graph::from_json(whole.graph, path);
  graph::verify(graph, path);
  for (const graph::TensorSpec& spec : graph.tensors) {
    if (whole.tensors.count(spec.name)) continue;
    if (const auto found = base.tensors.find(spec.name); found != base.tensors.end()) whole.tensors[spec.name] = found->second;
  }
  if (merge) {
    const std::vector<std::string> merged = graph::merge_adapters(graph, whole.tensors);
    io::Json kept = io::Json::array();
    if (graph.meta.contains("adapter"))
      for (const io::Json& site : graph.meta["adapter"]["sites"]) kept.push_back(site["base"]);
    graph.meta.erase("adapter");  // those that stay are layers like any
    record["merged"] = merged;
    record["adapters_kept"] = kept;
    whole.graph = graph::to_json(graph);
  }
  check_tensors(graph, whole.tensors, path);
  whole.path = base.path;
  return whole;
}

void convert_adapter(const ConvertCommand& options, core::Record& record) {
  io::check_output(options.output, {options.inputs[0], options.adapter}, options.common.force);
  const io::Checkpoint base = io::load_input(options.inputs[0], {.verify = options.verify});
  record.input("model", base.path, base.digest);
  const std::string adapter = io::load(options.adapter, {.tensors = false}).digest;
  io::Checkpoint merged = with_adapter(base, options.adapter, true, record);
  if (!options.common.dry_run) write_checkpoint(options, merged, {{"parents", {base.digest, adapter}}}, record);
}

}  // namespace ds::commands
