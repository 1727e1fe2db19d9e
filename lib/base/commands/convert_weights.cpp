#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <optional>

#include "base/commands/convert_formats.h"
#include "base/core/error.h"
#include "base/models/models.h"

namespace ds::commands {
namespace weights {

using Tensors = std::map<std::string, io::Array>;

struct Sizes {
  std::int64_t classes = 0, channels = 0, height = 0, width = 0;
};

/// The usual sides of images beside those that an architecture is made for, the most usual first.
constexpr std::int64_t kSides[] = {224, 28,  32,  8,   16,  64,  96,  128, 160, 192, 240, 256, 260, 280,
                                   288, 299, 300, 320, 336, 380, 384, 448, 456, 480, 512, 518, 528, 600};
constexpr std::int64_t kSomeClasses = 10, kSomeChannels = 3;

std::optional<graph::Graph> try_build(const core::Choice& choice, const Sizes& s) {
  try {
    return models::build(choice, s.classes, s.channels, s.height, s.width);
  } catch (const Error&) {  // this size does not fit the architecture: another may
    return std::nullopt;
  }
}

/// How many tensors of the table have not the shape that the file says.
std::size_t misfits(const graph::Graph& graph, const Tensors& tensors) {
  std::size_t count = 0;
  for (const graph::TensorSpec& spec : graph.tensors) {
    const auto found = tensors.find(spec.name);
    count += found == tensors.end() || found->second.shape != spec.shape;
  }
  return count;
}

/// A size that is one dim of some tensor, times a factor and plus an offset: `one` is the graph with the size `base` and `two` with one more, the
/// dim that grows tells both, and the file's tensor tells the size. 0 where no tensor does.
std::int64_t solve(const std::optional<graph::Graph>& one, const std::optional<graph::Graph>& two, const Tensors& tensors, std::int64_t base) {
  if (!one || !two) return 0;
  for (const graph::TensorSpec& spec : one->tensors) {
    const graph::TensorSpec* more = two->find_tensor(spec.name);
    const auto found = tensors.find(spec.name);
    if (!more || found == tensors.end() || more->shape.size() != spec.shape.size() || found->second.shape.size() != spec.shape.size()) continue;
    for (std::size_t d = 0; d < spec.shape.size(); ++d) {
      const std::int64_t slope = more->shape[d] - spec.shape[d];
      if (slope <= 0) continue;
      const std::int64_t apart = found->second.shape[d] - spec.shape[d];
      if (apart % slope == 0 && base + apart / slope > 0) return base + apart / slope;
    }
  }
  return 0;
}

std::int64_t solve(const core::Choice& choice, const Tensors& tensors, Sizes sizes, std::int64_t Sizes::*member) {
  const std::int64_t base = sizes.*member;
  const std::optional<graph::Graph> one = try_build(choice, sizes);
  sizes.*member = base + 1;
  return solve(one, try_build(choice, sizes), tensors, base);
}

/// The sides of the image: those that are given, else those that the net is made for, or the first usual ones with which more tensors fit.
void choose_sides(const core::Choice& choice, const Tensors& tensors, Sizes& sizes) {
  if (sizes.height != 0 && sizes.width != 0) return;
  std::size_t least = std::numeric_limits<std::size_t>::max();
  Sizes best = sizes;
  std::vector<std::int64_t> sides{models::usual(choice.name).side};
  sides.insert(sides.end(), std::begin(kSides), std::end(kSides));
  for (const std::int64_t side : sides) {
    Sizes tried = sizes;
    if (tried.height == 0) tried.height = side;
    if (tried.width == 0) tried.width = side;
    Sizes solved = tried;
    for (auto member : {&Sizes::classes, &Sizes::channels}) {
      if (solved.*member != 0) continue;
      Sizes given = solved;
      if (given.classes == 0) given.classes = kSomeClasses;
      if (given.channels == 0) given.channels = kSomeChannels;
      const std::int64_t size = solve(choice, tensors, given, member);
      solved.*member = size > 0 ? size : given.*member;
    }
    const std::optional<graph::Graph> graph = try_build(choice, solved);
    if (!graph) continue;
    const std::size_t count = misfits(*graph, tensors);
    if (count < least) least = count, best = solved;
    if (count == 0) break;
  }
  sizes = best;
  if (least == std::numeric_limits<std::size_t>::max()) sizes.height = sizes.width = sides[0];  // build says what is wrong
}

/// The integer option of that name; nullptr where the architecture has none.
std::int64_t* option(core::Choice& choice, const std::string& name) {
  const core::Fields fields = core::walk(*choice.options);
  for (const core::Entry& entry : fields.entries())
    if (auto* const* value = std::get_if<std::int64_t*>(&entry.target); value != nullptr && entry.path == name) return *value;
  return nullptr;
}

/// A net for texts: what its tables and its last layer are for. Sizes of the layers are as the options say.
graph::Graph for_texts(const core::Choice& choice, const Tensors& tensors) {
  core::Choice found = models::copy(choice);
  const auto build = [](const core::Choice& tried) { return models::build(tried, {.kind = models::InputKind::kTokens}); };
  const auto try_with = [&](const char* name, std::int64_t size) -> std::optional<graph::Graph> {
    core::Choice tried = models::copy(found);
    for (const auto& [other, some] : {std::pair("num_classes", kSomeClasses), std::pair(name, size)})
      if (std::int64_t* value = option(tried, other); value != nullptr && (*value == 0 || other == name)) *value = some;
    try {
      return build(tried);
    } catch (const Error&) {
      return std::nullopt;
    }
  };
  for (const char* name : {"vocab_size", "num_classes", "max_positions"}) {
    std::int64_t* value = option(found, name);
    if (value == nullptr || (*value != 0 && std::string(name) != "max_positions")) continue;  // max_positions has a default: the file knows better
    const std::int64_t base = *value == 0 ? kSomeClasses : *value;
    const std::int64_t size = solve(try_with(name, base), try_with(name, base + 1), tensors, base);
    if (size > 0) *value = size;
    else if (*value == 0 && std::string(name) == "num_classes") *value = kSomeClasses;  // check_tensors says which tensors are missing
  }
  return build(found);
}

/// "3 tensors missing: a, b, c", the first ten of them.
void report(std::vector<Error>& errors, const std::string& where, const std::vector<std::string>& names, const std::string& what,
            const std::string& hint = "") {
  if (names.empty()) return;
  const std::size_t shown = std::min<std::size_t>(names.size(), 10);
  std::string text = fmt::format("{} tensor{} {}: {}", names.size(), names.size() == 1 ? "" : "s", what,
                                 fmt::join(names.begin(), names.begin() + std::ptrdiff_t(shown), ", "));
  if (shown < names.size()) text += fmt::format(" and {} more", names.size() - shown);
  errors.emplace_back(Exit::kInput, where, text, hint);
}

}  // namespace weights

graph::Graph graph_for(const core::Choice& choice, const std::map<std::string, io::Array>& tensors, const std::vector<std::int64_t>& size) {
  if (!models::takes(choice.name, models::InputKind::kImages)) return weights::for_texts(choice, tensors);
  const auto& given = static_cast<const models::ArchOptions&>(*choice.options);
  weights::Sizes sizes{given.num_classes, given.in_channels, given.height, given.width_px};
  if (!size.empty()) sizes.height = size.front(), sizes.width = size.back();
  const bool sides = sizes.height != 0 && sizes.width != 0;
  weights::choose_sides(choice, tensors, sizes);
  for (auto member : {&weights::Sizes::classes, &weights::Sizes::channels}) {
    if (!sides || sizes.*member != 0) continue;
    weights::Sizes tried = sizes;
    if (tried.classes == 0) tried.classes = weights::kSomeClasses;
    if (tried.channels == 0) tried.channels = weights::kSomeChannels;
    const std::int64_t found = weights::solve(choice, tensors, tried, member);
    sizes.*member = found > 0 ? found : tried.*member;
  }
  return models::build(choice, sizes.classes, sizes.channels, sizes.height, sizes.width);
}

void check_tensors(const graph::Graph& graph, const std::map<std::string, io::Array>& tensors, const std::string& where) {
  std::vector<std::string> missing, unexpected, other;
  std::map<std::string, bool> known;
  for (const graph::TensorSpec& spec : graph.tensors) {
    known[spec.name] = true;
    const auto found = tensors.find(spec.name);
    if (found == tensors.end()) {
      missing.push_back(spec.name);
    } else if (found->second.shape != spec.shape || found->second.dtype != spec.dtype) {
      other.push_back(fmt::format("{} is {}{}, expected {}{}", spec.name, io::dtype_name(found->second.dtype), io::shape_text(found->second.shape),
                                  io::dtype_name(spec.dtype), io::shape_text(spec.shape)));
    }
  }
  for (const auto& [name, array] : tensors)
    if (!known.count(name)) unexpected.push_back(name);
  std::vector<Error> errors;
  weights::report(errors, where, missing, "missing");
  weights::report(errors, where, unexpected, "unexpected");
  weights::report(errors, where, other, "of another form", "name sizes with --set model.KEY=VALUE, or another --arch");
  throw_errors(errors);
}

}  // namespace ds::commands
