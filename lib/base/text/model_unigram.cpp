// Unigram (Kudo 2018): of all ways to cut a piece into tokens the likeliest, found by dynamic programming.
#include <fmt/format.h>

#include <cmath>

#include "base/core/error.h"
#include "base/text/component.h"
#include "base/text/trie.h"
#include "base/text/unicode.h"

namespace ds::text {
namespace {

constexpr double kUnknownPenalty = 10.0;

class Unigram : public Model {
 public:
  explicit Unigram(const Spec& spec) : where_(spec.where()), byte_fallback_(spec.flag("byte_fallback", false)) {
    const Json& list = spec.at("vocab");
    if (!list.is_array()) spec.fail(fmt::format("vocab is a JSON {}, expected a list of [token, score]", list.type_name()));
    std::vector<std::string> tokens;
    for (std::size_t i = 0; i < list.size(); ++i) {
      const Json& entry = list[i];
      if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string() || !entry[1].is_number() || !std::isfinite(entry[1].get<double>()))
        throw Error(Exit::kInput, fmt::format("{}.vocab[{}]", where_, i), "is no [token, score]");
      tokens.push_back(entry[0].get<std::string>());
      scores_.push_back(entry[1].get<double>());
    }
    vocabulary_ = Vocabulary(tokens, where_ + ".vocab", true);
    std::vector<std::pair<std::string_view, std::int32_t>> entries;
    for (const std::string& token : tokens) entries.emplace_back(token, vocabulary_.id(token));
    trie_ = Trie(std::move(entries));
    unknown_ = spec.has("unk_id") ? static_cast<std::int32_t>(spec.integer("unk_id", 0, static_cast<std::int64_t>(tokens.size()) - 1)) : -1;
    double least = 0;
    for (std::size_t i = 0; i < scores_.size(); ++i) least = i == 0 ? scores_[i] : std::min(least, scores_[i]);
    unknown_score_ = least - kUnknownPenalty;
    for (int byte = 0; byte < 256; ++byte) bytes_[byte] = vocabulary_.id(fmt::format("<0x{:02X}>", byte));
  }

  void tokenize(std::string_view piece, std::vector<std::int32_t>& ids) const override {
    if (piece.size() >= (std::size_t{1} << 31)) throw Error(Exit::kInput, where_, "the text is too long");
    struct Node {
      double score = 0;
      std::int32_t id = 0, begin = -1;
    };
    std::vector<Node> best(piece.size() + 1);
    const auto offer = [&](std::size_t end, double score, std::int32_t id, std::size_t begin) {
      if (best[end].begin >= 0 && score <= best[end].score) return;
      best[end] = {score, id, static_cast<std::int32_t>(begin)};
    };
    for (std::size_t begin = 0; begin < piece.size();) {
      std::size_t after = begin;
      next(piece, after);
      bool single = false;
      trie_.prefixes(piece.substr(begin), [&](std::size_t length, std::int32_t id) {
        offer(begin + length, best[begin].score + scores_[static_cast<std::size_t>(id)], id, begin);
        single = single || begin + length == after;
      });
      if (!single) {
        if (unknown_ < 0) missing();
        offer(after, best[begin].score + unknown_score_, unknown_, begin);
      }
      begin = after;
    }
    // From the end; unknown neighbours become one.
    std::vector<std::pair<std::size_t, std::size_t>> spans;
    bool last_unknown = false;
    for (std::size_t end = piece.size(); end > 0;) {
      const auto begin = static_cast<std::size_t>(best[end].begin);
      const bool is_unknown = best[end].id == unknown_;
      if (is_unknown && last_unknown)
        spans.back().first = begin;
      else
        spans.emplace_back(begin, end);
      last_unknown = is_unknown;
      end = begin;
    }
    for (std::size_t i = spans.size(); i-- > 0;) put(piece.substr(spans[i].first, spans[i].second - spans[i].first), ids);
  }

  const Vocabulary& vocabulary() const override { return vocabulary_; }

 private:
  [[noreturn]] void missing() const { throw Error(Exit::kInput, where_, "has no unk_id, and a character cannot be told without it"); }

  void put(std::string_view token, std::vector<std::int32_t>& ids) const {
    const std::int32_t id = vocabulary_.id(token);
    if (id >= 0) {
      ids.push_back(id);
    } else if (byte_fallback_ && std::all_of(token.begin(), token.end(), [&](char byte) { return bytes_[static_cast<unsigned char>(byte)] >= 0; })) {
      for (const char byte : token) ids.push_back(bytes_[static_cast<unsigned char>(byte)]);
    } else {
      if (unknown_ < 0) missing();
      ids.push_back(unknown_);
    }
  }

  Vocabulary vocabulary_;
  Trie trie_;
  std::vector<double> scores_;
  std::string where_;
  bool byte_fallback_;
  std::int32_t unknown_ = -1, bytes_[256] = {};
  double unknown_score_ = 0;
};

const Component<Model> component("Unigram", [](const Spec& spec) -> std::unique_ptr<Model> { return std::make_unique<Unigram>(spec); });

}  // namespace
}  // namespace ds::text
