#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <cstring>
#include <set>

#include "base/commands/convert_looks.h"
#include "base/core/error.h"

namespace ds::commands {
namespace diffing {

using io::Array;
using io::Json;

bool same_bytes(const Array& a, const Array& b) {
  return a.dtype == b.dtype && a.shape == b.shape && std::memcmp(a.data, b.data, a.bytes()) == 0;
}

/// How two tensors of one name differ.
Json difference(const std::string& name, const Array& a, const Array& b) {
  Json row = {{"name", name}};
  if (a.shape != b.shape) {
    row["shapes"] = {a.shape, b.shape};
    return row;
  }
  if (a.dtype != b.dtype) row["dtypes"] = {io::dtype_name(a.dtype), io::dtype_name(b.dtype)};
  double most = 0;
  std::int64_t count = 0, at = 0;
  for (std::int64_t i = 0, n = a.numel(); i < n; ++i) {
    const double apart = std::abs(io::element(a, i) - io::element(b, i));
    count += apart != 0;
    if (apart > most) most = apart, at = i;
  }
  row["max_abs"] = most;
  row["index"] = at;  // row-major
  row["elements"] = count;
  return row;
}

Json compare(const std::map<std::string, Array>& a, const std::map<std::string, Array>& b) {
  std::set<std::string> names;
  for (const auto& [name, array] : a) names.insert(name);
  for (const auto& [name, array] : b) names.insert(name);
  Json rows = Json::array();
  for (const std::string& name : names) {
    const auto left = a.find(name), right = b.find(name);
    if (left == a.end() || right == b.end()) rows.push_back({{"name", name}, {"only_in", left == a.end() ? "second" : "first"}});
    else if (!same_bytes(left->second, right->second)) rows.push_back(difference(name, left->second, right->second));
  }
  return rows;
}

/// The first few names, for one line.
std::string brief(const Json& documents, const Json& tensors) {
  std::string text = documents.empty() ? ""
                                       : fmt::format("{} {}", documents.size() == 1 ? "document" : "documents",
                                                     fmt::join(documents.get<std::vector<std::string>>(), ", "));
  if (tensors.empty()) return text;
  const Json& first = tensors[0];
  text += fmt::format("{}{} tensor{}, first '{}'", text.empty() ? "" : " and ", tensors.size(), tensors.size() == 1 ? "" : "s",
                      first["name"].get<std::string>());
  if (first.contains("only_in")) text += ", which only the " + first["only_in"].get<std::string>() + " has";
  else if (first.contains("shapes")) text += fmt::format(", of shapes {} and {}", first["shapes"][0].dump(), first["shapes"][1].dump());
  else text += fmt::format(", by at most {:g}", first["max_abs"].get<double>());
  return text;
}

}  // namespace diffing

void diff(const ConvertCommand& options, core::Record& record) {
  using diffing::Json;
  const auto load = [](const std::string& path) { return is_weights_name(path) ? read_weights(path, true) : io::load_input(path); };
  const io::Checkpoint a = load(options.inputs[0]), b = load(options.inputs[1]);
  const bool models = !a.graph.is_null() && !b.graph.is_null();  // else one side is tensors alone: they are what is compared
  record.input("first", a.path, a.digest);
  record.input("second", b.path, b.digest);
  Json documents = Json::array(), outside = Json::array();
  const auto compare = [&](const char* name, const Json& left, const Json& right, Json& to) {
    if (models && left != right) to.push_back(name);
  };
  compare("graph", a.graph, b.graph, documents);
  compare("preprocessing", a.preprocessing, b.preprocessing, documents);
  compare("labels", a.labels, b.labels, documents);
  compare("tokenizer", a.tokenizer, b.tokenizer, documents);
  compare("config", a.config, b.config, outside);
  compare("history", a.history, b.history, outside);
  compare("provenance", a.provenance, b.provenance, outside);
  compare("state", a.state, b.state, outside);
  const Json tensors = diffing::compare(a.tensors, b.tensors);
  const Json state = diffing::compare(a.state_tensors, b.state_tensors);
  const bool equal = documents.empty() && tensors.empty();
  record["equal"] = equal;
  record["documents"] = documents;
  record["tensors"] = tensors;
  record["outside_digest"] = {{"documents", outside}, {"state_tensors", state}};
  if (!equal) throw Error(Exit::kGate, options.inputs[0], fmt::format("differs from {} in {}", options.inputs[1], diffing::brief(documents, tensors)));
}

}  // namespace ds::commands
