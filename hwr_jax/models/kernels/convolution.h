// Two-dimensional convolution [B, H, W, C] * [h, w, C, F] -> [B, H', W', F] in float32, and its two gradients, on XLA's
// own threads. 3x3 kernels of stride 1 take Winograd's F(2x2, 3x3) (Lavin & Gray 2016: 16 products where the plain sum
// has 36), all others the plain sum, without copies of the windows.
//
// Every sum has an order of its own that depends on the shapes alone: neither on the number of threads nor on the width
// of the vectors. A batch is cut into parts, a thread takes the next part that nobody has taken, and the parts of a
// kernel's gradient are added in their order.

#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

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

// A product of `rows` rows with one panel of the right factor, N vectors wide, of which `width` values count.
template <int M, int N>
void panel(const float* const* a, int64_t rows, int64_t segments, int64_t step, int64_t length, const float* b,
           float* const* out, int64_t shift, int64_t width) {
  int64_t m = 0;
  for (; m + M <= rows; m += M) {
    Vec sum[M][N] = {};
    accumulate<M, N>(a + m, segments, step, length, b, sum);
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
  if constexpr (M > 1) {
    if (m < rows) panel<(M + 1) / 2, N>(a + m, rows - m, segments, step, length, b, out + m, shift, width);
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
};

// out[m][0:F] = sum over the pieces of a[m] with the packed factor b.
void product(const float* const* a, int64_t rows, int64_t segments, int64_t step, int64_t length, const float* b,
             const Panels& panels, float* const* out) {
  panels.each(segments * length, [&](int64_t first, int64_t n, int64_t offset) {
    int64_t width = std::min(panels.width - first, n * kLanes);
    if (n == 3) panel<rows_of(3), 3>(a, rows, segments, step, length, b + offset, out, first, width);
    if (n == 2) panel<rows_of(2), 2>(a, rows, segments, step, length, b + offset, out, first, width);
    if (n == 1) panel<rows_of(1), 1>(a, rows, segments, step, length, b + offset, out, first, width);
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
  Vec sum[M][N];
#pragma GCC unroll 16
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) sum[m][n] = load(out + m * pitch + kLanes * n);
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
    for (int n = 0; n < N; ++n) store(out + m * pitch + kLanes * n, sum[m][n]);
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

// ---- shapes ----

struct Shape {
  int64_t batch, height, width, channels;     // of the image
  int64_t out_height, out_width, features;    // of the result
  int64_t rows, columns;                      // of the kernel
  int64_t stride_y, stride_x, top, left;      // step and padding
  int64_t image() const { return height * width * channels; }
  int64_t result() const { return out_height * out_width * features; }
  int64_t kernel() const { return rows * columns * channels * features; }
  bool winograd() const {
    return rows == 3 && columns == 3 && stride_y == 1 && stride_x == 1 && channels >= 8 && features >= 8;
  }
};

// An image with zeros around it, or the image itself where none are needed.
struct Padded {
  int64_t height, width, top, left;
  bool needed;
  Padded(const Shape& s, int64_t least_height, int64_t least_width)
      : height(std::max(least_height, s.top + s.height)), width(std::max(least_width, s.left + s.width)),
        top(s.top), left(s.left), needed(height != s.height || width != s.width) {}
  // `image` [H, W, C]; the vector behind the last value may be read.
  const float* of(const float* image, const Shape& s, bool last) const {
    if (!needed && !last) return image;
    int64_t size = height * width * s.channels, row = s.width * s.channels;
    float* out = scratch(kPadded, size + kLanes);
    std::memset(out, 0, (size + kLanes) * sizeof(float));
    for (int64_t i = 0; i < s.height; ++i)
      std::memcpy(out + ((i + top) * width + left) * s.channels, image + i * row, row * sizeof(float));
    return out;
  }
};

// ---- the plain sum ----

// kernel [h, w, C, F] -> panels, each [h * w * C, its vectors]; a tap is `taps(i, j)`, [C, F] of pitch F.
template <typename Taps>
void pack(const Shape& s, int64_t rows, int64_t columns, const Taps& taps, const Panels& panels, float* packed) {
  int64_t depth = rows * columns * s.channels;
  panels.each(depth, [&](int64_t first, int64_t n, int64_t offset) {
    int64_t width = std::min(panels.width - first, n * kLanes);
    float* to = packed + offset;
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < columns; ++j) {
        const float* tap = taps(i, j) + first;
        for (int64_t c = 0; c < s.channels; ++c, to += n * kLanes, tap += panels.width) {
          for (int64_t f = 0; f < width; ++f) to[f] = tap[f];
          for (int64_t f = width; f < n * kLanes; ++f) to[f] = 0;
        }
      }
  });
}

constexpr int64_t kFewValues = 16;  // of a row of a window: below it, the windows are copied

void plain_image(const float* image, const Shape& s, const Padded& padded, const float* packed, const Panels& panels,
                 float* const* out) {
  const float* x = padded.of(image, s, false);
  int64_t piece = s.columns * s.channels, row = padded.width * s.channels, positions = s.out_height * s.out_width;
  const float** windows = reinterpret_cast<const float**>(scratch(kLeft, 2 * positions));
  int64_t t = 0;
  for (int64_t i = 0; i < s.out_height; ++i)
    for (int64_t j = 0; j < s.out_width; ++j)
      windows[t++] = x + i * s.stride_y * row + j * s.stride_x * s.channels;
  if (piece >= kFewValues || s.rows == 1) {
    product(windows, positions, s.rows, row, piece, packed, panels, out);
    return;
  }
  int64_t depth = s.rows * piece;
  float* copies = scratch(kRight, positions * depth);
  for (t = 0; t < positions; ++t) {
    float* to = copies + t * depth;
    for (int64_t k = 0; k < s.rows; ++k)
      for (int64_t c = 0; c < piece; ++c) *to++ = windows[t][k * row + c];
    windows[t] = copies + t * depth;
  }
  product(windows, positions, 1, 0, depth, packed, panels, out);
}

// sums [h * w * C][F of whole vectors] += windows' g of one image.
void plain_outer(const float* image, const float* g, const Shape& s, const Padded& padded, float* sums) {
  const float* x = padded.of(image, s, false);
  int64_t pitch = round_up(s.features), vectors = pitch / kLanes, positions = s.out_height * s.out_width;
  int64_t piece = s.columns * s.channels, row = padded.width * s.channels, depth = s.rows * piece;
  if (pitch != s.features) {
    float* whole = scratch(kRight, positions * pitch);
    for (int64_t t = 0; t < positions; ++t) {
      std::memcpy(whole + t * pitch, g + t * s.features, s.features * sizeof(float));
      std::memset(whole + t * pitch + s.features, 0, (pitch - s.features) * sizeof(float));
    }
    g = whole;
  }
  if (piece < kFewValues && s.rows > 1) {
    float* copies = scratch(kLeft, positions * depth);
    float* to = copies;
    for (int64_t i = 0; i < s.out_height; ++i)
      for (int64_t j = 0; j < s.out_width; ++j)
        for (int64_t k = 0; k < s.rows; ++k)
          for (int64_t c = 0; c < piece; ++c)
            *to++ = x[(i * s.stride_y + k) * row + j * s.stride_x * s.channels + c];
    outer_product(copies, g, Walk{1, 0, 0, positions, depth, pitch}, depth, vectors, sums);
    return;
  }
  Walk walk{s.out_height, s.stride_y * row, s.out_width * pitch, s.out_width, s.stride_x * s.channels, pitch};
  for (int64_t k = 0; k < s.rows; ++k) outer_product(x + k * row, g, walk, piece, vectors, sums + k * piece * pitch);
}

// ---- Winograd ----

// Tiles of 2x2 results each; V = B' d B of the image, U = G g G' of the kernel, Y = A' (sum over channels of U V) A.
struct Tiles {
  int64_t down, across;
  explicit Tiles(const Shape& s) : down(ceil_div(s.out_height, 2)), across(ceil_div(s.out_width, 2)) {}
  int64_t each() const { return down * across; }
};

// V[p][t][C of pitch], p = 0..15, of the tile whose corner is `x`.
inline void tile_of_image(const float* x, int64_t row, int64_t channels, float* v, int64_t plane) {
  for (int64_t c = 0; c < channels; c += kLanes) {
    Vec d[4][4], e[4][4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i)
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) d[i][j] = load(x + i * row + j * channels + c);
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      e[0][j] = d[0][j] - d[2][j];
      e[1][j] = d[1][j] + d[2][j];
      e[2][j] = d[2][j] - d[1][j];
      e[3][j] = d[1][j] - d[3][j];
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      float* to = v + 4 * i * plane + c;
      store(to, e[i][0] - e[i][2]);
      store(to + plane, e[i][1] + e[i][2]);
      store(to + 2 * plane, e[i][2] - e[i][1]);
      store(to + 3 * plane, e[i][1] - e[i][3]);
    }
  }
}

// U[p] packed in panels, for every p the same way.
void factor_of_kernel(const float* kernel, int64_t channels, const Panels& panels, float* factor) {
  int64_t plane = panels.size(channels), features = panels.width, tap = channels * features;
  panels.each(channels, [&](int64_t first, int64_t n, int64_t offset) {
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t v = 0; v < n; ++v) {
        int64_t f = first + v * kLanes, width = std::min<int64_t>(features - f, kLanes);
        Vec g[3][3], h[4][3];
        for (int i = 0; i < 3; ++i)
          for (int j = 0; j < 3; ++j) {
            const float* from = kernel + (3 * i + j) * tap + c * features + f;
            if (width == kLanes) {
              g[i][j] = load(from);
            } else {
              float part[kLanes] = {};
              std::memcpy(part, from, width * sizeof(float));
              g[i][j] = load(part);
            }
          }
        for (int j = 0; j < 3; ++j) {
          h[0][j] = g[0][j];
          h[1][j] = (g[0][j] + g[1][j] + g[2][j]) * 0.5f;
          h[2][j] = (g[0][j] - g[1][j] + g[2][j]) * 0.5f;
          h[3][j] = g[2][j];
        }
        float* to = factor + offset + (c * n + v) * kLanes;
        for (int i = 0; i < 4; ++i, to += 4 * plane) {
          store(to, h[i][0]);
          store(to + plane, (h[i][0] + h[i][1] + h[i][2]) * 0.5f);
          store(to + 2 * plane, (h[i][0] - h[i][1] + h[i][2]) * 0.5f);
          store(to + 3 * plane, h[i][2]);
        }
      }
  });
}

