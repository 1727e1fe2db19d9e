#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/catalog/augment/affine.h"
#include "base/catalog/augment/crop.h"
#include "base/catalog/augment/flip.h"
#include "engine/data/augment.h"
#include "engine/data/picture_ops.h"
#include "files.h"

using namespace data_test;
using namespace ds::data;

namespace {

using Values = std::vector<float>;

template <class F>
Values after(const Values& in, F change) {
  Values out(in.size(), -1.0f);
  change(in.data(), out.data());
  return out;
}
Values mapped(const Values& in, const Shape& shape, const AffineMap& map) {
  Values scratch;
  return after(in, [&](const float* from, float* to) { affine(from, to, shape, map, scratch); });
}
void close(const Values& a, const Values& b, double tolerance) {
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    CAPTURE(i);
    CHECK(std::abs(double(a[i]) - double(b[i])) <= tolerance);
  }
}

const Values kThree = {1, 2, 3, 4, 5, 6, 7, 8, 9};
const Shape kShape{1, 3, 3};

}  // namespace

TEST_CASE("affine: no rotation, no shift and scale 1 give the image itself") {
  const Shape shape{3, 5, 4};
  Values image(60);
  for (std::size_t i = 0; i < 60; ++i) image[i] = float(i * 37 % 256);
  CHECK(mapped(image, shape, {}) == image);
}

TEST_CASE("affine: a quarter turn goes clockwise, about the centre") {
  close(mapped(kThree, kShape, {.degrees = 90}), {7, 4, 1, 8, 5, 2, 9, 6, 3}, 1e-4);
  close(mapped(kThree, kShape, {.degrees = -90}), {3, 6, 9, 2, 5, 8, 1, 4, 7}, 1e-4);
  close(mapped(kThree, kShape, {.degrees = 180}), {9, 8, 7, 6, 5, 4, 3, 2, 1}, 1e-4);
}

TEST_CASE("affine: shifts by whole pixels, with zeros from outside") {
  CHECK(mapped(kThree, kShape, {.right = 1}) == Values{0, 1, 2, 0, 4, 5, 0, 7, 8});
  CHECK(mapped(kThree, kShape, {.down = -1}) == Values{4, 5, 6, 7, 8, 9, 0, 0, 0});
  CHECK(mapped(kThree, kShape, {.right = 100}) == Values(9, 0.0f));
  CHECK(mapped(kThree, kShape, {.down = -100}) == Values(9, 0.0f));
}

TEST_CASE("affine: bilinear values by hand") {
  // Half a pixel to the right: the mean of a pixel and its left neighbour, 0 beyond the edge.
  CHECK(mapped(kThree, kShape, {.right = 0.5}) == Values{0.5, 1.5, 2.5, 2, 4.5, 5.5, 3.5, 7.5, 8.5});
  // A quarter to the left and half down: pixel (1, 1) is 0.75 and 0.25 of columns 1 and 2, half of rows 0 and 1 each.
  const Values out = mapped(kThree, kShape, {.right = -0.25, .down = 0.5});
  CHECK(out[4] == doctest::Approx(0.5 * (0.75 * 2 + 0.25 * 3) + 0.5 * (0.75 * 5 + 0.25 * 6)));
  // Twice the size: (0, 0) comes from (0.5, 0.5).
  close(mapped(kThree, kShape, {.scale = 2}), {3, 3.5, 4, 4.5, 5, 5.5, 6, 6.5, 7}, 1e-6);
  // Half the size: the neighbours of the centre come from two pixels away, outside.
  CHECK(mapped(kThree, kShape, {.scale = 0.5}) == Values{0, 0, 0, 0, 5, 0, 0, 0, 0});
}

TEST_CASE("affine: all channels move alike") {
  Values image(kThree);
  for (const float value : kThree) image.push_back(10 * value);
  const Values out = mapped(image, {2, 3, 3}, {.degrees = 12, .right = 0.3, .down = -0.2, .scale = 1.1});
  for (std::size_t i = 0; i < 9; ++i) CHECK(out[9 + i] == doctest::Approx(10 * out[i]).epsilon(1e-5));
}

