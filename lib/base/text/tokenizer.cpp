#include "base/text/tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <mutex>

#include "base/core/error.h"
#include "base/text/added_tokens.h"
#include "base/text/component.h"
#include "base/text/unicode.h"

namespace ds::text {
namespace {

constexpr std::size_t kMostCached = 1 << 15, kMostCachedWord = 256;

/// The ids of words that were seen, since a text says the same again and again.
struct Cache {
  StringMap words;  ///< number: index into spans
  std::vector<std::pair<std::uint32_t, std::uint32_t>> spans;
  std::vector<std::int32_t> ids;
};

template <class T>
std::unique_ptr<T> part(const Json& document, const char* key, const std::string& where) {
  const auto found = document.find(key);
  if (found == document.end() || found->is_null()) return nullptr;
  return make<T>(Spec(*found, where + ":" + key));
}

const Json& member(const Json& json, const char* key) {
  static const Json kNone;
  if (!json.is_object()) return kNone;
  const auto found = json.find(key);
  return found == json.end() ? kNone : *found;
}

std::int64_t limit(const Json& json, const std::string& where) {
  return json.contains("max_length") && !json["max_length"].is_null() ? Spec(json, where).integer("max_length", 0, std::int64_t{1} << 31) : -1;
}

}  // namespace

struct Tokenizer::Parts {
  Json document;
  std::string where;
  std::unique_ptr<Normalizer> normalizer;
  std::unique_ptr<PreTokenizer> pre_tokenizer;
  std::unique_ptr<Model> model;
  std::unique_ptr<PostProcessor> processor;
  std::unique_ptr<Decoder> decoder;
  AddedTokens added;
  std::int64_t max_length = 0, size = 0;
  bool left = false;  ///< truncation takes from the left
  enum class Strategy { kLongestFirst, kOnlyFirst, kOnlySecond } strategy = Strategy::kLongestFirst;
  std::mutex mutex;
  Cache cache;

