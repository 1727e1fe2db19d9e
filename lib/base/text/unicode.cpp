#include "base/text/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdio>

namespace ds::text {
namespace {

struct Range {
  char32_t first, last;
};
struct Shift {
  char32_t first, last;
  int add;
};
#include "base/text/unicode_tables.inc"

template <std::size_t N>
bool in(const Range (&ranges)[N], char32_t c) {
  const Range* found = std::lower_bound(ranges, ranges + N, c, [](const Range& range, char32_t value) { return range.last < value; });
  return found != ranges + N && c >= found->first;
}

utf8proc_category_t category(char32_t c) { return utf8proc_category(static_cast<utf8proc_int32_t>(c)); }

bool between(utf8proc_category_t value, utf8proc_category_t low, utf8proc_category_t high) { return value >= low && value <= high; }

template <std::size_t N>
std::string set_of(const Range (&ranges)[N]) {
  std::string text;
  char piece[32];
  for (const Range& range : ranges) {
    std::snprintf(piece, sizeof piece, "\\x{%X}-\\x{%X}", static_cast<unsigned>(range.first), static_cast<unsigned>(range.last));
    text += piece;
  }
  return text;
}

bool is_continuation(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

/// Bytes of the character that begins at `at`, 0 where none does; `seen` gets how many bytes fit.
std::size_t character_size(std::string_view text, std::size_t at, std::size_t& seen) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  seen = 1;
  const unsigned char lead = byte(at);
  if (lead < 0x80) return 1;
  if (lead < 0xC2 || lead > 0xF4) return 0;
  const std::size_t size = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  for (std::size_t i = 1; i < size; ++i) {
    if (at + i >= text.size() || !is_continuation(text[at + i])) return 0;
    const unsigned char second = byte(at + 1);
    if (i == 1 &&
        ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F) || (lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second > 0x8F)))
      return 0;
    seen = i + 1;
  }
  return size;
}

/// Puts marks in the order of their combining class; marks that are younger than Hugging Face's tables have none.
void order_marks(std::vector<utf8proc_int32_t>& text) {
  const auto combining = [](utf8proc_int32_t c) -> int {
    if (c < 0x300) return 0;
    const int found = utf8proc_get_property(c)->combining_class;
    return found != 0 && in(kMarkNewer, static_cast<char32_t>(c)) ? 0 : found;
  };
  for (std::size_t i = 0; i < text.size();) {
    std::size_t end = i;
    while (end < text.size() && combining(text[end]) != 0) ++end;
    if (end - i > 1) {
      std::stable_sort(text.begin() + static_cast<std::ptrdiff_t>(i), text.begin() + static_cast<std::ptrdiff_t>(end),
                       [&](utf8proc_int32_t a, utf8proc_int32_t b) { return combining(a) < combining(b); });
    }
    i = std::max(end, i + 1);
  }
}

}  // namespace

std::size_t find_invalid_utf8(std::string_view text) {
  for (std::size_t at = 0, seen = 0; at < text.size();) {
    const std::size_t size = character_size(text, at, seen);
    if (size == 0) return at;
    at += size;
  }
  return std::string_view::npos;
}

std::string replace_invalid(std::string_view bytes) {
  std::string text;
  for (std::size_t at = 0, seen = 0; at < bytes.size();) {
    const std::size_t size = character_size(bytes, at, seen);
    if (size == 0) {
      text += "\xEF\xBF\xBD";
      at += seen;
    } else {
      text += bytes.substr(at, size);
      at += size;
    }
  }
  return text;
}

char32_t previous(std::string_view text, std::size_t& at) {
  do --at;
  while (at > 0 && is_continuation(text[at]));
  std::size_t from = at;
  return next(text, from);
}

void append(std::string& text, char32_t c) {
  if (c < 0x80) {
    text += static_cast<char>(c);
  } else if (c < 0x800) {
    text += {static_cast<char>(0xC0 | c >> 6), static_cast<char>(0x80 | (c & 0x3F))};
  } else if (c < 0x10000) {
    text += {static_cast<char>(0xE0 | c >> 12), static_cast<char>(0x80 | (c >> 6 & 0x3F)), static_cast<char>(0x80 | (c & 0x3F))};
  } else {
    text += {static_cast<char>(0xF0 | c >> 18), static_cast<char>(0x80 | (c >> 12 & 0x3F)), static_cast<char>(0x80 | (c >> 6 & 0x3F)),
             static_cast<char>(0x80 | (c & 0x3F))};
  }
}

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char byte) { return static_cast<unsigned char>(byte) < 0x80; });
}

std::size_t count_characters(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char byte) { return !is_continuation(byte); }));
}

