// Products of matrices in tiles that fit the registers: what all convolutions are made of.

#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "shared.h"

namespace {

// Rows of a tile of accumulators that is `n` vectors wide: as many as the registers hold beside a row of the right
// factor and one value of the left.
constexpr int rows_of(int n) { return std::min((kRegisters - n - 1) / n, 12); }

// ---- a tile of a product: out[m][n] += sum_k a(m, k) * b[k][n] ----

// `a` is one pointer a row; k runs through `segments` pieces of `length` values, the next piece `step` values on.
template <int M, int N>
inline __attribute__((always_inline)) void accumulate(const float* const* a, int64_t segments, int64_t step,
                                                      int64_t length, const float* b, Vec (&sum)[M][N]) {
  const float* row[M];
  for (int m = 0; m < M; ++m) row[m] = a[m];
  for (int64_t s = 0; s < segments; ++s) {
    for (int64_t k = 0; k < length; ++k) {
      Vec right[N];
#pragma GCC unroll 4
      for (int n = 0; n < N; ++n) right[n] = load(b + kLanes * n);
      b += kLanes * N;
#pragma GCC unroll 16
      for (int m = 0; m < M; ++m) {
        Vec left = broadcast(row[m][k]);
#pragma GCC unroll 4
        for (int n = 0; n < N; ++n) sum[m][n] += left * right[n];
      }
    }
#pragma GCC unroll 16
    for (int m = 0; m < M; ++m) row[m] += step;
  }
}

// A product of `rows` rows with one panel of the right factor, N vectors wide, of which `width` values count; it is
// stored in `out`, or added to it.
template <int M, int N>
__attribute__((noinline)) void panel(const float* const* a, int64_t rows, int64_t segments, int64_t step,
                                     int64_t length, const float* b, float* const* out, int64_t shift, int64_t width,
                                     bool add) {
  int64_t m = 0;
  for (; m + M <= rows; m += M) {
    Vec sum[M][N] = {};
    accumulate<M, N>(a + m, segments, step, length, b, sum);
    if (add) {
#pragma GCC unroll 16
      for (int i = 0; i < M; ++i)
#pragma GCC unroll 4
        for (int n = 0; n < N; ++n) sum[i][n] += load(out[m + i] + shift + kLanes * n);
    }
    if (width == N * kLanes) {
#pragma GCC unroll 16
      for (int i = 0; i < M; ++i)
#pragma GCC unroll 4
        for (int n = 0; n < N; ++n) store(out[m + i] + shift + kLanes * n, sum[i][n]);
    } else {
      float whole[M][N * kLanes];
#pragma GCC unroll 16
      for (int i = 0; i < M; ++i)
#pragma GCC unroll 4
        for (int n = 0; n < N; ++n) store(whole[i] + kLanes * n, sum[i][n]);
      for (int i = 0; i < M; ++i) std::memcpy(out[m + i] + shift, whole[i], width * sizeof(float));
    }
  }
  if (m == rows) return;
  if constexpr (M == 2 && N == 1) {
    // GCC rounds the products of a single chain of sums, and of no other: the row twice, for the bits of any other row.
    const float* twice[] = {a[m], a[m]};
    float* to[] = {out[m], out[m]};
    panel<2, 1>(twice, 2, segments, step, length, b, to, shift, width, add);
  } else if constexpr (M > 1) {
    panel<(M + 1) / 2, N>(a + m, rows - m, segments, step, length, b, out + m, shift, width, add);
  }
}

// The right factor [K, F] is packed in panels of two vectors; the last has one or three where F asks for it.
struct Panels {
  int64_t width, vectors;
  explicit Panels(int64_t features) : width(features), vectors(ceil_div(features, kLanes)) {}
  template <typename Do>
  void each(int64_t depth, Do act) const {  // act(first feature, vectors, offset of the panel)
    for (int64_t v = 0; v < vectors;) {
      int64_t n = vectors - v == 3 ? 3 : std::min<int64_t>(2, vectors - v);
      act(v * kLanes, n, v * kLanes * depth);
      v += n;
    }
  }
  int64_t size(int64_t depth) const { return vectors * kLanes * depth; }
  int64_t count() const { return std::max<int64_t>(1, vectors / 2); }
  int64_t feature(int64_t panel) const { return panel < count() ? panel * 2 * kLanes : width; }  // its first one
  // Some of the panels: their features are those from feature(first) on.
  Panels part(int64_t first, int64_t last) const { return Panels(feature(last) - feature(first)); }
};

// out[m][0:F] = sum over the pieces of a[m] with the packed factor b, or += for F of whole vectors.
void product(const float* const* a, int64_t rows, int64_t segments, int64_t step, int64_t length, const float* b,
             const Panels& panels, float* const* out, bool add = false) {
  panels.each(segments * length, [&](int64_t first, int64_t n, int64_t offset) {
    int64_t width = std::min(panels.width - first, n * kLanes);
    if (n == 3) panel<rows_of(3), 3>(a, rows, segments, step, length, b + offset, out, first, width, add);
    if (n == 2) panel<rows_of(2), 2>(a, rows, segments, step, length, b + offset, out, first, width, add);
    if (n == 1) panel<rows_of(1), 1>(a, rows, segments, step, length, b + offset, out, first, width, add);
  });
}

// ---- the gradient of the right factor: out[r][f] += sum_t a[t][r] * g[t][f] ----

// t runs through `count` rows of `length` positions; a(t) lies `a_row` and `a_step` values on, g(t) `g_row`, `g_step`.
struct Walk {
  int64_t count, a_row, g_row, length, a_step, g_step;
};

template <int M, int N>
inline __attribute__((always_inline)) void outer(const float* a, const float* g, const Walk& walk, float* out,
                                                 int64_t pitch) {
  Vec sum[M][N] = {};  // they join `out` at the end: one sum of a whole batch would lose a digit
  for (int64_t i = 0; i < walk.count; ++i) {
    const float* x = a + i * walk.a_row;
    const float* y = g + i * walk.g_row;
    for (int64_t j = 0; j < walk.length; ++j) {
      Vec right[N];
#pragma GCC unroll 4
      for (int n = 0; n < N; ++n) right[n] = load(y + kLanes * n);
#pragma GCC unroll 16
      for (int m = 0; m < M; ++m) {
        Vec left = broadcast(x[m]);
#pragma GCC unroll 4
        for (int n = 0; n < N; ++n) sum[m][n] += left * right[n];
      }
      x += walk.a_step;
      y += walk.g_step;
    }
  }
#pragma GCC unroll 16
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) {
      float* to = out + m * pitch + kLanes * n;
      store(to, load(to) + sum[m][n]);
    }
}

