#include "base/text/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include <algorithm>
#include <map>

#include "base/core/error.h"
#include "base/text/unicode.h"

namespace ds::text {
namespace {

constexpr std::size_t kMostPattern = 1 << 14;
/// Steps of matching for one text, about a second or two, and what one place of it may at least have.
constexpr std::size_t kSteps = std::size_t{1} << 28, kLeastSteps = 2048, kMostSteps = std::size_t{1} << 22;

/// White_Space for \s: PCRE2 would take U+180E for a space, too.
constexpr const char* kSpaces = "\\t-\\r\\x{85}\\p{Z}";

/// What Oniguruma takes for a word character: alphabetic ones, marks, digits, connectors, and of Latin-1 the numbers that are no digits.
const std::string& word_set() {
  static const std::string text =
      "\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\x{24B6}-\\x{24E9}\\x{1F130}-\\x{1F149}\\x{1F150}-\\x{1F169}\\x{1F170}-\\x{1F189}\\x{B2}\\x{B3}\\x{B9}\\x{"
      "BC}-\\x{BE}" +
      newer_letters() + newer_words();
  return text;
}

/// Reads a pattern and writes what means the same to PCRE2.
class Translator {
 public:
  Translator(const std::string& pattern, const std::string& where) : pattern_(pattern), where_(where) {}

  std::string run() {
    while (at_ < pattern_.size()) {
      const char c = pattern_[at_];
      if (c == '\\')
        escape();
      else if (c == '[')
        open();
      else if (c == ']' && depth_ > 0)
        close();
      else if (depth_ > 0 && pattern_.compare(at_, 2, "&&") == 0)
        fail("has an intersection of sets (&&)");
      else if (c == '{' && depth_ == 0)
        interval();
      else if (c == '-' && depth_ > 1)
        inner_hyphen();
      else
        copy(1);
    }
    return out_;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw Error(Exit::kInput, where_, fmt::format("the regular expression {}, which is not supported", what));
  }

  void copy(std::size_t n) {
    out_.append(pattern_, at_, n);
    at_ += n;
  }

  void put(const std::string& text, std::size_t n) {
    out_ += text;
    at_ += n;
  }

  /// {n,m}: Ruby knows {,m}, and a + behind it repeats it where PCRE2 would make it possessive.
  void interval() {
    std::size_t end = at_ + 1;
    while (end < pattern_.size() && (pattern_[end] == ',' || (pattern_[end] >= '0' && pattern_[end] <= '9'))) ++end;
    const bool is_one = end > at_ + 1 && end < pattern_.size() && pattern_[end] == '}';
    if (is_one && end + 1 < pattern_.size() && pattern_[end + 1] == '+') fail("has a + behind an interval");
    put(is_one && pattern_[at_ + 1] == ',' ? "{0" : "{", 1);
  }

  void open() {
    if (depth_ > 0 && pattern_.compare(at_, 2, "[:") == 0) return posix();
    if (depth_ > 0) {  // a set in a set is the union of the two
      if (pattern_.compare(at_, 2, "[^") == 0) fail("has a set that is negated in a set");
      if (depth_ == 16) fail("has sets over 16 deep in each other");
      ++depth_;
      ++at_;
      return;
    }
    depth_ = 1;
    copy(1);
    if (at_ < pattern_.size() && pattern_[at_] == '^') copy(1);
    if (at_ < pattern_.size() && pattern_[at_] == ']') copy(1);  // both take a ] at the beginning as it is
  }

  void close() {
    if (--depth_ == 0) return copy(1);
    ++at_;
  }

  /// One that stands at an end of its set means itself, and must not make a range where the brackets are gone.
  void inner_hyphen() {
    const bool first = pattern_[at_ - 1] == '[', last = at_ + 1 < pattern_.size() && pattern_[at_ + 1] == ']';
    put(first || last ? "\\-" : "-", 1);
  }

