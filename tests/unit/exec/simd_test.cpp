// The float32 kernels of every instruction set that this CPU has, the random words, and the rule that keeps the sets apart.
#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "engine/exec/simd/simd.h"

namespace {

using namespace ds::exec::simd;
using Floats = std::vector<float>;

Floats random_floats(std::size_t n, unsigned seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal;
  Floats x(n);
  for (float& v : x) v = normal(engine);
  return x;
}

bool same_bytes(const Floats& a, const Floats& b) { return a.size() == b.size() && !std::memcmp(a.data(), b.data(), a.size() * sizeof(float)); }

/// Philox4x32-10, as Salmon et al. 2011 write it.
std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> c, std::uint32_t k0, std::uint32_t k1) {
  for (int round = 0; round < 10; ++round, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
    const std::uint64_t p = 0xD2511F53ull * c[0], q = 0xCD9E8D57ull * c[2];
    c = {std::uint32_t(q >> 32) ^ c[1] ^ k0, std::uint32_t(q), std::uint32_t(p >> 32) ^ c[3] ^ k1, std::uint32_t(p)};
  }
  return c;
}

std::uint32_t word_of(std::uint64_t key, std::uint32_t step, std::uint64_t sample, std::uint64_t element) {
  const std::uint64_t block = element / 4;
  return philox({std::uint32_t(block), std::uint32_t(sample), std::uint32_t(sample >> 32) ^ std::uint32_t(block >> 32), step}, std::uint32_t(key),
                std::uint32_t(key >> 32))[element % 4];
}