  void read_truncation();
  void tokenize(std::string_view text, std::int64_t most, std::vector<std::int32_t>& ids);
  void add_word(std::string_view word, bool cached, std::vector<std::int32_t>& ids);
  Encoding encode_one(std::string_view text, std::int64_t type, std::int64_t most);
  void truncate(Encoding& first, Encoding* second, std::int64_t most) const;
  Encoding encode(std::string_view text, const std::string_view* pair, const EncodeOptions& options);
};

void Tokenizer::Parts::read_truncation() {
  const Json& ours = member(document, "ds");
  const Json& theirs = member(document, "truncation");
  if (!ours.is_null() && !ours.is_object())
    throw Error(Exit::kInput, where + ":ds", fmt::format("is a JSON {}, expected an object", ours.type_name()));
  const std::int64_t own = ours.is_object() ? limit(ours, where + ":ds") : -1;
  if (own >= 0) max_length = own;
  if (!theirs.is_object()) return;
  const Spec spec(theirs, where + ":truncation");
  const std::int64_t other = limit(theirs, where + ":truncation");
  if (own < 0 && other >= 0) max_length = other;
  const std::string direction = spec.text("direction", "Right"), name = spec.text("strategy", "LongestFirst");
  if (direction != "Right" && direction != "Left") spec.fail(fmt::format("unknown direction \"{}\", expected Left or Right", direction));
  left = direction == "Left";
  if (name == "OnlyFirst")
    strategy = Strategy::kOnlyFirst;
  else if (name == "OnlySecond")
    strategy = Strategy::kOnlySecond;
  else if (name != "LongestFirst")
    spec.fail(fmt::format("unknown strategy \"{}\", expected LongestFirst, OnlyFirst or OnlySecond", name));
}

void Tokenizer::Parts::add_word(std::string_view word, bool cached, std::vector<std::int32_t>& ids) {
  cached = cached && word.size() <= kMostCachedWord;
  if (cached) {
    const std::int32_t found = cache.words.find(word);
    if (found >= 0) {
      const auto [begin, end] = cache.spans[static_cast<std::size_t>(found)];
      ids.insert(ids.end(), cache.ids.begin() + begin, cache.ids.begin() + end);
      return;
    }
  }
  const std::size_t before = ids.size();
  model->tokenize(word, ids);
  if (!cached) return;
  if (cache.spans.size() >= kMostCached) cache = Cache();
  const auto begin = static_cast<std::uint32_t>(cache.ids.size());
  cache.ids.insert(cache.ids.end(), ids.begin() + static_cast<std::ptrdiff_t>(before), ids.end());
  cache.words.add(word, static_cast<std::int32_t>(cache.spans.size()));
  cache.spans.emplace_back(begin, static_cast<std::uint32_t>(cache.ids.size()));
}

/// Appends the ids of a text; where `most` >= 0, what is behind that many may be left out.
void Tokenizer::Parts::tokenize(std::string_view text, std::int64_t most, std::vector<std::int32_t>& ids) {
  if (text.size() > kMostText) throw Error(Exit::kInput, "", fmt::format("the text has {} bytes, expected at most {}", text.size(), kMostText));
  const std::size_t bad = find_invalid_utf8(text);
  if (bad != std::string_view::npos)
    throw Error(Exit::kInput, "", fmt::format("the text is no UTF-8: byte {} is 0x{:02x}", bad, static_cast<unsigned char>(text[bad])));
  Pieces pieces = added.extract(text, normalizer.get());
  if (pre_tokenizer) pre_tokenizer->apply(pieces);
  const std::unique_lock lock(mutex, std::try_to_lock);
  for (const Piece& piece : pieces.list) {
    if (most >= 0 && static_cast<std::int64_t>(ids.size()) >= most) return;
    if (piece.token >= 0)
      ids.push_back(piece.token);
    else
      add_word(std::string_view(pieces.text).substr(piece.begin, piece.end - piece.begin), lock.owns_lock(), ids);
  }
}

Encoding Tokenizer::Parts::encode_one(std::string_view text, std::int64_t type, std::int64_t most) {
  std::vector<std::int32_t> ids;
  tokenize(text, left ? -1 : most, ids);
  Encoding encoding;
  encoding.ids.assign(ids.begin(), ids.end());
  encoding.type_ids.assign(ids.size(), type);
  encoding.special.assign(ids.size(), 0);
  return encoding;
}

void Tokenizer::Parts::truncate(Encoding& first, Encoding* second, std::int64_t most) const {
  const auto length = [](const Encoding& encoding) { return static_cast<std::int64_t>(encoding.ids.size()); };
  const auto keep = [&](Encoding& encoding, std::int64_t n) {
    if (n >= length(encoding)) return;
    const auto cut = [&](auto& values) { left ? values.erase(values.begin(), values.end() - n) : values.erase(values.begin() + n, values.end()); };
    cut(encoding.ids);
    cut(encoding.type_ids);
    cut(encoding.special);
  };
  const std::int64_t total = length(first) + (second == nullptr ? 0 : length(*second));
  if (total <= most) return;
  if (strategy != Strategy::kLongestFirst && most > 0) {
    Encoding* target = strategy == Strategy::kOnlyFirst ? &first : second;
    if (target == nullptr) throw Error(Exit::kInput, where + ":truncation", "only_second, but there is one text");
    if (length(*target) <= total - most)
      throw Error(Exit::kInput, where + ":truncation",
                  fmt::format("the text that may be cut has {} tokens, but {} are too many", length(*target), total - most));
    return keep(*target, length(*target) - (total - most));
  }
  if (second == nullptr) return keep(first, most);
  std::int64_t n1 = length(first), n2 = length(*second);
  const bool swapped = n1 > n2;
  if (swapped) std::swap(n1, n2);
  n2 = n1 > most ? n1 : std::max(n1, most - n1);
  if (n1 + n2 > most) {
    n1 = most / 2;
    n2 = n1 + most % 2;
  }
  if (swapped) std::swap(n1, n2);
  keep(first, n1);
  keep(*second, n2);
}

Encoding Tokenizer::Parts::encode(std::string_view text, const std::string_view* pair, const EncodeOptions& options) {
  std::int64_t most = options.max_length < 0 ? max_length : options.max_length;
  const bool limited = most > 0;
  const std::int64_t adds = processor && options.special_tokens ? processor->added(pair != nullptr) : 0;
  if (limited && most < adds)
    throw Error(Exit::kInput, where, fmt::format("max_length {}, expected at least {}: so many special tokens are added", most, adds));
  most -= adds;
  // Of what a cut text has, only as many tokens as may be left are looked at; the strategies other than the usual one must know all.
  const std::int64_t need = limited && strategy == Strategy::kLongestFirst ? most : -1;
  std::vector<Encoding> parts;
  parts.push_back(encode_one(text, 0, need));
  if (pair != nullptr) parts.push_back(encode_one(*pair, 1, need));
  if (limited) truncate(parts[0], pair == nullptr ? nullptr : &parts[1], most);
  if (processor) parts = processor->process(std::move(parts), options.special_tokens);
  Encoding whole = std::move(parts.at(0));
  for (std::size_t i = 1; i < parts.size(); ++i) {
    const auto add = [](auto& to, const auto& from) { to.insert(to.end(), from.begin(), from.end()); };
    add(whole.ids, parts[i].ids);
    add(whole.type_ids, parts[i].type_ids);
    add(whole.special, parts[i].special);
  }
  return whole;
}

Tokenizer::Tokenizer(const Json& document, const std::string& where) : parts_(std::make_unique<Parts>()) {
  if (!document.is_object())
    throw Error(Exit::kInput, where, fmt::format("is a JSON {}, expected an object: the content of a tokenizer.json", document.type_name()));
  check_depth(document, where);
  Parts& parts = *parts_;
  parts.document = document;
  parts.where = where;
  parts.normalizer = part<Normalizer>(document, "normalizer", where);
  parts.pre_tokenizer = part<PreTokenizer>(document, "pre_tokenizer", where);
  parts.model = part<Model>(document, "model", where);
  if (!parts.model) throw Error(Exit::kInput, where, "has no model, expected the content of a tokenizer.json");
  parts.processor = part<PostProcessor>(document, "post_processor", where);
  parts.decoder = part<Decoder>(document, "decoder", where);
  parts.added = AddedTokens(member(document, "added_tokens"), where + ":added_tokens", *parts.model, parts.normalizer.get());
  parts.size = std::max(parts.model->vocabulary().size(), parts.added.size());
  parts.read_truncation();
}

Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;

Encoding Tokenizer::encode(std::string_view text, const EncodeOptions& options) const { return parts_->encode(text, nullptr, options); }

Encoding Tokenizer::encode(std::string_view text, std::string_view pair, const EncodeOptions& options) const {
  return parts_->encode(text, &pair, options);
}

Batch Tokenizer::encode_batch(const std::vector<Text>& texts, std::int64_t multiple, const EncodeOptions& options) const {
  std::vector<Encoding> encodings;
  encodings.reserve(texts.size());
  for (const Text& text : texts) encodings.push_back(text.pair ? encode(text.text, *text.pair, options) : encode(text.text, options));
  return pad(encodings, multiple);
}

Batch Tokenizer::pad(const std::vector<Encoding>& encodings, std::int64_t multiple) const {
  std::size_t longest = 1;
  for (const Encoding& encoding : encodings) longest = std::max(longest, encoding.ids.size());
  const auto step = static_cast<std::size_t>(std::max<std::int64_t>(multiple, 1));
  longest = (longest + step - 1) / step * step;
  const std::vector<std::int64_t> shape{static_cast<std::int64_t>(encodings.size()), static_cast<std::int64_t>(longest)};
  Batch batch{io::make_array(io::DType::kI64, shape), io::make_array(io::DType::kI64, shape), io::make_array(io::DType::kI64, shape)};
  const std::int64_t padding = pad_id();
  const Json& pad_type = member(member(parts_->document, "padding"), "pad_type_id");
  const std::int64_t type = std::max<std::int64_t>(natural(pad_type), 0);
  for (std::size_t row = 0; row < encodings.size(); ++row) {
    const auto fill = [&](io::Array& array, const auto& values, std::int64_t rest) {
      auto* to = array.as<std::int64_t>() + row * longest;
      std::fill(std::copy(values.begin(), values.end(), to), array.as<std::int64_t>() + (row + 1) * longest, rest);
    };
    fill(batch.input_ids, encodings[row].ids, padding);
    fill(batch.attention_mask, std::vector<std::int64_t>(encodings[row].ids.size(), 1), 0);
    fill(batch.token_type_ids, encodings[row].type_ids, type);
  }
  return batch;
}

std::string Tokenizer::decode(const std::vector<std::int64_t>& ids, bool skip_special) const {
  std::vector<std::string> tokens;
  for (const std::int64_t id : ids) {
    const AddedTokens::Token* added = parts_->added.find(id);
    if (added == nullptr && !parts_->model->vocabulary().has(id)) continue;
    std::string token(added != nullptr ? added->pattern : parts_->model->vocabulary().token(id));
    if (!skip_special || !parts_->added.is_special(token)) tokens.push_back(std::move(token));
  }
  if (parts_->decoder) parts_->decoder->apply(tokens);
  std::string text;
  for (std::size_t i = 0; i < tokens.size(); ++i) text += (parts_->decoder || i == 0 ? "" : " ") + tokens[i];
  return text;
}

std::int64_t Tokenizer::size() const { return parts_->size; }

std::optional<std::string> Tokenizer::token(std::int64_t id) const {
  if (const AddedTokens::Token* added = parts_->added.find(id)) return added->content;
  if (!parts_->model->vocabulary().has(id)) return std::nullopt;
  return std::string(parts_->model->vocabulary().token(id));
}

std::optional<std::int64_t> Tokenizer::id(std::string_view token) const {
  if (const AddedTokens::Token* added = parts_->added.find(token)) return added->id;
  const std::int32_t found = parts_->model->vocabulary().id(token);
  return found < 0 ? std::nullopt : std::optional<std::int64_t>(found);
}

bool Tokenizer::is_special(std::int64_t id) const {
  const AddedTokens::Token* added = parts_->added.find(id);
  return added != nullptr && added->special;
}

std::optional<std::int64_t> Tokenizer::named(const std::string& key) const {
  const Json& own = member(member(parts_->document, "ds"), key.c_str());
  if (own.is_string()) return id(own.get_ref<const std::string&>());
  std::vector<std::string> usual;
  if (key == "pad_token") {
    const Json& theirs = member(member(parts_->document, "padding"), "pad_id");
    if (natural(theirs) >= 0 && token(natural(theirs))) return natural(theirs);
    usual = {"[PAD]", "<pad>"};
  }
  if (key == "mask_token") usual = {"[MASK]", "<mask>"};
  for (const std::string& name : usual)
    if (const auto found = id(name)) return found;
  return std::nullopt;
}

std::int64_t Tokenizer::pad_id() const { return named("pad_token").value_or(0); }
std::int64_t Tokenizer::max_length() const { return parts_->max_length; }
const Json& Tokenizer::document() const { return parts_->document; }

}  // namespace ds::text
