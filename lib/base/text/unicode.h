// Characters as the tokenizers of Hugging Face see them. What is said of a character is what their libraries say of it: where those have older
// Unicode tables than utf8proc, so have the functions here.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace ds::text {

/// The first byte that is no UTF-8 (RFC 3629: no surrogates, nothing overlong, nothing beyond U+10FFFF), npos where all is.
std::size_t find_invalid_utf8(std::string_view text);

/// The character at `at`, which is moved behind it. `text` is UTF-8.
inline char32_t next(std::string_view text, std::size_t& at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(at);
  if (lead < 0x80) return text[at++];
  if (lead < 0xE0) {
    at += 2;
    return static_cast<char32_t>((lead & 0x1F) << 6 | (byte(at - 1) & 0x3F));
  }
  if (lead < 0xF0) {
    at += 3;
    return static_cast<char32_t>((lead & 0x0F) << 12 | (byte(at - 2) & 0x3F) << 6 | (byte(at - 1) & 0x3F));
  }
  at += 4;
  return static_cast<char32_t>((lead & 0x07) << 18 | (byte(at - 3) & 0x3F) << 12 | (byte(at - 2) & 0x3F) << 6 | (byte(at - 1) & 0x3F));
}
/// The character that ends at `at`, which is moved before it.
char32_t previous(std::string_view text, std::size_t& at);
void append(std::string& text, char32_t c);
bool is_ascii(std::string_view text);
std::size_t count_characters(std::string_view text);
/// U+FFFD for every largest piece that begins a character and does not end it, as Unicode recommends.
std::string replace_invalid(std::string_view bytes);

bool is_space(char32_t c);            ///< White_Space
bool is_word(char32_t c);             ///< \w of a regular expression: letters, marks, digits, connectors, joiners
bool is_number(char32_t c);           ///< N, as the component Digits has it
bool is_regex_number(char32_t c);     ///< \p{N} of a regular expression
bool is_regex_letter(char32_t c);     ///< \p{L} of a regular expression
bool is_punctuation(char32_t c);      ///< P, and all of ASCII that is neither letter nor digit nor space
bool is_other(char32_t c);            ///< Cc, Cf, Co: what BertNormalizer takes out
bool is_nonspacing_mark(char32_t c);  ///< Mn
bool is_mark(char32_t c);             ///< M
bool is_chinese(char32_t c);          ///< the blocks that BERT sets apart

/// Of \p{L}, \p{N} and \w what PCRE2 may not know yet, as a set has it: "\x{1C89}-\x{1C8A}...".
const std::string& newer_letters();
const std::string& newer_numbers();
const std::string& newer_words();

/// Appends the lower case of one character, which may be two.
void append_lower(std::string& text, char32_t c);

enum class Form { kNFC, kNFD, kNFKC, kNFKD };
std::string normal_form(std::string_view text, Form form);

/// The ends of the extended grapheme clusters of a text, in order.
std::vector<std::size_t> grapheme_ends(std::string_view text);

}  // namespace ds::text
