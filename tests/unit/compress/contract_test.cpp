// Over every pruning criterion, observer and distillation loss.
#include <ATen/ops/cross_entropy_loss.h>
#include <c10/core/GradMode.h>
#include <doctest/doctest.h>

#include <numeric>

#include "engine/compress/distill/distiller.h"
#include "engine/compress/prune/criterion.h"
#include "engine/compress/quantize/observer.h"
#include "engine/compress/quantizer.h"
#include "unit/compress/support.h"

using namespace ds;

namespace {

std::vector<double> scores(const std::string& criterion, const exec::Model& model, const graph::ChannelClasses& classes, std::uint64_t seed = 1) {
  const auto options = core::card("criterion", criterion).make_options();
  return core::body<compress::ScoreClasses>("criterion", criterion)({model, classes, seed}, *options);
}

/// The model with two channels of one layer in each other's place, in all that goes with them.
exec::Model swapped(const exec::Model& model, const graph::ChannelClass& a, const graph::ChannelClass& b) {
  const c10::NoGradGuard off;
  exec::Model other = model.clone();
  for (const auto& [place, indices] : a.members) {
    const std::vector<std::int64_t>& others = b.members.at(place);
    REQUIRE(indices.size() == others.size());
    for (std::size_t i = 0; i < indices.size(); ++i) {
      at::Tensor one = other.tensors.at(place.first).select(place.second, indices[i]), two = other.tensors.at(place.first).select(place.second, others[i]);
      const at::Tensor kept = one.clone();
      one.copy_(two);
      two.copy_(kept);
    }
  }
  return other;
}

/// A group that may lose channels, with two classes of unequal importance.
std::pair<int, int> two_classes(const graph::ChannelClasses& classes) {
  for (const graph::ChannelGroup& group : classes.groups)
    if (!group.frozen && group.classes.size() > 3) return {group.classes[1], group.classes[3]};
  FAIL("no group to prune");
  return {};
}

void check_close(double a, double b) { CHECK(a == doctest::Approx(b).epsilon(1e-6)); }

compress::QParams range(const std::string& observer, const compress::Histogram& histogram) {
  const auto options = core::card("observer", observer).make_options();
  return core::body<compress::ChooseRange>("observer", observer)(histogram, *options);
}

compress::Histogram make_histogram(double low, double high, const std::function<double(double)>& density) {
  compress::Histogram h{low, high, std::vector<double>(2048, 0)};
  for (std::size_t i = 0; i < h.counts.size(); ++i) h.counts[i] = std::floor(density(h.center(i)));
  return h;
}

std::map<std::string, compress::Histogram> histograms() {
  const auto flat = [](double) { return 100.0; };
  const auto bell = [](double x) { return 1e5 * std::exp(-x * x); };
  return {{"flat", make_histogram(-2, 6, flat)},
          {"after ReLU", make_histogram(0, 4, flat)},
          {"negative", make_histogram(-5, -1, flat)},
          {"bell", make_histogram(-4, 4, bell)},
          {"bell to one side", make_histogram(-1, 6, bell)},
          {"one value", make_histogram(-1, 1, [](double x) { return std::abs(x - 0.5) < 1e-3 ? 1000.0 : 0.0; })},
          {"nothing", make_histogram(0, 0, [](double) { return 0.0; })}};
}

double low_end(const compress::QParams& q) { return -double(q.zero_point) * q.scale; }
double high_end(const compress::QParams& q) { return double(127 - q.zero_point) * q.scale; }

struct Teaching {
  exec::Model student = test::make_cnn(1), teacher = test::make_cnn(2);
  const data::Dataset& data = data::open_cached("synthetic:shape=1x12x12,classes=4,train=64,val=16,test=16");
  io::Checkpoint checkpoint;
  train::Trainer trainer{student, data, commands::FitOptions{}, train::TrainerOptions{}, checkpoint};
  data::Batch batch{{data::preprocess(data.train.images.slice(0, 0, 16), data.preprocessing)}, data.train.labels.slice(0, 0, 16), data.train.labels.slice(0, 0, 16)};

  at::Tensor loss(const std::string& name, const at::Tensor& logits) {
    const auto options = core::card("distillation", name).make_options();
    const auto callback = core::body<compress::MakeDistillation>("distillation", name)(teacher, *options);
    const at::Tensor hard = at::cross_entropy_loss(logits, batch.labels);
    return callback->on_loss(trainer, batch, {logits}, hard);
  }
  at::Tensor teachers() {
    const c10::NoGradGuard off;
    return exec::Executor(teacher).run(batch.inputs, {})[0];
  }
};

}  // namespace

TEST_CASE("criterion: each gives a finite score a channel, the same every time, for float and int8 nets") {
  exec::Model model = test::make_cnn(1, 8);
  {
    const c10::NoGradGuard off;
    test::roughen(model);
  }
  const data::Dataset& data = data::open_cached("synthetic:shape=1x12x12,classes=4,train=64,val=16,test=16");
  compress::Json report;
  const exec::Model int8 = compress::quantize_static(model, data, data.preprocessing, {.samples = 64}, report);
  for (const core::Card& card : core::cards("criterion")) {
    CAPTURE(card.name);
    for (const exec::Model* net : {static_cast<const exec::Model*>(&model), &int8}) {
      const graph::ChannelClasses classes = graph::channel_classes(net->graph);
      const auto all = scores(card.name, *net, classes);
      CHECK(all.size() == classes.classes.size());
      for (const double score : all) CHECK(std::isfinite(score));
      CHECK(all == scores(card.name, *net, classes));
      const auto [a, b] = two_classes(classes);
      CHECK(all[std::size_t(a)] != all[std::size_t(b)]);
    }
  }
}

