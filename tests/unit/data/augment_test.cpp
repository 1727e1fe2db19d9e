#include <cmath>

#include "base/catalog/augment/affine.h"
#include "base/catalog/augment/crop.h"
#include "base/catalog/augment/flip.h"
#include "engine/data/augment.h"
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
