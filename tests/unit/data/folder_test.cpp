// Data sets of pictures in folders.
#include <ATen/ops/empty.h>

#include <algorithm>

#include "base/io/files.h"
#include "base/io/image.h"
#include "engine/data/dataset.h"
#include "files.h"

using namespace data_test;
using namespace ds::data;
namespace fs = std::filesystem;

namespace {

struct Classes : Folder {
  explicit Classes(const std::vector<std::string>& classes) {
    for (const std::string& name : classes) fs::create_directories(*this / name);
  }
  std::string spec(const std::string& options = "") const { return "folder:" + path() + (options.empty() ? "" : "?" + options); }
  /// What open() throws, without the folder's name.
  std::string said(const std::string& options = "") const {
    std::string text = failure([&] { open(spec(options)); });
    for (std::size_t at = text.find(path()); at != std::string::npos; at = text.find(path())) text.replace(at, path().size(), "D");
    return text;
  }
};

/// The tenth that the card speaks of.
unsigned long tenth(const std::string& name) { return std::stoul(ds::io::xxh3_128(name.data(), name.size()).substr(0, 8), nullptr, 16) % 10; }

std::vector<std::uint8_t> planes(const ds::io::Image& image) {
  std::vector<std::uint8_t> out;
  for (std::int64_t c = 0; c < image.channels; ++c)
    for (std::int64_t p = 0; p < image.height * image.width; ++p) out.push_back(image.pixels[std::size_t(p * image.channels + c)]);
  return out;
}

std::vector<std::uint8_t> bytes_of(const at::Tensor& images, std::int64_t i) {
  const at::Tensor image = images.select(0, i).contiguous();
  return {image.const_data_ptr<std::uint8_t>(), image.const_data_ptr<std::uint8_t>() + image.numel()};
}

}  // namespace

TEST_CASE("folder: splits in folders, classes and pictures in the order of their names") {
  const Classes files({"train/cat", "train/Dog", "test/cat", "val/Dog", ".hidden", "train/.cache"});
  files.golden_picture("rgb8.png", "train/cat/b.png");
  files.golden_picture("gamma.png", "train/cat/a.PNG");
  files.golden_picture("rgba8.png", "train/Dog/z.png");
  files.golden_picture("grey8.png", "test/cat/t.png");
  files.golden_picture("palette8.png", "val/Dog/v.png");
  // None of these is a picture of a class.
  files.write("train/cat/notes.txt", "x"), files.write("train/cat/.b.png", "x"), files.write("train/README.md", "x"), files.write("labels.csv", "x");
  const Dataset set = open(files.spec());
  CHECK(set.labels == std::vector<std::string>{"Dog", "cat"});
  CHECK(set.num_classes == 2);
  CHECK(set.train.images.sizes() == at::IntArrayRef({3, 3, 7, 11}));
  CHECK(set.val.size() == 1);
  CHECK(set.test.size() == 1);
  const auto golden = [](const char* name) { return planes(ds::io::read_image(DS_SOURCE_DIR "/tests/golden/images/" + std::string(name), 3)); };
  CHECK(bytes_of(set.train.images, 0) == golden("rgba8.png"));
  CHECK(bytes_of(set.train.images, 1) == golden("gamma.png"));
  CHECK(bytes_of(set.train.images, 2) == golden("rgb8.png"));
  CHECK(bytes_of(set.val.images, 0) == golden("palette8.png"));
  CHECK(bytes_of(set.test.images, 0) == golden("grey8.png"));
  const auto* labels = set.train.labels.const_data_ptr<std::int64_t>();
  CHECK(std::vector<std::int64_t>(labels, labels + 3) == std::vector<std::int64_t>{0, 1, 1});
  CHECK(set.val.labels.item<std::int64_t>() == 0);
  CHECK(set.test.labels.item<std::int64_t>() == 1);
  CHECK(set.preprocessing["shape"] == Json({3, 7, 11}));
}

TEST_CASE("folder: without splits, a picture's own name says where it goes") {
  const Classes files({"a", "b"});
  std::size_t counts[10] = {};
  for (int i = 0; i < 200; ++i) {
    const std::string name = std::to_string(i) + ".png";
    files.golden_picture("rgb8.png", "a/" + name);
    files.golden_picture("gamma.png", "b/" + name);
    ++counts[tenth(name)];
  }
  const Dataset set = open(files.spec());
  CHECK(set.val.size() == std::int64_t(2 * counts[8]));
  CHECK(set.test.size() == std::int64_t(2 * counts[9]));
  CHECK(set.train.size() == std::int64_t(400 - 2 * counts[8] - 2 * counts[9]));
  for (const Split* split : {&set.val, &set.test}) {
    CHECK(split->size() > 20);  // of some 40
    CHECK(split->size() < 60);
    CHECK(split->labels.sum().item<std::int64_t>() * 2 == split->size());  // both classes alike
  }
  // More pictures, and another place: the others stay where they were.
  fs::create_directories(files / "c");
  for (int i = 0; i < 100; ++i) files.golden_picture("rgba8.png", "c/" + std::to_string(i) + ".png");
  const Dataset more = open(files.spec());
  CHECK(more.val.images.narrow(0, 0, set.val.size()).equal(set.val.images));
  CHECK(more.test.images.narrow(0, 0, set.test.size()).equal(set.test.images));
  CHECK(more.fingerprint != set.fingerprint);
}

