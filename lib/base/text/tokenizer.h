// Text to token ids and back, as Hugging Face's `tokenizers` does it: the same ids from the same document.
//
// A tokenizer document is the content of a tokenizer.json plus a key "ds" of ours, all of whose keys may be absent:
//   {"max_length": n          the most tokens of an encoding, special ones too; 0 or absent: "truncation.max_length", else no limit
//    "pad_token": "[PAD]", "unk_token", "bos_token", "eos_token", "cls_token", "sep_token", "mask_token": as in tokenizer_config.json
//    "config": {...}}         the tokenizer_config.json it came with, for export
// Components of tokenizer.json: lib/base/text/{normalizers,pre_tokenizers,models,processors,decoders}_*.cpp. Dropout of BPE is never applied.
#pragma once
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/io/array.h"

namespace ds::text {

using Json = nlohmann::json;

/// The most bytes of one text, and of a tokenizer file.
inline constexpr std::size_t kMostText = std::size_t{1} << 26;
inline constexpr std::int64_t kMostFile = std::int64_t{1} << 28;

/// One text (or a pair of them) in tokens. The three have one length; nothing is padded.
struct Encoding {
  std::vector<std::int64_t> ids;
  std::vector<std::int64_t> type_ids;  ///< 0, and 1 for what belongs to the second text, unless the document says otherwise
  std::vector<std::uint8_t> special;   ///< 1 where the post-processor put a token ([CLS] ...)
};

/// Rows of one length, int64 [N, S], padded on the right.
struct Batch {
  io::Array input_ids, attention_mask, token_type_ids;  ///< mask: 1 = token, 0 = padding
};

struct Text {
  std::string text;
  std::optional<std::string> pair = {};
};

struct EncodeOptions {
  bool special_tokens = true;    ///< let the post-processor add [CLS] and the like
  std::int64_t max_length = -1;  ///< -1: the document's; 0: no limit; else the most tokens, special ones too
};

class Tokenizer {
 public:
  /// Throws ds::Error(kInput, where ...) for an unknown component, a broken vocabulary or a document of another form.
  explicit Tokenizer(const Json& document, const std::string& where = "tokenizer.json");
  ~Tokenizer();
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;

  /// Safe to call from several threads at once. Throws ds::Error(kInput) for text that is no UTF-8 (names the byte), that is longer than
  /// kMostText or that has a word the vocabulary cannot tell (no unknown token), and where max_length is less than the special tokens.
  Encoding encode(std::string_view text, const EncodeOptions& options = {}) const;
  Encoding encode(std::string_view text, std::string_view pair, const EncodeOptions& options = {}) const;
  /// Encodes and pads to the longest, rounded up to a multiple of `multiple`; with no texts or no tokens S is at least 1.
  Batch encode_batch(const std::vector<Text>& texts, std::int64_t multiple = 1, const EncodeOptions& options = {}) const;
  /// The padding of encode_batch for encodings that are there.
  Batch pad(const std::vector<Encoding>& encodings, std::int64_t multiple = 1) const;

  /// Ids that are not in the vocabulary are left out, and with `skip_special` the special tokens.
  std::string decode(const std::vector<std::int64_t>& ids, bool skip_special = true) const;

  /// One more than the largest id of vocabulary and added tokens.
  std::int64_t size() const;
  /// The token of an id as the vocabulary writes it ("##ing", "Ġthe"), nothing for one that is not there.
  std::optional<std::string> token(std::int64_t id) const;
  std::optional<std::int64_t> id(std::string_view token) const;
  bool is_special(std::int64_t id) const;
  /// The id of document["ds"][key] ("pad_token", "mask_token" ...), nothing where the document names none.
  /// For pad_token also that of "padding", "[PAD]" and "<pad>"; for mask_token also that of "[MASK]" and "<mask>".
  std::optional<std::int64_t> named(const std::string& key) const;
  std::int64_t pad_id() const;      ///< named("pad_token"), else 0: padding is masked
  std::int64_t max_length() const;  ///< 0: no limit
  const Json& document() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

/// The document of a folder as Hugging Face writes it: tokenizer.json; or vocab.txt (WordPiece); or vocab.json with merges.txt (byte-level
/// BPE); with what tokenizer_config.json, special_tokens_map.json and added_tokens.json say. Null where it has none of these.
/// Throws ds::Error(kInput) for files that are broken or larger than kMostFile.
Json read_folder(const std::string& folder);
/// The document of a WordPiece vocabulary, a token a line, as BertTokenizer makes it. `config`: tokenizer_config.json or null (do_lower_case,
/// tokenize_chinese_chars, strip_accents, model_max_length, the names of special tokens).
Json from_vocab(std::string_view vocab, const Json& config, const std::string& where = "vocab.txt");
/// The document of a byte-level BPE vocabulary as GPT2Tokenizer (`roberta` false) or RobertaTokenizer makes it. `vocab`: vocab.json.
Json from_merges(const Json& vocab, std::string_view merges, const Json& config, bool roberta, const std::string& where = "merges.txt");
/// The tokenizer.json (without "ds") and the tokenizer_config.json of a document, for export.
Json tokenizer_json(const Json& document);
Json tokenizer_config(const Json& document);

}  // namespace ds::text
