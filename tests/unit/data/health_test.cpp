// Class counts, duplicates and leaks of a data set that reads well.
#include "engine/data/health.h"

#include <ATen/ops/tensor.h>

#include <chrono>

#include "files.h"

using namespace data_test;
using namespace ds::data;

namespace {

/// Images of 2 pixels by these bytes, with these labels.
Split split(const std::vector<int>& bytes, const std::vector<std::int64_t>& labels, std::int64_t first_id) {
  Split part;
  std::vector<std::uint8_t> pixels;
  for (const int byte : bytes) pixels.insert(pixels.end(), {std::uint8_t(byte), std::uint8_t(byte + 1)});
  part.images = at::tensor(pixels, at::kByte).reshape({std::int64_t(bytes.size()), 1, 1, 2});
  part.labels = at::tensor(labels, at::kLong);
  part.first_id = first_id;
  return part;
}

Dataset set() {
  Dataset data;
  data.spec = "made";
  data.num_classes = 3;
  data.labels = {"oak", "ash", "elm"};
  data.train = split({1, 2, 3, 1, 5, 6}, {0, 0, 0, 1, 0, 0}, 0);  // 0 and 3 are alike, with labels that are not
  data.val = split({7, 3}, {0, 0}, 6);                             // 7 is 2
  data.test = split({8, 8, 2}, {0, 0, 0}, 8);                      // 8 and 9 are alike; 10 is 1
  return data;
}

}  // namespace

TEST_CASE("health: counts of classes, twins within and between splits") {
  const Health health = check_health(set());
  CHECK(health.report["classes"] == Json({{"oak", 5}, {"ash", 1}, {"elm", 0}}));
  CHECK(health.report["imbalance"] == 5);
  CHECK(health.report["empty_classes"] == Json({"elm"}));
  CHECK(health.report["duplicates"] == 2);
  CHECK(health.report["conflicts"] == 1);
  CHECK(health.report["leaks"] == Json({{"train_val", 1}, {"train_test", 1}, {"val_test", 0}}));
  std::string all;
  for (const std::string& warning : health.warnings) all += warning + "\n";
  for (const char* said : {"elm", "2 (train) and 7 (val)", "1 (train) and 10 (test)", "0 and 3", "8 and 9"}) {
    CAPTURE(said);
    CHECK(all.find(said) != std::string::npos);
  }
}

TEST_CASE("health: remedies are named from a ratio of ten on") {
  Dataset data = set();
  data.num_classes = 2;
  data.labels = {"oak", "ash"};
  data.val = data.test = Split();
  std::vector<int> bytes;
  std::vector<std::int64_t> labels;
  for (int i = 0; i < 33; ++i) bytes.push_back(2 * i), labels.push_back(i % 11 == 0);
  data.train = split(bytes, labels, 0);
  const Health health = check_health(data);
  CHECK(health.report["imbalance"] == 10);
  REQUIRE(health.warnings.size() == 1);
  for (const char* said : {"'oak' has 30", "'ash' has 3", "data.sampler: weighted", "loss.class_weights: balanced", "focal"})
    CHECK(health.warnings[0].find(said) != std::string::npos);
  const std::vector<double> weights = balancing_weights(data);
  CHECK(weights[0] == 1.0 / 3);
  CHECK(weights[1] == 1.0 / 30);
}

TEST_CASE("health: texts are held against each other, blocks of a packed text are not") {
  const Folder folder;
  std::string lines = "a,b,score\n";
  for (int i = 0; i < 60; ++i) lines += "text " + std::to_string(i % 20) + ",label" + std::to_string(i % 2) + "," + std::to_string(i) + "\n";
  folder.write("t.csv", lines);
  const Health texts = check_health(open("csv:" + (folder / "t.csv") + "?text=a,target=b"));
  CHECK(texts.report["duplicates"].get<int>() + texts.report["leaks"]["train_val"].get<int>() + texts.report["leaks"]["train_test"].get<int>() > 0);
  folder.write("t.txt", std::string(4000, 'a') + "\n");
  const Health packed = check_health(open("text:" + (folder / "t.txt") + "?length=16"));
  CHECK(packed.report.empty());
  CHECK(packed.warnings.empty());
}