// Writes the (at most) 2x2 results of one tile: M[p][t][F of whole vectors] -> y.
inline void tile_of_result(const float* m, int64_t plane, int64_t features, float* y, int64_t row, bool lower,
                           bool right) {
  for (int64_t f = 0; f < features; f += kLanes) {
    Vec e[2][4];
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      const float* from = m + j * plane + f;
      Vec a = load(from), b = load(from + 4 * plane), c = load(from + 8 * plane), d = load(from + 12 * plane);
      e[0][j] = a + b + c;
      e[1][j] = b - c - d;
    }
    int64_t width = std::min<int64_t>(features - f, kLanes);
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {
      if (i && !lower) continue;
      Vec both[2] = {e[i][0] + e[i][1] + e[i][2], e[i][1] - e[i][2] - e[i][3]};
#pragma GCC unroll 2
      for (int j = 0; j < 2; ++j) {
        if (j && !right) continue;
        float* to = y + i * row + j * features + f;
        if (width == kLanes) {
          store(to, both[j]);
        } else {
          std::memcpy(to, &both[j], width * sizeof(float));
        }
      }
    }
  }
}

// W[p][t][F of whole vectors] = A dy A' of the (at most) 2x2 gradients of one tile.
inline void tile_of_gradient(const float* y, int64_t features, int64_t row, bool lower, bool right, float* w,
                             int64_t plane) {
  for (int64_t f = 0; f < features; f += kLanes) {
    int64_t width = std::min<int64_t>(features - f, kLanes);
    Vec d[2][2] = {};
    for (int i = 0; i < 1 + lower; ++i)
      for (int j = 0; j < 1 + right; ++j) {
        const float* from = y + i * row + j * features + f;
        if (width == kLanes) {
          d[i][j] = load(from);
        } else {
          std::memcpy(&d[i][j], from, width * sizeof(float));
        }
      }
    Vec e[4][2];
#pragma GCC unroll 2
    for (int j = 0; j < 2; ++j) {
      e[0][j] = d[0][j];
      e[1][j] = d[0][j] + d[1][j];
      e[2][j] = d[0][j] - d[1][j];
      e[3][j] = -d[1][j];
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      float* to = w + 4 * i * plane + f;
      store(to, e[i][0]);
      store(to + plane, e[i][0] + e[i][1]);
      store(to + 2 * plane, e[i][0] - e[i][1]);
      store(to + 3 * plane, -e[i][1]);
    }
  }
}

