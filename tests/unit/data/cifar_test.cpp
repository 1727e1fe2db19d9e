#include "engine/data/dataset.h"
#include "files.h"

using namespace data_test;
using ds::data::open;

namespace {

/// n records: the label bytes of record i, then pixel p = (i + p) mod 251.
std::string records(int n, const std::vector<std::vector<int>>& labels) {
  std::string bytes;
  for (int i = 0; i < n; ++i) {
    for (const int label : labels[std::size_t(i) % labels.size()]) bytes += char(label);
    for (int p = 0; p < 3072; ++p) bytes += char((i + p) % 251);
  }
  return bytes;
}

void write_cifar10(const Folder& folder, const std::string& below = "") {
  for (int k = 1; k <= 5; ++k) folder.write(below + "data_batch_" + std::to_string(k) + ".bin", records(4, {{k}, {9}}));
  folder.write(below + "test_batch.bin", records(3, {{0}, {1}, {2}}));
}

}  // namespace

TEST_CASE("cifar10: five files in order, three planes, ten names, val from the end") {
  Folder folder;
  std::string below;
  SUBCASE("the files themselves") {}
  SUBCASE("the folder of the archive") {
    below = "cifar-10-batches-bin/";
    std::filesystem::create_directory(folder / below);
  }
  write_cifar10(folder, below);
  const auto set = open("cifar10:" + folder.path());
  CHECK(set.num_classes == 10);
  CHECK(set.labels[9] == "truck");
  CHECK(set.train.images.sizes() == at::IntArrayRef({18, 3, 32, 32}));
  CHECK(set.val.size() == 2);
  CHECK(set.test.size() == 3);
  const auto* labels = set.train.labels.const_data_ptr<std::int64_t>();
  CHECK(std::vector<std::int64_t>(labels, labels + 6) == std::vector<std::int64_t>{1, 9, 1, 9, 2, 9});
  // Image 5 is the second record of the second file; its green plane begins at pixel 1024.
  CHECK(set.train.images.const_data_ptr<std::uint8_t>()[5 * 3072 + 1024] == (1 + 1024) % 251);
  CHECK(set.preprocessing["shape"] == ds::data::Json({3, 32, 32}));
  const at::Tensor pixels = set.train.images.to(at::kDouble).div(255.0);
  for (int c = 0; c < 3; ++c) {
    CHECK(set.preprocessing["mean"][c].get<double>() == doctest::Approx(pixels.select(1, c).mean().item<double>()).epsilon(1e-12));
    CHECK(set.preprocessing["std"][c].get<double>() == doctest::Approx(pixels.select(1, c).std(false).item<double>()).epsilon(1e-12));
  }
}

TEST_CASE("cifar10: every fault names the file") {
  Folder folder;
  write_cifar10(folder);
  const auto fault = [&] { return failure([&] { open("cifar10:" + folder.path()); }); };
  REQUIRE(fault() == "");
  SUBCASE("a part of a record") {
    folder.write("data_batch_2.bin", records(4, {{1}}).substr(1));
    CHECK(fault() == "3|" + (folder / "data_batch_2.bin") + ": 12291 bytes, expected a multiple of 3073");
  }
  SUBCASE("fewer records than its brothers") {
    folder.write("data_batch_5.bin", records(3, {{1}}));
    CHECK(fault() == "3|" + (folder / "data_batch_5.bin") + ": 9219 bytes, expected 12292 as in " + (folder / "data_batch_1.bin"));
  }
  SUBCASE("a label out of range") {
    folder.write("test_batch.bin", records(3, {{0}, {10}}));
    CHECK(fault() == "3|" + (folder / "test_batch.bin") + ": label 10 of sample 1, expected 0 to 9");
  }
  SUBCASE("an empty file") {
    folder.write("test_batch.bin", "");
    CHECK(fault().find("3|" + (folder / "test_batch.bin")) == 0);
  }
  SUBCASE("a missing file") {
    std::filesystem::remove(folder / "data_batch_3.bin");
    CHECK(fault() == "3|" + folder.path() + ": has no data_batch_3.bin; unpack the binary version of the archive there");
  }
  SUBCASE("a list of names of another length") {
    folder.write("batches.meta.txt", "cat\ndog\n");
    CHECK(fault() == "3|" + (folder / "batches.meta.txt") + ": 2 names, expected 10");
  }
}

TEST_CASE("cifar100: the fine label counts, the coarse one is checked") {
  Folder folder;
  folder.write("train.bin", records(20, {{3, 99}, {19, 0}}));
  folder.write("test.bin", records(2, {{1, 50}}));
  std::string names;
  for (int i = 0; i < 100; ++i) names += "name" + std::to_string(i) + "\n";
  folder.write("fine_label_names.txt", names);
  const auto set = open("cifar100:" + folder.path());
  CHECK(set.num_classes == 100);
  CHECK(set.labels[50] == "name50");
  CHECK(set.train.size() == 18);
  CHECK(set.val.size() == 2);
  CHECK(set.train.labels.const_data_ptr<std::int64_t>()[0] == 99);
  CHECK(set.test.labels.const_data_ptr<std::int64_t>()[1] == 50);
  CHECK(set.train.images.const_data_ptr<std::uint8_t>()[3072] == 1);
  const auto fault = [&] { return failure([&] { open("cifar100:" + folder.path()); }); };
  folder.write("test.bin", records(2, {{20, 50}}));
  CHECK(fault() == "3|" + (folder / "test.bin") + ": label 20 of sample 0, expected 0 to 19");
  folder.write("test.bin", records(2, {{1, 100}}));
  CHECK(fault() == "3|" + (folder / "test.bin") + ": label 100 of sample 0, expected 0 to 99");
}
