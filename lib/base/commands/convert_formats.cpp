#include "base/commands/convert_formats.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <future>

#include "base/core/error.h"
#include "base/core/log.h"
#include "base/io/cast.h"
#include "base/io/checkpoint_format.h"
#include "base/io/image.h"
#include "base/models/models.h"

namespace ds::commands {
namespace formats {

using io::Array;
using io::Json;
using Tensors = std::map<std::string, Array>;

constexpr const char* kVersionKey = "ds.format";
constexpr const char* kDigestKey = "ds.digest";
constexpr int kVersion = 1;
constexpr std::int64_t kMaxLabels = 1 << 26;  ///< bytes

/// Pictures of mistakes and curves are for the report; the state is for going on. All else goes along.
bool travels(const io::format::Document& document) {
  return document.member != &io::Checkpoint::evaluation && document.member != &io::Checkpoint::history && document.member != &io::Checkpoint::state;
}

io::TensorFile to_file(const io::Checkpoint& checkpoint) { return {checkpoint.tensors, documents_of(checkpoint)}; }

}  // namespace formats

bool is_own(const io::TensorFile& file) { return file.metadata.count(formats::kVersionKey) && file.metadata.count("ds.graph"); }

io::Checkpoint from_own(const io::TensorFile& file, const std::string& path, bool& same, io::KnownDigests* known) {
  using formats::kVersion, formats::kVersionKey;
  if (const std::string& version = file.metadata.at(kVersionKey); version != std::to_string(kVersion))
    throw Error(Exit::kInput, path, fmt::format("{} is '{}', expected '{}'", kVersionKey, version, kVersion), "a newer version of ds may have written it");
  io::Checkpoint checkpoint;
  checkpoint.tensors = file.tensors;
  for (const io::format::Document& document : io::format::kDocuments) {
    const auto found = file.metadata.find(std::string("ds.") + document.name);
    if (found == file.metadata.end() || !formats::travels(document)) continue;
    const std::string where = path + ": " + found->first;
    checkpoint.*document.member = io::format::parse_document(found->second.data(), found->second.size(), where);
    if (const std::string problem = io::format::kind_problem(document.name, checkpoint.*document.member); !problem.empty())
      throw Error(Exit::kInput, where, problem);
  }
  const graph::Graph graph = graph::from_json(checkpoint.graph, path + ": ds.graph");
  graph::verify(graph, path + ": ds.graph");
  check_tensors(graph, file.tensors, path);
  const auto parent = file.metadata.find(formats::kDigestKey);
  same = parent != file.metadata.end() && io::root_digest(checkpoint, known) == parent->second;
  return checkpoint;
}

void drop_training_only(const std::string& arch, std::map<std::string, io::Array>& tensors, core::Record& record) {
  io::Json dropped = io::Json::array();
  for (const std::string& beginning : models::usual(arch).training_only) {
    for (auto at = tensors.lower_bound(beginning); at != tensors.end() && at->first.starts_with(beginning); at = tensors.erase(at))
      dropped.push_back(at->first);
  }
  if (dropped.empty()) return;
  core::info(fmt::format("left out {} tensors of auxiliary heads ({} ...): training alone reads them", dropped.size(), dropped[0].get<std::string>()));
  io::Json& ignored = record["ignored"];
  if (ignored.is_null()) ignored = io::Json::array();
  ignored.insert(ignored.end(), dropped.begin(), dropped.end());
}

void clean_tensors(std::map<std::string, io::Array>& tensors, core::Record& record) {
  io::Json ignored = io::Json::array();
  for (auto at = tensors.begin(); at != tensors.end();) {
    if (!at->first.ends_with("num_batches_tracked")) {
      ++at;
      continue;
    }
    ignored.push_back(at->first);
    at = tensors.erase(at);
  }
  if (!ignored.empty()) record["ignored"] = ignored;
  const std::string prefix = "module.";  // torch.nn.DataParallel
  if (tensors.empty() ||
      !std::all_of(tensors.begin(), tensors.end(), [&](const auto& t) { return t.first.size() > prefix.size() && t.first.starts_with(prefix); }))
    return;
  formats::Tensors short_names;
  for (const auto& [name, array] : tensors) short_names.emplace(name.substr(prefix.size()), array);
  tensors = std::move(short_names);
  record["prefix"] = prefix;
}

void fit_dtypes(const graph::Graph& graph, std::map<std::string, io::Array>& tensors, core::Record& record) {
  std::map<std::string, std::size_t> from;
  double largest = 0;
  for (const graph::TensorSpec& spec : graph.tensors) {
    const auto found = tensors.find(spec.name);
    if (found == tensors.end() || found->second.dtype == spec.dtype || !io::is_float(spec.dtype) || !io::is_float(found->second.dtype)) continue;
    ++from[io::dtype_name(found->second.dtype)];
    found->second = io::cast(found->second, spec.dtype, largest);
  }
  if (!from.empty()) record["converted"] = {{"from", from}, {"to", "float32"}, {"largest_difference", largest}};
}

void check_finite(const std::map<std::string, io::Array>& tensors, const std::string& where) {
  for (const auto& [name, array] : tensors)
    if (const std::int64_t at = io::first_nonfinite(array); at >= 0)
      throw Error(Exit::kInput, where, fmt::format("tensor '{}': value at index {} is not finite", name, at));
}

namespace formats {

Json read_labels(const std::string& path, std::int64_t count) {
  const std::string text = io::read_file(path, kMaxLabels);
  if (!io::is_utf8(text)) throw Error(Exit::kInput, path, "labels that are not UTF-8 text");
  Json labels = Json::array();
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::string line = text.substr(at, end - at);
    if (!line.empty() && line.back() == '\r') line.pop_back();
    labels.push_back(line);
    at = end + 1;
  }
  if (static_cast<std::int64_t>(labels.size()) != count)
    throw Error(Exit::kInput, path, fmt::format("{} labels, one a line; the net has {} outputs", labels.size(), count));
  return labels;
}

Json per_channel(const std::vector<double>& given, const std::vector<double>& imagenet, double otherwise, std::int64_t channels, const std::string& flag) {
  std::vector<double> values = given;
  if (values.empty()) values = channels == 3 ? imagenet : std::vector<double>(static_cast<std::size_t>(channels), otherwise);
  if (static_cast<std::int64_t>(values.size()) != channels)
    throw Error(Exit::kUsage, flag, fmt::format("{} values, the net has {} channels", values.size(), channels));
  return values;
}

/// Pixels to what the net was trained on: as the options say, ImageNet's mean and deviation where it has three channels.
Json preprocessing(const ConvertCommand& options, const graph::Graph& graph) {
  const std::vector<graph::Dim>& dims = graph.inputs.at(0).type.dims;
  if (dims.size() != 4 || !dims[1].is_known() || !dims[2].is_known() || !dims[3].is_known()) return nullptr;
  const std::int64_t channels = dims[1].value();
  using Three = std::vector<double>;
  const bool centred = !options.model.name.empty() && models::usual(options.model.name).centred;
  const Three mean = centred ? Three{0.5, 0.5, 0.5} : Three{0.485, 0.456, 0.406}, deviation = centred ? mean : Three{0.229, 0.224, 0.225};
  Json json = {{"kind", "image"},
               {"shape", {channels, dims[2].value(), dims[3].value()}},
               {"scale", 1.0 / 255},
               {"mean", per_channel(options.mean, mean, 0, channels, "--mean")},
               {"std", per_channel(options.std, deviation, 1, channels, "--std")}};
  if (!options.resize.empty()) json["resize"] = options.resize.size() == 1 ? Json(options.resize[0]) : Json(options.resize);
  if (options.interpolation != "bilinear") json["interpolation"] = options.interpolation;
  try {
    if (channels == 1 || channels == 3) (void)io::fit_of(json);
  } catch (const Error& e) {
    throw Error(Exit::kUsage, "--resize", e.message());
  }
  return json;
}

}  // namespace formats

