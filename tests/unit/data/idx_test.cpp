#include <cstdlib>

#include "base/io/files.h"
#include "engine/data/dataset.h"
#include "files.h"

using namespace data_test;
using ds::data::open;

namespace {

/// Twenty training and four test images of 3x2, three classes.
void write_set(const Folder& folder) {
  folder.write("train-images-idx3-ubyte", idx_images(20, 3, 2));
  folder.write("train-labels-idx1-ubyte", idx_labels(cycle(20, 3)));
  folder.write("t10k-images.idx3-ubyte", idx_images(4, 3, 2));
  folder.write("t10k-labels.idx1-ubyte", idx_labels(cycle(4, 3)));
}

std::string spec(const Folder& folder) { return "idx:" + folder.path(); }

}  // namespace

TEST_CASE("idx: shapes, ids, classes and the last tenth of train as val") {
  Folder folder;
  write_set(folder);
  const auto set = open(spec(folder));
  CHECK(set.spec == spec(folder));
  CHECK(set.num_classes == 3);
  CHECK(set.labels == std::vector<std::string>{"0", "1", "2"});
  CHECK(set.train.images.sizes() == at::IntArrayRef({18, 1, 3, 2}));
  CHECK(set.val.images.sizes() == at::IntArrayRef({2, 1, 3, 2}));
  CHECK(set.test.images.sizes() == at::IntArrayRef({4, 1, 3, 2}));
  CHECK(set.train.first_id == 0);
  CHECK(set.val.first_id == 18);
  CHECK(set.test.first_id == 20);
  // Image 18 of the file is the first of val: its pixel 1 is 7 * 18 + 3.
  CHECK(set.val.images.const_data_ptr<std::uint8_t>()[1] == 129);
  CHECK(set.val.labels.const_data_ptr<std::int64_t>()[1] == 19 % 3);
  CHECK(set.preprocessing["kind"] == "image");
  CHECK(set.preprocessing["shape"] == ds::data::Json({1, 3, 2}));
  CHECK(set.preprocessing["scale"] == 1.0 / 255);
}

TEST_CASE("idx: mean and standard deviation are those of the training split") {
  Folder folder;
  write_set(folder);
  const auto set = open(spec(folder));
  const at::Tensor pixels = set.train.images.to(at::kDouble).div(255.0);
  CHECK(set.preprocessing["mean"][0].get<double>() == doctest::Approx(pixels.mean().item<double>()).epsilon(1e-12));
  CHECK(set.preprocessing["std"][0].get<double>() == doctest::Approx(pixels.std(false).item<double>()).epsilon(1e-12));
}

TEST_CASE("idx: a val split of its own and dataset.json are taken") {
  Folder folder;
  write_set(folder);
  folder.write("val-images-idx3-ubyte", idx_images(5, 3, 2));
  folder.write("val-labels-idx1-ubyte", idx_labels(cycle(5, 3)));
  folder.write("dataset.json",
               R"({"num_classes": 4, "labels": ["a", "b", "c", "d"], "shape": [1, 3, 2], "scale": 0.5, "mean": [2.0], "std": [4.0]})");
  const auto set = open(spec(folder));
  CHECK(set.train.size() == 20);
  CHECK(set.val.size() == 5);
  CHECK(set.num_classes == 4);
  CHECK(set.labels[3] == "d");
  CHECK(set.preprocessing["scale"] == 0.5);
  CHECK(set.preprocessing["mean"] == ds::data::Json({2.0}));
  CHECK(set.preprocessing["std"] == ds::data::Json({4.0}));
}

TEST_CASE("idx: the fingerprint is of the bytes, not of the place") {
  Folder a, b;
  write_set(a);
  write_set(b);
  const auto first = open(spec(a)), second = open(spec(b));
  CHECK(first.fingerprint.size() == 64);
  CHECK(first.fingerprint == second.fingerprint);
  std::vector<int> labels = cycle(4, 3);
  labels[3] = 2;
  b.write("t10k-labels.idx1-ubyte", idx_labels(labels));
  CHECK(open(spec(b)).fingerprint != first.fingerprint);
  CHECK(&ds::data::open_cached(spec(a)) == &ds::data::open_cached(spec(a)));
}

