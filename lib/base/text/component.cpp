#include "base/text/component.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/core/error.h"
#include "base/text/unicode.h"

namespace ds::text {
namespace {

constexpr int kDeepest = 16;
constexpr std::size_t kMostParts = 256;

template <class T>
constexpr const char* kind();
template <>
constexpr const char* kind<Normalizer>() {
  return "normalizer";
}
template <>
constexpr const char* kind<PreTokenizer>() {
  return "pre-tokenizer";
}
template <>
constexpr const char* kind<Model>() {
  return "model";
}
template <>
constexpr const char* kind<PostProcessor>() {
  return "post-processor";
}
template <>
constexpr const char* kind<Decoder>() {
  return "decoder";
}

}  // namespace

Spec::Spec(const Json& json, std::string where, int depth) : json_(json), where_(std::move(where)), depth_(depth) {
  if (depth_ > kDeepest) fail(fmt::format("components lie over {} deep in each other", kDeepest));
  if (!json_.is_object()) fail(fmt::format("is a JSON {}, expected an object", json_.type_name()));
}

void Spec::fail(const std::string& message) const { throw Error(Exit::kInput, where_, message); }

bool Spec::has(const char* key) const {
  const auto found = json_.find(key);
  return found != json_.end() && !found->is_null();
}

const Json& Spec::at(const char* key) const {
  const auto found = json_.find(key);
  if (found == json_.end()) fail(fmt::format("lacks the key \"{}\"", key));
  return *found;
}

std::string Spec::text(const char* key) const {
  const Json& value = at(key);
  if (!value.is_string()) fail(fmt::format("{} is a JSON {}, expected a string", key, value.type_name()));
  const auto& found = value.get_ref<const std::string&>();
  if (find_invalid_utf8(found) != std::string::npos) fail(fmt::format("{} is no UTF-8", key));
  return found;
}

std::string Spec::text(const char* key, const std::string& otherwise) const { return has(key) ? text(key) : otherwise; }

bool Spec::flag(const char* key) const {
  const Json& value = at(key);
  if (!value.is_boolean()) fail(fmt::format("{} is a JSON {}, expected true or false", key, value.type_name()));
  return value.get<bool>();
}

bool Spec::flag(const char* key, bool otherwise) const { return has(key) ? flag(key) : otherwise; }

std::int64_t Spec::integer(const char* key, std::int64_t low, std::int64_t high) const {
  const Json& value = at(key);
  const bool fits = value.is_number_unsigned() ? value.get<std::uint64_t>() <= static_cast<std::uint64_t>(INT64_MAX) : value.is_number_integer();
  if (!fits || value.get<std::int64_t>() < low || value.get<std::int64_t>() > high)
    fail(fmt::format("{} is {}, expected an integer in {}..{}", key, value.dump().substr(0, 80), low, high));
  return value.get<std::int64_t>();
}

char32_t Spec::character(const char* key) const {
  const std::string value = text(key);
  std::size_t at = 0;
  const char32_t c = value.empty() ? 0 : next(value, at);
  if (value.empty() || at != value.size()) fail(fmt::format("{} has {} characters, expected one", key, count_characters(value)));
  return c;
}

std::vector<Spec> Spec::list(const char* key) const {
  const Json& value = at(key);
  if (!value.is_array()) fail(fmt::format("{} is a JSON {}, expected a list", key, value.type_name()));
  if (value.size() > kMostParts) fail(fmt::format("{} has {} elements, expected at most {}", key, value.size(), kMostParts));
  std::vector<Spec> specs;
  for (std::size_t i = 0; i < value.size(); ++i) specs.emplace_back(value[i], fmt::format("{}.{}[{}]", where_, key, i), depth_ + 1);
  return specs;
}

template <class T>
std::map<std::string, Maker<T>>& makers() {
  static std::map<std::string, Maker<T>> all;
  return all;
}

template <class T>
std::unique_ptr<T> make(const Spec& spec) {
  const std::string type = spec.text("type");
  const auto found = makers<T>().find(type);
  if (found == makers<T>().end()) {
    std::string known;
    for (const auto& [name, maker] : makers<T>()) known += (known.empty() ? "" : ", ") + name;
    throw Error(Exit::kInput, spec.where(), fmt::format("unknown {} \"{}\"", kind<T>(), type), "known: " + known);
  }
  return found->second(spec);
}

template std::map<std::string, Maker<Normalizer>>& makers<Normalizer>();
template std::map<std::string, Maker<PreTokenizer>>& makers<PreTokenizer>();
template std::map<std::string, Maker<Model>>& makers<Model>();
template std::map<std::string, Maker<PostProcessor>>& makers<PostProcessor>();
template std::map<std::string, Maker<Decoder>>& makers<Decoder>();
template std::unique_ptr<Normalizer> make<Normalizer>(const Spec&);
template std::unique_ptr<PreTokenizer> make<PreTokenizer>(const Spec&);
template std::unique_ptr<Model> make<Model>(const Spec&);
template std::unique_ptr<PostProcessor> make<PostProcessor>(const Spec&);
template std::unique_ptr<Decoder> make<Decoder>(const Spec&);

void check_growth(std::size_t before, std::size_t after) {
  const std::size_t most = before * 64 + (std::size_t{1} << 20);
  if (after > most)
    throw Error(Exit::kInput, "", fmt::format("a text of {} bytes becomes one of over {} before it is cut into tokens", before, most));
}

Behavior parse_behavior(const Spec& spec, const std::string& name) {
  static const std::map<std::string, Behavior> kNames = {{"Removed", Behavior::kRemoved},
                                                         {"Isolated", Behavior::kIsolated},
                                                         {"MergedWithPrevious", Behavior::kMergedWithPrevious},
                                                         {"MergedWithNext", Behavior::kMergedWithNext},
                                                         {"Contiguous", Behavior::kContiguous}};
  const auto found = kNames.find(name);
  if (found == kNames.end())
    spec.fail(fmt::format("unknown behavior \"{}\", expected Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous", name));
  return found->second;
}

namespace {

/// `matches` joined as the behavior says; what is to be removed has is_match still set.
void join(Behavior behavior, std::vector<Match>& matches) {
  if (behavior == Behavior::kRemoved) return;
  if (behavior == Behavior::kIsolated) {
    for (Match& match : matches) match.is_match = false;
    return;
  }
  const bool backwards = behavior == Behavior::kMergedWithNext;
  if (backwards) std::reverse(matches.begin(), matches.end());
  std::vector<Match> joined;
  bool last = false;
  for (const Match& match : matches) {
    const bool merges = behavior == Behavior::kContiguous ? match.is_match == last : match.is_match && !last;
    if (merges && !joined.empty())
      (backwards ? joined.back().begin : joined.back().end) = backwards ? match.begin : match.end;
    else
      joined.push_back({match.begin, match.end, false});
    last = match.is_match;
  }
  if (backwards) std::reverse(joined.begin(), joined.end());
  matches = std::move(joined);
}

}  // namespace

void split(Pieces& pieces, Behavior behavior, const std::function<void(std::string_view, std::vector<Match>&)>& find) {
  std::vector<Piece> list;
  list.reserve(pieces.list.size() * 2);
  std::vector<Match> matches;
  for (const Piece& piece : pieces.list) {
    if (piece.token >= 0) {
      list.push_back(piece);
      continue;
    }
    matches.clear();
    find(std::string_view(pieces.text).substr(piece.begin, piece.end - piece.begin), matches);
    join(behavior, matches);
    for (const Match& match : matches)
      if (!match.is_match && match.begin < match.end)
        list.push_back({piece.begin + match.begin, piece.begin + match.end, -1, piece.lead - std::min(piece.lead, match.begin)});
  }
  pieces.list = std::move(list);
}

void rewrite(Pieces& pieces, const std::function<void(std::string_view, bool, std::string&)>& rewrite) {
  std::string text;
  text.reserve(pieces.text.size() * 2);
  for (Piece& piece : pieces.list) {
    const std::size_t begin = text.size();
    const std::string_view old = std::string_view(pieces.text).substr(piece.begin, piece.end - piece.begin);
    if (piece.token >= 0)
      text += old;
    else
      rewrite(old, piece.lead > 0, text);
    piece.lead = std::min<std::size_t>(piece.lead, 1);
    piece.begin = begin;
    piece.end = text.size();
  }
  pieces.text = std::move(text);
  std::erase_if(pieces.list, [](const Piece& piece) { return piece.begin == piece.end && piece.token < 0; });
}

}  // namespace ds::text
