// Documents that are broken or hostile: refused with a reason, or harmless.
#include <doctest/doctest.h>

#include "base/core/error.h"
#include "base/io/files.h"
#include "base/text/tokenizer.h"

using ds::text::Json;
using ds::text::Tokenizer;

namespace {

/// What a document is refused with, "" where it is taken.
std::string refusal(const Json& document, const std::string& text = "") {
  try {
    const Tokenizer tokenizer(document, "t.json");
    if (!text.empty()) tokenizer.encode(text);
  } catch (const ds::Error& error) {
    CHECK(error.code() == ds::Exit::kInput);
    return error.what();
  }
  return "";
}

Json word_level(Json vocab) { return {{"model", {{"type", "WordLevel"}, {"unk_token", "?"}, {"vocab", std::move(vocab)}}}}; }
Json with(const char* key, Json value) {
  Json document = word_level({{"?", 0}, {"a", 1}});
  document[key] = std::move(value);
  return document;
}
Json bpe(Json vocab, Json merges) { return {{"model", {{"type", "BPE"}, {"vocab", std::move(vocab)}, {"merges", std::move(merges)}}}}; }
Json unigram(const std::string& keys) { return Json::parse(R"({"model": {"type": "Unigram", )" + keys + "}}"); }
Json split(const std::string& pattern) {
  return with("pre_tokenizer", {{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}, {"invert", false}});
}

void refused(const std::string& found, const std::string& said) {
  INFO("refusal: ", found, "; expected: ", said);
  CHECK(found.find(said) != std::string::npos);
}

}  // namespace

TEST_CASE("bad documents: components that are not known are named") {
  refused(refusal(Json::array()), "t.json: is a JSON array");
  refused(refusal(Json::object()), "has no model");
  refused(refusal({{"model", {{"type", "Oracle"}}}}), "t.json:model: unknown model \"Oracle\"; known: BPE, Unigram, WordLevel, WordPiece");
  refused(refusal(with("normalizer", {{"type", "Shout"}})), "t.json:normalizer: unknown normalizer \"Shout\"");
  refused(refusal(with("normalizer", {{"type", "Sequence"}, {"normalizers", {{{"type", "NFC"}}, {{"type", "Shout"}}}}})),
          "normalizer.normalizers[1]: unknown");
  refused(refusal(with("pre_tokenizer", {{"type", "UnicodeScripts"}})), "unknown pre-tokenizer \"UnicodeScripts\"");
  refused(refusal(with("post_processor", {{"type", "Shout"}})), "unknown post-processor");
  refused(refusal(with("decoder", {{"type", "Shout"}})), "unknown decoder");
  refused(refusal(with("decoder", 3)), "expected an object");
  refused(refusal(with("ds", {{"max_length", -1}})), "max_length is -1");
  refused(refusal(with("truncation", {{"max_length", 4}, {"strategy", "Best"}})), "unknown strategy \"Best\"");
}

TEST_CASE("bad documents: deep nesting ends") {
  std::string deep;
  for (int i = 0; i < 20; ++i) deep += R"({"type":"Sequence","normalizers":[)";
  deep += R"({"type":"NFC"})";
  for (int i = 0; i < 20; ++i) deep += "]}";
  refused(refusal(with("normalizer", Json::parse(deep))), "over 16 deep");
  const Json hollow = Json::parse(R"({"model":)" + std::string(100000, '[') + std::string(100000, ']') + "}");
  refused(refusal(hollow), "JSON nested deeper than 64");
}

TEST_CASE("bad vocabularies") {
  refused(refusal(word_level({{"a", 0}, {"b", 0}})), "id 0 is there twice, for \"a\" and \"b\"");
  refused(refusal(word_level({{"a", -1}})), "id -1 of token \"a\"");
  refused(refusal(word_level({{"a", 1.5}})), "id 1.5 of token \"a\"");
  refused(refusal(word_level({{"a", "0"}})), "expected an integer");
  refused(refusal(word_level({{"a", 2147483648}})), "id 2147483648 of token \"a\", expected an integer in 0..65539 for 1 tokens");
  refused(refusal(word_level({{"a", 18446744073709551615U}})), "id 18446744073709551615");
  refused(refusal(word_level(Json::array())), "expected an object of tokens and ids");
  refused(refusal(word_level({{std::string(5000, 'a'), 0}})), "a token has 5000 bytes");
  CHECK(refusal(word_level({{"?", 5}, {"a", 100}})) == "");  // holes are no harm
  refused(refusal(word_level({{"a", 0}}), "b"), "unk_token \"?\" is not in the vocabulary");
  refused(refusal(unigram(R"("unk_id": 7, "vocab": [["a", -1.0]])")), "unk_id is 7, expected an integer in 0..0");
  refused(refusal(unigram(R"("vocab": [["a", -1.0]])"), "b"), "has no unk_id");
  refused(refusal(unigram(R"("vocab": [["a", "b"]])")), "is no [token, score]");
  CHECK_THROWS_WITH_AS(ds::text::from_vocab("[CLS]\n[SEP]\na\nb\na\n", nullptr, "v.txt"),
                       doctest::Contains("token \"a\" is there twice, in lines 3 and 5"), ds::Error);
  CHECK_THROWS_WITH_AS(ds::text::from_vocab("a\nb\n", nullptr, "v.txt"), doctest::Contains("lacks the token \"[CLS]\""), ds::Error);
  CHECK_THROWS_WITH_AS(ds::text::from_vocab("a\n\xff\n", nullptr, "v.txt"), doctest::Contains("no UTF-8: byte 2"), ds::Error);
}

