// Float32 training kernels, compiled once an ISA: DS_ISA names the namespace, the flags choose the instructions. Uses no inline function
// of any header: the linker could keep the AVX-512 copy of one for everybody.
// Three things that g++ 12 does not vectorise by itself shape this file: a maximum with its place without -fno-trapping-math, a load
// inside a choice on SSE, and four exclusive choices of one value on AVX2. Look at -fopt-info-vec and time every ISA after a change.
#include <immintrin.h>

#include "engine/exec/simd/table.h"

namespace ds::exec::simd::DS_ISA {
namespace {

using std::int64_t;
using std::uint32_t;
using std::uint64_t;
using std::uint8_t;

#define DS_INLINE inline __attribute__((always_inline))

void moments(const float* __restrict x, const float* __restrict shift, int64_t rows, int64_t C, float* __restrict sum, float* __restrict square) {
  for (; rows >= 4; rows -= 4, x += 4 * C) {
    const float *x1 = x + C, *x2 = x1 + C, *x3 = x2 + C;
#pragma omp simd
    for (int64_t c = 0; c < C; ++c) {
      const float s = shift[c], a = x[c] - s, b = x1[c] - s, d = x2[c] - s, e = x3[c] - s;
      sum[c] += (a + b) + (d + e);
      square[c] += (a * a + b * b) + (d * d + e * e);
    }
  }
  for (; rows > 0; --rows, x += C)
#pragma omp simd
    for (int64_t c = 0; c < C; ++c) {
      const float d = x[c] - shift[c];
      sum[c] += d;
      square[c] += d * d;
    }
}

template <bool kRelu>
void scale_offset_rows(const float* x, const float* __restrict scale, const float* __restrict offset, int64_t rows, int64_t C, float* y) {
  for (int64_t r = 0; r < rows; ++r, x += C, y += C)
#pragma omp simd
    for (int64_t c = 0; c < C; ++c) {
      const float z = x[c] * scale[c] + offset[c];
      y[c] = kRelu && z < 0 ? 0 : z;  // a NaN passes
    }
}

void scale_offset(const float* x, const float* scale, const float* offset, int64_t rows, int64_t C, bool relu, float* y) {
  relu ? scale_offset_rows<true>(x, scale, offset, rows, C, y) : scale_offset_rows<false>(x, scale, offset, rows, C, y);
}

/// dy where relu lets it pass: everywhere but where z <= 0 (so also where z is a NaN, as torch's threshold_backward).
/// Loads first and chooses then: SSE has no masked load.
template <bool kRelu>
inline float passed(float dy, float x, float scale, float offset) {
  if constexpr (!kRelu) return dy;
  return x * scale + offset <= 0 ? 0 : dy;
}

template <bool kRelu>
void backward_sums_rows(const float* __restrict dy, const float* __restrict x, const float* __restrict scale, const float* __restrict offset,
                        const float* __restrict mean, int64_t rows, int64_t C, float* __restrict sum, float* __restrict dot) {
  for (; rows >= 2; rows -= 2, dy += 2 * C, x += 2 * C) {
    const float *dy1 = dy + C, *x1 = x + C;
#pragma omp simd
    for (int64_t c = 0; c < C; ++c) {
      const float s = scale[c], o = offset[c], m = mean[c];
      const float a = passed<kRelu>(dy[c], x[c], s, o), b = passed<kRelu>(dy1[c], x1[c], s, o);
      sum[c] += a + b;
      dot[c] += a * (x[c] - m) + b * (x1[c] - m);
    }
  }
  for (; rows > 0; --rows, dy += C, x += C)
#pragma omp simd
    for (int64_t c = 0; c < C; ++c) {
      const float a = passed<kRelu>(dy[c], x[c], scale[c], offset[c]);
      sum[c] += a;
      dot[c] += a * (x[c] - mean[c]);
    }
}

void backward_sums(const float* dy, const float* x, const float* scale, const float* offset, const float* mean, int64_t rows, int64_t C, bool relu,
                   float* sum, float* dot) {
  relu ? backward_sums_rows<true>(dy, x, scale, offset, mean, rows, C, sum, dot)
       : backward_sums_rows<false>(dy, x, scale, offset, mean, rows, C, sum, dot);
}

template <bool kRelu>
void backward_rows(const float* dy, const float* __restrict x, const float* __restrict scale, const float* __restrict offset,
                   const float* __restrict slope, const float* __restrict constant, int64_t rows, int64_t C, float* dx) {
  for (int64_t r = 0; r < rows; ++r, dy += C, x += C, dx += C)
#pragma omp simd
    for (int64_t c = 0; c < C; ++c)
      dx[c] = scale[c] * passed<kRelu>(dy[c], x[c], scale[c], offset[c]) + slope[c] * x[c] + constant[c];
}

void backward(const float* dy, const float* x, const float* scale, const float* offset, const float* slope, const float* constant, int64_t rows,
              int64_t C, bool relu, float* dx) {
  relu ? backward_rows<true>(dy, x, scale, offset, slope, constant, rows, C, dx)
       : backward_rows<false>(dy, x, scale, offset, slope, constant, rows, C, dx);
}

/// Takes v if it is greater or a NaN, as torch's max pooling does.
#define DS_TAKE(v, at)                                \
  {                                                   \
    const float value = v;                            \
    const bool take = value > best || value != value; \
    best = take ? value : best;                       \
    place = take ? at : place;                        \
  }

void max_pool(const float* __restrict top, const float* __restrict bottom, int64_t width, int64_t C, float* __restrict y, uint8_t* __restrict which) {
  for (int64_t w = 0; w < width; ++w, top += 2 * C, bottom += 2 * C, y += C, which += C)
#pragma omp simd
    for (int64_t c = 0; c < C; ++c) {
      float best = top[c];
      int place = 0;
      DS_TAKE(top[C + c], 1)
      DS_TAKE(bottom[c], 2)
      DS_TAKE(bottom[C + c], 3)
      y[c] = best;
      which[c] = uint8_t(place);
    }
}

void max_unpool(const float* __restrict dy, const uint8_t* __restrict which, int64_t width, int64_t C, float* __restrict top,
                float* __restrict bottom) {
  for (int64_t w = 0; w < width; ++w, top += 2 * C, bottom += 2 * C, dy += C, which += C)
#pragma omp simd
    for (int64_t c = 0; c < C; ++c) {
      const uint32_t g = __builtin_bit_cast(uint32_t, dy[c]), place = which[c];
      top[c] = __builtin_bit_cast(float, g & -uint32_t(place == 0));
      top[C + c] = __builtin_bit_cast(float, g & -uint32_t(place == 1));
      bottom[c] = __builtin_bit_cast(float, g & -uint32_t(place == 2));
      bottom[C + c] = __builtin_bit_cast(float, g & -uint32_t(place == 3));
    }
}

// Philox in the low halves of 64-bit lanes, one counter a lane: the multiplier reads only those, so what shifts and products leave in the
// high halves need not be cleared. kOrder gives the counters to the lanes such that the two unpacks put the words in order.
#if defined(__AVX2__)  // AVX-512 too: 256 bits draw fast enough
using Lanes = __m256i;
DS_INLINE Lanes all(uint64_t v) { return _mm256_set1_epi64x(int64_t(v)); }
DS_INLINE Lanes order() { return _mm256_setr_epi64x(0, 2, 1, 3); }
DS_INLINE Lanes plus(Lanes a, Lanes b) { return _mm256_add_epi64(a, b); }
DS_INLINE Lanes product(Lanes a, Lanes b) { return _mm256_mul_epu32(a, b); }
DS_INLINE Lanes high(Lanes a) { return _mm256_srli_epi64(a, 32); }
DS_INLINE Lanes pair(Lanes a, Lanes b) { return _mm256_blend_epi32(a, _mm256_slli_epi64(b, 32), 0xAA); }
DS_INLINE Lanes first_of(Lanes a, Lanes b) { return _mm256_unpacklo_epi64(a, b); }
DS_INLINE Lanes second_of(Lanes a, Lanes b) { return _mm256_unpackhi_epi64(a, b); }
#else
using Lanes = __m128i;
DS_INLINE Lanes all(uint64_t v) { return _mm_set1_epi64x(int64_t(v)); }
DS_INLINE Lanes order() { return _mm_set_epi64x(1, 0); }
DS_INLINE Lanes plus(Lanes a, Lanes b) { return _mm_add_epi64(a, b); }
DS_INLINE Lanes product(Lanes a, Lanes b) { return _mm_mul_epu32(a, b); }
DS_INLINE Lanes high(Lanes a) { return _mm_srli_epi64(a, 32); }
DS_INLINE Lanes pair(Lanes a, Lanes b) { return _mm_blend_epi16(a, _mm_slli_epi64(b, 32), 0xCC); }
DS_INLINE Lanes first_of(Lanes a, Lanes b) { return _mm_unpacklo_epi64(a, b); }
DS_INLINE Lanes second_of(Lanes a, Lanes b) { return _mm_unpackhi_epi64(a, b); }
#endif

constexpr int64_t kWords = 64;                     // drawn at a time
constexpr int64_t kCounters = sizeof(Lanes) / 8;   // in one register

struct Keys {
  Lanes k0[10], k1[10];
};

DS_INLINE void expand(uint64_t key, Keys& keys) {
  uint32_t k0 = uint32_t(key), k1 = uint32_t(key >> 32);
  for (int round = 0; round < 10; ++round, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
    keys.k0[round] = all(k0);
    keys.k1[round] = all(k1);
  }
}

/// kWords words from counter `block` on, in the order of the elements. Two registers of counters at a time hide the multiplier's latency.
DS_INLINE void draw(const Keys& keys, uint32_t step, uint64_t sample, uint64_t block, uint32_t* words) {
  const Lanes m0 = all(0xD2511F53u), m1 = all(0xCD9E8D57u);
  for (int64_t done = 0; done < kWords; done += 8 * kCounters, block += uint64_t(2 * kCounters)) {
    Lanes c0[2], c1[2], c2[2], c3[2];
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {
      c0[i] = plus(all(block + uint64_t(i * kCounters)), order());
      c1[i] = all(sample);
      c2[i] = high(c0[i]) ^ all(sample >> 32);
      c3[i] = all(step);
    }
#pragma GCC unroll 10
    for (int round = 0; round < 10; ++round)
#pragma GCC unroll 2
      for (int i = 0; i < 2; ++i) {
        const Lanes p = product(m0, c0[i]), q = product(m1, c2[i]);
        c0[i] = high(q) ^ c1[i] ^ keys.k0[round];
        c1[i] = q;
        c2[i] = high(p) ^ c3[i] ^ keys.k1[round];
        c3[i] = p;
      }
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {
      const Lanes front = pair(c0[i], c1[i]), back = pair(c2[i], c3[i]), first = first_of(front, back), second = second_of(front, back);
      uint32_t* to = words + done + i * 4 * kCounters;
      __builtin_memcpy(to, &first, sizeof first);
      __builtin_memcpy(to + 2 * kCounters, &second, sizeof second);
    }
  }
}

void philox_words(uint64_t key, uint32_t step, uint64_t sample, uint64_t first, int64_t n, uint32_t* words) {
  alignas(64) uint32_t drawn[kWords];
  Keys keys;
  expand(key, keys);
  uint64_t block = first / 4;
  for (int64_t skip = int64_t(first % 4); n > 0; block += kWords / 4, skip = 0) {
    draw(keys, step, sample, block, drawn);
    const int64_t m = kWords - skip < n ? kWords - skip : n;
    __builtin_memcpy(words, drawn + skip, uint64_t(m) * sizeof(uint32_t));
    words += m;
    n -= m;
  }
}

void dropout(const float* x, int64_t rows, int64_t length, const int64_t* ids, uint64_t key, uint32_t step, uint32_t threshold, float scale,
             float* y) {
  alignas(64) uint32_t words[kWords];
  Keys keys;
  expand(key, keys);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t first = 0; first < length; first += kWords) {
      draw(keys, step, uint64_t(ids[r]), uint64_t(first) / 4, words);
      const int64_t m = length - first < kWords ? length - first : kWords;
#pragma omp simd
      for (int64_t i = 0; i < m; ++i) {
        const float kept = x[i] * scale;
        y[i] = words[i] >= threshold ? kept : 0;
      }
      x += m;
      y += m;
    }
}

}  // namespace

extern const RowKernels kRowKernels;
const RowKernels kRowKernels{moments, scale_offset, backward_sums, backward, max_pool, max_unpool, philox_words, dropout};

}  // namespace ds::exec::simd::DS_ISA
