// The plain sum of a convolution, without copies of the windows.

#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#include "products.h"
#include "shape.h"

namespace {

// kernel [h, w, C, F] -> panels, each [h * w * C, its vectors]; a tap is `taps(i, j)`, [C, F] of pitch `s.features`.
template <typename Taps>
void pack(const Shape& s, int64_t rows, int64_t columns, const Taps& taps, const Panels& panels, float* packed) {
  int64_t depth = rows * columns * s.channels;
  panels.each(depth, [&](int64_t first, int64_t n, int64_t offset) {
    int64_t width = std::min(panels.width - first, n * kLanes);
    float* to = packed + offset;
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < columns; ++j) {
        const float* tap = taps(i, j) + first;
        for (int64_t c = 0; c < s.channels; ++c, to += n * kLanes, tap += s.features) {
          for (int64_t f = 0; f < width; ++f) to[f] = tap[f];
          for (int64_t f = width; f < n * kLanes; ++f) to[f] = 0;
        }
      }
  });
}

constexpr int64_t kFewValues = 16;  // of a row of a window: below it, the windows are copied

// Copies `rows` rows of N values, `row` apart. N is a constant, so that a row takes a few instructions.
template <int N>
void copy_rows(const float* from, int64_t rows, int64_t row, float* to) {
  for (int64_t k = 0; k < rows; ++k, from += row, to += N) std::memcpy(to, from, N * sizeof(float));
}

void copy_window(const float* from, int64_t rows, int64_t row, int64_t piece, float* to) {
  switch (piece) {
    case 3: return copy_rows<3>(from, rows, row, to);
    case 4: return copy_rows<4>(from, rows, row, to);
    case 5: return copy_rows<5>(from, rows, row, to);
    case 6: return copy_rows<6>(from, rows, row, to);
    case 7: return copy_rows<7>(from, rows, row, to);
  }
  for (int64_t k = 0; k < rows; ++k)
    for (int64_t c = 0; c < piece; ++c) *to++ = from[k * row + c];
}

// Where the windows of a shape lie in an image with zeros around it.
struct Windows {
  const Shape& s;
  int64_t piece, row, depth;  // values of a row of a window, from one row of the image to the next, of a window
  Windows(const Shape& shape, const Padded& padded)
      : s(shape), piece(s.columns * s.channels), row(padded.width * s.channels), depth(s.rows * piece) {}
  bool copied() const { return piece < kFewValues && s.rows > 1; }
  // Calls act(t, window) for the positions `first` to `last` of the result.
  template <typename Act>
  void each(const float* x, int64_t first, int64_t last, const Act& act) const {
    int64_t i = first / s.out_width, j = first % s.out_width, step = s.stride_x * s.channels;
    for (int64_t t = first; t < last; ++i, j = 0) {
      const float* window = x + i * s.stride_y * row + j * step;
      for (; j < s.out_width && t < last; ++j, ++t, window += step) act(t, window);
    }
  }
  void copy(const float* window, float* to) const { copy_window(window, s.rows, row, piece, to); }
};

constexpr int64_t kPositions = 96;  // of the result that are computed at a time, or those of one image

// The results at the positions `first` to `last` of all images', one after the other; `out(b, t)` is where that of the
// position t of image b goes.
template <typename Out>
void plain_positions(const float* x, const Shape& s, const Padded& padded, const float* packed, const Panels& panels,
                     int64_t first, int64_t last, const Out& out) {
  Windows windows(s, padded);
  int64_t positions = s.out_height * s.out_width, images = std::max<int64_t>(1, kPositions / positions);
  std::vector<const float*> from(std::min(last - first, images * positions));
  std::vector<float*> to(from.size());
  for (int64_t b0 = first / positions; b0 * positions < last; b0 += images) {
    int64_t b1 = std::min(b0 + images, ceil_div(last, positions)), count = 0;
    for (int64_t b = b0; b < b1; ++b) {
      const float* image = padded.of(x + b * s.image(), s, false, b - b0, images);
      int64_t begin = std::max<int64_t>(first - b * positions, 0), end = std::min(last - b * positions, positions);
      const float** left = from.data() + count;
      float** result = to.data() + count;
      windows.each(image, begin, end, [=](int64_t t, const float* window) {
        left[t - begin] = window;
        result[t - begin] = out(b, t);
      });
      count += end - begin;
    }
    if (!windows.copied()) {
      product(from.data(), count, s.rows, windows.row, windows.piece, packed, panels, to.data());
      continue;
    }
    float* copies = scratch(kRight, count * windows.depth);
    for (int64_t k = 0; k < count; ++k) {
      windows.copy(from[k], copies + k * windows.depth);
      from[k] = copies + k * windows.depth;
    }
    product(from.data(), count, 1, 0, windows.depth, packed, panels, to.data());
  }
}

// sums [h * w * C][F of whole vectors] += windows' g of one image.
void plain_outer(const float* image, const float* g, const Shape& s, const Padded& padded, float* sums) {
  const float* x = padded.of(image, s, false);
  Windows windows(s, padded);
  int64_t pitch = round_up(s.features), vectors = pitch / kLanes, positions = s.out_height * s.out_width;
  int64_t piece = windows.piece, row = windows.row, depth = windows.depth;
  if (pitch != s.features) {
    float* whole = scratch(kRight, positions * pitch);
    for (int64_t t = 0; t < positions; ++t) {
      std::memcpy(whole + t * pitch, g + t * s.features, s.features * sizeof(float));
      std::memset(whole + t * pitch + s.features, 0, (pitch - s.features) * sizeof(float));
    }
    g = whole;
  }
  if (windows.copied()) {
    float* copies = scratch(kLeft, positions * depth);
    windows.each(x, 0, positions, [&](int64_t t, const float* window) { windows.copy(window, copies + t * depth); });
    outer_product(copies, g, Walk{1, 0, 0, positions, depth, pitch}, depth, vectors, sums);
    return;
  }
  Walk walk{s.out_height, s.stride_y * row, s.out_width * pitch, s.out_width, s.stride_x * s.channels, pitch};
  for (int64_t k = 0; k < s.rows; ++k) outer_product(x + k * row, g, walk, piece, vectors, sums + k * piece * pitch);
}

}  // namespace
