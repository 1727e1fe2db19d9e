#include <algorithm>
#include <cstring>
#include <numeric>
#include <stdexcept>

#include "engine/data/augment.h"
#include "engine/data/dataset.h"
#include "files.h"

using namespace data_test;
using namespace ds::data;

namespace {

const Dataset& set() { return open_cached("synthetic:shape=3x9x7,classes=5,train=53,val=11,test=0"); }

std::vector<Batch> epoch(Loader& loader, std::int64_t number, std::int64_t first = 0) {
  loader.start(number, first);
  std::vector<Batch> batches;
  for (Batch batch; loader.next(batch);) batches.push_back(batch);
  return batches;
}
std::vector<Batch> epoch(const LoaderOptions& options, std::int64_t number, std::int64_t first = 0) {
  Loader loader(set().train, set().preprocessing, options);
  return epoch(loader, number, first);
}
bool same(const at::Tensor& a, const at::Tensor& b) {
  return a.sizes() == b.sizes() && a.strides() == b.strides() && a.scalar_type() == b.scalar_type() &&
         std::memcmp(a.const_data_ptr(), b.const_data_ptr(), a.nbytes()) == 0;
}
bool same(const std::vector<Batch>& a, const std::vector<Batch>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!same(a[i].inputs[0], b[i].inputs[0]) || !same(a[i].labels, b[i].labels) || !same(a[i].ids, b[i].ids)) return false;
  }
  return true;
}
std::vector<std::int64_t> ids(const std::vector<Batch>& batches) {
  std::vector<std::int64_t> all;
  for (const Batch& batch : batches)
    all.insert(all.end(), batch.ids.const_data_ptr<std::int64_t>(), batch.ids.const_data_ptr<std::int64_t>() + batch.size());
  return all;
}

/// Fails on the sample whose first pixel says so.
struct Broken : Augment {
  void apply(const float* in, float* out, const Shape& shape, ds::exec::Stream&, std::vector<float>&) const override {
    if (in[0] == 255) throw std::runtime_error("broken on purpose");
    std::copy_n(in, shape.numel(), out);
  }
};
struct NoOptions : ds::core::Options {
  void fields(ds::core::Fields&) override {}
};
std::unique_ptr<Augment> make_broken(const ds::core::Options&) { return std::make_unique<Broken>(); }
[[maybe_unused]] const bool registered = [] {
  ds::core::add_card<NoOptions>({"augment", "test-broken", "fails", ""});
  ds::core::add_body("augment", "test-broken", reinterpret_cast<void (*)()>(make_broken));
  return true;
}();

}  // namespace

TEST_CASE("preprocess: (x * scale - mean) / std, a channel each, channels-last") {
  at::Tensor images = set().train.images.narrow(0, 0, 2);
  const Json document = {{"kind", "image"}, {"shape", {3, 9, 7}}, {"scale", 0.25}, {"mean", {1.0, 2.0, 3.0}}, {"std", {0.5, 2.0, 4.0}}};
  const at::Tensor x = preprocess(images, document);
  CHECK((x.scalar_type() == at::kFloat));
  CHECK(x.sizes() == images.sizes());
  CHECK(x.strides() == at::IntArrayRef({189, 1, 21, 3}));
  for (int c = 0; c < 3; ++c) {
    const double u = images[1][c][4][5].item<double>(), mean = document["mean"][std::size_t(c)], deviation = document["std"][std::size_t(c)];
    CHECK(x[1][c][4][5].item<float>() == float((u * 0.25 - mean) / deviation));
  }
  CHECK(same(preprocess(images.to(at::kFloat), document), x));
}

TEST_CASE("preprocess: one mean for all channels; grey images have channels-last strides too") {
  at::Tensor grey = set().train.images.narrow(0, 0, 3).narrow(1, 0, 1);
  const at::Tensor x = preprocess(grey, {{"shape", {1, 9, 7}}, {"scale", 1}, {"mean", {0}}, {"std", {1}}});
  CHECK(x.strides() == at::IntArrayRef({63, 1, 7, 1}));
  CHECK(x[2][0][8][6].item<float>() == float(grey[2][0][8][6].item<int>()));
  const at::Tensor y = preprocess(set().train.images, {{"shape", {3, 9, 7}}, {"scale", 1}, {"mean", {4}}, {"std", {2}}});
  CHECK(y[0][2][0][0].item<float>() == float((set().train.images[0][2][0][0].item<int>() - 4) / 2.0));
}