constexpr int64_t kApart = 16;  // floats between the 16 planes, so that they do not fall on the same sets of the cache

// Tiles at a time: what they take of the second cache, and enough for the factor to be worth reading.
int64_t tiles_at_once(const Shape& s, int64_t least) {
  int64_t fit = (200 << 10) / (16 * sizeof(float) * (round_up(s.channels) + round_up(s.features)));
  return std::max(least, fit / 12 * 12);
}

void winograd_images(const float* x, const Shape& s, const float* factor, const Panels& panels, int64_t first,
                     int64_t last, float* y) {
  Tiles tiles(s);
  Padded padded(s, 2 * tiles.down + 2, 2 * tiles.across + 2);
  int64_t pitch = round_up(s.channels), out_pitch = panels.vectors * kLanes, at_once = tiles_at_once(s, 24);
  int64_t plane = at_once * pitch + kApart, out_plane = at_once * out_pitch + kApart, row = padded.width * s.channels;
  float* v = scratch(kLeft, 16 * plane);
  float* m = scratch(kSums, 16 * out_plane);
  std::vector<const float*> from(at_once);
  std::vector<float*> to(at_once), out(at_once);
  std::vector<char> lower(at_once), right(at_once);
  int64_t held = 0;
  auto flush = [&] {
    for (int p = 0; p < 16; ++p) {
      for (int64_t t = 0; t < held; ++t) {
        from[t] = v + p * plane + t * pitch;
        to[t] = m + p * out_plane + t * out_pitch;
      }
      Panels whole = panels;
      whole.width = out_pitch;
      product(from.data(), held, 1, 0, s.channels, factor + p * panels.size(s.channels), whole, to.data());
    }
    for (int64_t t = 0; t < held; ++t)
      tile_of_result(m + t * out_pitch, out_plane, s.features, out[t], s.out_width * s.features, lower[t], right[t]);
    held = 0;
  };
  for (int64_t b = first; b < last; ++b) {
    // The last vector of an image may reach behind it: only a copy has room there.
    const float* image = padded.of(x + b * s.image(), s, s.channels % kLanes && b == s.batch - 1);
    for (int64_t i = 0; i < tiles.down; ++i)
      for (int64_t j = 0; j < tiles.across; ++j) {
        tile_of_image(image + 2 * i * row + 2 * j * s.channels, row, s.channels, v + held * pitch, plane);
        out[held] = y + b * s.result() + (2 * i * s.out_width + 2 * j) * s.features;
        lower[held] = 2 * i + 1 < s.out_height;
        right[held] = 2 * j + 1 < s.out_width;
        if (++held == at_once) flush();
      }
  }
  if (held) flush();
}

