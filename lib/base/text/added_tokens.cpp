#include "base/text/added_tokens.h"

#include <fmt/format.h>

#include "base/core/error.h"
#include "base/text/unicode.h"

namespace ds::text {

AddedTokens::AddedTokens(const Json& list, const std::string& where, const Model& model, const Normalizer* normalizer) {
  if (list.is_null()) return;
  if (!list.is_array()) throw Error(Exit::kInput, where, fmt::format("is a JSON {}, expected a list", list.type_name()));
  const Vocabulary& vocabulary = model.vocabulary();
  const std::int64_t most = std::max<std::int64_t>(vocabulary.size(), static_cast<std::int64_t>(list.size())) * 4 + 65536;
  std::vector<std::pair<std::string_view, std::int32_t>> plain, normalized;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const Spec spec(list[i], fmt::format("{}[{}]", where, i));
    Token token;
    token.content = spec.text("content");
    token.id = static_cast<std::int32_t>(spec.integer("id", 0, most));
    token.special = spec.flag("special", false);
    token.single_word = spec.flag("single_word", false);
    token.lstrip = spec.flag("lstrip", false);
    token.rstrip = spec.flag("rstrip", false);
    token.normalized = spec.flag("normalized", !token.special);
    if (token.content.empty()) continue;
    if (token.content.size() > kMostToken) spec.fail(fmt::format("a token has {} bytes, expected at most {}", token.content.size(), kMostToken));
    const std::int32_t known = vocabulary.id(token.content);
    if (known >= 0 && known != token.id)
      spec.fail(fmt::format("token {} has id {}, but {} in the vocabulary", Json(token.content).dump(), token.id, known));
    if (known < 0 && vocabulary.has(token.id))
      spec.fail(fmt::format("token {} has id {}, which is that of {} in the vocabulary", Json(token.content).dump(), token.id,
                            Json(vocabulary.token(token.id)).dump(-1, ' ', false, Json::error_handler_t::replace)));
    if (by_id_.contains(token.id) || by_content_.contains(token.content))
      spec.fail(fmt::format("token {} with id {} is there twice", Json(token.content).dump(), token.id));
    token.pattern = token.content;
    if (token.normalized && normalizer != nullptr) {
      Normalized text{token.content};
      normalizer->apply(text);
      token.pattern = std::move(text.text);
      if (token.pattern.size() > kMostToken)
        spec.fail(fmt::format("a token has {} bytes when normalized, expected at most {}", token.pattern.size(), kMostToken));
    }
    if (token.special) special_.insert(token.content);
    size_ = std::max<std::int64_t>(size_, token.id + 1);
    const auto index = static_cast<std::int32_t>(tokens_.size());
    const Token& kept = tokens_.emplace_back(std::move(token));
    by_id_[kept.id] = &kept;
    by_content_[kept.content] = &kept;
    (kept.normalized ? normalized : plain).emplace_back(kept.pattern, index);
  }
  plain_ = Trie(std::move(plain));
  normalized_ = Trie(std::move(normalized));
}

const AddedTokens::Token* AddedTokens::find(std::int64_t id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : found->second;
}

const AddedTokens::Token* AddedTokens::find(std::string_view content) const {
  const auto found = by_content_.find(content);
  return found == by_content_.end() ? nullptr : found->second;
}

/// The leftmost token, of those that begin there the longest; the search goes on behind it, whether it was taken or not.
void AddedTokens::cut(std::string_view text, const Trie& trie, std::vector<Cut>& cuts) const {
  std::size_t done = 0;
  for (std::size_t at = 0; at < text.size() && !trie.empty();) {
    std::size_t length = 0;
    std::int32_t index = -1;
    if (trie.begins(text[at])) {
      trie.prefixes(text.substr(at), [&](std::size_t size, std::int32_t number) {
        length = size;
        index = number;
      });
    }
    if (index < 0) {
      ++at;
      continue;
    }
    const Token& token = tokens_[static_cast<std::size_t>(index)];
    std::size_t begin = at, end = at + length;
    at = end;
    if (token.single_word) {
      std::size_t before = begin, after = end;
      if ((begin > 0 && is_word(previous(text, before))) || (end < text.size() && is_word(next(text, after)))) continue;
    }
    if (token.lstrip) {
      for (std::size_t before = begin; before > done && is_space(previous(text, before));) begin = before;
      begin = std::max(begin, done);  // the token before may have taken what this one is made of
    }
    if (token.rstrip) {
      for (std::size_t after = end; after < text.size() && is_space(next(text, after));) end = after;
    }
    if (done < begin) cuts.push_back({done, begin, nullptr});
    if (begin < end) cuts.push_back({begin, end, &token});
    done = std::max(done, end);
  }
  if (done < text.size()) cuts.push_back({done, text.size(), nullptr});
}

Pieces AddedTokens::extract(std::string_view text, const Normalizer* normalizer) const {
  Pieces pieces;
  std::vector<Cut> outer, inner;
  cut(text, plain_, outer);
  Normalized part;
  for (const Cut& segment : outer) {
    const std::size_t begin = pieces.text.size();
    if (segment.token != nullptr) {
      pieces.text += text.substr(segment.begin, segment.end - segment.begin);
      pieces.list.push_back({begin, pieces.text.size(), segment.token->id, 0});
      continue;
    }
    part.text.assign(text.substr(segment.begin, segment.end - segment.begin));
    std::size_t first = 0;
    if (segment.begin == 0) next(part.text, first);
    part.lead = first;
    if (normalizer != nullptr) normalizer->apply(part);
    pieces.text += part.text;
    inner.clear();
    cut(part.text, normalized_, inner);
    for (const Cut& found : inner) {
      pieces.list.push_back(
          {begin + found.begin, begin + found.end, found.token == nullptr ? -1 : found.token->id, part.lead - std::min(part.lead, found.begin)});
    }
  }
  return pieces;
}

}  // namespace ds::text
