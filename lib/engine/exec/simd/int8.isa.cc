// int8 convolutions, compiled once an ISA (see rows.isa.cc for the rules). A tile of output pixels has its inputs gathered into rows of
// bytes; blocks of 6 rows x 16 output channels are then multiplied in registers. Without VNNI a product of 4 bytes is vpmaddubsw +
// vpmaddwd: exact, since activations stop at 127 (2 * 127 * 127 < 2^15). AVX-512 too works in 256 bits: 16 channels are two registers.
#include <immintrin.h>

#include "engine/exec/simd/table.h"

namespace ds::exec::simd::DS_ISA {

extern const Int8Kernels kInt8Kernels;

namespace {

using std::int16_t;
using std::int32_t;
using std::int64_t;
using std::int8_t;
using std::uint8_t;

#define DS_INLINE inline __attribute__((always_inline))

#if defined(__AVX2__)
using Int = __m256i;
using Float = __m256;
DS_INLINE Int load(const void* p) { return _mm256_loadu_si256(static_cast<const Int*>(p)); }
DS_INLINE Float load_float(const float* p) { return _mm256_loadu_ps(p); }
DS_INLINE void store_float(float* p, Float v) { _mm256_storeu_ps(p, v); }
DS_INLINE Int all(int32_t v) { return _mm256_set1_epi32(v); }
DS_INLINE Float all_float(float v) { return _mm256_set1_ps(v); }
DS_INLINE Int plus(Int a, Int b) { return _mm256_add_epi32(a, b); }
DS_INLINE Int minus(Int a, Int b) { return _mm256_sub_epi32(a, b); }
DS_INLINE Float to_float(Int v) { return _mm256_cvtepi32_ps(v); }
DS_INLINE Float times(Float a, Float b) { return _mm256_mul_ps(a, b); }
DS_INLINE Float plus(Float a, Float b) { return _mm256_add_ps(a, b); }
DS_INLINE Float over(Float a, Float b) { return _mm256_div_ps(a, b); }
DS_INLINE Float least(Float a, Float b) { return _mm256_min_ps(a, b); }  // b where a is a NaN
DS_INLINE Int round_to_int(Float v) { return _mm256_cvtps_epi32(v); }  // half to even: nobody changes MXCSR
DS_INLINE Int widen(__m128i bytes) { return _mm256_cvtepu8_epi32(bytes); }
DS_INLINE Int dot(Int sum, Int x, Int w) {
#if defined(DS_ISA_vnni)
  return _mm256_dpbusd_epi32(sum, x, w);
#else
  return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(x, w), _mm256_set1_epi16(1)));
#endif
}
/// 8 or 16 integers to words, saturating; those of the upper half are anything where there are 8.
template <int kVectors>
DS_INLINE __m256i words(const Int* v) {
  return _mm256_permute4x64_epi64(_mm256_packs_epi32(v[0], v[kVectors - 1]), 0xD8);
}
/// Words plus `zero` to bytes, saturating.
template <int kVectors>
DS_INLINE __m128i narrow(const Int* v, int32_t zero) {
  const __m256i moved = _mm256_adds_epi16(words<kVectors>(v), _mm256_set1_epi16(int16_t(zero)));
  return _mm_packus_epi16(_mm256_castsi256_si128(moved), _mm256_extracti128_si256(moved, 1));
}
#else
using Int = __m128i;
using Float = __m128;
DS_INLINE Int load(const void* p) { return _mm_loadu_si128(static_cast<const Int*>(p)); }
DS_INLINE Float load_float(const float* p) { return _mm_loadu_ps(p); }
DS_INLINE void store_float(float* p, Float v) { _mm_storeu_ps(p, v); }
DS_INLINE Int all(int32_t v) { return _mm_set1_epi32(v); }
DS_INLINE Float all_float(float v) { return _mm_set1_ps(v); }
DS_INLINE Int plus(Int a, Int b) { return _mm_add_epi32(a, b); }
DS_INLINE Int minus(Int a, Int b) { return _mm_sub_epi32(a, b); }
DS_INLINE Float to_float(Int v) { return _mm_cvtepi32_ps(v); }
DS_INLINE Float times(Float a, Float b) { return _mm_mul_ps(a, b); }
DS_INLINE Float plus(Float a, Float b) { return _mm_add_ps(a, b); }
DS_INLINE Float over(Float a, Float b) { return _mm_div_ps(a, b); }
DS_INLINE Float least(Float a, Float b) { return _mm_min_ps(a, b); }
DS_INLINE Int round_to_int(Float v) { return _mm_cvtps_epi32(v); }
DS_INLINE Int widen(__m128i bytes) { return _mm_cvtepu8_epi32(bytes); }
DS_INLINE Int dot(Int sum, Int x, Int w) { return _mm_add_epi32(sum, _mm_madd_epi16(_mm_maddubs_epi16(x, w), _mm_set1_epi16(1))); }
template <int kVectors>
DS_INLINE __m128i narrow(const Int* v, int32_t zero) {
  const __m128i by = _mm_set1_epi16(int16_t(zero));
  return _mm_packus_epi16(_mm_adds_epi16(_mm_packs_epi32(v[0], v[1]), by), _mm_adds_epi16(_mm_packs_epi32(v[kVectors - 2], v[kVectors - 1]), by));
}
#endif

