// From the texts of a data set to tokens.
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/core/error.h"
#include "base/io/files.h"
#include "base/text/bytes.h"
#include "base/text/tokenizer.h"
#include "engine/data/assemble.h"

namespace ds::data {

namespace {

constexpr std::int64_t kUsualLength = 256;  ///< tokens, where nobody says how many

/// The document where there is no other: a byte is a token. Byte-level BPE without merges.
Json byte_tokenizer() {
  const std::vector<std::string> special = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
  Json vocab = Json::object(), added = Json::array();
  for (const std::string& token : special) {
    const std::size_t id = vocab.size();
    vocab[token] = id;
    added.push_back({{"id", id}, {"content", token}, {"single_word", false}, {"lstrip", false}, {"rstrip", false}, {"normalized", false}, {"special", true}});
  }
  for (int byte = 0; byte < 256; ++byte) {
    std::string character;
    text::append_byte_characters(character, std::string(1, static_cast<char>(byte)));
    const std::size_t id = vocab.size();
    vocab[character] = id;
  }
  const Json bytes = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", false}};
  return {{"version", "1.0"}, {"truncation", nullptr}, {"padding", nullptr}, {"added_tokens", added}, {"normalizer", nullptr},
          {"pre_tokenizer", bytes}, {"post_processor", nullptr}, {"decoder", bytes},
          {"model", {{"type", "BPE"}, {"dropout", nullptr}, {"unk_token", nullptr}, {"continuing_subword_prefix", nullptr}, {"end_of_word_suffix", nullptr},
                     {"fuse_unk", false}, {"byte_fallback", false}, {"vocab", vocab}, {"merges", Json::array()}}},
          {"ds", {{"pad_token", "[PAD]"}, {"unk_token", "[UNK]"}, {"mask_token", "[MASK]"}}}};
}

std::vector<text::Encoding> encode(const text::Tokenizer& tokenizer, const std::vector<std::string>& texts, const text::EncodeOptions& options,
                                   const std::string& where) {
  std::vector<text::Encoding> encodings(texts.size());
  at::parallel_for(0, static_cast<std::int64_t>(texts.size()), 16, [&](std::int64_t begin, std::int64_t end) {
    for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
      const std::size_t pair = texts[i].find('\0');
      try {
        encodings[i] = pair == std::string::npos
                           ? tokenizer.encode(texts[i], options)
                           : tokenizer.encode(std::string_view(texts[i]).substr(0, pair), std::string_view(texts[i]).substr(pair + 1), options);
      } catch (const Error& e) {
        throw Error(e.code(), where, fmt::format("text {}: {}", i + 1, e.message()));
      }
    }
  });
  return encodings;
}

void gather(Tokens& tokens, const std::vector<text::Encoding>& encodings) {
  std::size_t total = 0;
  bool typed = false;
  for (const text::Encoding& e : encodings) {
    total += e.ids.size();
    typed = typed || std::any_of(e.type_ids.begin(), e.type_ids.end(), [](std::int64_t type) { return type != 0; });
  }
  const auto n = static_cast<std::int64_t>(encodings.size()), all = static_cast<std::int64_t>(total);
  tokens.ids = at::empty({all}, at::TensorOptions().dtype(at::kInt));
  if (typed) tokens.types = at::empty({all}, at::TensorOptions().dtype(at::kByte));
  tokens.first = at::empty({n}, at::TensorOptions().dtype(at::kLong));
  tokens.length = at::empty({n}, at::TensorOptions().dtype(at::kLong));
  std::int64_t at = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const text::Encoding& e = encodings[static_cast<std::size_t>(i)];
    tokens.first.mutable_data_ptr<std::int64_t>()[i] = at;
    tokens.length.mutable_data_ptr<std::int64_t>()[i] = static_cast<std::int64_t>(e.ids.size());
    std::copy(e.ids.begin(), e.ids.end(), tokens.ids.mutable_data_ptr<std::int32_t>() + at);
    if (typed) std::copy(e.type_ids.begin(), e.type_ids.end(), tokens.types.mutable_data_ptr<std::uint8_t>() + at);
    at += static_cast<std::int64_t>(e.ids.size());
  }
}

/// All texts in a row, in blocks of `length` tokens: none is padded but the last.
void pack(Tokens& tokens, std::int64_t length) {
  tokens.types.reset();
  // The last token follows another, and nothing follows it.
  const std::int64_t total = tokens.ids.numel() - (tokens.target == Target::kNext), n = std::max<std::int64_t>(0, (total + length - 1) / length);
  tokens.first = at::empty({n}, at::TensorOptions().dtype(at::kLong));
  tokens.length = at::empty({n}, at::TensorOptions().dtype(at::kLong));
  for (std::int64_t i = 0; i < n; ++i) {
    tokens.first.mutable_data_ptr<std::int64_t>()[i] = i * length;
    tokens.length.mutable_data_ptr<std::int64_t>()[i] = std::min(length, total - i * length);
  }
}