TEST_CASE("crop: a known offset, inside and outside") {
  const auto cropped = [](std::int64_t top, std::int64_t left) {
    return after(kThree, [&](const float* from, float* to) { crop(from, to, kShape, top, left); });
  };
  CHECK(cropped(0, 0) == kThree);
  CHECK(cropped(1, 0) == Values{4, 5, 6, 7, 8, 9, 0, 0, 0});
  CHECK(cropped(-1, 2) == Values{0, 0, 0, 3, 0, 0, 6, 0, 0});
  CHECK(cropped(0, -1) == Values{0, 1, 2, 0, 4, 5, 0, 7, 8});
  CHECK(cropped(5, 0) == Values(9, 0.0f));
  CHECK(cropped(0, -7) == Values(9, 0.0f));
  CHECK(cropped(0, 7) == Values(9, 0.0f));
}

TEST_CASE("flip: left and right exchanged in every channel") {
  const auto out = after({1, 2, 3, 4, 5, 6, 7, 8}, [](const float* from, float* to) { flip(from, to, {2, 2, 2}); });
  CHECK(out == Values{2, 1, 4, 3, 6, 5, 8, 7});
}

TEST_CASE("augmentations: draws stay in their ranges and depend on the stream alone") {
  namespace cards = ds::catalog::augment;
  Values scratch;
  SUBCASE("options of no effect give the image itself") {
    cards::affine::Options none;
    none.degrees = none.translate = 0;
    none.min_scale = none.max_scale = 1;
    cards::crop::Options narrow;
    narrow.padding = 0;
    cards::flip::Options never;
    never.probability = 0;
    const std::pair<const char*, const ds::core::Options*> all[] = {{"affine", &none}, {"crop", &narrow}, {"flip", &never}};
    for (const auto& [name, options] : all) {
      CAPTURE(name);
      const auto augment = ds::core::body<MakeAugment>("augment", name)(*options);
      ds::exec::Stream stream(1, 2, 3);
      CHECK(after(kThree, [&](const float* from, float* to) { augment->apply(from, to, kShape, stream, scratch); }) == kThree);
    }
  }
  SUBCASE("flip: half of the images; crop: all places") {
    const auto mirror = make_augment("flip"), cut = make_augment("crop");
    int flipped = 0;
    std::vector<int> seen(81);
    Values place(17 * 17, 0.0f);
    place[8 * 17 + 8] = 1;  // one bright pixel: where it goes tells the offset
    for (std::uint64_t i = 0; i < 2000; ++i) {
      ds::exec::Stream one(7, 0, i), two(8, 0, i);
      flipped += after(kThree, [&](const float* from, float* to) { mirror->apply(from, to, kShape, one, scratch); }) != kThree;
      const Values out = after(place, [&](const float* from, float* to) { cut->apply(from, to, {1, 17, 17}, two, scratch); });
      const auto at = std::int64_t(std::find(out.begin(), out.end(), 1.0f) - out.begin());
      const std::int64_t y = at / 17 - 4, x = at % 17 - 4;
      REQUIRE((y >= 0 && y < 9 && x >= 0 && x < 9));
      ++seen[std::size_t(y * 9 + x)];
    }
    CHECK(std::abs(flipped - 1000) < 120);  // five standard deviations
    CHECK(*std::min_element(seen.begin(), seen.end()) > 3);
    CHECK(*std::max_element(seen.begin(), seen.end()) < 55);
  }
  SUBCASE("affine: the centre of mass of a dot moves by at most 7 % and the turn of its place") {
    const auto move = make_augment("affine");
    const Shape shape{1, 28, 28};
    double widest = 0;
    for (std::uint64_t i = 0; i < 500; ++i) {
      Values dot(784, 0.0f);
      for (const int y : {13, 14}) dot[std::size_t(y * 28 + 13)] = dot[std::size_t(y * 28 + 14)] = 100;
      ds::exec::Stream stream(3, 1, i);
      const Values out = after(dot, [&](const float* from, float* to) { move->apply(from, to, shape, stream, scratch); });
      double mass = 0, right = 0;
      for (std::size_t p = 0; p < 784; ++p) mass += out[p], right += out[p] * (double(p % 28) - 13.5);
      CHECK(mass > 200);
      widest = std::max(widest, std::abs(right / mass));
    }
    CHECK(widest > 1.7);
    CHECK(widest < 2.2);
  }
}

TEST_CASE("augmentations: an unknown name is a usage error with a suggestion") {
  CHECK(failure([] { make_augment("afine"); }).find("2|data.augment: unknown augment 'afine' (did you mean 'affine'?)") == 0);
}