constexpr int kLanes = sizeof(Int) / 4;
constexpr int kWhole = int(kColumns) / kLanes;   // registers of a block of 16 channels
constexpr int kRows = sizeof(Int) == 32 ? 6 : 2;  // 12 or 8 sums, the weights and the inputs fill 16 registers

/// n <= 16 bytes; the rest is 0.
DS_INLINE __m128i load_bytes(const uint8_t* p, int64_t n) {
  if (n == 16) return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  if (n == 8) return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
  alignas(16) uint8_t bytes[16] = {};
  for (int64_t i = 0; i < n; ++i) bytes[i] = p[i];
  return _mm_load_si128(reinterpret_cast<const __m128i*>(bytes));
}

DS_INLINE void store_bytes(uint8_t* p, __m128i v, int64_t n) {
  if (n == 16) return _mm_storeu_si128(reinterpret_cast<__m128i*>(p), v);
  if (n == 8) return _mm_storel_epi64(reinterpret_cast<__m128i*>(p), v);
  alignas(16) uint8_t bytes[16];
  _mm_store_si128(reinterpret_cast<__m128i*>(bytes), v);
  for (int64_t i = 0; i < n; ++i) p[i] = bytes[i];
}

/// clamp(round(v) + zero, low, 127). Held at 512 first, since a conversion that overflows gives the least integer; the other end is right so.
template <int kVectors>
DS_INLINE __m128i requantize(const Float* v, int32_t zero, int32_t low) {
  Int q[kVectors];
  for (int i = 0; i < kVectors; ++i) q[i] = round_to_int(least(v[i], all_float(512)));
  return _mm_max_epu8(_mm_min_epu8(narrow<kVectors>(q, zero), _mm_set1_epi8(127)), _mm_set1_epi8(char(low)));
}

/// float(byte - zero) of up to 16 bytes.
template <int kVectors>
DS_INLINE void shifted(__m128i bytes, int32_t zero, Float* v) {
  for (int i = 0; i < kVectors; ++i) {
    v[i] = to_float(minus(widen(bytes), all(zero)));
    bytes = kLanes == 8 ? _mm_srli_si128(bytes, 8) : _mm_srli_si128(bytes, 4);
  }
}

/// Writes up to 16 channels of one output pixel from their sums; `at` counts as y does. @param m multipliers of the channels
template <int kVectors>
DS_INLINE void finish(const Int8Conv& p, const Int* sum, const Float* m, int64_t at, int64_t n) {
  Float value[kVectors];
  for (int v = 0; v < kVectors; ++v) value[v] = times(to_float(sum[v]), m[v]);
  if (p.y_float) {
    alignas(32) float values[kColumns];
    float* out = n == kVectors * kLanes ? p.y_float + at : values;
    for (int v = 0; v < kVectors; ++v) store_float(out + v * kLanes, value[v]);
    if (out == values)
      for (int64_t i = 0; i < n; ++i) p.y_float[at + i] = values[i];
    return;
  }
  if (p.residual) {
    Float other[kVectors];
    shifted<kVectors>(load_bytes(p.residual + at, n), p.residual_zero, other);
    for (int v = 0; v < kVectors; ++v) value[v] = plus(value[v], times(other[v], all_float(p.residual_multiplier)));
  }
  store_bytes(p.y + at, requantize<kVectors>(value, p.y_zero, p.low), n);
}