template <int M, int N>
void outer_rows(const float* a, const float* g, const Walk& walk, int64_t rows, float* out, int64_t pitch) {
  int64_t r = 0;
  for (; r + M <= rows; r += M) outer<M, N>(a + r, g, walk, out + r * pitch, pitch);
  if constexpr (M > 1) {
    if (r < rows) outer_rows<(M + 1) / 2, N>(a + r, g, walk, rows - r, out + r * pitch, pitch);
  }
}

// `g` and `out` have rows of whole vectors: `vectors` of them.
void outer_product(const float* a, const float* g, const Walk& walk, int64_t rows, int64_t vectors, float* out) {
  int64_t pitch = vectors * kLanes;
  for (int64_t v = 0; v < vectors;) {
    int64_t n = vectors - v == 3 ? 3 : std::min<int64_t>(2, vectors - v);
    const float* right = g + v * kLanes;
    float* to = out + v * kLanes;
    if (n == 3) outer_rows<rows_of(3), 3>(a, right, walk, rows, to, pitch);
    if (n == 2) outer_rows<rows_of(2), 2>(a, right, walk, rows, to, pitch);
    if (n == 1) outer_rows<rows_of(1), 1>(a, right, walk, rows, to, pitch);
    v += n;
  }
}

}  // namespace
