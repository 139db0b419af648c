// Winograd's convolution of so few tiles that transforming the kernel costs more than the products: a thread takes some
// features, and multiplies each part of the kernel as soon as it is transformed, without writing it to memory. The sums
// have the order, and so the bits, of those over many tiles.

#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "winograd.h"

namespace {

constexpr int64_t kFewTiles = 2;  // of all images together; for more of them the transformed kernel is written

// The results of all images for the panels' features; `kernel` and `y` are at the first of these.
template <class Form>
void few_tiles(const float* x, const float* kernel, const Shape& s, const Panels& panels, float* y) {
  constexpr int kSide = Form::kSide, kPlaces = Form::kPlaces, kResults = Form::kResults;
  Tiles<Form> tiles(s);
  Padded padded = tiles.padded(s);
  int64_t count = s.batch * tiles.each(), pitch = round_up(s.channels), plane = kFewTiles * pitch + kApart;
  int64_t row = padded.width * s.channels, tap = s.channels * s.features, t = 0;
  float* v = scratch(kLeft, kPlaces * plane);
  for (int64_t b = 0; b < s.batch; ++b) {
    const float* image = padded.of(x + b * s.image(), s, s.channels % kLanes && b == s.batch - 1);
    for (int64_t i = 0; i < tiles.down; ++i)
      for (int64_t j = 0; j < tiles.across; ++j)
        tile_of_image<Form>(image + kResults * (i * row + j * s.channels), row, s.channels, v + pitch * t++, plane);
  }
  // The tiles' values of a channel side by side: [C][tiles][places].
  float* turned = scratch(kRight, s.channels * count * kPlaces);
  for (int p = 0; p < kPlaces; ++p)
    for (t = 0; t < count; ++t)
      for (int64_t c = 0; c < s.channels; ++c) turned[(c * count + t) * kPlaces + p] = v[p * plane + t * pitch + c];
  int64_t vectors = panels.vectors;
  float* sums = scratch(kSums, vectors * count * kPlaces * kLanes);
  std::memset(sums, 0, vectors * count * kPlaces * sizeof(Vec));
  for (int64_t c = 0; c < s.channels; ++c)
    for (int64_t n = 0; n < vectors; ++n) {
      int64_t f = n * kLanes, width = panels.width - f;
      Vec u[kPlaces];
      both_axes<3, kSide>(
          Form::kernel,
          [&](int i, int j) { return load_some(kernel + (3 * i + j) * tap + c * s.features + f, width); },
          [&](int i, int j, Vec e) { u[kSide * i + j] = e; });
      for (t = 0; t < count; ++t) {
        const float* left = turned + (c * count + t) * kPlaces;
        float* sum = sums + (n * count + t) * kPlaces * kLanes;
#pragma GCC unroll 4
        for (int p = 0; p < kPlaces; ++p, sum += kLanes) store(sum, load(sum) + broadcast(left[p]) * u[p]);
      }
    }
  for (int64_t n = 0; n < vectors; ++n)
    for (t = 0; t < count; ++t) {
      int64_t b = t / tiles.each(), i = t % tiles.each() / tiles.across, j = t % tiles.across;
      float* to = y + b * s.result() + kResults * (i * s.out_width + j) * s.features + n * kLanes;
      tile_of_result<Form>(sums + (n * count + t) * kPlaces * kLanes, kLanes,
                           std::min<int64_t>(kLanes, panels.width - n * kLanes), to, s.out_width * s.features,
                           s.features, tiles.rows(i), tiles.columns(j));
    }
}

}  // namespace