/// A block of kCount pixels and up to 16 channels. @param rows inputs of each pixel, 4 * quads bytes
template <int kCount, int kVectors>
void block(const Int8Conv& p, const uint8_t* const* rows, const int8_t* weights, int64_t quads, int64_t padded, int64_t at, int64_t n) {
  Int sum[kCount][kVectors];
  const uint8_t* row[kCount];
  for (int r = 0; r < kCount; ++r) {
    row[r] = rows[r];
    for (int v = 0; v < kVectors; ++v) sum[r][v] = load(p.bias + padded + v * kLanes);
  }
  for (int64_t q = 0; q < quads; ++q, weights += 4 * kColumns) {
    Int w[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) w[v] = load(weights + v * 4 * kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < kCount; ++r) {
      int32_t four;
      __builtin_memcpy(&four, row[r] + 4 * q, 4);
      const Int x = all(four);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sum[r][v] = dot(sum[r][v], x, w[v]);
    }
  }
  Float m[kVectors];
  for (int v = 0; v < kVectors; ++v) m[v] = load_float(p.multiplier + padded + v * kLanes);
  const Int8Conv local = p;  // so that the compiler need not read it again after each byte that it writes
  for (int r = 0; r < kCount; ++r) finish<kVectors>(local, sum[r], m, at + r * local.out_channels, n);
}

template <int kVectors>
void blocks(const Int8Conv& p, const uint8_t* const* rows, int64_t count, const int8_t* weights, int64_t quads, int64_t padded, int64_t at,
            int64_t n) {
  for (; count >= kRows; count -= kRows, rows += kRows, at += kRows * p.out_channels)
    block<kRows, kVectors>(p, rows, weights, quads, padded, at, n);
  switch (count) {
    case 1: return block<1, kVectors>(p, rows, weights, quads, padded, at, n);
#if defined(__AVX2__)
    case 2: return block<2, kVectors>(p, rows, weights, quads, padded, at, n);
    case 3: return block<3, kVectors>(p, rows, weights, quads, padded, at, n);
    case 4: return block<4, kVectors>(p, rows, weights, quads, padded, at, n);
    case 5: return block<5, kVectors>(p, rows, weights, quads, padded, at, n);
#endif
    default: return;
  }
}

DS_INLINE void move16(uint8_t* to, const uint8_t* from) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}

/// Copies n bytes; may write up to 16 from `to` on, and read as many where that stays before `end`.
DS_INLINE void copy(uint8_t* to, const uint8_t* from, int64_t n, const uint8_t* end) {
  if (n <= 16) {
    if (end - from >= 16) return move16(to, from);
    for (int64_t i = 0; i < n; ++i) to[i] = from[i];
    return;
  }
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) move16(to + i, from + i);
  if (i < n) move16(to + n - 16, from + n - 16);  // overlaps
}

/// The place of an output pixel in the batch; ++ goes to the next one.
struct Pixel {
  int64_t image, y, x;
};

DS_INLINE Pixel pixel_at(int64_t index, int64_t height, int64_t width) {
  const int64_t row = index / width;
  return {row / height, row % height, index % width};
}

DS_INLINE void advance(Pixel& at, int64_t height, int64_t width) {
  if (++at.x < width) return;
  at.x = 0;
  if (++at.y < height) return;
  at.y = 0;
  ++at.image;
}

/// The inputs of one output pixel, in the order of the packed weights; x starts at the group's first channel.
DS_INLINE void gather(const Int8Conv& p, const uint8_t* x, const Pixel& at, int64_t channels, const uint8_t* end, uint8_t* to) {
  const int64_t top = at.y * p.stride_h - p.pad_h, left = at.x * p.stride_w - p.pad_w, run = p.kernel_w * channels;
  const bool whole = channels == p.channels && p.dilation_w == 1 && left >= 0 && left + p.kernel_w <= p.width;
  const uint8_t* image = x + at.image * p.height * p.width * p.channels;
  for (int64_t i = 0; i < p.kernel_h; ++i) {
    const int64_t row = top + i * p.dilation_h;
    if (row < 0 || row >= p.height) {
      __builtin_memset(to, p.x_zero, std::uint64_t(run));
      to += run;
      continue;
    }
    const uint8_t* line = image + row * p.width * p.channels;
    if (whole) {
      copy(to, line + left * p.channels, run, end);
      to += run;
      continue;
    }
    for (int64_t j = 0; j < p.kernel_w; ++j, to += channels) {
      const int64_t column = left + j * p.dilation_w;
      if (column < 0 || column >= p.width)
        __builtin_memset(to, p.x_zero, std::uint64_t(channels));
      else
        copy(to, line + column * p.channels, channels, end);
    }
  }
}