TEST_CASE("idx: the fingerprint stays what it is") {
  Folder folder;
  write_set(folder);
  CHECK(open(spec(folder)).fingerprint == "60eb36b3f03d4b35a8d7b677fe47800169f35b62c34071033f1b17e72bc42596");
}

TEST_CASE("idx: one image, one class, one value") {
  Folder folder;
  folder.write("train-images-idx3-ubyte", idx_header(0x803, {1, 2, 2}) + std::string(4, '\x05'));
  folder.write("train-labels-idx1-ubyte", idx_labels({0}));
  const auto set = open(spec(folder));
  CHECK(set.num_classes == 1);
  CHECK(set.train.size() == 1);
  CHECK(set.val.size() == 0);
  CHECK(set.preprocessing["std"] == ds::data::Json({1.0}));
  CHECK(failure([&] { set.split("val"); }) == "3|" + spec(folder) + ": split 'val' is empty");
  CHECK(failure([&] { set.split("trian"); }) == "2|split: unknown split 'trian'; one of train, val, test");
}

TEST_CASE("idx: every fault names the file, what it holds and what was expected") {
  Folder folder;
  write_set(folder);
  const std::string images = "train-images-idx3-ubyte", labels = "train-labels-idx1-ubyte", test_labels = "t10k-labels.idx1-ubyte";
  const auto fault = [&] { return failure([&] { open(spec(folder)); }); };
  const std::string good = idx_images(20, 3, 2);
  REQUIRE(fault() == "");

  SUBCASE("shorter than the header says") {
    folder.write(images, good.substr(0, good.size() - 1));
    CHECK(fault() == "3|" + (folder / images) + ": 135 bytes, expected 136 as its header says (20x3x2)");
  }
  SUBCASE("longer than the header says") {
    folder.write(images, good + "x");
    CHECK(fault() == "3|" + (folder / images) + ": 137 bytes, expected 136 as its header says (20x3x2)");
  }
  SUBCASE("an empty file") {
    folder.write(images, "");
    CHECK(fault().find("3|" + (folder / images)) == 0);
  }
  SUBCASE("only half a header") {
    folder.write(images, good.substr(0, 10));
    CHECK(fault() == "3|" + (folder / images) + ": 10 bytes, expected a header of 16");
  }
  SUBCASE("a wrong magic number") {
    folder.write(images, idx_header(0x801, {20, 3, 2}) + good.substr(16));
    CHECK(fault() == "3|" + (folder / images) + ": magic number 0x00000801, expected 0x00000803");
  }
  SUBCASE("a packed file") {
    folder.write(images, std::string("\x1f\x8b\x08\x00", 4) + good.substr(4));
    CHECK(fault() == "3|" + (folder / images) + ": magic number 0x1f8b0800, expected 0x00000803; unpack it with gunzip first");
  }
  SUBCASE("dims whose product overflows") {
    folder.write(images, idx_header(0x803, {0xffffffff, 65536, 65536}) + good.substr(16));
    CHECK(fault().find("136 bytes, expected 18446744069414584336") != std::string::npos);
  }
  SUBCASE("dims out of range") {
    folder.write(images, idx_header(0x803, {20, 0, 2}));
    CHECK(fault() == "3|" + (folder / images) + ": images of 0x2, expected sides of 1 to 65536");
  }
  SUBCASE("no images") {
    folder.write(images, idx_header(0x803, {0, 3, 2}));
    CHECK(fault() == "3|" + (folder / images) + ": holds no images");
  }
  SUBCASE("another number of labels") {
    folder.write(labels, idx_labels(cycle(19, 3)));
    CHECK(fault() == "3|" + (folder / labels) + ": 19 labels, expected 20 as there are images in " + (folder / images));
  }
  SUBCASE("a label that train does not have") {
    folder.write(test_labels, idx_labels({0, 1, 7, 2}));
    CHECK(fault() == "3|" + (folder / test_labels) + ": label 7 of sample 2, expected 0 to 2");
  }
  SUBCASE("a label that dataset.json does not have") {
    folder.write("dataset.json", R"({"num_classes": 2})");
    CHECK(fault() == "3|" + (folder / labels) + ": label 2 of sample 2, expected 0 to 1");
  }
  SUBCASE("images of another size in test") {
    folder.write("t10k-images.idx3-ubyte", idx_images(4, 2, 2));
    CHECK(fault() == "3|" + folder.path() + ": images of 2x2, expected 3x2 as in train");
  }
  SUBCASE("images without labels") {
    std::filesystem::remove(folder / labels);
    CHECK(fault() == "3|" + folder.path() + ": has no train-labels-idx1-ubyte");
  }
  SUBCASE("nothing but packed files") {
    std::filesystem::remove(folder / images);
    folder.write(images + ".gz", "x");
    CHECK(fault() == "3|" + folder.path() + ": has no train-images-idx3-ubyte; unpack train-images-idx3-ubyte.gz with gunzip first");
  }
  SUBCASE("a folder where a file is meant") {
    std::filesystem::remove(folder / images);
    std::filesystem::create_directory(folder / images);
    CHECK(fault().find("3|" + (folder / images)) == 0);
  }
  SUBCASE("dataset.json that is not JSON") {
    folder.write("dataset.json", "{");
    CHECK(fault() == "3|" + (folder / "dataset.json") + ": is not a JSON object");
  }
  SUBCASE("dataset.json of another shape") {
    folder.write("dataset.json", R"({"shape": [1, 2, 3]})");
    CHECK(fault() == "3|" + (folder / "dataset.json") + ": shape [1,2,3], expected [1,3,2] as the images have");
  }
  SUBCASE("dataset.json with a deviation of zero") {
    folder.write("dataset.json", R"({"std": [0]})");
    CHECK(fault() == "3|" + (folder / "dataset.json") + ": 'std' has 0, expected a number above 0");
  }
  SUBCASE("dataset.json with too few names") {
    folder.write("dataset.json", R"({"num_classes": 3, "labels": ["a"]})");
    CHECK(fault() == "3|" + (folder / "dataset.json") + ": 1 labels, expected 3");
  }
}

