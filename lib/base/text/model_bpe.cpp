// Byte-pair encoding (Sennrich et al. 2016): of all neighbours the pair with the lowest rank is merged, the leftmost first, until none is left.
#include <fmt/format.h>

#include <queue>

#include "base/core/error.h"
#include "base/text/component.h"
#include "base/text/unicode.h"

namespace ds::text {
namespace {

/// (left, right) -> rank and the merged token. Open addressing: every pair of neighbours is looked up.
class Merges {
 public:
  struct Merge {
    std::uint64_t pair = kFree;
    std::int32_t rank = 0, id = 0;
  };

  void reserve(std::size_t entries) {
    std::size_t slots = 16;
    while (slots < entries * 2 + 2) slots *= 2;
    slots_.assign(slots, {});
  }
  /// Of a pair that is there twice the later counts.
  void set(std::int32_t left, std::int32_t right, std::int32_t rank, std::int32_t id) {
    const std::uint64_t pair = key(left, right);
    std::size_t at = place(pair);
    while (slots_[at].pair != kFree && slots_[at].pair != pair) at = (at + 1) & (slots_.size() - 1);
    slots_[at] = {pair, rank, id};
  }
  const Merge* find(std::int32_t left, std::int32_t right) const {
    const std::uint64_t pair = key(left, right);
    for (std::size_t at = place(pair); slots_[at].pair != kFree; at = (at + 1) & (slots_.size() - 1))
      if (slots_[at].pair == pair) return &slots_[at];
    return nullptr;
  }

 private:
  static constexpr std::uint64_t kFree = ~std::uint64_t{0};
  static std::uint64_t key(std::int32_t left, std::int32_t right) {
    return static_cast<std::uint64_t>(left) << 32 | static_cast<std::uint32_t>(right);
  }
  std::size_t place(std::uint64_t pair) const { return static_cast<std::size_t>((pair * 0x9E3779B97F4A7C15ULL) >> 32) & (slots_.size() - 1); }
  std::vector<Merge> slots_;
};

struct Symbol {
  std::int32_t id, previous, next;
  bool gone = false;
};

struct Candidate {
  std::int32_t rank, position, id;
  bool operator>(const Candidate& other) const { return rank != other.rank ? rank > other.rank : position > other.position; }
};

class Bpe : public Model {
 public:
  explicit Bpe(const Spec& spec)
      : vocabulary_(spec.at("vocab"), spec.where() + ".vocab"),
        where_(spec.where()),
        prefix_(spec.text("continuing_subword_prefix", "")),
        suffix_(spec.text("end_of_word_suffix", "")),
        unknown_(spec.text("unk_token", "")),
        fuse_(spec.flag("fuse_unk", false)),
        byte_fallback_(spec.flag("byte_fallback", false)),
        ignore_merges_(spec.flag("ignore_merges", false)),
        has_unknown_(spec.has("unk_token")) {
    if (prefix_.size() > kMostToken || suffix_.size() > kMostToken)
      spec.fail("continuing_subword_prefix or end_of_word_suffix is longer than any token");
    read_merges(spec);
    for (int byte = 0; byte < 256; ++byte) bytes_[byte] = vocabulary_.id(fmt::format("<0x{:02X}>", byte));
    unknown_id_ = has_unknown_ ? vocabulary_.id(unknown_) : -1;
  }

  void tokenize(std::string_view piece, std::vector<std::int32_t>& ids) const override {
    if (ignore_merges_) {
      const std::int32_t whole = vocabulary_.id(piece);
      if (whole >= 0) {
        ids.push_back(whole);
        return;
      }
    }
    std::vector<Symbol> word;
    word.reserve(piece.size());
    spell(piece, word);
    merge(word);
    for (const Symbol& symbol : word)
      if (!symbol.gone) ids.push_back(symbol.id);
  }

  const Vocabulary& vocabulary() const override { return vocabulary_; }