TEST_CASE("folder: of train without val, the tenth that the names say is held out") {
  const Classes files({"train/a", "train/b", "test/a"});
  std::int64_t held = 0;
  for (int i = 0; i < 60; ++i) {
    const std::string name = std::to_string(i) + ".png";
    files.golden_picture("rgb8.png", "train/a/" + name);
    files.golden_picture("gamma.png", "train/b/" + name);
    held += tenth(name) == 8;
  }
  files.golden_picture("grey8.png", "test/a/0.png");
  const Dataset set = open(files.spec());
  CHECK(held > 0);
  CHECK(set.val.size() == 2 * held);
  CHECK(set.train.size() == 120 - 2 * held);
  CHECK(set.test.size() == 1);
}

TEST_CASE("folder: pictures of any size are brought to one, as ds-predict does it") {
  const Classes files({"train/a", "train/b", "val/a"});
  files.golden_picture("scene.png", "train/a/0.png");
  files.golden_picture("420.jpg", "train/b/0.jpg");
  files.golden_picture("grey.jpg", "val/a/0.jpeg");
  const std::string said = files.said();
  CHECK(said.starts_with("3|D/train/b/0.jpg: is of 27x21 pixels, D/train/a/0.png is of 61x47; give a size, as folder:D?size=47"));
  CHECK(said.find("D/val/a/0.jpeg: is of 27x21 pixels") != std::string::npos);
  const Dataset set = open(files.spec("size=12x16,channels=1"));
  CHECK(set.train.images.sizes() == at::IntArrayRef({2, 1, 12, 16}));
  const ds::io::Fit fit = ds::io::fit_of({{"shape", {1, 12, 16}}});
  const ds::io::Image scene = ds::io::read_image(DS_SOURCE_DIR "/tests/golden/images/scene.png", 1);
  CHECK(bytes_of(set.train.images, 0) == planes(ds::io::fit_image(scene, fit)));
  CHECK(open(files.spec("size=8")).train.images.sizes() == at::IntArrayRef({2, 3, 8, 8}));
  CHECK(files.said("size=0") == "2|data: folder: size=0, expected sides of 1 to 4096");
  CHECK(files.said("size=8x") == "2|data: folder: size=, expected an integer");
  CHECK(files.said("channels=2") == "2|data: folder: channels=2, expected 1 for grey or 3 for colour");
  CHECK(files.said("channels=4") == "2|data: folder: channels=4, expected at most 3");
  CHECK(files.said("sise=8") == "2|data: folder: unknown key 'sise' (did you mean 'size'?); one of size, channels");
}

TEST_CASE("folder: a relative folder with options is made absolute") {
  const Classes files({"a"});
  const fs::path before = fs::current_path();
  fs::current_path(files.path());
  const std::string here = fs::current_path().string();
  CHECK(absolute_spec("folder:a?size=8") == "folder:" + here + "/a?size=8");
  CHECK(absolute_spec("folder:a") == "folder:" + here + "/a");
  CHECK(absolute_spec("folder:none?size=8") == "folder:none?size=8");
  fs::create_directory("what?");
  CHECK(absolute_spec("folder:what?") == "folder:" + here + "/what?");
  fs::current_path(before);
}

TEST_CASE("folder: bad pictures are named together, ten of them") {
  const Classes files({"train/a", "train/b", "val/a"});
  files.golden_picture("rgb8.png", "train/a/good.png");
  files.write("train/b/text.png", "text");
  files.write("val/a/empty.jpg", "");
  fs::create_symlink("loop.png", files / "train/b/loop.png");
  fs::create_symlink("nowhere.png", files / "train/b/broken.png");
  const std::string said = files.said();
  for (const char* line : {"D/train/b/broken.png: no such file", "D/train/b/loop.png: cannot be read", "D/train/b/text.png: is neither JPEG nor PNG",
                           "D/val/a/empty.jpg: is empty, expected a JPEG or PNG picture"}) {
    CAPTURE(line);
    CHECK(said.find(line) != std::string::npos);
  }
  for (int i = 0; i < 20; ++i) files.write("train/a/" + std::to_string(i) + ".png", "text");
  const std::string many = files.said();
  CHECK(std::count(many.begin(), many.end(), '\n') == 10);
  CHECK(many.ends_with("D: 14 more pictures are bad"));
}

TEST_CASE("folder: what is no such data set") {
  CHECK(failure([] { open("folder:"); }) == "2|data: 'folder' without a folder; give folder:DIR");
  CHECK(failure([] { open("folder:/none"); }) == "3|/none: no such folder");
  const Classes files({"a", "b"});
  CHECK(files.said() == "3|D/a: is a class without pictures; add .png, .jpg or .jpeg files, or remove the folder");
  files.golden_picture("rgb8.png", "a/0.png");
  files.golden_picture("rgb8.png", "b/0.png");
  fs::create_directory(files / "b/deep");
  CHECK(files.said() == "3|D/b: has a folder 'deep', expected pictures alone: a folder is a class");
  fs::remove(files / "b/deep");
  fs::create_directory_symlink(files.path(), files / "b/up");  // a loop
  CHECK(files.said() == "3|D/b: has a folder 'up', expected pictures alone: a folder is a class");
  fs::remove(files / "b/up");
  files.golden_picture("rgb8.png", "stray.png");
  CHECK(files.said() == "3|D: has 'stray.png' beside its folders, expected pictures in a folder a class");
  fs::remove(files / "stray.png");
  fs::remove_all(files / "b");
  CHECK(files.said() == "3|D: has 1 folders of classes, expected 2 or more");
  files.write("file", "x");
  CHECK(failure([&] { open("folder:" + (files / "file")); }).ends_with("file: not a folder"));

  const Classes splits({"train/a", "train/b", "test/c"});
  splits.golden_picture("rgb8.png", "train/a/0.png");
  splits.golden_picture("rgb8.png", "train/b/0.png");
  CHECK(splits.said() == "3|D/test/c: is a class that train does not have");
}