// sums [16][C][F of whole vectors] += V' W over the tiles of some images.
void winograd_outer(const float* x, const float* g, const Shape& s, int64_t first, int64_t last, float* sums) {
  Tiles tiles(s);
  Padded padded(s, 2 * tiles.down + 2, 2 * tiles.across + 2);
  int64_t pitch = round_up(s.channels), out_pitch = round_up(s.features), at_once = tiles_at_once(s, 24);
  int64_t plane = at_once * pitch + kApart, out_plane = at_once * out_pitch + kApart, row = padded.width * s.channels;
  float* v = scratch(kLeft, 16 * plane);
  float* w = scratch(kRight, 16 * out_plane);
  int64_t held = 0;
  auto flush = [&] {
    Walk walk{1, 0, 0, held, pitch, out_pitch};
    for (int p = 0; p < 16; ++p)
      outer_product(v + p * plane, w + p * out_plane, walk, s.channels, out_pitch / kLanes,
                    sums + p * s.channels * out_pitch);
    held = 0;
  };
  for (int64_t b = first; b < last; ++b) {
    const float* image = padded.of(x + b * s.image(), s, s.channels % kLanes && b == s.batch - 1);
    const float* gradient = g + b * s.result();
    for (int64_t i = 0; i < tiles.down; ++i)
      for (int64_t j = 0; j < tiles.across; ++j) {
        tile_of_image(image + 2 * i * row + 2 * j * s.channels, row, s.channels, v + held * pitch, plane);
        tile_of_gradient(gradient + (2 * i * s.out_width + 2 * j) * s.features, s.features,
                         s.out_width * s.features, 2 * i + 1 < s.out_height, 2 * j + 1 < s.out_width,
                         w + held * out_pitch, out_plane);
        if (++held == at_once) flush();
      }
  }
  if (held) flush();
}

