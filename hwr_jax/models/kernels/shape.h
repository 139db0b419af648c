// The shape of a convolution, and images with zeros around them.

#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "shared.h"

namespace {

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
  // `image` [H, W, C]; the vector behind the last value may be read. Of up to `most` images each has a place.
  const float* of(const float* image, const Shape& s, bool last, int64_t place = 0, int64_t most = 1) const {
    if (!needed && !last) return image;
    int64_t size = height * width * s.channels, row = s.width * s.channels;
    float* out = scratch(kPadded, most * (size + kLanes)) + place * (size + kLanes);
    std::memset(out, 0, (size + kLanes) * sizeof(float));
    for (int64_t i = 0; i < s.height; ++i)
      std::memcpy(out + ((i + top) * width + left) * s.channels, image + i * row, row * sizeof(float));
    return out;
  }
};

}  // namespace