TEST_CASE("criterion: channels that change places take their scores with them, unless the scores are drawn") {
  exec::Model model = test::make_cnn(1, 8);
  {
    const c10::NoGradGuard off;
    test::roughen(model);
  }
  const graph::ChannelClasses classes = graph::channel_classes(model.graph);
  const auto [a, b] = two_classes(classes);
  const exec::Model other = swapped(model, classes.classes[std::size_t(a)], classes.classes[std::size_t(b)]);
  for (const core::Card& card : core::cards("criterion")) {
    CAPTURE(card.name);
    const auto before = scores(card.name, model, classes), after = scores(card.name, other, classes);
    if (before != scores(card.name, model, classes, 2)) {  // of the seed, so not of the weights
      CHECK(before == after);
      continue;
    }
    for (std::size_t k = 0; k < before.size(); ++k) {
      const std::size_t was = int(k) == a ? std::size_t(b) : int(k) == b ? std::size_t(a) : k;
      check_close(after[k], before[was]);
    }
  }
}

TEST_CASE("observer: each range holds 0 and most of what was seen, and is no wider than that") {
  for (const core::Card& card : core::cards("observer"))
    for (const auto& [shape, h] : histograms()) {
      CAPTURE(card.name);
      CAPTURE(shape);
      const compress::QParams q = range(card.name, h);
      CHECK(std::isfinite(q.scale));
      CHECK(q.scale > 0);
      CHECK(q.zero_point >= 0);
      CHECK(q.zero_point <= 127);
      // The zero point is rounded, so that either end may be off by half a step; a range of nothing but 0 still has a width.
      CHECK(low_end(q) >= std::min(h.low, 0.0) - 0.51 * q.scale - 1e-9);
      CHECK(high_end(q) <= std::max(h.high, 0.0) + 0.51 * q.scale + 1e-9);
      double inside = 0, total = 0;
      for (std::size_t i = 0; i < h.counts.size(); ++i) {
        total += h.counts[i];
        if (h.center(i) >= low_end(q) - q.scale && h.center(i) <= high_end(q) + q.scale) inside += h.counts[i];
      }
      CHECK(inside >= 0.98 * total);
    }
}

TEST_CASE("observer: a histogram that is four times as wide gives a scale four times as large, a mirrored one the mirrored range") {
  for (const core::Card& card : core::cards("observer"))
    for (const auto& [shape, h] : histograms()) {
      CAPTURE(card.name);
      CAPTURE(shape);
      if (h.low == h.high) continue;
      const compress::QParams q = range(card.name, h), wide = range(card.name, {4 * h.low, 4 * h.high, h.counts});
      CHECK(wide.scale == 4 * q.scale);
      CHECK(wide.zero_point == q.zero_point);
      const compress::QParams mirror = range(card.name, {-h.high, -h.low, {h.counts.rbegin(), h.counts.rend()}});
      CHECK(mirror.scale == doctest::Approx(q.scale).epsilon(0.02));
      CHECK(std::abs(mirror.zero_point - (127 - q.zero_point)) <= 1);
    }
}

TEST_CASE("distillation: no logits cost less than the teacher's own, gradients are finite, and the teacher gets none") {
  Teaching lesson;
  const at::Tensor teachers = lesson.teachers();
  for (const core::Card& card : core::cards("distillation")) {
    CAPTURE(card.name);
    at::Tensor logits = teachers.clone().requires_grad_(true);
    const at::Tensor loss = lesson.loss(card.name, logits);
    CHECK(loss.dim() == 0);
    loss.backward();
    CHECK(logits.grad().isfinite().all().item<bool>());
    const c10::NoGradGuard off;
    const double least = loss.item<double>() - 0.3 * at::cross_entropy_loss(teachers, lesson.batch.labels).item<double>();
    for (int i = 0; i < 4; ++i) {
      const at::Tensor other = teachers.add(test::ramp({16, 4}, 0.3 + i));
      CHECK(lesson.loss(card.name, other).item<double>() - 0.3 * at::cross_entropy_loss(other, lesson.batch.labels).item<double>() > least);
    }
    for (const auto& [name, tensor] : lesson.teacher.tensors) CHECK(!tensor.grad().defined());
  }
}

TEST_CASE("distillation: the loss is a mean: neither the order nor a second copy of the batch changes it") {
  Teaching lesson;
  const c10::NoGradGuard off;
  const at::Tensor logits = lesson.teachers().add(test::ramp({16, 4}, 0.9));
  for (const core::Card& card : core::cards("distillation")) {
    CAPTURE(card.name);
    const data::Batch whole = lesson.batch;
    const double once = lesson.loss(card.name, logits).item<double>();
    const auto turned = [](const at::Tensor& t) { return t.flip(0); };
    lesson.batch = {{turned(whole.inputs[0])}, turned(whole.labels), turned(whole.ids)};
    check_close(lesson.loss(card.name, turned(logits)).item<double>(), once);
    const auto doubled = [](const at::Tensor& t) { return t.repeat_interleave(2, 0); };
    lesson.batch = {{doubled(whole.inputs[0])}, doubled(whole.labels), doubled(whole.ids)};
    check_close(lesson.loss(card.name, doubled(logits)).item<double>(), once);
    lesson.batch = whole;
  }
}