TEST_CASE("data: a SPEC that cannot be opened") {
  const auto fault = [](const std::string& text) { return failure([&] { open(text); }); };
  CHECK(fault("") == "2|data: malformed data set ''; give NAME or NAME:REST, as mnist5k or idx:DIR");
  CHECK(fault(":x").find("2|data: malformed data set ':x'") == 0);
  CHECK(fault("mnist5").find("2|data: unknown dataset 'mnist5' (did you mean 'mnist5k'?)") == 0);
  CHECK(fault("idx") == "2|data: 'idx' without a folder; give idx:DIR");
  CHECK(fault("idx:/no/such/place") == "3|/no/such/place: no such folder");
  CHECK(fault("idx:/dev/null") == "3|/dev/null: not a folder");
  CHECK(fault("cifar10").find("2|data: 'cifar10' without a folder") == 0);
  CHECK(fault("mnist5k:x") == "2|data: 'mnist5k:x'; mnist5k takes nothing behind its name");
}

TEST_CASE("data: a data set that was not fetched names the command that fetches it") {
  Folder folder;
  const char* old = std::getenv("DS_HOME");
  const std::string kept = old ? old : "";
  setenv("DS_HOME", folder.path().c_str(), 1);
  const std::string text = failure([] { open("digits"); });
  if (old)
    setenv("DS_HOME", kept.c_str(), 1);
  else
    unsetenv("DS_HOME");
  CHECK(text ==
        "3|" + (folder / "data/digits") + ": data set 'digits' is not there; run scripts/setup.sh, with the same DS_HOME or XDG_CACHE_HOME as now");
}

TEST_CASE("data: a folder in a SPEC is made absolute, other things are not") {
  Folder folder;
  const auto here = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  std::filesystem::create_directory("sub");
  CHECK(ds::data::absolute_spec("idx:./sub") == "idx:" + (std::filesystem::current_path() / "sub").string());
  CHECK(ds::data::absolute_spec("mnist5k") == "mnist5k");
  CHECK(ds::data::absolute_spec("synthetic:train=5") == "synthetic:train=5");
  std::filesystem::current_path(here);
}