TEST_CASE("exec: philox words are the published known answers on every ISA") {
  // Random123, kat_vectors: philox4x32 10.
  for (const Kernels* set : runnable_kernels()) {
    std::array<std::uint32_t, 4> w{};
    set->rows->philox_words(0, 0, 0, 0, 4, w.data());
    CHECK(w == std::array<std::uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
    // Counter ff..ff: block low and step all ones; sample_high ^ block_high all ones.
    set->rows->philox_words(~0ull, 0xffffffffu, ~0ull, 0xffffffffull * 4, 4, w.data());
    CHECK(w == std::array<std::uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
    set->rows->philox_words(0x299f31d0a4093822ull, 0x03707344u, 0x13198a2e85a308d3ull, 0x243f6a88ull * 4, 4, w.data());
    CHECK(w == std::array<std::uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
  }
}

TEST_CASE("exec: a philox word depends on key, step, sample and element alone") {
  const std::uint64_t key = 0x123456789abcdef0ull;
  for (const Kernels* set : runnable_kernels())
    for (std::uint64_t sample : {0ull, 7ull, 0x500000003ull})
      for (std::uint64_t first : {0ull, 1ull, 66ull, 0x3ffffffeull * 4 + 3, 0xfffffffaull * 4 + 2}) {  // the last one crosses into the high word
        std::vector<std::uint32_t> w(200);
        set->rows->philox_words(key, 9, sample, first, 200, w.data());
        for (std::size_t i = 0; i < w.size(); ++i) REQUIRE(w[i] == word_of(key, 9, sample, first + i));
      }
}

TEST_CASE("exec: dropout draws the same mask however the batch is split") {
  const std::int64_t rows = 5;
  const std::vector<std::int64_t> ids{3, 900, 1, (1ll << 40) + 5, 2};
  const std::uint32_t threshold = std::uint32_t(0.3 * 4294967296.0);
  const float scale = 1 / 0.7f;
  for (const Kernels* set : runnable_kernels())
    for (std::int64_t length : {1, 10, 64, 130}) {
      const Floats x = random_floats(std::size_t(rows * length), 1);
      Floats y(x.size()), split(x);
      set->rows->dropout(x.data(), rows, length, ids.data(), 77, 5, threshold, scale, y.data());
      for (std::int64_t r = 0; r < rows; ++r)
        for (std::int64_t e = 0; e < length; ++e) {
          const std::size_t i = std::size_t(r * length + e);
          REQUIRE(y[i] == (word_of(77, 5, std::uint64_t(ids[std::size_t(r)]), std::uint64_t(e)) >= threshold ? x[i] * scale : 0));
        }
      for (std::int64_t r = rows; r-- > 0;)  // in place, row by row, backwards
        set->rows->dropout(split.data() + r * length, 1, length, ids.data() + r, 77, 5, threshold, scale, split.data() + r * length);
      CHECK(same_bytes(split, y));
    }
  Floats ones(100000, 1.f);
  const std::int64_t id = 0;
  kernels().rows->dropout(ones.data(), 1, 100000, &id, 1, 0, threshold, 1.f, ones.data());
  double kept = 0;
  for (float v : ones) kept += v;
  CHECK(kept / 1e5 == doctest::Approx(0.7).epsilon(0.01));  // standard error 0.0015
}

TEST_CASE("exec: BatchNorm moments are those of the shifted rows, and the same bytes on every ISA") {
  for (std::int64_t C : {1, 3, 8, 19, 64})
    for (std::int64_t rows : {1, 3, 4, 257}) {
      Floats x = random_floats(std::size_t(rows * C), 3);
      for (float& v : x) v += 1000;  // squares of the values themselves would cancel
      Floats first_sum, first_square;
      for (const Kernels* set : runnable_kernels()) {
        Floats sum(std::size_t(C), 0.f), square(sum);
        set->rows->moments(x.data(), x.data(), rows, C, sum.data(), square.data());
        for (std::size_t c = 0; c < std::size_t(C); ++c) {
          double s = 0, q = 0, size = 0;
          for (std::size_t r = 0; r < std::size_t(rows); ++r) {
            const double d = double(x[r * std::size_t(C) + c]) - x[c];
            s += d, q += d * d, size += std::abs(d);
          }
          CHECK(std::abs(sum[c] - s) <= 1e-5 * size + 1e-12);
          CHECK(std::abs(square[c] - q) <= 1e-5 * q + 1e-12);
        }
        if (first_sum.empty()) first_sum = sum, first_square = square;
        CHECK(same_bytes(sum, first_sum));
        CHECK(same_bytes(square, first_square));
      }
    }
}

TEST_CASE("exec: BatchNorm rows forward and backward equal plain loops bit for bit") {
  const std::int64_t rows = 6;
  for (std::int64_t C : {1, 5, 16, 37})
    for (bool relu : {false, true}) {
      const std::size_t n = std::size_t(rows * C), channels = std::size_t(C);
      Floats x = random_floats(n, 4), dy = random_floats(n, 5);
      x[n - 1] = std::numeric_limits<float>::quiet_NaN();
      const Floats scale = random_floats(channels, 6), offset = random_floats(channels, 7), slope = random_floats(channels, 8),
                   k = random_floats(channels, 9);
      Floats y(n), dx(n), plain_y(n), plain_dx(n), dz(n);
      for (std::size_t i = 0; i < n; ++i) {
        const std::size_t c = i % channels;
        const float product = x[i] * scale[c], z = product + offset[c];
        plain_y[i] = relu && z < 0 ? 0 : z;
        dz[i] = relu && z <= 0 ? 0 : dy[i];
        const float a = scale[c] * dz[i], b = slope[c] * x[i], ab = a + b;
        plain_dx[i] = ab + k[c];
      }
      for (const Kernels* set : runnable_kernels()) {
        set->rows->scale_offset(x.data(), scale.data(), offset.data(), rows, C, relu, y.data());
        set->rows->backward(dy.data(), x.data(), scale.data(), offset.data(), slope.data(), k.data(), rows, C, relu, dx.data());
        CHECK(std::isnan(y[n - 1]));
        CHECK(std::isnan(dx[n - 1]));
        y[n - 1] = plain_y[n - 1], dx[n - 1] = plain_dx[n - 1];  // NaNs have many bit patterns
        CHECK(same_bytes(y, plain_y));
        CHECK(same_bytes(dx, plain_dx));
        Floats sum(channels, 0.f), dot(channels, 0.f), in(x);
        in[n - 1] = 0.5f;
        const bool last = !relu || 0.5f * scale[channels - 1] + offset[channels - 1] > 0;
        set->rows->backward_sums(dy.data(), in.data(), scale.data(), offset.data(), k.data(), rows, C, relu, sum.data(), dot.data());
        for (std::size_t c = 0; c < channels; ++c) {
          double s = 0, d = 0;
          for (std::size_t i = c; i < n; i += channels) {
            const double g = i == n - 1 ? (last ? dy[i] : 0) : dz[i];
            s += g, d += g * (double(in[i]) - k[c]);
          }
          CHECK(sum[c] == doctest::Approx(s).epsilon(1e-4));
          CHECK(dot[c] == doctest::Approx(d).epsilon(1e-4));
        }
      }
    }
}

TEST_CASE("exec: 2x2 max pool takes the first of equal values and passes a NaN") {
  for (const Kernels* set : runnable_kernels())
    for (std::int64_t C : {1, 3, 16, 21}) {
      const std::int64_t width = 5;
      const std::size_t n = std::size_t(2 * width * C), channels = std::size_t(C);
      Floats top = random_floats(n, 10), bottom = random_floats(n, 11), y(n / 2), dtop(n, 9.f), dbottom(n, 9.f);
      for (std::size_t c = 0; c < channels; ++c) {
        top[c] = top[channels + c] = bottom[c] = bottom[channels + c] = 2;                              // pixel 0: all equal
        bottom[2 * channels + c] = std::nanf("");                                                     // pixel 1
        top[5 * channels + c] = 50, bottom[5 * channels + c] = 50;                                      // pixel 2: places 1 and 3
      }
      std::vector<std::uint8_t> which(n / 2);
      set->rows->max_pool(top.data(), bottom.data(), width, C, y.data(), which.data());
      const Floats dy = random_floats(n / 2, 12);
      set->rows->max_unpool(dy.data(), which.data(), width, C, dtop.data(), dbottom.data());
      for (std::size_t i = 0; i < n / 2; ++i) {
        const std::size_t pixel = i / channels, at = pixel * 2 * channels + i % channels;
        const float four[4] = {top[at], top[at + channels], bottom[at], bottom[at + channels]};
        const float gradient[4] = {dtop[at], dtop[at + channels], dbottom[at], dbottom[at + channels]};
        int best = 0;
        for (int k = 1; k < 4; ++k)
          if (four[k] > four[best]) best = k;
        if (pixel == 0) CHECK(which[i] == 0);
        if (pixel == 2) CHECK(which[i] == 1);
        if (pixel == 1) {
          CHECK(std::isnan(y[i]));
          best = 2;
        } else {
          CHECK(y[i] == four[best]);
        }
        CHECK(which[i] == best);
        for (int k = 0; k < 4; ++k) CHECK(gradient[k] == (k == best ? dy[i] : 0));
      }
    }
}

TEST_CASE("exec: the chosen instruction set is one that the CPU has, and obeys ATEN_CPU_CAPABILITY") {
  const auto sets = runnable_kernels();
  REQUIRE(!sets.empty());
  CHECK(std::string(sets.front()->isa) == "baseline");
  bool found = false;
  for (const Kernels* set : sets) found = found || set == &kernels();
  CHECK(found);
  const char* wish = std::getenv("ATEN_CPU_CAPABILITY");
  if (!wish) CHECK(&kernels() == sets.back());
  if (wish && std::string(wish) == "default") CHECK(std::string(kernels().isa) == "baseline");
}

TEST_CASE("exec: objects of an instruction set share no symbol with the others") {
  namespace fs = std::filesystem;
  for (const char* isa : {"baseline", "avx2", "avx512", "vnni"}) {
    const fs::path folder = fs::path(DS_BUILD_DIR) / "lib/CMakeFiles" / (std::string("ds_isa_") + isa + ".dir") / "engine/exec/simd";
    REQUIRE_MESSAGE(fs::is_directory(folder), folder.string());
    int objects = 0;
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (entry.path().extension() != ".o") continue;
      ++objects;
      std::FILE* pipe = ::popen(("nm --demangle --defined-only '" + entry.path().string() + "'").c_str(), "r");
      REQUIRE(pipe != nullptr);
      const std::string home = std::string("ds::exec::simd::") + isa + "::";
      char line[4096];
      while (std::fgets(line, sizeof line, pipe)) {
        const std::string text = line;  // "address type name"
        const std::size_t space = text.find(' ');
        if (space == std::string::npos || space + 2 >= text.size()) continue;
        const char type = text[space + 1];
        const bool local = (type >= 'a' && type <= 'z' && type != 'w' && type != 'v' && type != 'u');
        INFO(entry.path().string(), ": ", text);
        CHECK((local || text.find(home) != std::string::npos));
      }
      CHECK(::pclose(pipe) == 0);
    }
    CHECK(objects >= 2);
  }
}

}  // namespace