void describe(const ConvertCommand& options, const graph::Graph& graph, io::Checkpoint& checkpoint) {
  checkpoint.preprocessing = formats::preprocessing(options, graph);
  const std::vector<graph::Dim> out = graph::infer_types(graph).at(graph.outputs.at(0).value).dims;
  if (!options.labels.empty()) checkpoint.labels = formats::read_labels(options.labels, (out.size() == 4 ? out[1] : out.back()).value());
}

namespace formats {

/// Weights of another program in the net that the options name.
io::Checkpoint from_foreign(const ConvertCommand& options, io::TensorFile file, const std::string& path, core::Record& record) {
  if (options.model.name.empty())
    throw Error(Exit::kUsage, path, "holds tensors and no graph", "name the architecture with --arch (ds-train --list architecture)");
  clean_tensors(file.tensors, record);
  drop_training_only(options.model.name, file.tensors, record);
  const graph::Graph graph = graph_for(options.model, file.tensors, options.size);
  fit_dtypes(graph, file.tensors, record);
  check_tensors(graph, file.tensors, path);
  io::Checkpoint checkpoint;
  checkpoint.graph = graph::to_json(graph);
  checkpoint.tensors = std::move(file.tensors);
  check_finite(checkpoint.tensors, path);
  describe(options, graph, checkpoint);
  record["model"] = graph.meta;
  record["preprocessing"] = checkpoint.preprocessing;
  return checkpoint;
}

/// Whether the bytes are equal. Pages of `back`, which nobody reads again, are given back on the way, so that two files of weights are never in
/// memory at once.
bool same_bytes(const std::byte* wrote, const std::byte* back, std::size_t bytes) {
  constexpr std::size_t kBlock = std::size_t{1} << 20;
  bool same = true;
  for (std::size_t at = 0; at < bytes; at += kBlock) {
    const std::size_t n = std::min(kBlock, bytes - at);
    same &= std::memcmp(wrote + at, back + at, n) == 0;
    if (same) give_back(back + at, n);
  }
  return same;
}

/// "" where both are the same bit for bit, else how they differ; `largest` grows to the largest difference.
std::string difference(const std::string& name, const Array& wrote, const Tensors& back, double& largest) {
  const auto found = back.find(name);
  if (found == back.end()) return fmt::format("tensor '{}' is not there", name);
  const Array& read = found->second;
  if (read.dtype != wrote.dtype || read.shape != wrote.shape)
    return fmt::format("tensor '{}' is {}{}, wrote {}{}", name, io::dtype_name(read.dtype), io::shape_text(read.shape), io::dtype_name(wrote.dtype),
                       io::shape_text(wrote.shape));
  if (same_bytes(wrote.data, read.data, wrote.bytes())) return "";
  for (std::int64_t i = 0, n = wrote.numel(); i < n; ++i) {
    const double apart = std::abs(io::element(read, i) - io::element(wrote, i));
    if (!(apart <= largest)) largest = apart;  // NaN counts too
  }
  return fmt::format("tensor '{}' differs by at most {:g}", name, largest);
}

}  // namespace formats

