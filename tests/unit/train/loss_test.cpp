// Losses against torch in float64 (tests/golden/make_measures.py), and what they refuse.
#include <ATen/ops/tensor.h>
#include <doctest/doctest.h>

#include <cmath>
#include <fstream>

#include "base/core/error.h"
#include "engine/train/loss.h"

using namespace ds;
using Json = nlohmann::json;

namespace {

const Json& golden() {
  static const Json document = Json::parse(std::ifstream(DS_SOURCE_DIR "/tests/golden/measures.json"));
  return document;
}

/// The generator's formula.
at::Tensor values(std::vector<std::int64_t> shape, int seed) {
  std::int64_t n = 1;
  for (const std::int64_t size : shape) n *= size;
  std::vector<double> list;
  for (std::int64_t i = 0; i < n; ++i) list.push_back(2 * std::sin(12.9898 * double(i + 1) + 78.233 * seed) * std::cos(0.37 * double(i) + seed));
  return at::tensor(list, at::kDouble).reshape(shape);
}

data::Dataset classes(std::int64_t n) {
  data::Dataset set;
  set.spec = "classes";
  set.num_classes = n;
  set.train.labels = at::tensor(std::vector<std::int64_t>{0, 0, 0, 1, 2, 3}, at::kLong);
  return set;
}

data::Dataset numbers() {
  data::Dataset set;
  set.spec = "numbers";
  set.values = {"a", "b"};
  return set;
}

data::Dataset vectors(data::Target target) {
  data::Dataset set;
  set.spec = "vectors";
  set.train.tokens.target = target;
  return set;
}

std::unique_ptr<train::Loss> loss(const std::string& name, const data::Dataset& set, double smoothing, const std::vector<std::pair<std::string, std::string>>& options = {},
                                  std::vector<std::string> weights = {}) {
  core::Choice choice("loss", "", "name", true);
  if (!name.empty()) choice.select(name);
  if (choice.options) {
    const core::Fields fields = core::walk(*choice.options);
    for (const core::Entry& entry : fields.entries()) {
      for (const auto& [key, value] : options)
        if (entry.path == key) *std::get<double*>(entry.target) = std::stod(value);
      if (entry.path == "class_weights") *std::get<std::vector<std::string>*>(entry.target) = weights;
    }
  }
  return train::make_loss(choice, {set, smoothing});
}

void check(const std::string& name, const train::Loss& loss, at::Tensor x, const at::Tensor& labels) {
  CAPTURE(name);
  x.requires_grad_(true);
  const at::Tensor each = loss.each({x}, labels);
  const Json& wanted = golden()["losses"][name];
  REQUIRE(each.numel() == std::int64_t(wanted["each"].size()));
  const at::Tensor found = each.detach().contiguous();
  for (std::int64_t i = 0; i < found.numel(); ++i) CHECK(found.const_data_ptr<double>()[i] == doctest::Approx(wanted["each"][std::size_t(i)].get<double>()).epsilon(1e-12));
  each.sum().backward();
  const at::Tensor gradient = x.grad().contiguous();
  for (std::int64_t i = 0; i < gradient.numel(); ++i)
    CHECK(std::abs(gradient.const_data_ptr<double>()[i] - wanted["gradient"][std::size_t(i)].get<double>()) < 1e-12);
}

std::string refusal(const std::function<void()>& run) {
  try {
    run();
  } catch (const Error& e) {
    CHECK(e.code() == Exit::kUsage);
    return e.what();
  }
  return "";
}

at::Tensor integers(const std::vector<std::int64_t>& list) { return at::tensor(list, at::kLong); }

}  // namespace