 private:
  void read_merges(const Spec& spec) {
    const Json& list = spec.at("merges");
    if (!list.is_array()) spec.fail(fmt::format("merges is a JSON {}, expected a list", list.type_name()));
    merges_.reserve(list.size());
    std::string merged;
    for (std::size_t rank = 0; rank < list.size(); ++rank) {
      const auto fail = [&](const std::string& what) { throw Error(Exit::kInput, fmt::format("{}.merges[{}]", where_, rank), what); };
      std::string left, right;
      const Json& entry = list[rank];
      if (entry.is_string()) {
        const auto& text = entry.get_ref<const std::string&>();
        if (text.starts_with("#version")) continue;
        const std::size_t space = text.find(' ');
        if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos) fail("is no two tokens with a space between them");
        left = text.substr(0, space);
        right = text.substr(space + 1);
      } else if (entry.is_array() && entry.size() == 2 && entry[0].is_string() && entry[1].is_string()) {
        left = entry[0].get<std::string>();
        right = entry[1].get<std::string>();
      } else {
        fail("is no pair of tokens");
      }
      if (right.size() < prefix_.size()) fail(fmt::format("merges {}, which is shorter than continuing_subword_prefix", shown(right)));
      merged = left + right.substr(prefix_.size());
      const std::int32_t a = vocabulary_.id(left), b = vocabulary_.id(right), id = vocabulary_.id(merged);
      if (a < 0 || b < 0) fail(fmt::format("merges {}, which is not in the vocabulary", shown(a < 0 ? left : right)));
      if (id < 0) fail(fmt::format("makes {}, which is not in the vocabulary", shown(merged)));
      merges_.set(a, b, static_cast<std::int32_t>(rank), id);
    }
  }

  static std::string shown(const std::string& token) { return Json(token.substr(0, 80)).dump(-1, ' ', false, Json::error_handler_t::replace); }

  static void add(std::vector<Symbol>& word, std::int32_t id) {
    const auto at = static_cast<std::int32_t>(word.size());
    if (at > 0) word.back().next = at;
    word.push_back({id, at - 1, -1});
  }

  /// The characters of a piece as tokens, those that have none as bytes or unknown.
  void spell(std::string_view piece, std::vector<Symbol>& word) const {
    std::string decorated;
    bool pending = false;  // an unknown token that is not yet put down, since the next may join it
    const auto flush = [&] {
      if (pending) add(word, unknown_id_);
      pending = false;
    };
    for (std::size_t at = 0; at < piece.size();) {
      const std::size_t begin = at;
      next(piece, at);
      std::string_view character = piece.substr(begin, at - begin);
      if ((begin > 0 && !prefix_.empty()) || (at == piece.size() && !suffix_.empty())) {
        decorated.assign(begin > 0 ? prefix_ : "").append(character).append(at == piece.size() ? suffix_ : "");
        character = decorated;
      }
      const std::int32_t id = vocabulary_.id(character);
      if (id >= 0) {
        flush();
        add(word, id);
        continue;
      }
      if (byte_fallback_ &&
          std::all_of(character.begin(), character.end(), [&](char byte) { return bytes_[static_cast<unsigned char>(byte)] >= 0; })) {
        for (const char byte : character) add(word, bytes_[static_cast<unsigned char>(byte)]);
        continue;
      }
      if (!has_unknown_) continue;
      if (unknown_id_ < 0)
        throw Error(Exit::kInput, where_,
                    fmt::format("unk_token {} is not in the vocabulary, and a character cannot be told without it", shown(unknown_)));
      if (!fuse_) flush();
      pending = true;
    }
    flush();
  }

  void merge(std::vector<Symbol>& word) const {
    std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
    const auto push = [&](std::int32_t left) {
      const std::int32_t right = left < 0 ? -1 : word[static_cast<std::size_t>(left)].next;
      if (right < 0) return;
      const Merges::Merge* found = merges_.find(word[static_cast<std::size_t>(left)].id, word[static_cast<std::size_t>(right)].id);
      if (found != nullptr) queue.push({found->rank, left, found->id});
    };
    for (std::size_t i = 0; i + 1 < word.size(); ++i) push(static_cast<std::int32_t>(i));
    while (!queue.empty()) {
      const Candidate top = queue.top();
      queue.pop();
      Symbol& left = word[static_cast<std::size_t>(top.position)];
      if (left.gone || left.next < 0) continue;
      Symbol& right = word[static_cast<std::size_t>(left.next)];
      // Since it was put in the queue, either may have become part of another token.
      const Merges::Merge* now = merges_.find(left.id, right.id);
      if (now == nullptr || now->id != top.id) continue;
      left.id = top.id;
      left.next = right.next;
      right.gone = true;
      if (right.next >= 0) word[static_cast<std::size_t>(right.next)].previous = top.position;
      push(left.previous);
      push(top.position);
    }
  }

  Vocabulary vocabulary_;
  Merges merges_;
  std::string where_, prefix_, suffix_, unknown_;
  bool fuse_, byte_fallback_, ignore_merges_, has_unknown_;
  std::int32_t unknown_id_ = -1, bytes_[256] = {};
};

const Component<Model> component("BPE", [](const Spec& spec) -> std::unique_ptr<Model> { return std::make_unique<Bpe>(spec); });

}  // namespace
}  // namespace ds::text