TEST_CASE("preprocess: documents and shapes that do not fit") {
  const at::Tensor images = set().train.images;
  const Json good = set().preprocessing;
  const auto fault = [&](const char* key, const Json& value) {
    Json document = good;
    document[key] = value;
    return failure([&] { preprocess(images, document); });
  };
  CHECK(fault("shape", {3, 9, 8}) == "3|images: shape [53,3,9,7], expected [N,3,9,8] as the preprocessing says");
  CHECK(fault("shape", {9, 8}) == "3|preprocessing: 'shape' is [9,8], expected [channels, height, width]");
  CHECK(fault("kind", "text") == "3|preprocessing: kind \"text\", expected \"image\" or \"table\"");
  CHECK(fault("mean", {1, 2}) == "3|preprocessing: 'mean' is [1,2], expected a list of 1 or 3 numbers");
  CHECK(fault("std", {1, 0, 1}) == "3|preprocessing: 'std' has 0, expected a number above 0");
  CHECK(fault("std", {1, "x", 1}) == "3|preprocessing: 'std' has \"x\", expected a finite number");
  CHECK(fault("scale", nullptr) == "3|preprocessing: 'scale' is null, expected a finite number other than 0");
  CHECK(failure([&] { preprocess(images, nullptr); }) == "3|preprocessing: is null, expected a map");
  CHECK(failure([&] { preprocess(images.to(at::kInt), good); }) == "3|images: dtype Int, expected uint8 or float32");
}

TEST_CASE("loader: without shuffling, the split in order, preprocessed, with global ids") {
  const Split& val = set().val;
  Loader loader(val, set().preprocessing, {.batch_size = 4});
  CHECK(loader.batches() == 3);
  const auto batches = epoch(loader, 0);
  REQUIRE(batches.size() == 3);
  CHECK(batches[2].size() == 3);
  CHECK(batches[0].inputs[0].is_contiguous(at::MemoryFormat::ChannelsLast));
  const at::Tensor expected = preprocess(val.images, set().preprocessing);
  CHECK(same(batches[1].inputs[0], expected.narrow(0, 4, 4)));
  CHECK(same(batches[2].labels, val.labels.narrow(0, 8, 3)));
  std::vector<std::int64_t> order(11);
  std::iota(order.begin(), order.end(), 53);
  CHECK(ids(batches) == order);
}

TEST_CASE("loader: shuffled, every sample once, another order each epoch and seed") {
  const LoaderOptions options{.batch_size = 8, .shuffle = true, .seed = 3};
  const auto first = ids(epoch(options, 0)), second = ids(epoch(options, 1));
  LoaderOptions other = options;
  other.seed = 4;
  CHECK(first != second);
  CHECK(first != ids(epoch(other, 0)));
  CHECK(first == ids(epoch(options, 0)));
  std::vector<std::int64_t> sorted = first, all(53);
  std::sort(sorted.begin(), sorted.end());
  std::iota(all.begin(), all.end(), 0);
  CHECK(sorted == all);
  // Labels and images stay with their ids.
  for (const Batch& batch : epoch(options, 0)) {
    CHECK(same(batch.labels, set().train.labels.index_select(0, batch.ids)));
    CHECK(same(batch.inputs[0], preprocess(set().train.images.index_select(0, batch.ids), set().preprocessing)));
  }
}

TEST_CASE("loader: neither workers nor prefetch nor the batch size change a sample") {
  const LoaderOptions base{.batch_size = 8, .shuffle = true, .augment = {"affine", "crop", "flip"}, .workers = 0, .seed = 5};
  const auto expected = epoch(base, 2);
  for (const std::int64_t workers : {-1, 1, 2, 5}) {
    for (const std::int64_t prefetch : {1, 4, 100}) {
      CAPTURE(workers);
      CAPTURE(prefetch);
      LoaderOptions options = base;
      options.workers = workers;
      options.prefetch = prefetch;
      CHECK(same(epoch(options, 2), expected));
    }
  }
  LoaderOptions single = base;
  single.batch_size = 1;
  const auto samples = epoch(single, 2);
  REQUIRE(samples.size() == 53);
  CHECK(same(samples[9].inputs[0], expected[1].inputs[0].narrow(0, 1, 1)));
  CHECK(!same(epoch(base, 3), expected));
}

