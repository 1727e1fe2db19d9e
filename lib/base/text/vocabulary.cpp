#include "base/text/vocabulary.h"

#include <fmt/format.h>
#include <xxhash.h>

#include "base/core/error.h"

namespace ds::text {
namespace {

std::uint32_t hash_of(std::string_view key) { return static_cast<std::uint32_t>(XXH3_64bits(key.data(), key.size())); }

std::string shown(std::string_view token) { return nlohmann::json(token).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace); }

void check_length(std::string_view token, const std::string& where) {
  if (token.size() > kMostToken)
    throw Error(Exit::kInput, where,
                fmt::format("a token has {} bytes, expected at most {}: {} ...", token.size(), kMostToken, shown(token.substr(0, 40))));
}

bool deeper_than(const nlohmann::json& json, int levels) {
  if (!json.is_structured()) return false;
  if (levels == 0) return true;
  for (const auto& element : json)
    if (deeper_than(element, levels - 1)) return true;
  return false;
}

}  // namespace

std::int64_t natural(const nlohmann::json& number) {
  if (number.is_number_unsigned()) return number.get<std::uint64_t>() <= static_cast<std::uint64_t>(INT64_MAX) ? number.get<std::int64_t>() : -1;
  return number.is_number_integer() ? std::max<std::int64_t>(number.get<std::int64_t>(), -1) : -1;
}

void check_depth(const nlohmann::json& json, const std::string& where) {
  if (deeper_than(json, 64)) throw Error(Exit::kInput, where, "JSON nested deeper than 64");
}

std::int32_t StringMap::find(std::string_view key) const {
  if (slots_.empty()) return -1;
  const std::uint32_t hash = hash_of(key);
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t slot = hash & mask; slots_[slot] != 0; slot = (slot + 1) & mask) {
    const Entry& entry = entries_[slots_[slot] - 1];
    if (entry.hash == hash && entry.size == key.size() && std::string_view(bytes_.data() + entry.begin, entry.size) == key) return entry.value;
  }
  return -1;
}

bool StringMap::add(std::string_view key, std::int32_t value) {
  if (find(key) >= 0) return false;
  if (bytes_.size() + key.size() > UINT32_MAX) throw Error(Exit::kInput, "", "the tokens of a vocabulary have over 4 GiB");
  if ((entries_.size() + 1) * 2 > slots_.size()) grow(std::max<std::size_t>(16, slots_.size() * 2));
  const Entry entry{static_cast<std::uint32_t>(bytes_.size()), static_cast<std::uint32_t>(key.size()), hash_of(key), value};
  bytes_ += key;
  entries_.push_back(entry);
  const std::size_t mask = slots_.size() - 1;
  std::size_t slot = entry.hash & mask;
  while (slots_[slot] != 0) slot = (slot + 1) & mask;
  slots_[slot] = static_cast<std::uint32_t>(entries_.size());
  return true;
}

void StringMap::clear() {
  bytes_.clear();
  entries_.clear();
  std::fill(slots_.begin(), slots_.end(), 0U);
}

void StringMap::reserve(std::size_t entries) {
  entries_.reserve(entries);
  std::size_t slots = 16;
  while (slots < entries * 2 + 2) slots *= 2;
  if (slots > slots_.size()) grow(slots);
}

void StringMap::grow(std::size_t slots) {
  slots_.assign(slots, 0U);
  const std::size_t mask = slots - 1;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    std::size_t slot = entries_[i].hash & mask;
    while (slots_[slot] != 0) slot = (slot + 1) & mask;
    slots_[slot] = static_cast<std::uint32_t>(i + 1);
  }
}

Vocabulary::Vocabulary(const nlohmann::json& map, const std::string& where) {
  if (!map.is_object()) throw Error(Exit::kInput, where, fmt::format("is a JSON {}, expected an object of tokens and ids", map.type_name()));
  map_.reserve(map.size());
  // Real ones are dense; a few hold ids back for tokens that are added.
  const auto most = static_cast<std::int64_t>(4 * map.size() + 65536);
  for (const auto& [token, id] : map.items()) {
    if (natural(id) < 0 || natural(id) >= most)
      throw Error(
          Exit::kInput, where,
          fmt::format("id {} of token {}, expected an integer in 0..{} for {} tokens", id.dump().substr(0, 80), shown(token), most - 1, map.size()));
    check_length(token, where);
    const auto at = id.get<std::size_t>();
    if (at >= by_id_.size()) by_id_.resize(at + 1, 0);
    if (by_id_[at] != 0)
      throw Error(Exit::kInput, where, fmt::format("id {} is there twice, for {} and {}", at, shown(map_.key(by_id_[at] - 1)), shown(token)));
    map_.add(token, static_cast<std::int32_t>(at));
    by_id_[at] = static_cast<std::uint32_t>(map_.size());
  }
}

Vocabulary::Vocabulary(const std::vector<std::string>& tokens, const std::string& where, bool last_wins) {
  map_.reserve(tokens.size());
  by_id_.assign(tokens.size(), 0);
  // From the end: the last of two is the one that is found.
  for (std::size_t i = tokens.size(); i-- > 0;) {
    check_length(tokens[i], where);
    if (map_.add(tokens[i], static_cast<std::int32_t>(i))) {
      by_id_[i] = static_cast<std::uint32_t>(map_.size());
      continue;
    }
    const std::int32_t other = map_.find(tokens[i]);
    if (!last_wins) throw Error(Exit::kInput, where, fmt::format("token {} is there twice, with ids {} and {}", shown(tokens[i]), i, other));
    by_id_[i] = by_id_[static_cast<std::size_t>(other)];  // its text is read back all the same
  }
}

std::string_view Vocabulary::token(std::int64_t id) const {
  return has(id) ? map_.key(by_id_[static_cast<std::size_t>(id)] - 1) : std::string_view();
}

}  // namespace ds::text