  void posix() {
    const std::size_t end = pattern_.find(":]", at_);
    if (end == std::string::npos) fail("has a [: without :]");
    const std::string name = pattern_.substr(at_ + 2, end - at_ - 2);
    const std::map<std::string, std::string> known = {{"alpha", "\\p{Alphabetic}" + newer_letters()},
                                                      {"alnum", "\\p{Alphabetic}\\p{Nd}" + newer_letters()},
                                                      {"upper", "\\p{Uppercase}"},
                                                      {"lower", "\\p{Lowercase}"},
                                                      {"punct", "\\p{P}\\p{S}"},
                                                      {"space", kSpaces},
                                                      {"digit", "\\p{Nd}"},
                                                      {"word", word_set()},
                                                      {"xdigit", "0-9a-fA-F"},
                                                      {"cntrl", "\\p{Cc}"},
                                                      {"blank", "\\t\\p{Zs}"}};
    const auto found = known.find(name);
    if (found == known.end()) fail(fmt::format("has [:{}:]", name));
    put(found->second, end + 2 - at_);
  }

  void escape() {
    if (at_ + 1 >= pattern_.size()) fail("ends in a backslash");
    const char c = pattern_[at_ + 1];
    const bool set = depth_ > 0;
    if (c == 's') return put(set ? kSpaces : fmt::format("[{}]", kSpaces), 2);
    if (c == 'S' && !set) return put(fmt::format("[^{}]", kSpaces), 2);
    if (c == 'w') return put(set ? word_set() : "[" + word_set() + "]", 2);
    if (c == 'W' && !set) return put("[^" + word_set() + "]", 2);
    if (c == 'b' && !set) return put(fmt::format("(?:(?<=[{0}])(?![{0}])|(?<![{0}])(?=[{0}]))", word_set()), 2);
    if (c == 'B' && !set) return put(fmt::format("(?:(?<=[{0}])(?=[{0}])|(?<![{0}])(?![{0}]))", word_set()), 2);
    if (c == 'h') return put(set ? "0-9a-fA-F" : "[0-9a-fA-F]", 2);
    if (c == 'p' || c == 'P') return property();
    if (c == 'u' && at_ + 6 <= pattern_.size()) return put("\\x{" + pattern_.substr(at_ + 2, 4) + "}", 6);
    if (c == 'x' && at_ + 2 < pattern_.size() && pattern_[at_ + 2] == '{') {
      const std::size_t end = pattern_.find('}', at_);
      if (end == std::string::npos) fail("has \\x{ without a brace behind");
      return copy(end + 1 - at_);
    }
    if (std::string_view("CKHWBgk").find(c) != std::string_view::npos) fail(fmt::format("has \\{}{}", c, set ? " in a set" : ""));
    copy(2);
  }

  /// A script is Script here, where PCRE2 would take Script_Extensions.
  void property() {
    const std::size_t end = pattern_.find('}', at_);
    if (at_ + 2 >= pattern_.size() || pattern_[at_ + 2] != '{' || end == std::string::npos) fail("has \\p without braces");
    std::string name = pattern_.substr(at_ + 3, end - at_ - 3);
    const bool positive = pattern_[at_ + 1] == 'p', set = depth_ > 0;
    if ((name == "L" || name == "N") && (positive || !set)) {
      const std::string all = "\\p{" + name + "}" + (name == "L" ? newer_letters() : newer_numbers());
      return put(set ? all : (positive ? "[" : "[^") + all + "]", end + 1 - at_);
    }
    const std::string inverse = name.starts_with('^') ? "^" : "";
    name.erase(0, inverse.size());
    const bool script = name.size() > 2 && name != "Any" && name.find_first_of(":=_ ") == std::string::npos;
    put(pattern_.substr(at_, 3) + inverse + (script ? "sc:" : "") + name + "}", end + 1 - at_);
  }

