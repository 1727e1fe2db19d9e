// Over every augmentation and every data set.
#include <cmath>
#include <limits>

#include "base/io/files.h"
#include "engine/data/augment.h"
#include "engine/data/dataset.h"
#include "files.h"

using namespace data_test;
using namespace ds::data;

namespace {

using Values = std::vector<float>;

Values picture(const Shape& shape) {
  Values values(std::size_t(shape.numel()));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = float((i * 37 + 11) % 256);
  return values;
}

/// One call; what it does not write stays NaN.
Values applied(const Augment& augment, const Values& in, const Shape& shape, ds::exec::Stream stream, Values scratch) {
  Values out(in.size(), std::numeric_limits<float>::quiet_NaN());
  augment.apply(in.data(), out.data(), shape, stream, scratch);
  return out;
}

/// A folder that holds a small data set of each kind that is read from one.
struct Sets : Folder {
  Sets() {
    for (const char* place : {"/idx", "/cifar10", "/cifar100"}) std::filesystem::create_directory(path() + place);
    const auto idx = [&](const std::string& split, int n) {
      write("idx/" + split + "-images-idx3-ubyte", idx_images(std::uint32_t(n), 6, 5));
      write("idx/" + split + "-labels-idx1-ubyte", idx_labels(cycle(n, 4)));
    };
    idx("train", 40), idx("val", 8), idx("test", 12);
    const auto records = [](int n, int classes, bool coarse) {
      std::string bytes;
      for (int i = 0; i < n; ++i) {
        if (coarse) bytes += char(i % 20);
        bytes += char(i % classes);
        for (int p = 0; p < 3072; ++p) bytes += char((i * 13 + p * 7) % 256);
      }
      return bytes;
    };
    for (int k = 1; k <= 5; ++k) write("cifar10/data_batch_" + std::to_string(k) + ".bin", records(20, 10, false));
    write("cifar10/test_batch.bin", records(20, 10, false));
    for (const std::string place : {"train/a", "train/b", "val/b", "test/a", "test/b"}) {
      std::filesystem::create_directories(path() + "/folder/" + place);
      for (const char* name : {"rgb8.png", "rgba8.png", "palette8.png"}) golden_picture(name, "folder/" + place + "/" + name);
    }
    for (int i = 0; i < 60; ++i)
      for (const std::string name : {"a", "b"}) {
        std::filesystem::create_directories(path() + "/text/" + name);
        write("text/" + name + "/" + std::to_string(i) + ".txt", name + " text " + std::to_string(i));
      }
    std::string table = "x,class,y\n";
    for (int i = 0; i < 200; ++i) table += std::to_string(i % 17) + "," + std::to_string(i % 3) + "," + std::to_string(i) + "\n";
    write("csv", table);
    write("cifar100/train.bin", records(200, 100, true));
    write("cifar100/test.bin", records(100, 100, true));
  }
  /// How the set of that name is called here, or "" where it has to be fetched first and is not there.
  std::string spec(const std::string& name) const {
    if (name == "csv") return "csv:" + path() + "/csv?target=class";
    if (std::filesystem::exists(path() + "/" + name)) return name + ":" + path() + "/" + name;
    if (name == "synthetic") return "synthetic:shape=3x6x5,classes=4,train=40,val=8,test=12";
    if (std::filesystem::exists(ds::io::home() + "/data/" + name + "/dataset.json")) return name;
    MESSAGE("skipped: " << name << " is not there; run scripts/setup.sh");
    return "";
  }
};

}  // namespace

TEST_CASE("augment: each writes every pixel, keeps the range of values, and depends on its stream alone") {
  for (const ds::core::Card& card : ds::core::cards("augment")) {
    if (card.name.starts_with("test-")) continue;  // another test's own
    CAPTURE(card.name);
    const auto augment = make_augment(card.name);
    for (const Shape shape : {Shape{1, 1, 1}, Shape{1, 8, 8}, Shape{3, 5, 7}, Shape{2, 9, 1}}) {
      const Values in = picture(shape), before = in;
      const auto [low, high] = std::minmax_element(in.begin(), in.end());
      int changed = 0;
      for (std::uint64_t i = 0; i < 64; ++i) {
        const ds::exec::Stream stream(5, 2, i);
        const Values out = applied(*augment, in, shape, stream, {});
        for (const float value : out) {
          REQUIRE(std::isfinite(value));
          CHECK(value >= std::min(*low, 0.0f) - 1e-3f);
          // Up to white where light changes, else no brighter than the picture.
          CHECK(value <= (card.name == "rand-augment" ? shape.white : std::max(*high, 0.0f)) + 1e-3f);
        }
        // The same stream: the same bytes, from another object and whatever lay in the scratch memory.
        CHECK(out == applied(*make_augment(card.name), in, shape, stream, Values(3000, -7.0f)));
        changed += out != in;
      }
      CHECK(in == before);
      if (shape.numel() > 50) CHECK(changed > 5);
    }
  }
}

TEST_CASE("dataset: splits fit each other, ids are in a row, and the same SPEC gives the same bytes") {
  const Sets sets;
  int opened = 0;
  for (const ds::core::Card& card : ds::core::cards("dataset")) {
    CAPTURE(card.name);
    const std::string spec = sets.spec(card.name);
    if (spec.empty()) continue;
    ++opened;
    const Dataset set = open(spec);
    CHECK(set.spec == spec);
    CHECK(set.num_classes >= 2);
    CHECK(std::int64_t(set.labels.size()) == set.num_classes);
    CHECK(set.fingerprint.size() == 64);
    CHECK(set.train.size() > 0);
    std::int64_t next = 0;
    for (const Split* split : {&set.train, &set.val, &set.test}) {
      CHECK(split->first_id == next);
      next += split->size();
      if (split->size() == 0) continue;
      CHECK((split->labels.scalar_type() == at::kLong));
      CHECK(split->labels.min().item<std::int64_t>() >= 0);
      CHECK(split->labels.max().item<std::int64_t>() < set.num_classes);
      if (set.has_tokens()) {
        CHECK(split->tokens.size() == split->size());
        CHECK(split->tokens.ids.max().item<std::int64_t>() < set.tokens().vocab_size);
        continue;
      }
      CHECK(split->images.size(0) == split->size());
      CHECK(split->images.sizes().slice(1) == set.train.images.sizes().slice(1));
      CHECK((split->images.scalar_type() == at::kByte || split->images.scalar_type() == at::kFloat));
      const at::Tensor x = preprocess(split->images, set.preprocessing);
      CHECK((x.scalar_type() == at::kFloat));
      CHECK(x.isfinite().all().item<bool>());
    }
    const Dataset again = open(absolute_spec(spec));
    CHECK(again.fingerprint == set.fingerprint);
    CHECK(again.test.labels.equal(set.test.labels));
    CHECK(again.preprocessing == set.preprocessing);
    if (set.has_tokens()) {
      CHECK(again.tokens().ids.equal(set.tokens().ids));
      continue;
    }
    CHECK(again.train.images.equal(set.train.images));
    // Preprocessing is that of the training split.
    const at::Tensor x = preprocess(set.train.images, set.preprocessing);
    CHECK(x.mean().item<double>() == doctest::Approx(0).epsilon(1e-3));
    CHECK(x.std().item<double>() == doctest::Approx(1).epsilon(1e-2));
  }
  CHECK(opened >= 4);
}
