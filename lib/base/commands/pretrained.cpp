#include "base/commands/pretrained.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>

#include "base/commands/convert_formats.h"
#include "base/commands/convert_hf.h"
#include "base/core/error.h"
#include "base/graph/adapters.h"
#include "base/io/cast.h"
#include "base/io/tensor_file.h"
#include "base/models/hf.h"
#include "base/models/text.h"

namespace ds::commands {
namespace pretraining {

using Tensors = std::map<std::string, io::Array>;

std::int64_t root(std::int64_t n) { return static_cast<std::int64_t>(std::llround(std::sqrt(static_cast<double>(n)))); }

/// Weights of Keys' cubic convolution (1981) with a = -0.75, as torch has it, for a place t in [0, 1) between the second and third of four points.
void cubic(double t, double (&w)[4]) {
  constexpr double a = -0.75;
  const auto near = [](double x) { return ((a + 2) * x - (a + 3)) * x * x + 1; };
  const auto far = [](double x) { return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a; };
  w[0] = far(t + 1), w[1] = near(t), w[2] = near(1 - t), w[3] = far(2 - t);
}

/// A table [1, k + n n, D] for [1, k + m m, D]: the k rows of class tokens stay, the grid is resized bicubically.
/// Empty where the shapes are not of that kind.
io::Array resized_positions(const io::Array& from, const std::vector<std::int64_t>& to) {
  if (from.shape.size() != 3 || to.size() != 3 || from.shape[0] != 1 || to[0] != 1 || from.shape[2] != to[2] || !io::is_float(from.dtype)) return {};
  for (std::int64_t k = 0; k <= 2; ++k) {
    const std::int64_t n = root(from.shape[1] - k), m = root(to[1] - k), dim = to[2];
    if (n < 1 || m < 1 || n * n != from.shape[1] - k || m * m != to[1] - k) continue;
    io::Array result = io::make_array(io::DType::kF32, to);
    float* out = result.as<float>();
    for (std::int64_t i = 0; i < k * dim; ++i) out[i] = static_cast<float>(io::element(from, i));
    for (std::int64_t y = 0; y < m; ++y) {
      for (std::int64_t x = 0; x < m; ++x) {
        const double at[2] = {(static_cast<double>(y) + 0.5) * static_cast<double>(n) / static_cast<double>(m) - 0.5,
                              (static_cast<double>(x) + 0.5) * static_cast<double>(n) / static_cast<double>(m) - 0.5};
        double wy[4], wx[4];
        cubic(at[0] - std::floor(at[0]), wy), cubic(at[1] - std::floor(at[1]), wx);
        const auto y0 = static_cast<std::int64_t>(std::floor(at[0])), x0 = static_cast<std::int64_t>(std::floor(at[1]));
        for (std::int64_t d = 0; d < dim; ++d) {
          double sum = 0;
          for (int i = 0; i < 4; ++i)
            for (int j = 0; j < 4; ++j) {
              const std::int64_t row = std::clamp<std::int64_t>(y0 - 1 + i, 0, n - 1), column = std::clamp<std::int64_t>(x0 - 1 + j, 0, n - 1);
              sum += wy[i] * wx[j] * io::element(from, (k + row * n + column) * dim + d);
            }
          out[(k + y * m + x) * dim + d] = static_cast<float>(sum);
        }
      }
    }
    return result;
  }
  return {};
}

bool same_tables(const graph::Graph& a, const graph::Graph& b) {
  return a.tensors.size() == b.tensors.size() && std::all_of(a.tensors.begin(), a.tensors.end(), [&](const graph::TensorSpec& spec) {
           const graph::TensorSpec* other = b.find_tensor(spec.name);
           return other && other->shape == spec.shape;
         });
}

/// Whether an architecture with these options has just the tensors of a graph.
bool is_of(const graph::Graph& own, const std::string& arch, const core::Json& options, models::InputKind kind, const std::string& where) {
  try {
    return same_tables(models::build(models::choose(arch, options, where), {.kind = kind}), own);
  } catch (const Error&) {
    return false;  // pruned, written by hand, or of a version with other options
  }
}

/// How many names and shapes meet.
std::size_t meets(const graph::Graph& graph, const Tensors& tensors) {
  return static_cast<std::size_t>(std::count_if(graph.tensors.begin(), graph.tensors.end(), [&](const graph::TensorSpec& spec) {
    const auto found = tensors.find(spec.name);
    return found != tensors.end() && found->second.shape == spec.shape;
  }));
}

/// Beginnings of names up to their first and second dot.
std::set<std::string> beginnings(const std::vector<std::string>& names) {
  std::set<std::string> found;
  for (const std::string& name : names) {
    const std::size_t one = name.find('.');
    if (one == std::string::npos) continue;
    found.insert(name.substr(0, one + 1));
    if (const std::size_t two = name.find('.', one + 1); two != std::string::npos) found.insert(name.substr(0, two + 1));
  }
  return found;
}

/// Names without `strip`, where they begin so, and with `add` in front where the graph has such a name.
Tensors renamed(const Tensors& tensors, const graph::Graph& graph, const std::string& strip, const std::string& add) {
  Tensors result;
  for (const auto& [name, array] : tensors) {
    std::string to = !strip.empty() && name.starts_with(strip) ? name.substr(strip.size()) : name;
    if (!add.empty() && graph.find_tensor(add + to)) to = add + to;
    result.emplace(to, array);
  }
  return result;
}

/// The one way of renaming that lets strictly more tensors fit than any other; as they are where there is none.
Tensors resolve_names(const graph::Graph& graph, const Tensors& tensors, FittedWeights& fitted) {
  std::vector<std::string> files, nets;
  for (const auto& [name, array] : tensors) files.push_back(name);
  for (const graph::TensorSpec& spec : graph.tensors) nets.push_back(spec.name);
  std::size_t best = meets(graph, tensors), plain = best;
  bool alone = true;
  std::pair<std::string, std::string> way;
  const auto attempt = [&](const std::string& strip, const std::string& add) {
    const std::size_t count = meets(graph, renamed(tensors, graph, strip, add));
    if (count > best)
      best = count, way = {strip, add}, alone = true;
    else if (count == best && best > plain)
      alone = false;
  };
  for (const std::string& strip : beginnings(files)) attempt(strip, "");
  for (const std::string& add : beginnings(nets)) attempt("", add);
  if (best == plain || !alone) return tensors;
  fitted.stripped = way.first, fitted.added = way.second;
  return renamed(tensors, graph, way.first, way.second);
}

std::string shown(const std::vector<std::string>& names) {
  const std::size_t n = std::min<std::size_t>(names.size(), 5);
  std::string text = fmt::format("{}", fmt::join(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(n), ", "));
  return n < names.size() ? text + fmt::format(" and {} more", names.size() - n) : text;
}

[[noreturn]] void nothing_fits(const graph::Graph& graph, const Tensors& tensors, const FittedWeights& fitted, const std::string& where) {
  if (!fitted.other.empty())
    throw Error(Exit::kInput, where, fmt::format("none of its {} tensors fits the net: {}", tensors.size(), shown(fitted.other)),
                "name its architecture and sizes");
  std::vector<std::string> names;
  for (const auto& [name, array] : tensors) names.push_back(name);
  std::string near;
  for (const graph::TensorSpec& spec : graph.tensors) {
    const std::string found = core::nearest(spec.name, names);
    if (!found.empty()) near += fmt::format("{}{} for {}", near.empty() ? "" : ", ", found, spec.name);
    if (near.size() > 120) break;
  }
  throw Error(Exit::kInput, where,
              fmt::format("none of its {} tensors ({}) has a name of the net's ({}){}", tensors.size(), names.empty() ? "" : names[0],
                          graph.tensors.empty() ? "" : graph.tensors[0].name, near.empty() ? "" : "; near are " + near),
              "name the architecture that the weights are of");
}

}  // namespace pretraining

void check_pretrained(const std::string& path) {
  if (path.empty()) return;
  if (is_folder_name(path)) {
    if (!std::filesystem::is_directory(path)) throw Error(Exit::kInput, path, "no such folder");
    return;
  }
  if (io::tensor_format(path) == io::TensorFormat::kNone) return io::check_input(path);
  if (!std::filesystem::exists(path)) throw Error(Exit::kInput, path, "no such file");
}

Pretrained read_pretrained(const std::string& path, core::Record& record) {
  Pretrained pretrained;
  pretrained.path = path;
  if (is_folder_name(path)) {
    pretrained.checkpoint = read_folder(path, record, nullptr);
  } else if (io::tensor_format(path) == io::TensorFormat::kNone) {
    pretrained.checkpoint = io::load_input(path);
    graph::refuse_adapter(pretrained.checkpoint.graph, path);
    record.input("pretrained", pretrained.checkpoint.path, pretrained.checkpoint.digest);
  } else {
    io::TensorFile file = io::read_tensors(path);
    const io::Bytes bytes = io::map_file(path);
    record.input("pretrained", io::absolute(path), io::sha256(bytes.data, bytes.size));
    bool same = false;
    if (is_own(file))
      pretrained.checkpoint = from_own(file, path, same);
    else
      pretrained.tensors = std::move(file.tensors);
  }
  if (pretrained.checkpoint.path.empty()) pretrained.checkpoint.path = path;
  if (pretrained.tensors.empty()) pretrained.tensors = pretrained.checkpoint.tensors;
  return pretrained;
}

void replace_head(graph::Graph& graph, std::int64_t classes, const std::string& where) {
  const std::string name = graph::head_of(graph);
  graph::Node* head = graph.find_node(name);
  const auto refuse = [&](const std::string& why) {
    throw Error(Exit::kUsage, where, fmt::format("its last layer cannot be made for {} classes: {}", classes, why),
                "give it data with its own classes");
  };
  if (!head) refuse("it is not one layer");
  for (const auto& [slot, target] : head->slots) {
    graph::TensorSpec* spec = graph.find_tensor(target.tensor);
    int uses = 0;
    for (const graph::Node& node : graph.nodes)
      for (const auto& [other, to] : node.slots) uses += to.tensor == target.tensor;
    if (uses != 1 || !target.whole()) refuse(fmt::format("'{}' is shared", target.tensor));
    const bool transposed = slot == "weight" && head->attrs.value("transposed", false);
    spec->shape[transposed ? 1 : 0] = classes;
  }
  head->attrs[head->op == "linear" ? "out_features" : "out_channels"] = classes;
  if (graph.meta.contains("options") && graph.meta["options"].contains("num_classes")) graph.meta["options"]["num_classes"] = classes;
  graph::verify(graph, where);
}

graph::Graph net_for(const io::Checkpoint& checkpoint, const models::DataSizes& data, const std::string& target, double dropout) {
  graph::Graph own = graph::from_json(checkpoint.graph, checkpoint.path);
  graph::verify(own, checkpoint.path);
  const core::Json arch = own.meta.value("arch", core::Json()), options = own.meta.value("options", core::Json());
  if (arch.is_string() && options.is_object() && pretraining::is_of(own, arch, options, data.kind, checkpoint.path)) {
    core::Json open = options;
    for (const char* size : {"num_classes", "in_channels", "height", "width_px"})
      if (open.contains(size)) open[size] = 0;
    if (open.contains("head") && data.kind == models::InputKind::kTokens) open["head"] = target;
    return models::build(models::choose(arch, open, checkpoint.path), data, dropout);
  }
  if (data.kind == models::InputKind::kImages && !own.inputs.empty() && own.inputs[0].type.dims.size() == 4) {
    const std::int64_t sizes[] = {0, data.channels, data.height, data.width};
    for (std::size_t d = 1; d < 4; ++d)
      if (own.inputs[0].type.dims[d].is_known()) own.inputs[0].type.dims[d] = sizes[d];
  }
  const std::vector<graph::Dim> out = graph::infer_types(own).at(own.outputs.at(0).value).dims;
  if (data.num_classes > 0 && !out.empty() && out.back() != graph::Dim(data.num_classes)) replace_head(own, data.num_classes, checkpoint.path);
  return own;
}

core::Json FittedWeights::to_json() const {
  core::Json json = {{"loaded", tensors.size()}, {"missing", missing}, {"unexpected", unexpected}, {"other_shape", other}};
  if (!resized.empty()) json["resized"] = resized;
  if (!stripped.empty()) json["prefix_removed"] = stripped;
  if (!added.empty()) json["prefix_added"] = added;
  return json;
}

std::string FittedWeights::line() const {
  using pretraining::shown;
  std::string text = fmt::format("{} tensors loaded", tensors.size());
  if (!stripped.empty()) text += fmt::format(", without '{}' in front of their names", stripped);
  if (!added.empty()) text += fmt::format(", with '{}' in front of their names", added);
  if (!resized.empty()) text += fmt::format("; resized: {}", shown(resized));
  if (!other.empty()) text += fmt::format("; of another shape, drawn anew: {}", shown(other));
  if (!missing.empty()) text += fmt::format("; missing, drawn anew: {}", shown(missing));
  if (!unexpected.empty()) text += fmt::format("; not used: {}", shown(unexpected));
  return text;
}

FittedWeights fit_weights(const graph::Graph& graph, const std::map<std::string, io::Array>& given, const std::string& where) {
  FittedWeights fitted;
  std::map<std::string, io::Array> tensors = given;
  std::erase_if(tensors, [](const auto& entry) { return entry.first.ends_with("num_batches_tracked"); });  // nothing reads it
  tensors = pretraining::resolve_names(graph, tensors, fitted);
  for (const graph::TensorSpec& spec : graph.tensors) {
    const auto found = tensors.find(spec.name);
    if (found == tensors.end()) {
      fitted.missing.push_back(spec.name);
      continue;
    }
    io::Array array = found->second;
    tensors.erase(found);
    if (array.shape != spec.shape && spec.name.find("pos") != std::string::npos) {
      io::Array table = pretraining::resized_positions(array, spec.shape);
      if (table.data) array = std::move(table), fitted.resized.push_back(spec.name);
    }
    const bool convertible = array.dtype == spec.dtype || (io::is_float(array.dtype) && io::is_float(spec.dtype));
    if (array.shape != spec.shape || !convertible) {
      fitted.other.push_back(fmt::format("{} is {}{}, expected {}{}", spec.name, io::dtype_name(array.dtype), io::shape_text(array.shape),
                                         io::dtype_name(spec.dtype), io::shape_text(spec.shape)));
      continue;
    }
    double largest = 0;
    if (array.dtype != spec.dtype) array = io::cast(array, spec.dtype, largest);
    fitted.tensors[spec.name] = std::move(array);
  }
  for (const auto& [name, array] : tensors) fitted.unexpected.push_back(name);
  if (fitted.tensors.empty()) pretraining::nothing_fits(graph, given, fitted, where);
  check_finite(fitted.tensors, where);
  return fitted;
}

}  // namespace ds::commands