TEST_CASE("loader: a start in the middle gives the rest, also while workers are busy") {
  for (const std::int64_t workers : {0, 3}) {
    const LoaderOptions options{.batch_size = 4, .shuffle = true, .augment = {"affine"}, .workers = workers, .seed = 6};
    const auto whole = epoch(options, 1);
    REQUIRE(whole.size() == 14);
    CHECK(same(epoch(options, 1, 5), {whole.begin() + 5, whole.end()}));
    CHECK(epoch(options, 1, 14).empty());
    CHECK(epoch(options, 1, 99).empty());
    Loader loader(set().train, set().preprocessing, options);
    for (int i = 0; i < 20; ++i) {
      loader.start(i);
      Batch batch;
      for (int k = 0; k < i % 4; ++k) CHECK(loader.next(batch));
    }
    CHECK(same(epoch(loader, 1), whole));
    Batch batch;
    CHECK(!loader.next(batch));
  }
}

TEST_CASE("loader: a batch stays as it was when the next ones come") {
  const LoaderOptions options{.batch_size = 4, .shuffle = true, .workers = 2};
  Loader loader(set().train, set().preprocessing, options);
  Batch batch;
  REQUIRE(loader.next(batch));  // begins epoch 0 by itself
  const at::Tensor kept = batch.inputs[0], copy = batch.inputs[0].clone();
  while (loader.next(batch)) {
  }
  CHECK(same(kept, copy));
}

TEST_CASE("loader: a batch larger than the data, and drop_last") {
  const auto sizes = [](const LoaderOptions& options) {
    std::vector<std::int64_t> all;
    for (const Batch& batch : epoch(options, 0)) all.push_back(batch.size());
    return all;
  };
  CHECK(sizes({.batch_size = 1000}) == std::vector<std::int64_t>{53});
  CHECK(sizes({.batch_size = 20}) == std::vector<std::int64_t>{20, 20, 13});
  CHECK(sizes({.batch_size = 20, .drop_last = true}) == std::vector<std::int64_t>{20, 20});
  CHECK(sizes({.batch_size = 53, .drop_last = true}) == std::vector<std::int64_t>{53});
  CHECK(sizes({.batch_size = 1000, .drop_last = true}).empty());
  CHECK(sizes({.batch_size = 1000, .drop_last = true, .workers = 2}).empty());
}

TEST_CASE("loader: what a worker throws comes out of next, at its batch") {
  Split split{set().train.images.clone(), set().train.labels};
  split.images.fill_(0);
  split.images.mutable_data_ptr<std::uint8_t>()[9 * 189] = 255;  // sample 9 is in batch 2
  for (const std::int64_t workers : {0, 1, 3}) {
    Loader loader(split, set().preprocessing, {.batch_size = 4, .augment = {"test-broken"}, .workers = workers});
    Batch batch;
    CHECK(loader.next(batch));
    CHECK(loader.next(batch));
    CHECK_THROWS_WITH_AS(loader.next(batch), "broken on purpose", std::runtime_error);
    loader.start(0, 3);
    CHECK(loader.next(batch));
    CHECK(batch.ids.const_data_ptr<std::int64_t>()[0] == 12);
  }
}

TEST_CASE("loader: augmentation changes the training image, not its label, and is new each epoch") {
  const LoaderOptions options{.batch_size = 53, .augment = {"affine"}, .seed = 1};
  const auto a = epoch(options, 0), b = epoch(options, 1);
  CHECK(!same(a[0].inputs[0], preprocess(set().train.images, set().preprocessing)));
  CHECK(!same(a[0].inputs[0], b[0].inputs[0]));
  CHECK(same(a[0].labels, b[0].labels));
}

TEST_CASE("loader: options and splits that cannot be") {
  const auto fault = [](const Split& split, const LoaderOptions& options) {
    return failure([&] { Loader loader(split, set().preprocessing, options); });
  };
  const Split& train = set().train;
  CHECK(fault(train, {.batch_size = 0}) == "2|data: batch size 0, expected at least 1");
  CHECK(fault(train, {.workers = -2}) == "2|data: -2 workers, expected -1 to 256");
  CHECK(fault(train, {.prefetch = 0}) == "2|data: prefetch 0, expected at least 1");
  CHECK(fault(train, {.augment = {"flip", "flip"}}) == "2|data: augmentation 'flip' is given twice");
  CHECK(fault(train, {.augment = {"flop"}}).find("2|data.augment: unknown augment 'flop'") == 0);
  CHECK(fault(set().test, {}) == "3|data: the split is empty");
  CHECK(fault({train.images, train.labels.narrow(0, 0, 5)}, {}) == "3|data: 5 labels, expected 53 as there are images");
  CHECK(failure([&] {
          Loader loader(train, set().preprocessing, {});
          loader.start(-1);
        }) == "2|data: epoch -1, batch 0, expected neither below 0");
}