/// Each text a sample of at most `length` tokens; one of which nothing can be told is left out.
void cut(Tokens& tokens, std::int64_t length) {
  tokens.types.reset();
  const std::int64_t told = tokens.target == Target::kNext ? 1 : 0;  // the last token is told, not shown
  std::int64_t kept = 0;
  auto *first = tokens.first.mutable_data_ptr<std::int64_t>(), *lengths = tokens.length.mutable_data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < tokens.size(); ++i) {
    const std::int64_t shown = std::min(length, lengths[i] - told);
    if (shown < 1) continue;
    first[kept] = first[i];
    lengths[kept++] = shown;
  }
  tokens.first = tokens.first.narrow(0, 0, kept).clone();
  tokens.length = tokens.length.narrow(0, 0, kept).clone();
}

/// A text ends with the token that says so, where the tokenizer has one and has not put it there itself.
void end_texts(std::vector<text::Encoding>& encodings, const text::Tokenizer& tokenizer) {
  const auto end = tokenizer.named("eos_token");
  for (text::Encoding& e : encodings) {
    if (!end || (!e.ids.empty() && tokenizer.is_special(e.ids.back()))) continue;
    e.ids.push_back(*end);
    e.type_ids.push_back(0);
  }
}

}  // namespace

Json read_tokenizer(const std::string& path) {
  if (std::filesystem::is_directory(path)) {
    Json document = text::read_folder(path);
    if (document.is_null()) throw Error(Exit::kInput, path, "has no tokenizer.json, vocab.txt, or vocab.json with merges.txt");
    return document;
  }
  const std::string bytes = io::read_file(path, text::kMostFile);
  if (path.ends_with(".txt")) return text::from_vocab(bytes, nullptr, path);
  Json document = Json::parse(bytes, nullptr, false);
  if (document.is_discarded()) throw Error(Exit::kInput, path, "is no JSON, expected a tokenizer.json or a vocab.txt");
  text::Tokenizer(document, path);  // told by its file
  return document;
}

void make_tokens(Dataset& set, const Json& given) {
  const Target target = set.train.tokens.target;
  const bool language = target == Target::kNext || target == Target::kMasked;
  Json document = given.is_null() ? byte_tokenizer() : given;
  const std::int64_t stated = set.preprocessing.is_object() ? set.preprocessing.value("max_length", std::int64_t{0}) : 0;
  const bool packed = !set.preprocessing.is_object() || set.preprocessing.value("packed", true);
  const std::int64_t own = text::Tokenizer(document, "tokenizer").max_length(), length = stated > 0 ? stated : own > 0 ? own : kUsualLength;
  document["ds"]["max_length"] = length;
  const text::Tokenizer tokenizer(document, "tokenizer");
  const auto mask = tokenizer.named("mask_token");
  if (target == Target::kMasked && !mask)
    throw Error(Exit::kInput, "tokenizer", "has no mask token, which masked language modelling needs", "take task=causal-lm, or another tokenizer");
  std::vector<bool> special(static_cast<std::size_t>(tokenizer.size()));
  for (std::size_t id = 0; id < special.size(); ++id) special[id] = tokenizer.is_special(static_cast<std::int64_t>(id));
  for (Split* split : {&set.train, &set.val, &set.test}) {
    Tokens& tokens = split->tokens;
    tokens.target = target;
    tokens.vocab_size = tokenizer.size();
    tokens.pad_id = tokenizer.pad_id();
    tokens.mask_id = mask.value_or(-1);
    tokens.special = special;
    if (split->texts.empty()) continue;
    text::EncodeOptions options;
    if (language) options.max_length = 0;
    std::vector<text::Encoding> encodings = encode(tokenizer, split->texts, options, set.spec);
    if (language) end_texts(encodings, tokenizer);
    gather(tokens, encodings);
    if (language && packed) pack(tokens, length);
    if (language && !packed) cut(tokens, length);
  }
  if (set.train.tokens.size() == 0)
    throw Error(Exit::kInput, set.spec, fmt::format("has {} tokens to train on, expected 2 or more", set.train.tokens.ids.numel()));
  if (language) {
    set.num_classes = tokenizer.size();
    set.labels.clear();
  }
  set.tokenizer = std::move(document);
  set.preprocessing = {{"kind", "text"}, {"max_length", length}};
}

}  // namespace ds::data
