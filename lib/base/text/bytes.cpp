#include "base/text/bytes.h"

#include <array>

#include "base/text/unicode.h"

namespace ds::text {
namespace {

/// Bytes that are printable in Latin-1 stand for themselves, the others follow from U+0100 on.
constexpr bool stands_for_itself(int byte) { return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE; }

struct Table {
  std::array<char32_t, 256> character{};
  std::array<int, 324> byte{};
};

constexpr Table kTable = [] {
  Table table;
  for (int& byte : table.byte) byte = -1;
  char32_t other = 256;
  for (int byte = 0; byte < 256; ++byte) {
    const char32_t c = stands_for_itself(byte) ? static_cast<char32_t>(byte) : other++;
    table.character[static_cast<std::size_t>(byte)] = c;
    table.byte[c] = byte;
  }
  return table;
}();

}  // namespace

void append_byte_characters(std::string& text, std::string_view bytes) {
  for (const char byte : bytes) append(text, kTable.character[static_cast<unsigned char>(byte)]);
}

int byte_of(char32_t c) { return c < kTable.byte.size() ? kTable.byte[c] : -1; }

}  // namespace ds::text
