#include "base/core/registry.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "base/core/error.h"

namespace ds::core {
namespace {

// Function-local statics: registrars run while libraries load, in the linker's order. std::map keeps addresses and sorts by name.
std::map<std::string, std::map<std::string, Card>>& card_table() {
  static std::map<std::string, std::map<std::string, Card>> table;
  return table;
}

std::map<std::string, std::map<std::string, void (*)()>>& body_table() {
  static std::map<std::string, std::map<std::string, void (*)()>> table;
  return table;
}

struct NoOptions : Options {
  void fields(Fields&) override {}
};

/// Edits (insert, remove, replace, swap of neighbours) between a and b, or limit + 1 where there are more.
int edit_distance(const std::string& a, const std::string& b, int limit) {
  const int n = static_cast<int>(a.size()), m = static_cast<int>(b.size());
  if (std::abs(n - m) > limit) return limit + 1;
  std::vector<std::vector<int>> d(n + 1, std::vector<int>(m + 1));
  for (int i = 0; i <= n; ++i) d[i][0] = i;
  for (int j = 0; j <= m; ++j) d[0][j] = j;
  for (int i = 1; i <= n; ++i)
    for (int j = 1; j <= m; ++j) {
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  return d[n][m];
}

std::string folded(std::string text) {
  for (char& c : text) c = c == '-' ? '_' : static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return text;
}

}  // namespace

void add_card(Card card) {
  if (!card.make_options) card.make_options = [] { return std::make_shared<NoOptions>(); };
  auto& of_kind = card_table()[card.kind];
  const std::string name = card.name;
  of_kind.emplace(name, std::move(card));
}

std::vector<Card> cards(const std::string& kind) {
  std::vector<Card> found;
  const auto of_kind = card_table().find(kind);
  if (of_kind == card_table().end()) return found;
  for (const auto& [name, card] : of_kind->second) found.push_back(card);
  return found;
}

std::vector<std::string> kinds() {
  std::vector<std::string> found;
  for (const auto& [kind, of_kind] : card_table()) found.push_back(kind);
  return found;
}

const Card& card(const std::string& kind, const std::string& name, const std::string& where) {
  const auto of_kind = card_table().find(kind);
  std::vector<std::string> names;
  if (of_kind != card_table().end()) {
    if (const auto found = of_kind->second.find(name); found != of_kind->second.end()) return found->second;
    for (const auto& [other, card] : of_kind->second) names.push_back(other);
  }
  const std::string guess = nearest(name, names);
  throw Error(Exit::kUsage, where, fmt::format("unknown {} '{}'{}", kind, name, guess.empty() ? "" : fmt::format(" (did you mean '{}'?)", guess)),
              names.empty() ? "" : fmt::format("one of {}", fmt::join(names, ", ")));
}

void add_body(const std::string& kind, const std::string& name, void (*factory)()) { body_table()[kind].emplace(name, factory); }

void (*find_body(const std::string& kind, const std::string& name))() {
  const auto of_kind = body_table().find(kind);
  if (of_kind == body_table().end()) return nullptr;
  const auto found = of_kind->second.find(name);
  return found == of_kind->second.end() ? nullptr : found->second;
}

std::vector<std::string> bodies(const std::string& kind) {
  std::vector<std::string> found;
  const auto of_kind = body_table().find(kind);
  if (of_kind == body_table().end()) return found;
  for (const auto& [name, factory] : of_kind->second) found.push_back(name);
  return found;
}

void (*require_body(const std::string& kind, const std::string& name))() {
  if (auto* factory = find_body(kind, name)) return factory;
  throw Error(Exit::kFailure, "", fmt::format("{} '{}' has no code in this build", kind, name));
}

std::string nearest(const std::string& word, const std::vector<std::string>& names) {
  const int limit = std::min(2, std::max(1, static_cast<int>(word.size()) / 3));
  const std::string lower = folded(word);
  std::string best;
  auto best_rank = std::make_tuple(limit, 0, 0);
  for (const std::string& name : names) {
    const std::string candidate = folded(name);
    const int distance = edit_distance(lower, candidate, limit);
    if (distance > limit || name.empty()) continue;
    // Among equals: the one with the longer common beginning, then the nearer length. Typos seldom hit the first letters.
    const auto mismatch = std::mismatch(lower.begin(), lower.end(), candidate.begin(), candidate.end());
    const int common = static_cast<int>(mismatch.first - lower.begin());
    const auto rank = std::make_tuple(distance, -common, std::abs(static_cast<int>(lower.size()) - static_cast<int>(candidate.size())));
    if (best.empty() || rank < best_rank) {
      best = name;
      best_rank = rank;
    }
  }
  return best;
}

}  // namespace ds::core