TEST_CASE("loss: values and gradients are those of torch in float64") {
  const data::Dataset four = classes(4);
  const at::Tensor labels = integers({0, 2, 1, 3, 3, 0});
  const std::vector<std::string> weights = {"0.5", "1", "2", "4"};
  check("cross-entropy smoothed weighted", *loss("cross-entropy", four, 0.1, {}, weights), values({6, 4}, 1), labels);
  check("cross-entropy tokens", *loss("", four, 0), values({2, 3, 4}, 2), integers({0, -100, 1, 3, -100, 2}).reshape({2, 3}));
  check("bce smoothed weighted", *loss("bce", four, 0.1, {}, weights), values({6, 4}, 3), labels);
  check("focal weighted", *loss("focal", four, 0.1, {{"gamma", "1.5"}}, weights), values({6, 4}, 4), labels);
  const at::Tensor targets = values({6, 2}, 9);
  check("mse", *loss("", numbers(), 0.1), values({6, 2}, 5), targets);
  check("l1", *loss("l1", numbers(), 0), values({6, 2}, 5), targets);
  check("huber", *loss("huber", numbers(), 0, {{"delta", "0.7"}}), values({6, 2}, 5), targets);
  check("contrastive pairs", *loss("contrastive", vectors(data::Target::kPair), 0, {{"temperature", "0.2"}}), values({6, 3}, 6), integers({0, 0, 1, 1, 2, 2}));
  check("contrastive classes", *loss("contrastive", vectors(data::Target::kNear), 0, {{"temperature", "0.2"}}), values({6, 3}, 7), integers({0, 1, 0, 1, 0, 2}));
  check("cosine", *loss("", vectors(data::Target::kScored), 0), values({6, 3}, 8), at::tensor({0.9, 0.9, 0.1, 0.1, -0.3, -0.3}, at::kDouble).unsqueeze(1));
}

TEST_CASE("loss: tokens without a label count nothing, with any weight and loss") {
  const at::Tensor x = values({1, 3, 4}, 11), labels = integers({-100, 2, -100}).reshape({1, 3});
  for (const char* name : {"cross-entropy", "focal", "bce"}) {
    const auto made = loss(name, classes(4), 0);
    const at::Tensor each = made->each({x}, labels);
    CHECK(made->counted(labels) == 1);
    CHECK(each[0].item<double>() == 0);
    CHECK(each[2].item<double>() == 0);
    CHECK(each[1].item<double>() > 0);
  }
}

TEST_CASE("loss: balanced weights are n / (classes * n_c), and what is wrong with weights is told") {
  const at::Tensor weights = train::class_weights({"balanced"}, classes(4));
  CHECK(weights[0].item<double>() == 6.0 / (4 * 3));
  CHECK(weights[1].item<double>() == 6.0 / 4);
  CHECK(refusal([] { train::class_weights({"balanced"}, classes(5)); }).find("class 4 has no sample") != std::string::npos);
  CHECK(refusal([] { train::class_weights({"1", "2"}, classes(4)); }).find("2 numbers, expected 4") != std::string::npos);
  CHECK(refusal([] { train::class_weights({"1", "x", "1", "1"}, classes(4)); }).find("'x'") != std::string::npos);
  CHECK(refusal([] { train::class_weights({"1", "-1", "1", "1"}, classes(4)); }).find("'-1'") != std::string::npos);
}

TEST_CASE("loss: labels that a loss does not take are refused, whatever the two are") {
  CHECK(refusal([] { loss("mse", classes(4), 0); }).find("mse takes numbers, data 'classes' has classes") != std::string::npos);
  for (const char* name : {"cross-entropy", "focal", "bce", "contrastive", "cosine"}) CHECK(refusal([&] { loss(name, numbers(), 0); }).find("has numbers") != std::string::npos);
  CHECK(refusal([] { loss("cross-entropy", vectors(data::Target::kPair), 0); }).find("has pairs") != std::string::npos);
  CHECK(refusal([] { loss("contrastive", vectors(data::Target::kScored), 0); }).find("has scored pairs") != std::string::npos);
  CHECK_FALSE(loss("", vectors(data::Target::kNear), 0)->divisible());
  CHECK(loss("", numbers(), 0)->divisible());
}