/// Output columns whose windows lie inside the picture's width.
DS_INLINE void inner_columns(const Int8Conv& p, int64_t& low, int64_t& high) {
  const int64_t room = p.width - 1 - (p.kernel_w - 1) * p.dilation_w + p.pad_w;
  low = (p.pad_w + p.stride_w - 1) / p.stride_w;
  high = room < 0 ? 0 : room / p.stride_w + 1;
  high = high < p.out_width ? high : p.out_width;
}

/// Rows of bytes of one kernel, by run: its first byte, and how far it moves from one output column to the next.
struct Runs {
  const uint8_t* from[kMostTaps];
  int64_t step[kMostTaps];
  int64_t count, bytes;
};

/// The runs of the output pixel `at`, all of whose columns are inside. A row outside is `outside`, at least `bytes` of x_zero.
DS_INLINE void find_runs(const Int8Conv& p, const uint8_t* x, const Pixel& at, int64_t channels, const uint8_t* outside, Runs& runs) {
  const bool whole = channels == p.channels && p.dilation_w == 1;
  const int64_t top = at.y * p.stride_h - p.pad_h, left = at.x * p.stride_w - p.pad_w, per_row = whole ? 1 : p.kernel_w;
  runs.bytes = whole ? p.kernel_w * channels : channels;
  runs.count = 0;
  for (int64_t i = 0; i < p.kernel_h; ++i)
    for (int64_t j = 0; j < per_row; ++j, ++runs.count) {
      const int64_t row = top + i * p.dilation_h;
      const bool inside = row >= 0 && row < p.height;
      runs.from[runs.count] = inside ? x + ((at.image * p.height + row) * p.width + left + j * p.dilation_w) * p.channels : outside;
      runs.step[runs.count] = inside ? p.stride_w * p.channels : 0;
    }
}

/// The inputs of n output pixels side by side. Writes up to 16 bytes past the last one.
DS_INLINE void gather_runs(const Runs& runs, int64_t n, int64_t depth, uint8_t* to) {
  const int64_t count = runs.count, bytes = runs.bytes;
  if (count == 3 && bytes <= 16) {  // a first layer, mostly
    const uint8_t *a = runs.from[0], *b = runs.from[1], *c = runs.from[2];
    const int64_t da = runs.step[0], db = runs.step[1], dc = runs.step[2];
    for (int64_t r = 0; r < n; ++r, to += depth, a += da, b += db, c += dc) {
      move16(to, a);
      move16(to + bytes, b);
      move16(to + 2 * bytes, c);
    }
    return;
  }
  for (int64_t r = 0; r < n; ++r, to += depth) {
    uint8_t* place = to;
    for (int64_t i = 0; i < count; ++i, place += bytes) {
      const uint8_t* from = runs.from[i] + r * runs.step[i];
      int64_t k = 0;
#if defined(__AVX2__)
      for (; k + 32 <= bytes; k += 32)
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(place + k), _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + k)));
#endif
      for (; k < bytes; k += 16) move16(place + k, from + k);
    }
  }
}

