// The character map of SentencePiece, "precompiled_charsmap": a double-array trie (darts-clone) of what is replaced, and what replaces it, each
// text ended by a zero byte. As in Hugging Face's, the shortest string of the trie that a cluster begins with decides for the whole cluster.
// Clusters are those of utf8proc's Unicode: a mark that is newer (than 15.0, where it is 2.8) ends one here and not there.
#include <fmt/format.h>

#include <cstring>

#include "base/core/error.h"
#include "base/text/component.h"
#include "base/text/unicode.h"

namespace ds::text {
namespace {

std::string decode_base64(const Spec& spec, const std::string& text) {
  std::string bytes;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    if (c == '=') break;
    const int value = c >= 'A' && c <= 'Z'   ? c - 'A'
                      : c >= 'a' && c <= 'z' ? c - 'a' + 26
                      : c >= '0' && c <= '9' ? c - '0' + 52
                      : c == '+'             ? 62
                      : c == '/'             ? 63
                                             : -1;
    if (value < 0) spec.fail(fmt::format("precompiled_charsmap is no base64: it has the byte 0x{:02x}", static_cast<unsigned char>(c)));
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    bytes += static_cast<char>(bits >> count);
    bits &= (1U << count) - 1;
  }
  return bytes;
}

class Precompiled : public Normalizer {
 public:
  explicit Precompiled(const Spec& spec) {
    const std::string bytes = decode_base64(spec, spec.text("precompiled_charsmap"));
    std::uint32_t size = 0;
    if (bytes.size() >= 4) std::memcpy(&size, bytes.data(), 4);
    if (bytes.size() < 4 || size % 4 != 0 || size > bytes.size() - 4 || size == 0)
      spec.fail(fmt::format("precompiled_charsmap has {} bytes, of which {} are said to be a trie", bytes.size(), size));
    units_.resize(size / 4);
    std::memcpy(units_.data(), bytes.data() + 4, size);
    texts_ = bytes.substr(4 + size);
    if (find_invalid_utf8(texts_) != std::string::npos) spec.fail("precompiled_charsmap has replacements that are no UTF-8");
  }

  void apply(Normalized& text) const override {
    std::string out;
    out.reserve(text.text.size());
    // What becomes of the first cluster: it is replaced as a whole, or its characters are, of which the first may stay alone.
    std::size_t begin = 0, lead = 0, first_end = 0;
    for (const std::size_t end : grapheme_ends(text.text)) {
      if (begin == 0) first_end = end;
      const std::string_view cluster = std::string_view(text.text).substr(begin, end - begin);
      std::string_view replaced;
      if (cluster.size() < 6 && find(cluster, replaced)) {
        out += replaced;
      } else {
        for (std::size_t at = 0; at < cluster.size();) {
          const std::size_t from = at;
          next(cluster, at);
          const std::string_view one = cluster.substr(from, at - from);
          out += find(one, replaced) ? replaced : one;
        }
      }
      begin = end;
      if (end == first_end) lead = out.size();
    }
    text.lead = text.lead > 0 ? lead : 0;
    text.text = std::move(out);
  }

 private:
  /// The replacement of the shortest string that `key` begins with.
  bool find(std::string_view key, std::string_view& replaced) const {
    const auto offset = [](std::uint32_t unit) { return (unit >> 10) << ((unit & (1U << 9)) >> 6); };
    std::size_t node = offset(units_[0]);
    for (const char byte : key) {
      if (byte == 0) return false;
      node ^= static_cast<unsigned char>(byte);
      if (node >= units_.size()) return false;
      const std::uint32_t unit = units_[node];
      if ((unit & (1U << 31 | 0xFF)) != static_cast<unsigned char>(byte)) return false;
      node ^= offset(unit);
      if ((unit >> 8 & 1) == 0) continue;
      if (node >= units_.size()) return false;
      const std::size_t at = units_[node] & ((1U << 31) - 1);
      if (at > texts_.size()) return false;
      replaced = std::string_view(texts_).substr(at, std::min(texts_.find('\0', at), texts_.size()) - at);
      // A map that is broken could point into a character.
      return replaced.empty() || (static_cast<unsigned char>(replaced[0]) & 0xC0) != 0x80;
    }
    return false;
  }

  std::vector<std::uint32_t> units_;
  std::string texts_;
};

const Component<Normalizer> component("Precompiled",
                                      [](const Spec& spec) -> std::unique_ptr<Normalizer> { return std::make_unique<Precompiled>(spec); });

}  // namespace
}  // namespace ds::text