// dw [3][3][C][F] = G' dU G, of some channels.
void kernel_of_factor(const float* sums, const Shape& s, int64_t first, int64_t last, float* dw) {
  int64_t out_pitch = round_up(s.features), plane = s.channels * out_pitch, tap = s.channels * s.features;
  for (int64_t c = first; c < last; ++c)
    for (int64_t f = 0; f < s.features; f += kLanes) {
      const float* from = sums + c * out_pitch + f;
      Vec e[3][4];
      for (int j = 0; j < 4; ++j) {
        Vec u0 = load(from + j * plane), u1 = load(from + (4 + j) * plane), u2 = load(from + (8 + j) * plane),
            u3 = load(from + (12 + j) * plane);
        e[0][j] = u0 + (u1 + u2) * 0.5f;
        e[1][j] = (u1 - u2) * 0.5f;
        e[2][j] = u3 + (u1 + u2) * 0.5f;
      }
      int64_t width = std::min<int64_t>(s.features - f, kLanes);
      for (int i = 0; i < 3; ++i) {
        Vec all[3] = {e[i][0] + (e[i][1] + e[i][2]) * 0.5f, (e[i][1] - e[i][2]) * 0.5f,
                      e[i][3] + (e[i][1] + e[i][2]) * 0.5f};
        for (int j = 0; j < 3; ++j)
          std::memcpy(dw + (3 * i + j) * tap + c * s.features + f, &all[j], width * sizeof(float));
      }
    }
}

// ---- the three convolutions ----

// kernel [h, w, C, F] -> [h, w, F, C], turned by half a turn.
void turn(const float* kernel, const Shape& s, float* turned) {
  int64_t taps = s.rows * s.columns, tap = s.channels * s.features;
  for (int64_t k = 0; k < taps; ++k) {
    const float* from = kernel + (taps - 1 - k) * tap;
    float* to = turned + k * tap;
    for (int64_t c0 = 0; c0 < s.channels; c0 += 8)
      for (int64_t f0 = 0; f0 < s.features; f0 += 8)
        for (int64_t c = c0; c < std::min(c0 + 8, s.channels); ++c)
          for (int64_t f = f0; f < std::min(f0 + 8, s.features); ++f) to[f * s.channels + c] = from[c * s.features + f];
  }
}

void forward(ffi::ThreadPool* pool, const float* x, const float* kernel, const Shape& s, float* y) {
  Panels panels(s.features);
  int64_t parts = parts_of(s.batch, 16);
  if (s.winograd()) {
    float* factor = scratch(kFactor, 16 * panels.size(s.channels));
    factor_of_kernel(kernel, s.channels, panels, factor);
    parallel(pool, parts, [&, factor](int64_t p) {
      winograd_images(x, s, factor, panels, s.batch * p / parts, s.batch * (p + 1) / parts, y);
    });
    return;
  }
  int64_t tap = s.channels * s.features, positions = s.out_height * s.out_width;
  float* packed = scratch(kFactor, panels.size(s.rows * s.columns * s.channels));
  pack(s, s.rows, s.columns, [&](int64_t i, int64_t j) { return kernel + (i * s.columns + j) * tap; }, panels, packed);
  Padded padded(s, (s.out_height - 1) * s.stride_y + s.rows, (s.out_width - 1) * s.stride_x + s.columns);
  parallel(pool, parts, [&, packed](int64_t p) {
    std::vector<float*> out(positions);
    for (int64_t b = s.batch * p / parts; b < s.batch * (p + 1) / parts; ++b) {
      for (int64_t t = 0; t < positions; ++t) out[t] = y + b * s.result() + t * s.features;
      plain_image(x + b * s.image(), s, padded, packed, panels, out.data());
    }
  });
}

