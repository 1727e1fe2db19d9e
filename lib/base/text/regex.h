// Regular expressions as the tokenizers of Hugging Face write them (Oniguruma's Ruby syntax), run by PCRE2 within limits.
// PCRE2's tables may be older than Oniguruma's: \p{L}, \p{N} and \w are made equal (unicode_tables.inc); other classes, such as \p{S} or \d, differ
// for the characters that Unicode has had since (15.0 and later, where PCRE2 is 10.42).
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/text/component.h"

namespace ds::text {

class Regex {
 public:
  /// Throws ds::Error(kInput, where) for a pattern that is broken, too large, or that the two engines read differently (sets in sets).
  Regex(const std::string& pattern, const std::string& where);
  ~Regex();
  Regex(const Regex&) = delete;
  Regex& operator=(const Regex&) = delete;

  /// Matches and what is between them, in order, without gaps. Throws ds::Error(kInput) where matching would take too long.
  void find(std::string_view text, std::vector<Match>& matches) const;

 private:
  struct Compiled;
  std::unique_ptr<Compiled> compiled_;
  std::string where_;
};

/// "pattern" of Split and Replace: {"String": ...} or {"Regex": ...}.
class Pattern {
 public:
  Pattern(const Spec& spec, const char* key);
  void find(std::string_view text, std::vector<Match>& matches) const;

 private:
  std::string literal_;
  std::unique_ptr<Regex> regex_;
};

}  // namespace ds::text