/// The inputs of `count` output pixels from `at` on, a row of `depth` bytes each.
void gather_tile(const Int8Conv& p, const uint8_t* x, Pixel at, int64_t count, int64_t channels, int64_t depth, const uint8_t* outside, uint8_t* to) {
  const uint8_t* end = p.x + p.batch * p.height * p.width * p.channels;
  int64_t low, high;
  inner_columns(p, low, high);
  Runs runs;
  for (int64_t r = 0; r < count;) {
    int64_t n = 0;
    if (at.x >= low && at.x < high && p.kernel_h * p.kernel_w <= kMostTaps) {
      n = high - at.x < count - r ? high - at.x : count - r;
      find_runs(p, x, at, channels, outside, runs);
      // The last picture's last pixels: a run of 16 bytes may end behind them.
      for (int64_t i = 0; i < runs.count; ++i)
        while (n > 0 && runs.step[i] != 0 && runs.from[i] + (n - 1) * runs.step[i] + (runs.bytes + 15) / 16 * 16 > end) --n;
    }
    if (n > 0) {
      gather_runs(runs, n, depth, to + r * depth);
    } else {
      gather(p, x, at, channels, end, to + r * depth);
      n = 1;
    }
    r += n;
    at.x += n - 1;
    advance(at, p.out_height, p.out_width);
  }
}

void conv(const Int8Conv& p, int64_t begin, int64_t end, uint8_t* scratch) {
  const int64_t in = p.channels / p.groups, out = p.out_channels / p.groups, depth = (p.kernel_h * p.kernel_w * in + 3) / 4 * 4;
  const int64_t per_group = (out + kColumns - 1) / kColumns, most = kTileBytes / depth / kRows * kRows;
  const int64_t tile = most < kRows ? kRows : most < kTileRows ? most : kTileRows;
  const bool unpadded = p.pad_h == 0 && p.pad_w == 0 && (p.out_height - 1) * p.stride_h < p.height && (p.out_width - 1) * p.stride_w < p.width;
  const bool direct = p.kernel_h == 1 && p.kernel_w == 1 && unpadded && in % 4 == 0;
  uint8_t* outside = scratch + tile * depth + 64;
  __builtin_memset(outside, p.x_zero, std::uint64_t(p.kernel_w * in + 32));
  const uint8_t* rows[kTileRows];
  for (int64_t r = 0; r < tile; ++r) rows[r] = scratch + r * depth;
  for (int64_t first = begin; first < end; first += tile) {
    const int64_t count = end - first < tile ? end - first : tile;
    const Pixel start = pixel_at(first, p.out_height, p.out_width);
    for (int64_t g = 0; g < p.groups; ++g) {
      if (direct) {
        Pixel at = start;
        for (int64_t r = 0; r < count; ++r, advance(at, p.out_height, p.out_width))
          rows[r] = p.x + ((at.image * p.height + at.y * p.stride_h) * p.width + at.x * p.stride_w) * p.channels + g * in;
      } else {
        gather_tile(p, p.x + g * in, start, count, in, depth, outside, scratch);
      }
      for (int64_t b = 0; b < per_group; ++b) {
        const int64_t block_index = g * per_group + b, n = out - b * kColumns < kColumns ? out - b * kColumns : kColumns;
        const int8_t* weights = p.weights + block_index * depth * kColumns;
        const int64_t padded = block_index * kColumns, y = first * p.out_channels + g * out + b * kColumns;
        (n > 8 ? blocks<kWhole> : blocks<kWhole / 2>)(p, rows, count, weights, depth / 4, padded, y, n);
      }
    }
  }
}

/// 16 channels of one output pixel: 4 taps at a time, their bytes interleaved channel by channel.
DS_INLINE void depthwise_block(const Int8Conv& p, const uint8_t* const* taps, int64_t quads, int64_t channel, int64_t at, int64_t n) {
  Int sum[kWhole];
  for (int v = 0; v < kWhole; ++v) sum[v] = load(p.bias + channel + v * kLanes);
  const int8_t* weights = p.weights + channel * quads * 4;
  for (int64_t q = 0; q < quads; ++q, taps += 4, weights += 4 * kColumns) {
    const __m128i a = load_bytes(taps[0] + channel, n), b = load_bytes(taps[1] + channel, n), c = load_bytes(taps[2] + channel, n),
                  d = load_bytes(taps[3] + channel, n);
    const __m128i ab = _mm_unpacklo_epi8(a, b), ab_high = _mm_unpackhi_epi8(a, b), cd = _mm_unpacklo_epi8(c, d), cd_high = _mm_unpackhi_epi8(c, d);
    const __m128i x0 = _mm_unpacklo_epi16(ab, cd), x1 = _mm_unpackhi_epi16(ab, cd), x2 = _mm_unpacklo_epi16(ab_high, cd_high),
                  x3 = _mm_unpackhi_epi16(ab_high, cd_high);
#if defined(__AVX2__)
    sum[0] = dot(sum[0], _mm256_set_m128i(x1, x0), load(weights));
    sum[1] = dot(sum[1], _mm256_set_m128i(x3, x2), load(weights + 32));
#else
    sum[0] = dot(sum[0], x0, load(weights));
    sum[1] = dot(sum[1], x1, load(weights + 16));
    sum[2] = dot(sum[2], x2, load(weights + 32));
    sum[3] = dot(sum[3], x3, load(weights + 48));
#endif
  }
  Float m[kWhole];
  for (int v = 0; v < kWhole; ++v) m[v] = load_float(p.multiplier + channel + v * kLanes);
  finish<kWhole>(p, sum, m, at, n);
}

