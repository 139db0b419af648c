// Sums over all rows of [B, P, C] in float32, channel by channel, as batch normalisation and its gradient need them:
// sum a, and sum a * (b - shift). Blocks of rows are added in float32, the blocks in float64, in an order that depends
// on the shapes alone.

#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "shared.h"

namespace {

constexpr int64_t kRows = 32;  // of a block
constexpr int kAbreast = 3;    // vectors of channels at a time

// Channels that are added up together: a vector of them, or one.
struct Many {
  static constexpr int kWidth = kLanes;
  typedef Vec Sum;
  static Vec at(const float* p) { return load(p); }
  static void put(float* p, Vec v) { store(p, v); }
};
struct One {
  static constexpr int kWidth = 1;
  typedef float Sum;
  static float at(const float* p) { return *p; }
  static void put(float* p, float v) { *p = v; }
};

// Adds one block of rows to the sums in float64, for N times as many channels as a unit has.
template <int N, typename Unit>
inline __attribute__((always_inline)) void block(const float* a, const float* b, const float* shift, int64_t rows,
                                                 int64_t channels, double* sum, double* product) {
  typename Unit::Sum s[N] = {}, p[N] = {}, away[N];
#pragma GCC unroll 4
  for (int n = 0; n < N; ++n) away[n] = Unit::at(shift + Unit::kWidth * n);
  for (int64_t r = 0; r < rows; ++r, a += channels, b += channels) {
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) {
      auto left = Unit::at(a + Unit::kWidth * n);
      s[n] += left;
      p[n] += left * (Unit::at(b + Unit::kWidth * n) - away[n]);
    }
  }
  float part[2][N * Unit::kWidth];
#pragma GCC unroll 4
  for (int n = 0; n < N; ++n) {
    Unit::put(part[0] + Unit::kWidth * n, s[n]);
    Unit::put(part[1] + Unit::kWidth * n, p[n]);
  }
  for (int i = 0; i < N * Unit::kWidth; ++i) sum[i] += part[0][i], product[i] += part[1][i];
}

void rows_of_part(const float* a, const float* b, const float* shift, int64_t rows, int64_t channels, double* sum,
                  double* product) {
  for (int64_t r = 0; r < rows; r += kRows, a += kRows * channels, b += kRows * channels) {
    int64_t count = std::min(kRows, rows - r), c = 0;
    for (; c + kAbreast * kLanes <= channels; c += kAbreast * kLanes)
      block<kAbreast, Many>(a + c, b + c, shift + c, count, channels, sum + c, product + c);
    for (; c + kLanes <= channels; c += kLanes)
      block<1, Many>(a + c, b + c, shift + c, count, channels, sum + c, product + c);
    for (; c < channels; ++c)
      block<1, One>(a + c, b + c, shift + c, count, channels, sum + c, product + c);
  }
}

constexpr int64_t kFew = 1 << 14;  // values: below it, waking the other threads costs more than it saves

void sums(ffi::ThreadPool* pool, const float* a, const float* b, const float* shift, int64_t batch, int64_t rows,
          int64_t channels, float* sum, float* product) {
  int64_t parts = parts_of(batch, 16), each = rows * channels;
  std::vector<double> partial(2 * parts * channels);
  parallel(batch * each < kFew ? nullptr : pool, parts, [&](int64_t p) {
    int64_t first = batch * p / parts, last = batch * (p + 1) / parts;
    double* to = partial.data() + 2 * p * channels;
    rows_of_part(a + first * each, b + first * each, shift, (last - first) * rows, channels, to, to + channels);
  });
  for (int64_t c = 0; c < channels; ++c) {
    double all[2] = {};
    for (int64_t p = 0; p < parts; ++p)
      for (int i = 0; i < 2; ++i) all[i] += partial[(2 * p + i) * channels + c];
    sum[c] = static_cast<float>(all[0]), product[c] = static_cast<float>(all[1]);
  }
}

}  // namespace