TEST_CASE("light and colour: as torchvision has them, to the rounding of its bytes") {
  const Shape shape{3, 20, 20};
  Values picture(1200);
  for (std::size_t i = 0; i < 1200; ++i) {
    const std::size_t value = (i * i * 7 + i * 31) % 256;
    picture[i] = float(i / 400 == 1 ? value / 2 + 40 : value);
  }
  std::ifstream file(DS_SOURCE_DIR "/tests/golden/augment.json");
  const auto golden = nlohmann::json::parse(file);
  using Change = std::function<void(const float*, float*)>;
  const std::map<std::string, std::pair<Change, double>> all = {
      {"brightness 0.6", {[&](auto* a, auto* b) { brightness(a, b, shape, 0.6); }, 1}},
      {"brightness 1.5", {[&](auto* a, auto* b) { brightness(a, b, shape, 1.5); }, 1}},
      {"saturation 0.3", {[&](auto* a, auto* b) { saturation(a, b, shape, 0.3); }, 2}},  // it rounds grey down too
      {"contrast 1.7", {[&](auto* a, auto* b) { contrast(a, b, shape, 1.7); }, 2}},
      {"sharpness 0.2", {[&](auto* a, auto* b) { sharpness(a, b, shape, 0.2); }, 2}},
      {"sharpness 1.8", {[&](auto* a, auto* b) { sharpness(a, b, shape, 1.8); }, 2}},
      {"posterize 5", {[&](auto* a, auto* b) { posterize(a, b, shape, 5); }, 0}},
      {"solarize 100", {[&](auto* a, auto* b) { solarize(a, b, shape, 100); }, 0}},
      {"autocontrast", {[&](auto* a, auto* b) { autocontrast(a, b, shape); }, 1}},
      {"equalize", {[&](auto* a, auto* b) { equalize(a, b, shape); }, 0}},
  };
  CHECK(golden.size() == all.size());
  for (const auto& [name, change] : all) {
    CAPTURE(name);
    close(after(picture, change.first), golden.at(name).get<Values>(), change.second);
  }
}

TEST_CASE("rand-augment: the same of pixels of 0..16 as of 0..255") {
  const auto augment = make_augment("rand-augment:3:20");
  Values bytes(64), small(64), scratch;
  for (std::size_t i = 0; i < 64; ++i) small[i] = float(i * 7 % 17), bytes[i] = small[i] * 255 / 16;
  for (std::uint64_t sample = 0; sample < 40; ++sample) {
    ds::exec::Stream one(1, 2, sample), two(1, 2, sample);
    Values a = after(bytes, [&](auto* from, auto* to) { augment->apply(from, to, {1, 8, 8}, one, scratch); });
    const Values b = after(small, [&](auto* from, auto* to) { augment->apply(from, to, {1, 8, 8, 16}, two, scratch); });
    for (float& value : a) value *= 16.0F / 255;
    close(a, b, 1e-4);
  }
}

TEST_CASE("affine: shears about the centre") {
  CHECK(mapped(kThree, kShape, {.shear_right = 1}) == Values{2, 3, 0, 4, 5, 6, 0, 7, 8});
  CHECK(mapped(kThree, kShape, {.shear_down = 1}) == Values{4, 2, 0, 7, 5, 3, 0, 8, 6});
}

TEST_CASE("augmentations: options behind colons, by name or in their order") {
  Values scratch;
  const auto made = [&](const std::string& text, std::uint64_t sample) {
    ds::exec::Stream stream(1, 2, sample);
    return after(kThree, [&](const float* from, float* to) { make_augment(text)->apply(from, to, kShape, stream, scratch); });
  };
  int changed = 0;
  for (std::uint64_t i = 0; i < 60; ++i) {
    CHECK(made("flip:probability=1", i) == Values{3, 2, 1, 6, 5, 4, 9, 8, 7});
    CHECK(made("rand-augment:0:9", i) == kThree);
    CHECK(made("rand-augment:ops=1:magnitude=20", i) == made("rand-augment:1:20", i));
    changed += made("rand-augment", i) != kThree;
  }
  CHECK(changed > 30);
  CHECK(failure([] { make_augment("flip:0.5:1"); }).find("2|data.augment: flip: '1' is one option too many, there are 1") == 0);
  CHECK(failure([] { make_augment("flip:chance=1"); }).find("2|data.augment: flip: unknown option 'chance', one of probability") == 0);
  CHECK(failure([] { make_augment("rand-augment:2:31"); }).find("2|data.augment: rand-augment: magnitude:") == 0);
}
