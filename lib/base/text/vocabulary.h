// Tokens and their ids, both ways: an open hash table over one block of bytes.
#pragma once
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace ds::text {

/// The most bytes of one token: what looks for the longest token is linear in it.
inline constexpr std::size_t kMostToken = 4096;

/// A number that is an integer and not negative, -1 for anything else.
std::int64_t natural(const nlohmann::json& number);
/// Throws ds::Error(kInput, where) for JSON nested deeper than 64: what copies or frees it calls itself for each level.
void check_depth(const nlohmann::json& json, const std::string& where);

/// A map of strings to 32-bit numbers that only grows.
class StringMap {
 public:
  /// The number of `key`, -1 where it is not there.
  std::int32_t find(std::string_view key) const;
  /// False where `key` is there already. `value` >= 0.
  bool add(std::string_view key, std::int32_t value);
  void clear();
  void reserve(std::size_t entries);
  std::size_t size() const { return entries_.size(); }
  std::string_view key(std::size_t entry) const { return {bytes_.data() + entries_[entry].begin, entries_[entry].size}; }
  std::int32_t value(std::size_t entry) const { return entries_[entry].value; }

 private:
  struct Entry {
    std::uint32_t begin, size, hash;
    std::int32_t value;
  };
  void grow(std::size_t slots);
  std::string bytes_;
  std::vector<Entry> entries_;
  std::vector<std::uint32_t> slots_;  ///< entry + 1, 0 = free
};

class Vocabulary {
 public:
  Vocabulary() = default;
  /// {"token": id, ...}. Throws ds::Error(kInput) naming token and id: no integer, negative, an id twice, so far beyond the number of tokens that
  /// the vocabulary is mostly holes, a token of more than kMostToken bytes.
  Vocabulary(const nlohmann::json& map, const std::string& where);
  /// Tokens in the order of their ids. Throws ds::Error(kInput) for a token that is there twice, unless `last_wins`: then it has the last id.
  Vocabulary(const std::vector<std::string>& tokens, const std::string& where, bool last_wins);

  std::int32_t id(std::string_view token) const { return map_.find(token); }
  /// Empty for an id that is not there: has() tells it from an empty token.
  std::string_view token(std::int64_t id) const;
  bool has(std::int64_t id) const { return id >= 0 && id < size() && by_id_[static_cast<std::size_t>(id)] != 0; }
  /// The largest id + 1.
  std::int64_t size() const { return static_cast<std::int64_t>(by_id_.size()); }
  std::size_t count() const { return map_.size(); }

 private:
  StringMap map_;
  std::vector<std::uint32_t> by_id_;  ///< entry + 1, 0 = a hole
};

}  // namespace ds::text
