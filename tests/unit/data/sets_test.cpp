#include <set>

#include "base/io/files.h"
#include "engine/data/dataset.h"
#include "files.h"

using namespace data_test;
using ds::data::open;

namespace {

std::vector<std::int64_t> count(const ds::data::Split& split, std::int64_t classes) {
  std::vector<std::int64_t> counts(static_cast<std::size_t>(classes));
  for (std::int64_t i = 0; i < split.size(); ++i) ++counts[std::size_t(split.labels.const_data_ptr<std::int64_t>()[i])];
  return counts;
}

bool fetched(const std::string& name) {
  const bool there = std::filesystem::exists(ds::io::home() + "/data/" + name + "/dataset.json");
  if (!there) MESSAGE("skipped: " << name << " is not there; run scripts/setup.sh");
  return there;
}

}  // namespace

TEST_CASE("mnist5k: 350, 50 and 100 of each class, and no image twice") {
  if (!fetched("mnist5k")) return;
  const auto set = open("mnist5k");
  CHECK(set.num_classes == 10);
  CHECK(count(set.train, 10) == std::vector<std::int64_t>(10, 350));
  CHECK(count(set.val, 10) == std::vector<std::int64_t>(10, 50));
  CHECK(count(set.test, 10) == std::vector<std::int64_t>(10, 100));
  CHECK(set.train.images.sizes() == at::IntArrayRef({3500, 1, 28, 28}));
  std::set<std::string> images;
  for (const auto* split : {&set.train, &set.val, &set.test}) {
    const auto* bytes = reinterpret_cast<const char*>(split->images.const_data_ptr<std::uint8_t>());
    for (std::int64_t i = 0; i < split->size(); ++i) images.emplace(bytes + i * 784, 784);
  }
  CHECK(images.size() == 5000);
  const at::Tensor x = ds::data::preprocess(set.train.images, set.preprocessing);
  CHECK(x.mean().item<double>() == doctest::Approx(0).epsilon(1e-3));
  CHECK(x.std().item<double>() == doctest::Approx(1).epsilon(1e-3));
}

TEST_CASE("digits: 8x8 pixels of 0 to 16, all samples") {
  if (!fetched("digits")) return;
  const auto set = open("digits");
  CHECK(set.train.size() == 1253);
  CHECK(set.val.size() == 176);
  CHECK(set.test.size() == 368);
  CHECK(set.train.images.sizes().slice(1) == at::IntArrayRef({1, 8, 8}));
  CHECK(set.train.images.max().item<int>() == 16);
  CHECK(set.preprocessing["scale"] == 1.0 / 16);
}

TEST_CASE("synthetic: sizes as asked, the same every time, another for another seed") {
  const std::string spec = "synthetic:shape=3x8x6,classes=4,train=10,val=3,test=0";
  const auto a = open(spec), b = open(spec), c = open(spec + ",seed=2");
  CHECK(a.train.images.sizes() == at::IntArrayRef({10, 3, 8, 6}));
  CHECK(a.val.size() == 3);
  CHECK(a.test.size() == 0);
  CHECK(a.num_classes == 4);
  CHECK(count(a.train, 4) == std::vector<std::int64_t>{3, 3, 2, 2});
  CHECK(a.fingerprint == b.fingerprint);
  CHECK(a.fingerprint != c.fingerprint);
  CHECK(open("synthetic").train.images.sizes() == at::IntArrayRef({512, 1, 28, 28}));
  CHECK(open("synthetic").fingerprint == "111af889791597109f4b4bd125a90ce90544ff08be6779c722ade1c6c7c9dbec");
}

TEST_CASE("synthetic: the nearest class mean of train tells the classes of test, and noise is there") {
  const auto set = open("synthetic:shape=3x16x16,classes=10,train=300,test=200");
  const at::Tensor train = set.train.images.flatten(1).to(at::kDouble), test = set.test.images.flatten(1).to(at::kDouble);
  std::int64_t right = 0;
  std::vector<at::Tensor> means;
  for (int c = 0; c < 10; ++c) means.push_back(train.index_select(0, set.train.labels.eq(c).nonzero().flatten()).mean(0));
  for (std::int64_t i = 0; i < set.test.size(); ++i) {
    double best = 1e300;
    std::int64_t guess = -1;
    for (int c = 0; c < 10; ++c) {
      const double distance = test[i].sub(means[std::size_t(c)]).square().sum().item<double>();
      if (distance < best) best = distance, guess = c;
    }
    right += guess == set.test.labels[i].item<std::int64_t>();
  }
  CHECK(right >= 190);
  const at::Tensor same = set.train.images.select(0, 0).to(at::kDouble).sub(set.train.images.select(0, 10));
  CHECK(same.std().item<double>() > 30);
}

TEST_CASE("synthetic: a malformed SPEC says what is wrong") {
  const auto fault = [](const std::string& rest) { return failure([&] { open("synthetic:" + rest); }); };
  CHECK(fault("trian=5") == "2|data: synthetic: unknown key 'trian' (did you mean 'train'?); one of kind, task, vocab, length, shape, classes, train, val, test, seed");
  CHECK(fault("train") == "2|data: synthetic: 'train', expected key=value");
  CHECK(fault("train=x") == "2|data: synthetic: train=x, expected an integer");
  CHECK(fault("train=5,train=6") == "2|data: synthetic: train is given twice");
  CHECK(fault("train=0") == "2|data: synthetic: train=0, expected at least 1");
  CHECK(fault("classes=70000") == "2|data: synthetic: classes=70000, expected at most 65536");
  CHECK(fault("shape=28x28") == "2|data: synthetic: shape=28x28, expected CxHxW of 1 to 4096 each");
  CHECK(fault("shape=1x28x") == "2|data: synthetic: shape=, expected an integer");
  CHECK(fault("train=9999999999999") == "2|data: synthetic: 7.84e+15 bytes, expected at most 8e+09; ask for fewer or smaller samples");
}