bool is_space(char32_t c) {
  if (c < 0x80) return c == ' ' || (c >= 9 && c <= 13);
  return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

bool is_word(char32_t c) {
  if (c < 0x80) return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  const utf8proc_category_t found = category(c);
  if (between(found, UTF8PROC_CATEGORY_LU, UTF8PROC_CATEGORY_NL) || found == UTF8PROC_CATEGORY_PC || c == 0x200C || c == 0x200D) return true;
  // Other_Alphabetic beyond the marks: letters in circles and squares.
  if ((c >= 0x24B6 && c <= 0x24E9) || (c >= 0x1F130 && c <= 0x1F149) || (c >= 0x1F150 && c <= 0x1F169) || (c >= 0x1F170 && c <= 0x1F189)) return true;
  return in(kWordOnly, c);
}

bool is_number(char32_t c) {
  if (c < 0x80) return c >= '0' && c <= '9';
  return between(category(c), UTF8PROC_CATEGORY_ND, UTF8PROC_CATEGORY_NO) || in(kNumberOnly, c);
}

bool is_regex_number(char32_t c) {
  if (c < 0x80) return c >= '0' && c <= '9';
  return between(category(c), UTF8PROC_CATEGORY_ND, UTF8PROC_CATEGORY_NO) || in(kRegexNumberOnly, c);
}

bool is_regex_letter(char32_t c) {
  if (c < 0x80) return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  return between(category(c), UTF8PROC_CATEGORY_LU, UTF8PROC_CATEGORY_LO) || in(kRegexLetterOnly, c);
}

bool is_punctuation(char32_t c) {
  if (c < 0x80) return c > ' ' && c < 0x7F && !is_regex_letter(c) && !is_regex_number(c);
  return between(category(c), UTF8PROC_CATEGORY_PC, UTF8PROC_CATEGORY_PO) ? !in(kPunctuationNewer, c) : in(kPunctuationOnly, c);
}

bool is_other(char32_t c) {
  if (c < 0x80) return c < 0x20 || c == 0x7F;
  const utf8proc_category_t found = category(c);
  if (found != UTF8PROC_CATEGORY_CC && found != UTF8PROC_CATEGORY_CF && found != UTF8PROC_CATEGORY_CO) return false;
  return !in(kOtherNewer, c);
}

bool is_nonspacing_mark(char32_t c) {
  if (c < 0x300) return false;
  return category(c) == UTF8PROC_CATEGORY_MN ? !in(kNonspacingNewer, c) : in(kNonspacingOnly, c);
}

bool is_mark(char32_t c) {
  if (c < 0x300) return false;
  return between(category(c), UTF8PROC_CATEGORY_MN, UTF8PROC_CATEGORY_ME) ? !in(kMarkNewer, c) : in(kMarkOnly, c);
}

bool is_chinese(char32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B73F) ||
         (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) || (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

const std::string& newer_letters() {
  static const std::string text = set_of(kRegexLetterOnly);
  return text;
}

const std::string& newer_words() {
  static const std::string text = set_of(kWordOnly);
  return text;
}

const std::string& newer_numbers() {
  static const std::string text = set_of(kRegexNumberOnly);
  return text;
}

void append_lower(std::string& text, char32_t c) {
  if (c < 0x80) {
    text += static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
    return;
  }
  if (c == 0x130) {  // the one whose lower case is two characters: i and a dot above
    text += "i\xCC\x87";
    return;
  }
  char32_t lower = static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c)));
  if (lower == c && c >= kLowerOnly[0].first) {
    for (const Shift& shift : kLowerOnly)
      if (c >= shift.first && c <= shift.last) lower = static_cast<char32_t>(static_cast<int>(c) + shift.add);
  }
  append(text, lower);
}

std::string normal_form(std::string_view text, Form form) {
  if (is_ascii(text)) return std::string(text);
  const bool compatible = form == Form::kNFKC || form == Form::kNFKD, composed = form == Form::kNFC || form == Form::kNFKC;
  const auto options = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | (compatible ? UTF8PROC_COMPAT : 0));
  std::vector<utf8proc_int32_t> all;
  all.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const char32_t c = next(text, at);
    if (c < 0xA0 || in(kWhole, c)) {
      all.push_back(static_cast<utf8proc_int32_t>(c));
      continue;
    }
    utf8proc_int32_t parts[32];  // the longest has 18
    int boundary = 0;
    const utf8proc_ssize_t n = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), parts, 32, options, &boundary);
    all.insert(all.end(), parts, parts + std::clamp<utf8proc_ssize_t>(n, 0, 32));
  }
  order_marks(all);
  if (composed) {
    const auto option = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    all.resize(static_cast<std::size_t>(utf8proc_normalize_utf32(all.data(), static_cast<utf8proc_ssize_t>(all.size()), option)));
  }
  std::string out;
  out.reserve(text.size() + text.size() / 8);
  for (const utf8proc_int32_t c : all) append(out, static_cast<char32_t>(c));
  return out;
}

std::vector<std::size_t> grapheme_ends(std::string_view text) {
  std::vector<std::size_t> ends;
  utf8proc_int32_t state = 0;
  char32_t last = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    const char32_t c = next(text, at);
    if (begin > 0 && utf8proc_grapheme_break_stateful(static_cast<utf8proc_int32_t>(last), static_cast<utf8proc_int32_t>(c), &state))
      ends.push_back(begin);
    last = c;
  }
  if (!text.empty()) ends.push_back(text.size());
  return ends;
}

}  // namespace ds::text
