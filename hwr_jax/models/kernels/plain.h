// The plain sum of a convolution, without copies of the windows.

#pragma once

#include <cstdint>
#include <cstring>

#include "products.h"
#include "shape.h"

namespace {

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

// Copies `rows` rows of N values, `row` apart, and returns what follows them in `to`. N is a constant, so that a row
// takes a few instructions.
template <int N>
float* copy_rows(const float* from, int64_t rows, int64_t row, float* to) {
  for (int64_t k = 0; k < rows; ++k, from += row, to += N) std::memcpy(to, from, N * sizeof(float));
  return to;
}

float* copy_window(const float* from, int64_t rows, int64_t row, int64_t piece, float* to) {
  switch (piece) {
    case 3: return copy_rows<3>(from, rows, row, to);
    case 4: return copy_rows<4>(from, rows, row, to);
    case 5: return copy_rows<5>(from, rows, row, to);
    case 6: return copy_rows<6>(from, rows, row, to);
    case 7: return copy_rows<7>(from, rows, row, to);
  }
  for (int64_t k = 0; k < rows; ++k)
    for (int64_t c = 0; c < piece; ++c) *to++ = from[k * row + c];
  return to;
}

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
    copy_window(windows[t], s.rows, row, piece, to);
    windows[t] = to;
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
        to = copy_window(x + i * s.stride_y * row + j * s.stride_x * s.channels, s.rows, row, piece, to);
    outer_product(copies, g, Walk{1, 0, 0, positions, depth, pitch}, depth, vectors, sums);
    return;
  }
  Walk walk{s.out_height, s.stride_y * row, s.out_width * pitch, s.out_width, s.stride_x * s.channels, pitch};
  for (int64_t k = 0; k < s.rows; ++k) outer_product(x + k * row, g, walk, piece, vectors, sums + k * piece * pitch);
}

}  // namespace
