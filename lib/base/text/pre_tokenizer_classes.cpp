// Splits at characters of a class: spaces, punctuation, digits, one character.
#include "base/text/component.h"
#include "base/text/unicode.h"

namespace ds::text {
namespace {

/// Matches: single characters for which `is`, as Hugging Face's `Pattern for Fn(char) -> bool`.
template <class Is>
void find_characters(std::string_view text, Is&& is, std::vector<Match>& matches) {
  std::size_t done = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    if (!is(next(text, at))) continue;
    if (done < begin) matches.push_back({done, begin, false});
    matches.push_back({begin, at, true});
    done = at;
  }
  if (done < text.size()) matches.push_back({done, text.size(), false});
}

template <class Is>
void split_at(Pieces& pieces, Behavior behavior, Is is) {
  split(pieces, behavior, [&](std::string_view text, std::vector<Match>& matches) { find_characters(text, is, matches); });
}

/// Words between spaces, each sign of punctuation for itself: one pass, since every text of a BERT comes through here.
class Bert : public PreTokenizer {
 public:
  void apply(Pieces& pieces) const override {
    std::vector<Piece> list;
    list.reserve(pieces.text.size() / 5 + pieces.list.size());
    for (const Piece& piece : pieces.list) {
      if (piece.token >= 0) {
        list.push_back(piece);
        continue;
      }
      std::size_t begin = piece.begin;
      const auto end_at = [&](std::size_t end) {
        if (begin < end) list.push_back({begin, end, -1, piece.lead - std::min(piece.lead, begin - piece.begin)});
      };
      const std::string_view text = std::string_view(pieces.text).substr(0, piece.end);
      for (std::size_t at = piece.begin; at < piece.end;) {
        const std::size_t here = at;
        const char32_t c = next(text, at);
        if (is_space(c)) {
          end_at(here);
          begin = at;
        } else if (is_punctuation(c)) {
          end_at(here);
          begin = here;
          end_at(at);
          begin = at;
        }
      }
      end_at(piece.end);
    }
    pieces.list = std::move(list);
  }
};

class WhitespaceSplit : public PreTokenizer {
 public:
  void apply(Pieces& pieces) const override { split_at(pieces, Behavior::kRemoved, is_space); }
};

/// \w+|[^\w\s]+
class Whitespace : public PreTokenizer {
 public:
  void apply(Pieces& pieces) const override {
    split(pieces, Behavior::kRemoved, [](std::string_view text, std::vector<Match>& matches) {
      const auto kind = [](char32_t c) { return is_space(c) ? 0 : is_word(c) ? 1 : 2; };
      int last = -1;
      for (std::size_t at = 0; at < text.size();) {
        const std::size_t begin = at;
        const int here = kind(next(text, at));
        if (here == last)
          matches.back().end = at;
        else
          matches.push_back({begin, at, here == 0});
        last = here;
      }
    });
  }
};

class Punctuation : public PreTokenizer {
 public:
  explicit Punctuation(const Spec& spec) : behavior_(parse_behavior(spec, spec.text("behavior", "Isolated"))) {}
  void apply(Pieces& pieces) const override { split_at(pieces, behavior_, is_punctuation); }

 private:
  Behavior behavior_;
};

class Digits : public PreTokenizer {
 public:
  explicit Digits(const Spec& spec) : behavior_(spec.flag("individual_digits", false) ? Behavior::kIsolated : Behavior::kContiguous) {}
  void apply(Pieces& pieces) const override { split_at(pieces, behavior_, is_number); }

 private:
  Behavior behavior_;
};

class CharDelimiterSplit : public PreTokenizer {
 public:
  explicit CharDelimiterSplit(const Spec& spec) : delimiter_(spec.character("delimiter")) {}
  void apply(Pieces& pieces) const override {
    split_at(pieces, Behavior::kRemoved, [&](char32_t c) { return c == delimiter_; });
  }

 private:
  char32_t delimiter_;
};

class Sequence : public PreTokenizer {
 public:
  explicit Sequence(const Spec& spec) {
    for (const Spec& part : spec.list("pretokenizers")) parts_.push_back(make<PreTokenizer>(part));
  }
  void apply(Pieces& pieces) const override {
    const std::size_t before = pieces.text.size();
    for (const auto& part : parts_) {
      part->apply(pieces);
      check_growth(before, pieces.text.size());
    }
  }

 private:
  std::vector<std::unique_ptr<PreTokenizer>> parts_;
};

const Component<PreTokenizer> bert("BertPreTokenizer", [](const Spec&) -> std::unique_ptr<PreTokenizer> { return std::make_unique<Bert>(); });
const Component<PreTokenizer> space_split("WhitespaceSplit",
                                          [](const Spec&) -> std::unique_ptr<PreTokenizer> { return std::make_unique<WhitespaceSplit>(); });
const Component<PreTokenizer> space("Whitespace", [](const Spec&) -> std::unique_ptr<PreTokenizer> { return std::make_unique<Whitespace>(); });
const Component<PreTokenizer> punctuation("Punctuation",
                                          [](const Spec& spec) -> std::unique_ptr<PreTokenizer> { return std::make_unique<Punctuation>(spec); });
const Component<PreTokenizer> digits("Digits", [](const Spec& spec) -> std::unique_ptr<PreTokenizer> { return std::make_unique<Digits>(spec); });
const Component<PreTokenizer> delimiter("CharDelimiterSplit",
                                        [](const Spec& spec) -> std::unique_ptr<PreTokenizer> { return std::make_unique<CharDelimiterSplit>(spec); });
const Component<PreTokenizer> sequence("Sequence",
                                       [](const Spec& spec) -> std::unique_ptr<PreTokenizer> { return std::make_unique<Sequence>(spec); });

}  // namespace
}  // namespace ds::text
