// Values by hand.
#include <doctest/doctest.h>

#include "base/core/error.h"
#include "base/text/tokenizer.h"

using ds::text::Json;
using ds::text::Tokenizer;

namespace {

constexpr const char* kVocab = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nun\n##able\n##a\n##ff\nthe\n,\n東\ncafe\n##s\n";
using Ids = std::vector<std::int64_t>;

Json document(const Json& config = nullptr) { return ds::text::from_vocab(kVocab, config); }

}  // namespace

TEST_CASE("WordPiece: the longest token from the left, with special tokens and types") {
  const Tokenizer tokenizer(document());
  CHECK(tokenizer.size() == 14);
  CHECK(tokenizer.encode("unaffable the, 東cafés").ids == Ids{2, 5, 7, 8, 6, 9, 10, 11, 12, 13, 3});
  // One word that does not come out is unknown as a whole.
  CHECK(tokenizer.encode("unaffablex THE").ids == Ids{2, 1, 9, 3});
  CHECK(tokenizer.encode("the", {false}).ids == Ids{9});
  const auto pair = tokenizer.encode("the the", "cafe");
  CHECK(pair.ids == Ids{2, 9, 9, 3, 12, 3});
  CHECK(pair.type_ids == Ids{0, 0, 0, 0, 1, 1});
  CHECK(pair.special == std::vector<std::uint8_t>{1, 0, 0, 1, 0, 1});
  CHECK(tokenizer.encode("").ids == Ids{2, 3});
  CHECK(tokenizer.encode("the [MASK], [PAD]the").ids == Ids{2, 9, 4, 10, 0, 9, 3});
  CHECK(tokenizer.decode({2, 5, 7, 8, 6, 9, 10, 3}) == "unaffable the,");
  CHECK(tokenizer.decode({2, 9, 3}, false) == "[CLS] the [SEP]");
  CHECK(tokenizer.named("mask_token") == 4);
  CHECK(tokenizer.pad_id() == 0);
}

TEST_CASE("WordPiece: case and accents as the configuration says") {
  const Tokenizer cased(document({{"do_lower_case", false}}));
  CHECK(cased.encode("THE the", {false}).ids == Ids{1, 9});
  CHECK(cased.encode("café", {false}).ids == Ids{1});
  const Tokenizer stripped(document({{"do_lower_case", false}, {"strip_accents", true}}));
  CHECK(stripped.encode("café", {false}).ids == Ids{12});
}

TEST_CASE("cutting: from the right, the longer text of a pair first, and never below the special tokens") {
  const Tokenizer tokenizer(document());
  CHECK(tokenizer.encode("the the the the", {true, 4}).ids == Ids{2, 9, 9, 3});
  CHECK(tokenizer.encode("the", "cafe cafe cafe cafe", {true, 6}).ids == Ids{2, 9, 3, 12, 12, 3});
  CHECK(tokenizer.encode("the the the", "cafe cafe cafe", {true, 6}).ids == Ids{2, 9, 3, 12, 12, 3});
  CHECK(tokenizer.encode("the the the the", {true, 0}).ids.size() == 6);
  CHECK_THROWS_AS(tokenizer.encode("the", {true, 1}), ds::Error);
  const Tokenizer limited(document({{"model_max_length", 3}}));
  CHECK(limited.max_length() == 3);
  CHECK(limited.encode("the the the").ids == Ids{2, 9, 3});
  CHECK(Tokenizer(document({{"model_max_length", 1e30}})).max_length() == 0);
}

TEST_CASE("batches: padded on the right to the longest, or to a multiple") {
  const Tokenizer tokenizer(document());
  const auto batch = tokenizer.encode_batch({{"the the"}, {"cafe", "the"}}, 4);
  CHECK(batch.input_ids.shape == Ids{2, 8});
  const auto row = [](const ds::io::Array& array, int i) {
    const auto* from = array.as<std::int64_t>() + i * array.shape[1];
    return Ids(from, from + array.shape[1]);
  };
  CHECK(row(batch.input_ids, 0) == Ids{2, 9, 9, 3, 0, 0, 0, 0});
  CHECK(row(batch.input_ids, 1) == Ids{2, 12, 3, 9, 3, 0, 0, 0});
  CHECK(row(batch.attention_mask, 0) == Ids{1, 1, 1, 1, 0, 0, 0, 0});
  CHECK(row(batch.token_type_ids, 1) == Ids{0, 0, 0, 1, 1, 0, 0, 0});
  CHECK(tokenizer.encode_batch({{"the"}}).input_ids.shape == Ids{1, 3});
}

TEST_CASE("text that is no UTF-8 is refused with the byte") {
  const Tokenizer tokenizer(document());
  for (const auto& [text, said] : std::vector<std::pair<std::string, std::string>>{{"ab\xff", "byte 2 is 0xff"},
                                                                                   {"\xc0\x80", "byte 0 is 0xc0"},
                                                                                   {"x\xed\xa0\x80", "byte 1 is 0xed"},
                                                                                   {"\xf4\x90\x80\x80", "byte 0 is 0xf4"},
                                                                                   {"abc\xe6\x9d", "byte 3 is 0xe6"}}) {
    try {
      tokenizer.encode(text);
      FAIL("it was taken: ", text);
    } catch (const ds::Error& error) {
      CHECK(error.code() == ds::Exit::kInput);
      CHECK(error.message().find(said) != std::string::npos);
    }
  }
}

TEST_CASE("added tokens: what one has taken to its right is not there for the next") {
  Json words = document();
  words["added_tokens"].push_back({{"id", 20}, {"content", "  "}, {"special", false}, {"lstrip", true}, {"rstrip", true}, {"normalized", false}});
  const Tokenizer tokenizer(words);
  CHECK(tokenizer.encode("the    the", {false}).ids == Ids{9, 20, 9});
  CHECK(tokenizer.encode("the      ", {false}).ids == Ids{9, 20});
  CHECK(tokenizer.size() == 21);
}