TEST_CASE("bad merges") {
  const Json vocab = {{"a", 0}, {"b", 1}, {"ab", 2}};
  refused(refusal(bpe(vocab, {"a c"})), "model.merges[0]: merges \"c\", which is not in the vocabulary");
  refused(refusal(bpe(vocab, {"a b", "b a"})), "model.merges[1]: makes \"ba\", which is not in the vocabulary");
  refused(refusal(bpe(vocab, {"ab"})), "is no two tokens");
  refused(refusal(bpe(vocab, Json::parse(R"([["a", "b", "c"]])"))), "is no pair of tokens");
  refused(refusal(bpe(vocab, 3)), "expected a list");
  // A token that merges into itself: a prefix that is the whole right token. It ends, since every merge takes a symbol.
  Json cycle = bpe({{"a", 0}, {"##", 1}, {"##a", 2}, {"####", 3}}, Json::parse(R"([["a", "##"], ["##", "##"]])"));
  cycle["model"]["continuing_subword_prefix"] = "##";
  CHECK(refusal(cycle, std::string(1000, 'a')) == "");
  cycle["model"]["merges"] = Json::parse(R"([["a", "a"]])");
  refused(refusal(cycle), "shorter than continuing_subword_prefix");
  CHECK_THROWS_WITH_AS(ds::text::from_merges({{"a", 0}}, "#version: 0.2\na b\nab\n", nullptr, false, "m.txt"),
                       doctest::Contains("m.txt:3: has 0 spaces"), ds::Error);
}

TEST_CASE("bad added tokens") {
  const auto added = [](Json token) {
    token["special"] = true;
    return with("added_tokens", Json::array({token}));
  };
  refused(refusal(added({{"id", 5}, {"content", "a"}})), "token \"a\" has id 5, but 1 in the vocabulary");
  refused(refusal(added({{"id", 1}, {"content", "x"}})), "token \"x\" has id 1, which is that of \"a\"");
  refused(refusal(added({{"id", 1 << 30}, {"content", "x"}})), "id is 1073741824");
  refused(refusal(added({{"content", "x"}})), "lacks the key \"id\"");
  refused(refusal(with("added_tokens", {{{"id", 7}, {"content", "x"}}, {{"id", 7}, {"content", "y"}}})), "token \"y\" with id 7 is there twice");
}

TEST_CASE("bad patterns: what is broken, what is read differently, what would never end") {
  refused(refusal(split("(")), "the regular expression is broken: missing closing parenthesis");
  refused(refusal(split(std::string(20000, 'a'))), "20000 bytes, expected at most 16384");
  refused(refusal(split("[a[^bc]]")), "negated in a set");
  refused(refusal(split("[\\W_]")), "has \\W in a set");
  refused(refusal(split("[[:graph:]]")), "has [:graph:]");
  refused(refusal(split("\\p{N}{1,3}+")), "a + behind an interval");
  refused(refusal(split("[a&&b]")), "intersection");
  refused(refusal(split("\\C")), "has \\C");
  refused(refusal(split("(a+)+$"), std::string(5000, 'a') + "b"), "takes too long on a text of 5001 bytes");
  refused(refusal(split("(?:a|a)*[cd]{2}"), std::string(100000, 'a') + "c"), "takes too long");
  CHECK(refusal(split("\\p{Greek}+|[[:alpha:]]|[^a[b-]-c[.]]"), "abc ΑΒΓ") == "");
}

TEST_CASE("bad maps: a character map that points anywhere") {
  const auto map = [](const std::string& base64) { return with("normalizer", {{"type", "Precompiled"}, {"precompiled_charsmap", base64}}); };
  refused(refusal(map("")), "0 bytes");
  refused(refusal(map("!!!!")), "no base64");
  refused(refusal(map("/////wAAAAA=")), "are said to be a trie");
  CHECK(refusal(map("BAAAAP////9hAA=="), "abc \xc3\xa4") == "");
}

TEST_CASE("bad templates") {
  const auto templates = [](Json single) {
    return with("post_processor",
                {{"type", "TemplateProcessing"}, {"single", std::move(single)}, {"pair", Json::array()}, {"special_tokens", Json::object()}});
  };
  refused(refusal(templates({{{"SpecialToken", {{"id", "[X]"}, {"type_id", 0}}}}})), "lacks the key \"[X]\"");
  refused(refusal(templates({{{"Sequence", {{"id", "B"}, {"type_id", 0}}}}})), "names sequence B");
  refused(refusal(templates({{{"Sequence", {{"id", "A"}, {"type_id", -1}}}}})), "type_id is -1");
}

TEST_CASE("long words: the time grows with the length, not with its square") {
  const std::string folder = std::string(DS_SOURCE_DIR) + "/tests/golden/tokenizers/";
  for (const char* name : {"gpt2", "wordpiece", "llama2", "t5", "clip", "prefixed"}) {
    const Tokenizer tokenizer(Json::parse(ds::io::read_file(folder + name + ".json"))["document"], name);
    // At n squared a megabyte would take minutes, and the test's own limit would end it.
    std::string word(1 << 20, 'a');
    for (std::size_t i = 0; i < word.size(); i += 3) word[i] = static_cast<char>('b' + i % 7);
    CHECK_FALSE(tokenizer.encode(word).ids.empty());
  }
}
