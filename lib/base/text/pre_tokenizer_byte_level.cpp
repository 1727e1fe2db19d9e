// Byte-level pre-tokenization of GPT-2: words by its pattern, then each byte a character of its alphabet.
#include "base/text/bytes.h"
#include "base/text/component.h"
#include "base/text/unicode.h"

namespace ds::text {
namespace {

enum class Kind { kSpace, kLetter, kNumber, kOther };

Kind kind(char32_t c) { return is_space(c) ? Kind::kSpace : is_regex_letter(c) ? Kind::kLetter : is_regex_number(c) ? Kind::kNumber : Kind::kOther; }

/// The end of the match of 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ at `begin`. Everything matches.
std::size_t match(std::string_view text, std::size_t begin) {
  if (text[begin] == '\'' && begin + 1 < text.size()) {
    const char one = text[begin + 1], two = begin + 2 < text.size() ? text[begin + 2] : '\0';
    if (one == 's' || one == 't' || one == 'm' || one == 'd') return begin + 2;
    if ((one == 'r' && two == 'e') || (one == 'v' && two == 'e') || (one == 'l' && two == 'l')) return begin + 3;
  }
  std::size_t at = begin;
  Kind first = kind(next(text, at));
  std::size_t end = at;
  if (text[begin] == ' ' && at < text.size()) {
    const Kind second = kind(next(text, at));
    if (second != Kind::kSpace) {
      first = second;
      end = at;
    }
  }
  std::size_t last = begin;  // where the last character of the run begins
  for (at = end; at < text.size();) {
    const std::size_t here = at;
    if (kind(next(text, at)) != first) return first == Kind::kSpace && last > begin ? last : end;
    last = here;
    end = at;
  }
  return end;
}

class ByteLevel : public PreTokenizer {
 public:
  explicit ByteLevel(const Spec& spec) : prefix_(spec.flag("add_prefix_space", true)), regex_(spec.flag("use_regex", true)) {}

  void apply(Pieces& pieces) const override {
    Pieces out;
    out.text.reserve(pieces.text.size() + pieces.text.size() / 4);
    out.list.reserve(pieces.text.size() / 5 + pieces.list.size());
    std::string prefixed;
    for (const Piece& piece : pieces.list) {
      std::string_view text = std::string_view(pieces.text).substr(piece.begin, piece.end - piece.begin);
      const std::size_t start = out.text.size();
      if (piece.token >= 0) {
        out.text += text;
        out.list.push_back({start, out.text.size(), piece.token, 0});
        continue;
      }
      if (prefix_ && !text.starts_with(' ')) {
        prefixed.assign(" ").append(text);
        text = prefixed;
      }
      for (std::size_t at = 0; at < text.size();) {
        const std::size_t begin = at, from = out.text.size();
        at = regex_ ? match(text, at) : text.size();
        append_byte_characters(out.text, text.substr(begin, at - begin));
        out.list.push_back({from, out.text.size(), -1, begin == 0 ? std::min<std::size_t>(piece.lead, 1) : 0});
      }
    }
    pieces = std::move(out);
  }

 private:
  bool prefix_, regex_;
};

const Component<PreTokenizer> component("ByteLevel",
                                        [](const Spec& spec) -> std::unique_ptr<PreTokenizer> { return std::make_unique<ByteLevel>(spec); });

}  // namespace
}  // namespace ds::text
