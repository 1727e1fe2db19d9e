// Tokens that are cut out of a text before the model sees it: [MASK], <|endoftext|> and what users add.
#pragma once
#include <deque>
#include <unordered_map>
#include <unordered_set>

#include "base/text/component.h"
#include "base/text/trie.h"

namespace ds::text {

class AddedTokens {
 public:
  AddedTokens() = default;
  /// `list`: "added_tokens" of tokenizer.json. `normalizer` may be null.
  /// Throws ds::Error(kInput) where an id is not that of the vocabulary, or there twice, or far beyond it.
  AddedTokens(const Json& list, const std::string& where, const Model& model, const Normalizer* normalizer);
  AddedTokens(const AddedTokens&) = delete;
  AddedTokens& operator=(const AddedTokens&) = delete;
  AddedTokens(AddedTokens&&) noexcept = default;
  AddedTokens& operator=(AddedTokens&&) noexcept = default;

  struct Token {
    std::string content, pattern;  ///< pattern: what is looked for, normalized where the token is
    std::int32_t id = 0;
    bool single_word = false, lstrip = false, rstrip = false, normalized = true, special = false;
  };

  /// Cuts a text into pieces: those that are no added token are normalized.
  Pieces extract(std::string_view text, const Normalizer* normalizer) const;
  const Token* find(std::int64_t id) const;
  const Token* find(std::string_view content) const;
  bool is_special(const std::string& content) const { return special_.contains(content); }
  /// The largest id + 1, 0 without any.
  std::int64_t size() const { return size_; }

 private:
  struct Cut {
    std::size_t begin, end;
    const Token* token;
  };
  void cut(std::string_view text, const Trie& trie, std::vector<Cut>& cuts) const;

  std::deque<Token> tokens_;  ///< never move: the tries point into them
  std::unordered_map<std::int64_t, const Token*> by_id_;
  std::unordered_map<std::string_view, const Token*> by_content_;
  std::unordered_set<std::string> special_;
  Trie plain_, normalized_;  ///< numbers: index into tokens_
  std::int64_t size_ = 0;
};

}  // namespace ds::text