// The gradient of the image is a convolution of the gradient of the result with the turned kernel; with a stride, one
// for each of the stride's positions, of those taps that fall on it.
void image_gradient(ffi::ThreadPool* pool, const float* kernel, const float* g, const Shape& s, float* dx) {
  int64_t parts = parts_of(s.batch, 16), tap = s.channels * s.features;
  float* turned = scratch(kTurned, s.kernel());
  turn(kernel, s, turned);
  Shape back{s.batch, s.out_height, s.out_width, s.features, s.height, s.width, s.channels,
             s.rows,  s.columns,    1,           1,          s.rows - 1 - s.top, s.columns - 1 - s.left};
  if (s.stride_y == 1 && s.stride_x == 1 && back.top >= 0 && back.left >= 0) {
    forward(pool, g, turned, back, dx);
    return;
  }
  struct Phase {
    int64_t y, x;
    Shape shape;
    int64_t offset;
  };
  std::vector<Phase> phases;
  Panels panels(s.channels);
  int64_t size = 0;
  for (int64_t y = 0; y < s.stride_y; ++y)
    for (int64_t x = 0; x < s.stride_x; ++x) {
      // Taps k with (y + top - k) divisible by the stride: k = low, low + stride, ...; of the turned kernel the last first.
      int64_t low_y = (y + s.top) % s.stride_y, low_x = (x + s.left) % s.stride_x;
      int64_t rows = s.rows > low_y ? ceil_div(s.rows - low_y, s.stride_y) : 0;
      int64_t columns = s.columns > low_x ? ceil_div(s.columns - low_x, s.stride_x) : 0;
      Shape shape = back;
      shape.rows = rows, shape.columns = columns;
      shape.out_height = y < s.height ? ceil_div(s.height - y, s.stride_y) : 0;
      shape.out_width = x < s.width ? ceil_div(s.width - x, s.stride_x) : 0;
      shape.top = rows - 1 - (y + s.top) / s.stride_y, shape.left = columns - 1 - (x + s.left) / s.stride_x;
      phases.push_back({y, x, shape, size});
      size += panels.size(rows * columns * s.features);
    }
  float* packed = scratch(kFactor, size);
  for (const Phase& phase : phases) {
    if (!phase.shape.rows || !phase.shape.columns) continue;
    int64_t last_y = (phase.y + s.top) % s.stride_y + (phase.shape.rows - 1) * s.stride_y;
    int64_t last_x = (phase.x + s.left) % s.stride_x + (phase.shape.columns - 1) * s.stride_x;
    auto taps = [&](int64_t i, int64_t j) {
      int64_t row = last_y - i * s.stride_y, column = last_x - j * s.stride_x;
      return turned + ((s.rows - 1 - row) * s.columns + (s.columns - 1 - column)) * tap;
    };
    pack(phase.shape, phase.shape.rows, phase.shape.columns, taps, panels, packed + phase.offset);
  }
  parallel(pool, parts, [&, packed](int64_t p) {
    std::vector<float*> out;
    for (int64_t b = s.batch * p / parts; b < s.batch * (p + 1) / parts; ++b)
      for (const Phase& phase : phases) {
        out.clear();
        for (int64_t i = phase.y; i < s.height; i += s.stride_y)
          for (int64_t j = phase.x; j < s.width; j += s.stride_x)
            out.push_back(dx + b * s.image() + (i * s.width + j) * s.channels);
        if (out.empty()) continue;
        if (!phase.shape.rows || !phase.shape.columns) {
          for (float* to : out) std::memset(to, 0, s.channels * sizeof(float));
          continue;
        }
        Shape shape = phase.shape;
        Padded padded(shape, shape.out_height - 1 + shape.rows, shape.out_width - 1 + shape.columns);
        plain_image(g + b * s.result(), shape, padded, packed + phase.offset, panels, out.data());
      }
  });
}