void depthwise(const Int8Conv& args, int64_t begin, int64_t end, uint8_t* scratch) {
  const Int8Conv p = args;
  const uint8_t* taps[kMostTaps];
  int64_t step[kMostTaps];
  const int64_t count = p.kernel_h * p.kernel_w, padded = (count + 3) / 4 * 4;
  __builtin_memset(scratch, p.x_zero, std::uint64_t(p.channels));  // a pixel outside the picture
  for (int64_t t = count; t < padded; ++t) taps[t] = scratch, step[t] = 0;
  int64_t low, high;
  inner_columns(p, low, high);
  Pixel at = pixel_at(begin, p.out_height, p.out_width);
  for (int64_t index = begin; index < end; ++index, advance(at, p.out_height, p.out_width)) {
    if (index > begin && at.x > low && at.x < high) {  // one to the right of an inner pixel
      for (int64_t t = 0; t < padded; ++t) taps[t] += step[t];
    } else {
      const uint8_t* image = p.x + at.image * p.height * p.width * p.channels;
      for (int64_t i = 0, t = 0; i < p.kernel_h; ++i)
        for (int64_t j = 0; j < p.kernel_w; ++j, ++t) {
          const int64_t row = at.y * p.stride_h - p.pad_h + i * p.dilation_h, column = at.x * p.stride_w - p.pad_w + j * p.dilation_w;
          const bool inside = row >= 0 && row < p.height && column >= 0 && column < p.width;
          taps[t] = inside ? image + (row * p.width + column) * p.channels : scratch;
          step[t] = inside ? p.stride_w * p.channels : 0;
        }
    }
    int64_t c = 0;
    for (; c + kColumns <= p.channels; c += kColumns) depthwise_block(p, taps, padded / 4, c, index * p.channels + c, kColumns);
    if (c < p.channels) depthwise_block(p, taps, padded / 4, c, index * p.channels + c, p.channels - c);
  }
}

/// Calls f(first byte of an input pixel) for the taps inside the picture; returns their number.
template <class F>
DS_INLINE int64_t each_tap(const Int8Pool& p, const Pixel& at, F f) {
  int64_t count = 0;
  const uint8_t* image = p.x + at.image * p.height * p.width * p.channels;
  for (int64_t i = 0; i < p.kernel_h; ++i) {
    const int64_t row = at.y * p.stride_h - p.pad_h + i * p.dilation_h;
    if (row < 0 || row >= p.height) continue;
    for (int64_t j = 0; j < p.kernel_w; ++j) {
      const int64_t column = at.x * p.stride_w - p.pad_w + j * p.dilation_w;
      if (column < 0 || column >= p.width) continue;
      f(image + (row * p.width + column) * p.channels);
      ++count;
    }
  }
  return count;
}

void max_pool(const Int8Pool& p, int64_t begin, int64_t end) {
  Pixel at = pixel_at(begin, p.out_height, p.out_width);
  for (int64_t index = begin; index < end; ++index, advance(at, p.out_height, p.out_width)) {
    uint8_t* __restrict y = p.y + index * p.channels;
    __builtin_memset(y, 0, std::uint64_t(p.channels));
    each_tap(p, at, [&](const uint8_t* __restrict x) {
      const int64_t channels = p.channels;
#pragma omp simd
      for (int64_t c = 0; c < channels; ++c) y[c] = x[c] > y[c] ? x[c] : y[c];
    });
  }
}