  const std::string& pattern_;
  const std::string& where_;
  std::size_t at_ = 0;
  int depth_ = 0;  ///< sets that are open
  std::string out_;
};

}  // namespace

struct Regex::Compiled {
  pcre2_code* code = nullptr;
  ~Compiled() { pcre2_code_free(code); }
};

Regex::Regex(const std::string& pattern, const std::string& where) : compiled_(std::make_unique<Compiled>()), where_(where) {
  if (pattern.size() > kMostPattern)
    throw Error(Exit::kInput, where, fmt::format("the regular expression has {} bytes, expected at most {}", pattern.size(), kMostPattern));
  const std::string translated = Translator(pattern, where).run();
  int error = 0;
  PCRE2_SIZE offset = 0;
  // Ruby's ^ and $ are those of lines.
  const std::uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C;
  compiled_->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(), options, &error, &offset, nullptr);
  if (compiled_->code == nullptr) {
    PCRE2_UCHAR text[256] = {};
    pcre2_get_error_message(error, text, sizeof text);
    throw Error(Exit::kInput, where, fmt::format("the regular expression is broken: {}", reinterpret_cast<const char*>(text)));
  }
  (void)pcre2_jit_compile(compiled_->code, PCRE2_JIT_COMPLETE);  // without it matching is slower, no more
}

Regex::~Regex() = default;

void Regex::find(std::string_view text, std::vector<Match>& matches) const {
  const std::unique_ptr<pcre2_match_context, void (*)(pcre2_match_context*)> context(pcre2_match_context_create(nullptr), pcre2_match_context_free);
  const std::unique_ptr<pcre2_match_data, void (*)(pcre2_match_data*)> data(pcre2_match_data_create_from_pattern(compiled_->code, nullptr),
                                                                            pcre2_match_data_free);
  if (!context || !data) throw Error(Exit::kResource, where_, "out of memory");
  pcre2_set_match_limit(context.get(), static_cast<std::uint32_t>(std::clamp(kSteps / (text.size() + 1), kLeastSteps, kMostSteps)));
  pcre2_set_heap_limit(context.get(), 1 << 16);  // KiB
  if (text.empty()) return;                      // not even the empty match
  std::size_t done = 0, from = 0, last_empty = std::string_view::npos;
  while (from <= text.size()) {
    const int n =
        pcre2_match(compiled_->code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), from, PCRE2_NO_UTF_CHECK, data.get(), context.get());
    if (n == PCRE2_ERROR_NOMATCH) break;
    if (n < 0)
      throw Error(Exit::kInput, where_, fmt::format("the regular expression takes too long on a text of {} bytes (PCRE2 error {})", text.size(), n));
    const PCRE2_SIZE* at = pcre2_get_ovector_pointer(data.get());
    const std::size_t begin = at[0], end = at[1];
    if (begin > end || begin < done) throw Error(Exit::kInput, where_, "the regular expression ends before it begins");
    // An empty match right behind the last match is none.
    if (begin != end || begin != last_empty) {
      if (done < begin) matches.push_back({done, begin, false});
      matches.push_back({begin, end, true});
      done = end;
    }
    last_empty = end;
    from = end;
    if (begin == end) {
      ++from;
      while (from < text.size() && (static_cast<unsigned char>(text[from]) & 0xC0) == 0x80) ++from;
    }
  }
  if (done < text.size()) matches.push_back({done, text.size(), false});
}

Pattern::Pattern(const Spec& spec, const char* key) {
  const Spec inner(spec.at(key), spec.where() + "." + key, spec.depth() + 1);
  if (inner.has("Regex"))
    regex_ = std::make_unique<Regex>(inner.text("Regex"), inner.where());
  else
    literal_ = inner.text("String");
}

void Pattern::find(std::string_view text, std::vector<Match>& matches) const {
  if (regex_) return regex_->find(text, matches);
  std::size_t done = 0;
  for (std::size_t found = literal_.empty() ? std::string_view::npos : text.find(literal_); found != std::string_view::npos;
       found = text.find(literal_, done)) {
    if (done < found) matches.push_back({done, found, false});
    done = found + literal_.size();
    matches.push_back({found, done, true});
  }
  if (done < text.size()) matches.push_back({done, text.size(), false});
}

}  // namespace ds::text