// The kernel's gradient of wide layers, whose sums are too large for a core's own cache: all tiles of some images, then
// one product for each of the 16 places, which have sums of their own.
void kernel_gradient_by_place(ffi::ThreadPool* pool, const float* x, const float* g, const Shape& s, float* dw) {
  Tiles tiles(s);
  Padded padded(s, 2 * tiles.down + 2, 2 * tiles.across + 2);
  int64_t pitch = round_up(s.channels), out_pitch = round_up(s.features), row = padded.width * s.channels;
  int64_t each = 16 * (pitch + out_pitch) * tiles.each() * sizeof(float);
  int64_t at_once = std::clamp<int64_t>((8 << 20) / each, 1, s.batch);  // images
  int64_t plane = at_once * tiles.each() * pitch + kApart, out_plane = at_once * tiles.each() * out_pitch + kApart;
  int64_t place = s.channels * out_pitch;
  float* v = scratch(kLeft, 16 * plane);
  float* w = scratch(kRight, 16 * out_plane);
  float* sums = scratch(kParts, 16 * place);
  std::memset(sums, 0, 16 * place * sizeof(float));
  for (int64_t begin = 0; begin < s.batch; begin += at_once) {
    int64_t count = std::min(at_once, s.batch - begin), parts = parts_of(count, 16);
    parallel(pool, parts, [&](int64_t p) {
      for (int64_t n = count * p / parts; n < count * (p + 1) / parts; ++n) {
        int64_t b = begin + n, t = n * tiles.each();
        const float* image = padded.of(x + b * s.image(), s, s.channels % kLanes && b == s.batch - 1);
        for (int64_t i = 0; i < tiles.down; ++i)
          for (int64_t j = 0; j < tiles.across; ++j, ++t) {
            tile_of_image(image + 2 * i * row + 2 * j * s.channels, row, s.channels, v + t * pitch, plane);
            tile_of_gradient(g + b * s.result() + (2 * i * s.out_width + 2 * j) * s.features, s.features,
                             s.out_width * s.features, 2 * i + 1 < s.out_height, 2 * j + 1 < s.out_width,
                             w + t * out_pitch, out_plane);
          }
      }
    });
    Walk walk{1, 0, 0, count * tiles.each(), pitch, out_pitch};
    parallel(pool, 16, [&](int64_t p) {
      outer_product(v + p * plane, w + p * out_plane, walk, s.channels, out_pitch / kLanes, sums + p * place);
    });
  }
  parallel(pool, 16, [&](int64_t p) {
    kernel_of_factor(sums, s, s.channels * p / 16, s.channels * (p + 1) / 16, dw);
  });
}

void kernel_gradient(ffi::ThreadPool* pool, const float* x, const float* g, const Shape& s, float* dw) {
  if (s.winograd() && s.channels * s.features > 4096) {
    kernel_gradient_by_place(pool, x, g, s, dw);
    return;
  }
  // Each part has sums of its own: fewer of them where they are large.
  int64_t parts = parts_of(s.batch, s.channels * s.features > 4096 ? 8 : 16), size = s.kernel();
  int64_t pitch = round_up(s.features), depth = s.rows * s.columns * s.channels;
  float* partial = scratch(kParts, parts * size);
  Padded padded(s, (s.out_height - 1) * s.stride_y + s.rows, (s.out_width - 1) * s.stride_x + s.columns);
  parallel(pool, parts, [&](int64_t p) {
    int64_t first = s.batch * p / parts, last = s.batch * (p + 1) / parts;
    float* out = partial + p * size;
    if (s.winograd()) {
      float* sums = scratch(kSums, 16 * s.channels * pitch);
      std::memset(sums, 0, 16 * s.channels * pitch * sizeof(float));
      winograd_outer(x, g, s, first, last, sums);
      kernel_of_factor(sums, s, 0, s.channels, out);
      return;
    }
    float* sums = scratch(kSums, depth * pitch);
    std::memset(sums, 0, depth * pitch * sizeof(float));
    for (int64_t b = first; b < last; ++b) plain_outer(x + b * s.image(), g + b * s.result(), s, padded, sums);
    for (int64_t k = 0; k < depth; ++k) std::memcpy(out + k * s.features, sums + k * pitch, s.features * sizeof(float));
  });
  int64_t chunks = std::min<int64_t>(size, 16);
  parallel(pool, size < 4096 ? 1 : chunks, [&](int64_t c) {
    int64_t all = size < 4096 ? 1 : chunks, from = size * c / all, to = size * (c + 1) / all;
    for (int64_t k = from; k < to; ++k) dw[k] = partial[k];
    for (int64_t p = 1; p < parts; ++p)
      for (int64_t k = from; k < to; ++k) dw[k] += partial[p * size + k];
  });
}

enum What { kForward, kImageGradient, kKernelGradient };

// a, b -> out: image, kernel -> result; kernel, gradient -> image's; image, gradient -> kernel's.
void compute(ffi::ThreadPool* pool, int64_t what, const float* a, const float* b, const Shape& s, float* out) {
  if (what == kForward) forward(pool, a, b, s, out);
  if (what == kImageGradient) image_gradient(pool, a, b, s, out);
  if (what == kKernelGradient) kernel_gradient(pool, a, b, s, out);
}

}  // namespace
