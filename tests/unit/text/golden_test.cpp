// The same ids, types and texts as Hugging Face's `tokenizers` on a hard text in many languages (tests/golden/make_tokenizers.py).
#include <doctest/doctest.h>

#include <filesystem>

#include "base/io/files.h"
#include "base/text/tokenizer.h"

using ds::text::Json;
using ds::text::Tokenizer;
using Ids = std::vector<std::int64_t>;

namespace {

const std::string kFolder = std::string(DS_SOURCE_DIR) + "/tests/golden/tokenizers/";

Json read(const std::string& name) { return Json::parse(ds::io::read_file(kFolder + name)); }

}  // namespace

TEST_CASE("golden: every kind of tokenizer gives what Hugging Face's gives") {
  const Json texts = read("texts.json");
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder)) {
    const std::string name = entry.path().filename();
    if (name == "texts.json") continue;
    ++files;
    const Json golden = read(name);
    const Tokenizer tokenizer(golden["document"], name);
    REQUIRE(golden["cases"].size() == texts.size());
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const Json& wanted = golden["cases"][i];
      const auto text = texts[i][0].get<std::string>();
      INFO(name, " ", texts[i].dump());
      const auto found = texts[i].size() == 2 ? tokenizer.encode(text, texts[i][1].get<std::string>()) : tokenizer.encode(text);
      CHECK(Json(found.ids) == wanted["ids"]);
      const Ids types = wanted["type_ids"].empty() ? Ids(found.ids.size(), 0) : wanted["type_ids"].get<Ids>();
      CHECK(found.type_ids == types);
      CHECK(tokenizer.decode(found.ids) == wanted["decoded"].get<std::string>());
      CHECK(tokenizer.decode(found.ids, false) == wanted["whole"].get<std::string>());
      // With the words of before in its memory it says the same.
      CHECK((texts[i].size() == 2 || tokenizer.encode(text).ids == found.ids));
    }
  }
  CHECK(files == 11);
}

TEST_CASE("golden: what a limit leaves is the beginning of the whole") {
  const Json texts = read("texts.json");
  for (const char* name : {"gpt2.json", "wordpiece.json", "t5.json"}) {
    const Tokenizer tokenizer(read(name)["document"], name);
    for (const Json& text : texts) {
      const ds::text::EncodeOptions plain{false, 0}, limited{false, 5};
      Ids whole = tokenizer.encode(text[0].get<std::string>(), plain).ids;
      whole.resize(std::min<std::size_t>(whole.size(), 5));
      CHECK(tokenizer.encode(text[0].get<std::string>(), limited).ids == whole);
    }
  }
}

TEST_CASE("golden: vocab.txt, and vocab.json with merges.txt, are the same tokenizers as their tokenizer.json") {
  const Json texts = read("texts.json");
  const auto same = [&](const Json& whole, const Json& made) {
    const Tokenizer one(whole, "whole"), other(made, "made");
    CHECK(one.size() == other.size());
    for (const Json& text : texts) {
      const auto first = text[0].get<std::string>();
      CHECK(one.encode(first).ids == other.encode(first).ids);
      CHECK(one.encode(first, "second").ids == other.encode(first, "second").ids);
      CHECK(one.decode(one.encode(first).ids) == other.decode(one.encode(first).ids));
    }
  };
  const auto in_order = [](const Json& vocab) {
    std::vector<std::string> tokens(vocab.size());
    for (const auto& [token, id] : vocab.items()) tokens.at(id.get<std::size_t>()) = token;
    return tokens;
  };
  const Json wordpiece = read("wordpiece.json")["document"];
  std::string vocab;
  for (const std::string& token : in_order(wordpiece["model"]["vocab"])) vocab += token + "\r\n";
  same(wordpiece, ds::text::from_vocab(vocab, {{"do_lower_case", true}}));
  for (const char* name : {"gpt2", "roberta"}) {
    Json document = read(std::string(name) + ".json")["document"];
    std::string merges = "#version: 0.2\n";
    for (const Json& pair : document["model"]["merges"]) merges += pair[0].get<std::string>() + " " + pair[1].get<std::string>() + "\n";
    Json ids = document["model"]["vocab"];
    for (const Json& token : document["added_tokens"]) ids[token["content"].get<std::string>()] = token["id"];
    const bool roberta = std::string(name) == "roberta";
    same(document, ds::text::from_merges(ids, merges, {{"add_prefix_space", roberta}}, roberta));
  }
}
