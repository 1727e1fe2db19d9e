// Every int8 kernel of every instruction set that this CPU has, against the plain loops of int8_reference.h: bit for bit.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "engine/exec/simd/int8_pack.h"
#include "engine/exec/simd/simd.h"
#include "int8_reference.h"

namespace {

using namespace ds::exec::simd;
namespace reference = ds::test::int8;
using Bytes = std::vector<std::uint8_t>;

struct Random {
  std::mt19937 engine{7};
  std::int64_t below(std::int64_t n) { return std::int64_t(engine() % std::uint64_t(n)); }
  float between(float a, float b) { return a + (b - a) * float(engine()) / 4294967296.f; }
  Bytes activations(std::int64_t n) {
    Bytes x(static_cast<std::size_t>(n));
    for (auto& v : x) v = std::uint8_t(below(128));
    return x;
  }
};

/// A layer with random weights, and its sizes.
struct Layer {
  Int8Conv conv{};
  Bytes x, residual;
  std::vector<std::int8_t> weight;
  std::vector<std::int32_t> bias;
  std::vector<float> multiplier;
  bool with_bias = true;

  std::int64_t pixels() const { return conv.batch * conv.out_height * conv.out_width; }

  Layer(Random& random, std::int64_t batch, std::int64_t height, std::int64_t width, std::int64_t in, std::int64_t out, std::int64_t kernel,
        std::int64_t stride, std::int64_t pad, std::int64_t dilation, std::int64_t groups) {
    const auto size = [&](std::int64_t n) { return (n + 2 * pad - dilation * (kernel - 1) - 1) / stride + 1; };
    conv.batch = batch, conv.height = height, conv.width = width, conv.channels = in;
    conv.kernel_h = conv.kernel_w = kernel, conv.stride_h = conv.stride_w = stride, conv.pad_h = conv.pad_w = pad;
    conv.dilation_h = conv.dilation_w = dilation, conv.groups = groups;
    conv.out_height = size(height), conv.out_width = size(width), conv.out_channels = out;
    x = random.activations(batch * height * width * in);
    const std::int64_t depth = kernel * kernel * in / groups;
    for (std::int64_t i = 0; i < out * depth; ++i) weight.push_back(std::int8_t(random.below(255) - 127));
    for (std::int64_t o = 0; o < out; ++o) {
      bias.push_back(std::int32_t(random.below(20001) - 10000));
      multiplier.push_back(random.between(0.2f, 2.f) * 60.f / (127.f * 64.f * std::sqrt(float(depth))));
    }
    conv.x = x.data();
    conv.x_zero = std::int32_t(random.below(128));
    conv.y_zero = std::int32_t(random.below(128));
    conv.low = random.below(2) ? conv.y_zero : 0;
    with_bias = random.below(4) != 0;
    if (random.below(2)) {
      residual = random.activations(pixels() * out);
      conv.residual = residual.data();
      conv.residual_zero = std::int32_t(random.below(128));
      conv.residual_multiplier = random.between(0.1f, 2.f);
    }
  }
};

/// Runs the layer in uneven ranges and compares all bytes.
void compare(const Kernels& set, Layer& layer, bool to_float) {
  Int8Conv& conv = layer.conv;
  const std::int64_t pixels = layer.pixels(), n = pixels * conv.out_channels;
  const std::int32_t* bias = layer.with_bias ? layer.bias.data() : nullptr;
  const PackedConv packed = pack_conv(layer.weight.data(), conv.out_channels, conv.channels / conv.groups, conv.kernel_h, conv.kernel_w, conv.groups,
                                      bias, conv.x_zero, layer.multiplier.data());
  Bytes scratch(static_cast<std::size_t>(conv_scratch_bytes(conv)), 255), expected(static_cast<std::size_t>(n)), y(expected.size(), 200);
  std::vector<float> expected_float(to_float ? expected.size() : 0), y_float(expected_float.size(), -1e9f);
  conv.y = to_float ? nullptr : expected.data();
  conv.y_float = to_float ? expected_float.data() : nullptr;
  reference::conv(conv, layer.weight.data(), bias, layer.multiplier.data());
  conv.y = to_float ? nullptr : y.data();
  conv.y_float = to_float ? y_float.data() : nullptr;
  const std::int64_t half = pixels * 3 / 7;
  run_conv(*set.int8, conv, packed, half, pixels, scratch.data());
  run_conv(*set.int8, conv, packed, 0, half, scratch.data());
  INFO(set.isa, " in ", conv.channels, " out ", conv.out_channels, " kernel ", conv.kernel_h, " stride ", conv.stride_h, " pad ", conv.pad_h,
       " dilation ", conv.dilation_h, " groups ", conv.groups, " size ", conv.height, "x", conv.width);
  if (to_float)
    CHECK(y_float == expected_float);
  else
    CHECK(y == expected);
}

TEST_CASE("exec: int8 convolutions of odd sizes equal the integer reference on every ISA") {
  for (const Kernels* set : runnable_kernels()) {
    Random random;
    for (std::int64_t in : {1, 3, 4, 5, 16, 33})
      for (std::int64_t out : {1, 7, 8, 16, 19, 40})
        for (std::int64_t kernel : {1, 3, 5})
          for (std::int64_t stride : {1, 2}) {
            const std::int64_t pad = random.below(kernel / 2 + 1), dilation = kernel == 3 ? 1 + random.below(2) : 1, batch = 1 + random.below(2);
            Layer layer(random, batch, 6 + random.below(5), 7 + random.below(4), in, out, kernel, stride, pad, dilation, 1);
            compare(*set, layer, random.below(5) == 0);
          }
  }
}

TEST_CASE("exec: grouped and depthwise int8 convolutions equal the integer reference on every ISA") {
  for (const Kernels* set : runnable_kernels()) {
    Random random;
    for (std::int64_t groups : {2, 3, 5})
      for (std::int64_t in : {1, 4, 9})
        for (std::int64_t out : {1, 6, 17})
          for (std::int64_t kernel : {1, 3}) {
            Layer layer(random, 1 + random.below(2), 7, 6, in * groups, out * groups, kernel, 1 + random.below(2), kernel / 2, 1, groups);
            compare(*set, layer, random.below(5) == 0);
          }
    for (std::int64_t channels : {2, 5, 16, 24, 33, 64})
      for (std::int64_t kernel : {1, 2, 3, 5, 7})
        for (std::int64_t stride : {1, 2}) {
          Layer layer(random, 2, 9, 8, channels, channels, kernel, stride, kernel / 2, kernel == 3 ? 1 + random.below(2) : 1, channels);
          compare(*set, layer, random.below(5) == 0);
        }
  }
}

TEST_CASE("exec: int8 linear layers, large depths and the greatest sums equal the integer reference") {
  for (const Kernels* set : runnable_kernels()) {
    Random random;
    for (std::int64_t rows : {1, 5, 64, 101})
      for (std::int64_t in : {3, 64, 130}) {
        Layer layer(random, rows, 1, 1, in, 10, 1, 1, 0, 1, 1);
        compare(*set, layer, true);
        compare(*set, layer, false);
      }
    Layer deep(random, 1, 4, 5, 700, 33, 3, 1, 1, 1, 1);  // fewer rows a tile than kTileRows
    compare(*set, deep, false);
    Layer deeper(random, 1, 3, 3, 40000, 3, 1, 1, 0, 1, 1);
    compare(*set, deeper, false);
    // All activations 127 and all weights +-127: a saturating multiply-add would show.
    Layer extreme(random, 1, 8, 8, 32, 32, 3, 1, 1, 1, 1);
    std::fill(extreme.x.begin(), extreme.x.end(), std::uint8_t(127));
    for (std::size_t i = 0; i < extreme.weight.size(); ++i) extreme.weight[i] = i / 288 % 2 ? 127 : -127;
    extreme.conv.x_zero = 0;
    compare(*set, extreme, false);
    compare(*set, extreme, true);
  }
}

TEST_CASE("exec: int8 sums far beyond the range stop at the ends, halves go to even") {
  for (const Kernels* set : runnable_kernels()) {
    Random random;
    Layer layer(random, 1, 1, 8, 4, 4, 1, 1, 0, 1, 1);
    layer.conv.residual = nullptr;
    layer.conv.x_zero = 0, layer.conv.y_zero = 3, layer.conv.low = 0;
    for (float m : {1e9f, -1e9f, 1e30f, 0.5f, 0.25f}) {
      std::fill(layer.multiplier.begin(), layer.multiplier.end(), m);
      compare(*set, layer, false);
    }
    // By hand: x = 1 2 3 4, w = 1, m = 1/2: 0.5 1 1.5 2 -> 0 1 2 2, + 3.
    const std::int8_t one = 1;
    const float half = 0.5f;
    const Bytes x{1, 2, 3, 4, 5};
    Bytes y(5);
    Int8Conv conv{};
    conv.x = x.data(), conv.batch = 5, conv.y = y.data(), conv.y_zero = 3;
    conv.height = conv.width = conv.channels = conv.kernel_h = conv.kernel_w = conv.stride_h = conv.stride_w = conv.dilation_h = conv.dilation_w = 1;
    conv.groups = conv.out_height = conv.out_width = conv.out_channels = 1;
    Bytes scratch(static_cast<std::size_t>(conv_scratch_bytes(conv)));
    run_conv(*set->int8, conv, pack_conv(&one, 1, 1, 1, 1, 1, nullptr, 0, &half), 0, 5, scratch.data());
    CHECK(y == Bytes{3, 4, 5, 5, 5});
  }
}

TEST_CASE("exec: int8 pools equal the integer reference on every ISA") {
  for (const Kernels* set : runnable_kernels()) {
    Random random;
    for (std::int64_t channels : {1, 3, 16, 33, 130})
      for (std::int64_t kernel : {2, 3})
        for (std::int64_t stride : {1, 2})
          for (std::int64_t pad : {0, 1})
            for (bool count_padding : {false, true}) {
              Int8Pool pool{};
              const std::int64_t batch = 2;
              pool.height = 7, pool.width = 9, pool.channels = channels, pool.kernel_h = pool.kernel_w = kernel;
              pool.stride_h = pool.stride_w = stride, pool.pad_h = pool.pad_w = pad, pool.dilation_h = pool.dilation_w = 1 + random.below(2);
              pool.out_height = (7 + 2 * pad - pool.dilation_h * (kernel - 1) - 1) / stride + 1;
              pool.out_width = (9 + 2 * pad - pool.dilation_w * (kernel - 1) - 1) / stride + 1;
              pool.count_padding = count_padding, pool.x_zero = std::int32_t(random.below(128)), pool.y_zero = std::int32_t(random.below(128));
              pool.ratio = random.between(0.3f, 1.5f);
              const Bytes x = random.activations(batch * 7 * 9 * channels);
              pool.x = x.data();
              const std::int64_t pixels = batch * pool.out_height * pool.out_width;
              Bytes y(static_cast<std::size_t>(pixels * channels)), expected(y);
              for (bool average : {false, true}) {
                const auto run = average ? set->int8->avg_pool : set->int8->max_pool;
                pool.y = y.data();
                run(pool, 5, pixels);
                run(pool, 0, 5);
                pool.y = expected.data();
                reference::pool(pool, batch, average);
                INFO(set->isa, " channels ", channels, " kernel ", kernel, " stride ", stride, " pad ", pad, " average ", average);
                CHECK(y == expected);
              }
            }
  }
}

TEST_CASE("exec: int8 add, quantize, dequantize and lookup equal the reference on every ISA") {
  for (const Kernels* set : runnable_kernels()) {
    Random random;
    const std::int64_t n = 1003;
    const Bytes a = random.activations(n), b = random.activations(n);
    Bytes y(static_cast<std::size_t>(n));
    Int8Add add{a.data(), b.data(), 11, 64, 20, 20, 0.7f, 1.3f, y.data()};
    set->int8->add(add, 0, 500);
    set->int8->add(add, 500, n);
    for (std::int64_t i = 0; i < n; ++i) REQUIRE(y[std::size_t(i)] == reference::add(add, i));

    std::vector<float> x(static_cast<std::size_t>(n));
    for (auto& v : x) v = random.between(-9, 9);
    const float scale = 0.0625f;
    for (std::size_t i = 0; i < 200; ++i) x[i] = (float(i) - 100.5f) * scale;  // halves
    x[300] = std::numeric_limits<float>::infinity(), x[301] = -x[300], x[302] = std::nanf(""), x[303] = 1e38f, x[304] = -1e38f;
    for (float s : {scale, 0.0731f, 1e-30f}) {
      set->int8->quantize(x.data(), n, s, 40, y.data());
      for (std::size_t i = 0; i < x.size(); ++i) REQUIRE(y[i] == reference::quantize(x[i], s, 40));
    }
    const std::int64_t C = 3, pixels = 167;  // two pictures of 3 x 167
    set->int8->quantize_nchw(x.data(), C, pixels, 200, 2 * pixels, scale, 9, y.data());
    set->int8->quantize_nchw(x.data(), C, pixels, 0, 200, scale, 9, y.data());
    for (std::int64_t i = 0; i < 2 * pixels; ++i)
      for (std::int64_t c = 0; c < C; ++c)
        REQUIRE(y[std::size_t(i * C + c)] == reference::quantize(x[std::size_t((i / pixels * C + c) * pixels + i % pixels)], scale, 9));
    set->int8->dequantize(a.data(), n, 0.37f, 50, x.data());
    for (std::size_t i = 0; i < x.size(); ++i) REQUIRE(x[i] == float(int(a[i]) - 50) * 0.37f);
    Bytes table(128);
    for (auto& v : table) v = std::uint8_t(random.below(128));
    set->int8->lookup(a.data(), n, table.data(), y.data());
    for (std::size_t i = 0; i < y.size(); ++i) REQUIRE(y[i] == table[a[i]]);
  }
}

}  // namespace