void give_back(const std::byte* data, std::size_t bytes) {
  static const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto first = reinterpret_cast<std::uintptr_t>(data), begin = (first + page - 1) / page * page, end = (first + bytes) / page * page;
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

std::map<std::string, std::string> documents_of(const io::Checkpoint& checkpoint) {
  std::map<std::string, std::string> texts = {
      {"format", "pt"}, {formats::kVersionKey, std::to_string(formats::kVersion)}, {formats::kDigestKey, checkpoint.digest}};
  for (const io::format::Document& document : io::format::kDocuments)
    if (const io::Json& json = checkpoint.*document.member; formats::travels(document) && !json.is_null())
      texts[std::string("ds.") + document.name] = io::format::document_text(json, document.name);
  return texts;
}

std::string compare_tensors(const std::map<std::string, io::Array>& wrote, const std::map<std::string, io::Array>& back, double& largest) {
  std::string problem = back.size() == wrote.size() ? "" : fmt::format("{} tensors, wrote {}", back.size(), wrote.size());
  for (const auto& [name, array] : wrote) {
    const std::string found = formats::difference(name, array, back, largest);
    if (problem.empty()) problem = found;
  }
  return problem;
}

io::TensorFile travelling(const io::Checkpoint& checkpoint) { return formats::to_file(checkpoint); }

void verify_written(const ConvertCommand& options, const std::map<std::string, io::Array>& wrote, core::Record& record, const Verified& outputs) {
  const std::string& path = options.output;
  formats::Tensors back;
  if (io::tensor_format(path) == io::TensorFormat::kNone) back = io::load(path, {.verify = false}).tensors;  // compared bit for bit below
  else back = io::read_tensors(path, false).tensors;
  if (io::tensor_format(path) == io::TensorFormat::kNpy && back.size() == 1 && wrote.size() == 1)  // it has no name for its tensor
    back = {{wrote.begin()->first, back.begin()->second}};
  double largest = 0;
  const std::string problem = compare_tensors(wrote, back, largest);
  Verified found = outputs;
  found.tensors = wrote.size();
  found.largest_difference = largest;
  tell_verified(options, found, record);
  if (problem.empty()) return;
  unlink(path.c_str());
  throw Error(Exit::kFailure, path, "what was read back is not what was written: " + problem);
}

void write_checkpoint(const ConvertCommand& options, io::Checkpoint& checkpoint, io::Json step, core::Record& record, io::KnownDigests* known,
                      const Verified& outputs) {
  io::add_provenance(checkpoint, std::move(step), options.common.reproducible);
  io::save(checkpoint, options.output, {.overwrite = options.common.force, .reproducible = options.common.reproducible, .known = known});
  record.output("model", checkpoint.path, checkpoint.digest);
  if (options.output != "-") verify_written(options, checkpoint.tensors, record, outputs);
}

namespace formats {

void write_file(const ConvertCommand& options, const io::TensorFile& file, const std::string& digest, core::Record& record) {
  io::write_tensors(options.output, file, options.common.force);
  record.output(digest.empty() ? "weights" : "model", io::absolute(options.output), digest);
  verify_written(options, file.tensors, record);
}

void from_tensor_file(const ConvertCommand& options, core::Record& record) {
  const std::string& input = options.inputs[0];
  const io::Bytes bytes = io::map_file(input);
  io::TensorFile file = io::read_tensors(bytes, input);
  // The digest of the whole file, while the tensors are hashed or written.
  std::future<std::string> hashed = std::async([&bytes] { return io::sha256(bytes.data, bytes.size); });
  const bool own = is_own(file) && options.model.name.empty();
  if (io::tensor_format(options.output) != io::TensorFormat::kNone) {
    if (!options.common.dry_run) write_file(options, file, "", record);
    record.input("weights", io::absolute(input), hashed.get());
    return;
  }
  bool same = false;
  io::KnownDigests known;
  io::Checkpoint checkpoint = own ? from_own(file, input, same, &known) : from_foreign(options, std::move(file), input, record);
  if (!own && !options.common.dry_run) io::root_digest(checkpoint, &known);  // now, beside the other
  const std::string digest = hashed.get();
  record.input("weights", io::absolute(input), digest);
  if (options.common.dry_run) return;
  Json step = {{"parents", Json::array()}, {"weights", {{"file", std::filesystem::path(input).filename().string()}, {"sha256", digest}}}};
  if (own) {
    record["same_model"] = same;  // false: the file was changed since it was written
    if (same) step["parents"].push_back(file.metadata.at(kDigestKey));
  }
  write_checkpoint(options, checkpoint, std::move(step), record, &known);
}

void from_checkpoint(const ConvertCommand& options, core::Record& record) {
  const io::Checkpoint checkpoint = io::load_input(options.inputs[0], {.verify = options.verify});
  record.input("model", checkpoint.path, checkpoint.digest);
  if (!options.common.dry_run) write_file(options, to_file(checkpoint), checkpoint.digest, record);
}

}  // namespace formats

void convert_formats(const ConvertCommand& options, core::Record& record) {
  std::vector<std::string> inputs = {options.inputs[0]};
  if (!options.labels.empty()) inputs.push_back(options.labels);
  io::check_output(options.output, inputs, options.common.force);
  if (io::tensor_format(options.inputs[0]) == io::TensorFormat::kNone) formats::from_checkpoint(options, record);
  else formats::from_tensor_file(options, record);
}

}  // namespace ds::commands
