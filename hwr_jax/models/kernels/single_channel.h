// The plain sum over images of one channel, such as the pixels that a network reads. The windows of neighbouring results
// are neighbours too, so that a tile of them is read where it lies: to copy such small windows costs more than to multiply
// them. The sums have the order, and so the bits, of the plain sum of copied windows.

#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "products.h"
#include "shape.h"

namespace {

// A row of results [out_width][F], of which one panel is computed: `x` is its first window, and `b` the packed kernel.
template <int N, int Step>
struct Line {
  const Shape& s;
  int64_t pitch;         // of the padded image
  int64_t first, width;  // features of the panel
  const float* x;
  const float* b;
  float* y;

  // The results `j` to `j` + M.
  template <int M>
  __attribute__((noinline)) void tile(int64_t j) const {
    Vec sum[M][N] = {};
    const float *from = x + j * Step, *right = b;
    for (int64_t i = 0; i < s.rows; ++i, from += pitch)
      for (int64_t k = 0; k < s.columns; ++k, right += kLanes * N) {
        const float* at = from + k;
        asm("" : "+r"(at));  // or GCC would keep what the next k reads again in registers, and the sums in memory
        Vec factor[N];
#pragma GCC unroll 4
        for (int n = 0; n < N; ++n) factor[n] = load(right + kLanes * n);
#pragma GCC unroll 16
        for (int m = 0; m < M; ++m) {
          Vec left = broadcast(at[m * Step]);
#pragma GCC unroll 4
          for (int n = 0; n < N; ++n) sum[m][n] += left * factor[n];
        }
      }
    // A whole vector may be stored where the rest of it falls on results of this tile that are stored after it.
    int64_t beyond = N * kLanes - width, after = width == s.features ? width : 0;
    float* to = y + j * s.features + first;
#pragma GCC unroll 16
    for (int m = 0; m < M; ++m, to += s.features) {
      if (beyond <= (M - 1 - m) * after) {
#pragma GCC unroll 4
        for (int n = 0; n < N; ++n) store(to + kLanes * n, sum[m][n]);
      } else {
        std::memcpy(to, sum[m], width * sizeof(float));
      }
    }
  }

  // Results from `j` on, in tiles of up to M; those at the end may be computed twice. There are two or more: GCC rounds
  // the products of a single chain of sums (see `panel`).
  template <int M>
  void from(int64_t j) const {
    for (; j + M <= s.out_width; j += M) tile<M>(j);
    if (j == s.out_width) return;
    if (M == 2 || (s.out_width - j > (M + 1) / 2 && s.out_width >= M)) {
      tile<M>(s.out_width - M);
    } else if constexpr (M > 2) {
      from<(M + 1) / 2>(j);
    }
  }
};

template <int Step>
void single_channel_line(const float* x, const Shape& s, int64_t pitch, const float* packed, const Panels& panels,
                         float* y) {
  panels.each(s.rows * s.columns, [&](int64_t first, int64_t n, int64_t offset) {
    int64_t width = std::min(panels.width - first, n * kLanes);
    if (n == 3) Line<3, Step>{s, pitch, first, width, x, packed + offset, y}.template from<rows_of(3)>(0);
    if (n == 2) Line<2, Step>{s, pitch, first, width, x, packed + offset, y}.template from<rows_of(2)>(0);
    if (n == 1) Line<1, Step>{s, pitch, first, width, x, packed + offset, y}.template from<rows_of(1)>(0);
  });
}

bool single_channel(const Shape& s) { return s.channels == 1 && s.stride_x <= 2 && s.out_width >= 2; }

// The rows `first` to `last` of all images' results, one after the other.
void single_channel_rows(const float* x, const Shape& s, const Padded& padded, const float* packed, const Panels& panels,
                         int64_t first, int64_t last, float* y) {
  for (int64_t b = first / s.out_height; b * s.out_height < last; ++b) {
    const float* image = padded.of(x + b * s.image(), s, false);
    int64_t begin = std::max<int64_t>(first - b * s.out_height, 0), end = std::min(last - b * s.out_height, s.out_height);
    for (int64_t i = begin; i < end; ++i) {
      const float* from = image + i * s.stride_y * padded.width;
      float* to = y + b * s.result() + i * s.out_width * s.features;
      s.stride_x == 1 ? single_channel_line<1>(from, s, padded.width, packed, panels, to)
                      : single_channel_line<2>(from, s, padded.width, packed, panels, to);
    }
  }
}

}  // namespace