void avg_pool(const Int8Pool& p, int64_t begin, int64_t end) {
  constexpr int64_t kChunk = 64;
  Pixel at = pixel_at(begin, p.out_height, p.out_width);
  for (int64_t index = begin; index < end; ++index, advance(at, p.out_height, p.out_width))
    for (int64_t first = 0; first < p.channels; first += kChunk) {
      const int64_t n = p.channels - first < kChunk ? p.channels - first : kChunk;
      alignas(32) int32_t sum[kChunk] = {};
      const int64_t taps = each_tap(p, at, [&](const uint8_t* __restrict x) {
#pragma omp simd
        for (int64_t c = 0; c < n; ++c) sum[c] += x[first + c];
      });
      const int64_t divisor = p.count_padding ? p.kernel_h * p.kernel_w : taps;
      const Int zeros = all(int32_t(taps) * p.x_zero);  // a tap outside adds a real 0
      const Float m = all_float(p.ratio / float(divisor));
      for (int64_t c = 0; c < n; c += kColumns) {
        Float v[kWhole];
        for (int i = 0; i < kWhole; ++i) v[i] = times(to_float(minus(load(sum + c + i * kLanes), zeros)), m);
        store_bytes(p.y + index * p.channels + first + c, requantize<kWhole>(v, p.y_zero, 0), n - c < kColumns ? n - c : kColumns);
      }
    }
}

DS_INLINE void add_block(const Int8Add& p, int64_t at, int64_t n) {
  Float a[kWhole], b[kWhole];
  shifted<kWhole>(load_bytes(p.a + at, n), p.a_zero, a);
  shifted<kWhole>(load_bytes(p.b + at, n), p.b_zero, b);
  for (int i = 0; i < kWhole; ++i) a[i] = plus(times(a[i], all_float(p.a_ratio)), times(b[i], all_float(p.b_ratio)));
  store_bytes(p.y + at, requantize<kWhole>(a, p.y_zero, p.low), n);
}

void add(const Int8Add& args, int64_t begin, int64_t end) {
  const Int8Add p = args;
  for (; begin + kColumns <= end; begin += kColumns) add_block(p, begin, kColumns);
  if (begin < end) add_block(p, begin, end - begin);
}

void quantize(const float* x, int64_t n, float scale, int32_t zero, uint8_t* y) {
  for (int64_t i = 0; i < n; i += kColumns) {
    alignas(32) float last[kColumns] = {};
    const int64_t m = n - i < kColumns ? n - i : kColumns;
    if (m < kColumns) __builtin_memcpy(last, x + i, std::uint64_t(m) * sizeof(float));
    Float v[kWhole];
    for (int k = 0; k < kWhole; ++k) v[k] = over(load_float((m < kColumns ? last : x + i) + k * kLanes), all_float(scale));
    store_bytes(y + i, requantize<kWhole>(v, zero, 0), m);
  }
}

void quantize_nchw(const float* x, int64_t C, int64_t pixels, int64_t begin, int64_t end, float scale, int32_t zero, uint8_t* y) {
  constexpr int64_t kChunk = 256;
  uint8_t line[kChunk];
  for (int64_t first = begin; first < end;) {
    const int64_t image = first / pixels, pixel = first % pixels;
    int64_t n = pixels - pixel;
    n = n < kChunk ? n : kChunk;
    n = n < end - first ? n : end - first;
    for (int64_t c = 0; c < C; ++c) {
      const float* plane = x + (image * C + c) * pixels + pixel;
      uint8_t* to = y + first * C + c;
      if (C == 1) {
        quantize(plane, n, scale, zero, to);
        continue;
      }
      quantize(plane, n, scale, zero, line);
      for (int64_t i = 0; i < n; ++i) to[i * C] = line[i];
    }
    first += n;
  }
}

void dequantize(const uint8_t* __restrict x, int64_t n, float scale, int32_t zero, float* __restrict y) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] = float(int32_t(x[i]) - zero) * scale;
}

void lookup(const uint8_t* x, int64_t n, const uint8_t* table, uint8_t* y) {
  for (int64_t i = 0; i < n; ++i) y[i] = table[x[i]];
}

}  // namespace

const Int8Kernels kInt8Kernels{conv, depthwise, max_pool, avg_pool, add, quantize, quantize_nchw, dequantize, lookup};

}  // namespace ds::exec::simd::DS_ISA
