// The alphabet of byte-level BPE (GPT-2): a printable character for each byte.
#pragma once
#include <string>
#include <string_view>

namespace ds::text {

/// Appends the character of each byte.
void append_byte_characters(std::string& text, std::string_view bytes);
/// The byte of a character, -1 where it stands for none.
int byte_of(char32_t c);

}  // namespace ds::text
