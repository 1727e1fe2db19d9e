// WordPiece (Schuster and Nakajima 2012; BERT): from the left, always the longest token that fits.
#include <fmt/format.h>

#include "base/core/error.h"
#include "base/text/component.h"
#include "base/text/unicode.h"

namespace ds::text {
namespace {

class WordPiece : public Model {
 public:
  explicit WordPiece(const Spec& spec)
      : vocabulary_(spec.at("vocab"), spec.where() + ".vocab"),
        where_(spec.where()),
        unknown_(spec.text("unk_token", "[UNK]")),
        prefix_(spec.text("continuing_subword_prefix", "##")) {
    if (spec.has("max_input_chars_per_word")) most_ = static_cast<std::size_t>(spec.integer("max_input_chars_per_word", 0, 1 << 16));
    if (prefix_.size() > kMostToken) spec.fail("continuing_subword_prefix is longer than any token");
    unknown_id_ = vocabulary_.id(unknown_);
    for (std::int64_t id = 0; id < vocabulary_.size(); ++id) longest_ = std::max(longest_, vocabulary_.token(id).size());
  }

  void tokenize(std::string_view piece, std::vector<std::int32_t>& ids) const override {
    const std::size_t before = ids.size();
    bool known = count_characters(piece) <= most_;
    std::string word = prefix_;
    for (std::size_t begin = 0; known && begin < piece.size();) {
      // What is longer than every token need not be looked up.
      std::size_t end = std::min(piece.size(), begin + longest_);
      while (end < piece.size() && end > begin && (static_cast<unsigned char>(piece[end]) & 0xC0) == 0x80) --end;
      word.resize(prefix_.size());
      if (begin > 0) word += piece.substr(begin, end - begin);
      std::int32_t id = -1;
      while (end > begin) {
        id = vocabulary_.id(begin == 0 ? piece.substr(0, end) : std::string_view(word).substr(0, prefix_.size() + end - begin));
        if (id >= 0) break;
        previous(piece, end);
      }
      known = id >= 0;
      if (known) ids.push_back(id);
      begin = end;
    }
    if (known) return;
    if (unknown_id_ < 0)
      throw Error(Exit::kInput, where_,
                  fmt::format("unk_token {} is not in the vocabulary, and a word cannot be told without it", Json(unknown_).dump()));
    ids.resize(before);
    ids.push_back(unknown_id_);
  }

  const Vocabulary& vocabulary() const override { return vocabulary_; }

 private:
  Vocabulary vocabulary_;
  std::string where_, unknown_, prefix_;
  std::int32_t unknown_id_ = -1;
  std::size_t most_ = 100, longest_ = 0;
};

const Component<Model> component("WordPiece", [](const Spec& spec) -> std::unique_ptr<Model> { return std::make_unique<WordPiece>(spec); });

}  // namespace
}  // namespace ds::text
