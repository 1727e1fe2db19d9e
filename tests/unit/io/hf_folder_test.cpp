#include "base/io/hf_folder.h"

#include <fmt/format.h>

#include "base/io/safetensors.h"
#include "formats.h"

using namespace io_test;
namespace io = ds::io;
namespace fs = std::filesystem;

namespace {

constexpr const char* kCnn = DS_SOURCE_DIR "/tests/golden/formats/cnn.pth";

std::map<std::string, Array> three() {
  return {{"a", array_of<float>(DType::kF32, {2, 2}, {1, 2, 3, 4})},
          {"b", array_of<float>(DType::kF32, {5}, {5, 6, 7, 8, 9})},
          {"c", array_of<float>(DType::kF32, {1}, {10})}};
}

void refused(const std::string& folder, const std::vector<std::string>& parts) {
  std::string message;
  CHECK(code_of([&] { io::read_folder_weights(folder); }, &message) == Exit::kInput);
  CAPTURE(message);
  for (const std::string& part : parts) CHECK(message.find(part) != std::string::npos);
}

void put(const Folder& folder, const std::string& name, const std::string& text) { std::ofstream(folder / name) << text; }

}  // namespace

TEST_CASE("hf folder: weights in one file, in shards by name and size, and back") {
  struct Case {
    std::int64_t bytes;
    std::vector<std::string> files;
  };
  // 16, 20 and 4 bytes
  const Case cases[] = {{40, {"model.safetensors"}},
                        {39, {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"}},
                        {20, {"model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors", "model-00003-of-00003.safetensors",
                              "model.safetensors.index.json"}},
                        {1, {"model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors", "model-00003-of-00003.safetensors",
                             "model.safetensors.index.json"}}};
  for (const Case& c : cases) {
    CAPTURE(c.bytes);
    const Folder folder;
    CHECK(io::write_folder_weights(folder.path, three(), c.bytes) == c.files);
    CHECK(folder.files().size() == c.files.size());
    const io::FolderWeights back = io::read_folder_weights(folder.path);
    same_tensors(back.tensors, three());
    CHECK(back.files.size() == std::max<std::size_t>(c.files.size() - 1, 1));
    for (const io::WeightFile& file : back.files) {
      const std::string bytes = slurp(folder / file.name);
      CHECK(file.sha256 == io::sha256(bytes.data(), bytes.size()));
      CHECK(io::read_tensors(folder / file.name).metadata == std::map<std::string, std::string>{{"format", "pt"}});
    }
    if (back.files.size() > 1) CHECK(io::read_json(folder / c.files.back())["metadata"]["total_size"] == 40);
  }
}

TEST_CASE("hf folder: safetensors come before pickles, one file before shards") {
  const Folder folder;
  refused(folder.path, {folder.path, "has no weights"});
  fs::copy_file(kCnn, folder / "pytorch_model.bin");
  CHECK(io::read_folder_weights(folder.path).tensors.size() == io::read_tensors(kCnn).tensors.size());
  io::write_folder_weights(folder.path, three(), 20);
  CHECK(io::read_folder_weights(folder.path).files.size() == 3);
  io::write_folder_weights(folder.path, {{"z", three().at("c")}}, 20);
  CHECK(io::read_folder_weights(folder.path).tensors.count("z") == 1);
}

TEST_CASE("hf folder: shards of pickles") {
  const Folder folder;
  fs::copy_file(kCnn, folder / "pytorch_model-00001-of-00001.bin");
  nlohmann::json index = {{"weight_map", nlohmann::json::object()}};
  const auto tensors = io::read_tensors(kCnn).tensors;
  for (const auto& [name, array] : tensors) index["weight_map"][name] = "pytorch_model-00001-of-00001.bin";
  put(folder, "pytorch_model.bin.index.json", index.dump());
  same_tensors(io::read_folder_weights(folder.path).tensors, tensors);
}

TEST_CASE("hf folder: an index that lies") {
  const auto index = [](const std::string& map) { return "{\"metadata\":{},\"weight_map\":" + map + "}"; };
  const Folder folder;
  io::write_folder_weights(folder.path, three(), 36);
  const std::string name = "model.safetensors.index.json", one = "model-00001-of-00002.safetensors", two = "model-00002-of-00002.safetensors";
  const auto with = [&](const std::string& text, const std::vector<std::string>& parts) {
    put(folder, name, text);
    refused(folder.path, parts);
  };
  with(index("{\"a\":\"../x.safetensors\"}"), {"tensor 'a' is in \"../x.safetensors\", expected a file of this folder"});
  with(index("{\"a\":\"/etc/passwd\"}"), {"expected a file of this folder"});
  with(index("{\"a\":\"..\"}"), {"expected a file of this folder"});
  with(index("{\"a\":\"x\\u0000.safetensors\"}"), {"expected a file of this folder"});
  with(index("{\"a\":\"config.json\"}"), {"expected a name that ends in .safetensors"});
  with(index("{\"a\":7}"), {"tensor 'a' is in 7, expected the name of a file"});
  with(index("{}"), {"has no 'weight_map'"});
  with(index("[]"), {"has no 'weight_map'"});
  with("[]", {"has no 'weight_map'"});
  with("{", {name, "is not JSON"});
  with(index("{\"a\":\"" + one + "\",\"a\":\"" + two + "\"}"), {"'a' is there twice"});
  with(index("{\"a\":\"" + one + "\",\"b\":\"" + one + "\",\"c\":\"model-00003-of-00003.safetensors\"}"),
       {"model-00003-of-00003.safetensors: no such file", "places 1 of its tensors there"});
  // told at once: b and c are not where the index says, and both files hold more
  with(index("{\"a\":\"" + one + "\",\"c\":\"" + one + "\",\"d\":\"" + two + "\"}"),
       {one + ": 1 tensor missing that " + name + " places there: c", one + ": 1 tensor there that " + name + " does not place there: b",
        two + ": 1 tensor missing", "d", two + ": 1 tensor there", "c"});
  put(folder, name, index("{\"a\":\"" + one + "\",\"b\":\"" + one + "\",\"c\":\"" + two + "\"}"));
  same_tensors(io::read_folder_weights(folder.path).tensors, three());
  fs::resize_file(folder / two, 20);
  refused(folder.path, {two, "truncated"});
}

TEST_CASE("hf folder: JSON that is not there, not JSON, or too deep") {
  const Folder folder;
  CHECK(io::read_json(folder / "none.json").is_null());
  std::string message;
  const auto bad = [&](const std::string& text, const std::string& part) {
    put(folder, "a.json", text);
    CHECK(code_of([&] { io::read_json(folder / "a.json"); }, &message) == Exit::kInput);
    CAPTURE(message);
    CHECK(message.find(part) != std::string::npos);
  };
  bad("", "is not JSON");
  bad("{\"a\":\"\xff\"}", "is not JSON in UTF-8");
  bad("{\"a\":1,\"b\":{\"c\":1,\"c\":2}}", "'c' is there twice");
  bad(std::string(300, '['), "nested deeper than 200");
  put(folder, "a.json", "{\"a\":{\"x\":1},\"b\":{\"x\":2}}");
  CHECK(io::read_json(folder / "a.json")["b"]["x"] == 2);
  CHECK(code_of([&] { io::read_json(folder / "a.json", 5); }, &message) == Exit::kInput);
  CHECK(message.find("at most 5 are read") != std::string::npos);
}

TEST_CASE("hf folder: a folder appears whole or not at all, and replaces no other") {
  const Folder folder;
  const std::string target = folder / "m";
  const auto fill = [](const std::string& text) {
    return [text](const std::string& temporary) { io::write_file(temporary + "/config.json", text); };
  };
  CHECK(code_of([&] {
    io::replace_folder(target, false, [](const std::string& temporary) {
      io::write_file(temporary + "/config.json", "{}");
      throw ds::Error(Exit::kFailure, "x", "y");
    });
  }) == Exit::kFailure);
  CHECK(folder.files().empty());
  io::replace_folder(target, false, fill("1"));
  CHECK(slurp(target + "/config.json") == "1");
  CHECK(code_of([&] { io::replace_folder(target, false, fill("2")); }) == Exit::kUsage);
  CHECK(slurp(target + "/config.json") == "1");
  io::write_file(target + "/model.safetensors", "");
  io::replace_folder(target + "/", true, fill("2"));
  CHECK(slurp(target + "/config.json") == "2");
  CHECK(!io::exists(target + "/model.safetensors"));
  // an empty folder, and one behind a symbolic link
  fs::create_directory(folder / "empty");
  fs::create_directory_symlink(folder / "empty", folder / "link");
  io::replace_folder(folder / "link", false, fill("3"));
  CHECK(slurp(folder / "empty/config.json") == "3");
  CHECK(fs::is_symlink(folder / "link"));
  // what no model's folder has keeps everything
  io::write_file(target + "/thesis.tex", "x");
  std::string message;
  CHECK(code_of([&] { io::replace_folder(target, true, fill("4")); }, &message) == Exit::kUsage);
  CHECK(message.find("has 'thesis.tex', which no model's folder has") != std::string::npos);
  CHECK(slurp(target + "/config.json") == "2");
  io::write_file(folder / "file", "x");
  CHECK(code_of([&] { io::replace_folder(folder / "file", true, fill("5")); }) == Exit::kUsage);
  CHECK(code_of([&] { io::replace_folder(folder / "no/m", false, fill("6")); }) == Exit::kResource);
  CHECK(folder.files().size() == 4);
}
