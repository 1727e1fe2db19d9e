// Folders as Hugging Face writes them: which files count, and what goes back.
#include <doctest/doctest.h>
#include <stdlib.h>

#include <filesystem>

#include "base/core/error.h"
#include "base/io/files.h"
#include "base/text/tokenizer.h"

using ds::text::Json;
using ds::text::Tokenizer;
using Ids = std::vector<std::int64_t>;

namespace {

struct Folder {
  std::string path = "/tmp/ds_text_XXXXXX";
  Folder() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
  ~Folder() { std::filesystem::remove_all(path); }
  void write(const std::string& name, const std::string& text) const { ds::io::write_file(path + "/" + name, text); }
};

constexpr const char* kVocab = "<pad>\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nhello\nHello\n";

}  // namespace

TEST_CASE("folders: none of the files is no tokenizer") {
  const Folder folder;
  CHECK(ds::text::read_folder(folder.path).is_null());
  folder.write("vocab.json", "{}");  // a byte-level vocabulary needs its merges
  CHECK(ds::text::read_folder(folder.path).is_null());
}

TEST_CASE("folders: vocab.txt with its configuration, special tokens and added tokens") {
  const Folder folder;
  folder.write("vocab.txt", kVocab);
  folder.write("tokenizer_config.json", R"({"do_lower_case": false, "model_max_length": 6, "pad_token": {"content": "<pad>", "lstrip": false}})");
  folder.write("special_tokens_map.json", R"({"mask_token": "[MASK]", "pad_token": "[never]"})");
  folder.write("added_tokens.json", R"({"<new>": 7})");
  const Json document = ds::text::read_folder(folder.path);
  const Tokenizer tokenizer(document);
  CHECK(tokenizer.encode("hello Hello<new> HELLO").ids == Ids{2, 5, 6, 7, 1, 3});
  CHECK(tokenizer.pad_id() == 0);
  CHECK(tokenizer.max_length() == 6);
  CHECK(tokenizer.size() == 8);
  CHECK_FALSE(ds::text::tokenizer_json(document).contains("ds"));
  const Json config = ds::text::tokenizer_config(document);
  CHECK(config["model_max_length"] == 6);
  CHECK(config["do_lower_case"] == false);
  CHECK(config["mask_token"] == "[MASK]");
  // What is written is read back as the same tokenizer.
  const Folder again;
  again.write("tokenizer.json", ds::text::tokenizer_json(document).dump());
  again.write("tokenizer_config.json", config.dump());
  const Tokenizer other(ds::text::read_folder(again.path));
  CHECK(other.encode("hello Hello<new> HELLO").ids == Ids{2, 5, 6, 7, 1, 3});
  CHECK(other.max_length() == 6);
  CHECK(other.named("mask_token") == 4);
}

TEST_CASE("folders: tokenizer.json goes before the others; its own limit counts where no configuration has one") {
  const Folder folder;
  folder.write("vocab.txt", "broken");
  folder.write("tokenizer.json", R"({"truncation": {"max_length": 3, "direction": "Left", "strategy": "LongestFirst", "stride": 0},
    "padding": {"strategy": "BatchLongest", "pad_id": 1, "pad_type_id": 0, "pad_token": "b"},
    "pre_tokenizer": {"type": "WhitespaceSplit"}, "model": {"type": "WordLevel", "unk_token": "a", "vocab": {"a": 0, "b": 1, "c": 2}}})");
  const Tokenizer tokenizer(ds::text::read_folder(folder.path));
  CHECK(tokenizer.encode("a b c c b").ids == Ids{2, 2, 1});
  CHECK(tokenizer.pad_id() == 1);
  folder.write("tokenizer_config.json", R"({"model_max_length": 4})");
  CHECK(Tokenizer(ds::text::read_folder(folder.path)).encode("a b c c b").ids == Ids{1, 2, 2, 1});
}

TEST_CASE("folders: files that are broken are named") {
  const Folder folder;
  folder.write("vocab.txt", kVocab);
  folder.write("tokenizer_config.json", "[]");
  CHECK_THROWS_WITH_AS(ds::text::read_folder(folder.path), doctest::Contains("tokenizer_config.json: is a JSON array"), ds::Error);
  folder.write("tokenizer_config.json", R"({"added_tokens_decoder": {"x": {}}})");
  CHECK_THROWS_WITH_AS(ds::text::read_folder(folder.path), doctest::Contains("has the key \"x\", expected an id"), ds::Error);
  folder.write("tokenizer_config.json", "{}");
  folder.write("added_tokens.json", R"({"<new>": -7})");
  CHECK_THROWS_WITH_AS(ds::text::read_folder(folder.path), doctest::Contains("added_tokens.json: id -7"), ds::Error);
  folder.write("tokenizer.json", R"({"model": )");
  CHECK_THROWS_WITH_AS(ds::text::read_folder(folder.path), doctest::Contains("tokenizer.json"), ds::Error);
}
