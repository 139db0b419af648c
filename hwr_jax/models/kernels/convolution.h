// Two-dimensional convolution [B, H, W, C] * [h, w, C, F] -> [B, H', W', F] in float32, and its two gradients, on XLA's
// own threads: 3x3 kernels of stride 1 by Winograd's products, all others by the plain sum without copies of windows.
//
// Every sum has an order of its own that depends on the shapes alone: neither on the number of threads nor on the width
// of the vectors. A batch is cut into parts, or the features if there are few images; a thread takes the next part that
// nobody has taken, and the parts of a kernel's gradient are added in their order.

#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "few_tiles.h"
#include "plain.h"
#include "single_channel.h"
#include "winograd.h"

namespace {

constexpr int64_t kLeastTiles = 12;        // of Winograd's that a thread takes: fewer leave a product's tile half empty
constexpr int64_t kLeastPositions = 48;    // of the plain sum that a thread takes, of all images'
constexpr int64_t kFewProducts = 1 << 20;  // of the plain sum: below it another thread would start too late to help
constexpr int64_t kSmallKernel = 16384;    // values, below which one thread alone turns and transforms a kernel
constexpr int64_t kLargeSums = 1024;  // channels x features, above which Winograd's threads have no sums of their own

// The threads for work on the kernel itself: this thread alone if it is small.
ffi::ThreadPool* for_kernel(const Shape& s, ffi::ThreadPool* pool) {
  return s.kernel() < kSmallKernel ? nullptr : pool;
}

// kernel [h, w, C, F] -> [h, w, F, C], turned by half a turn.
void turn(ffi::ThreadPool* pool, const float* kernel, const Shape& s, float* turned) {
  int64_t taps = s.rows * s.columns, tap = s.channels * s.features;
  parallel(for_kernel(s, pool), taps, [&](int64_t k) {
    const float* from = kernel + (taps - 1 - k) * tap;
    float* to = turned + k * tap;
    for (int64_t c0 = 0; c0 < s.channels; c0 += 8)
      for (int64_t f0 = 0; f0 < s.features; f0 += 8)
        for (int64_t c = c0; c < std::min(c0 + 8, s.channels); ++c)
          for (int64_t f = f0; f < std::min(f0 + 8, s.features); ++f) to[f * s.channels + c] = from[c * s.features + f];
  });
}

// Winograd's products of few tiles: a thread takes some features, of which it also transforms the kernel.
template <class Form>
void by_feature(ffi::ThreadPool* pool, const float* x, const float* kernel, const Shape& s, float* y) {
  Panels panels(s.features);
  pool = for_kernel(s, pool);
  int64_t parts = std::min<int64_t>(pool ? pool->num_threads() : 1, panels.count());
  parallel(pool, parts, [&](int64_t p) {
    int64_t first = panels.count() * p / parts, from = panels.feature(first);
    Panels own = panels.part(first, panels.count() * (p + 1) / parts);
    if (s.batch * Tiles<Form>(s).each() <= kFewTiles) {
      few_tiles<Form>(x, kernel + from, s, own, y + from);
      return;
    }
    float* factor = scratch(kFactor, Form::kPlaces * factor_plane(own, s.channels));
    factor_of_kernel<Form>(kernel + from, s, 0, s.channels, own, factor);
    winograd_images<Form>(x, s, factor, own, 0, s.batch, y + from);
  });
}

// Those of many tiles: the kernel is transformed once, then a thread takes some images.
template <class Form>
void by_image(ffi::ThreadPool* pool, const float* x, const float* kernel, const Shape& s, float* y) {
  Panels panels(s.features);
  float* factor = scratch(kFactor, Form::kPlaces * factor_plane(panels, s.channels));
  parallel(for_kernel(s, pool), 8, [&](int64_t p) {
    factor_of_kernel<Form>(kernel, s, s.channels * p / 8, s.channels * (p + 1) / 8, panels, factor);
  });
  int64_t most = std::min<int64_t>(s.batch * Tiles<Form>(s).each() / kLeastTiles, 16);
  int64_t parts = parts_of(s.batch, std::max<int64_t>(most, 1));
  parallel(pool, parts, [&](int64_t p) {
    winograd_images<Form>(x, s, factor, panels, s.batch * p / parts, s.batch * (p + 1) / parts, y);
  });
}

// Where the results at the position t of image b go, from the feature `from` on.
auto into(float* y, const Shape& s, int64_t from) {
  return [=](int64_t b, int64_t t) { return y + b * s.result() + t * s.features + from; };
}

// The plain sum: a thread takes some positions of the result, or some features if there are few positions.
void plain(ffi::ThreadPool* pool, const float* x, const float* kernel, const Shape& s, float* y) {
  Panels panels(s.features);
  int64_t tap = s.channels * s.features, positions = s.batch * s.out_height * s.out_width;
  int64_t depth = s.rows * s.columns * s.channels, count = panels.count();
  Padded padded(s, (s.out_height - 1) * s.stride_y + s.rows, (s.out_width - 1) * s.stride_x + s.columns);
  auto pack_some = [&](int64_t first, int64_t last, float* packed) {
    int64_t from = panels.feature(first);
    auto taps = [&](int64_t i, int64_t j) { return kernel + (i * s.columns + j) * tap + from; };
    pack(s, s.rows, s.columns, taps, panels.part(first, last), packed);
  };
  if (positions * depth * s.features < kFewProducts) pool = nullptr;
  int64_t threads = pool ? pool->num_threads() : 1;
  if (!single_channel(s) && positions < kPositions * threads && count > 1) {
    int64_t parts = std::min(threads, count);
    parallel(pool, parts, [&](int64_t p) {
      int64_t first = count * p / parts, last = count * (p + 1) / parts, from = panels.feature(first);
      float* packed = scratch(kFactor, panels.part(first, last).size(depth));
      pack_some(first, last, packed);
      plain_positions(x, s, padded, packed, panels.part(first, last), 0, positions, into(y, s, from));
    });
    return;
  }
  float* packed = scratch(kFactor, panels.size(depth));
  parallel(for_kernel(s, pool), count, [&](int64_t p) { pack_some(p, p + 1, packed + 2 * kLanes * p * depth); });
  int64_t parts = std::clamp<int64_t>(positions / kLeastPositions, 1, 16);
  parallel(pool, parts, [&](int64_t p) {
    if (single_channel(s)) {
      int64_t rows = s.batch * s.out_height;
      single_channel_rows(x, s, padded, packed, panels, rows * p / parts, rows * (p + 1) / parts, y);
      return;
    }
    auto begin = [&](int64_t part) { return part == parts ? positions : positions * part / parts / 12 * 12; };
    plain_positions(x, s, padded, packed, panels, begin(p), begin(p + 1), into(y, s, 0));
  });
}

void forward(ffi::ThreadPool* pool, const float* x, const float* kernel, const Shape& s, float* y) {
  if (!s.winograd()) {
    plain(pool, x, kernel, s, y);
    return;
  }
  with_tiles(s, [&](auto form) {
    using Form = decltype(form);
    bool few = s.batch * Tiles<Form>(s).each() < 2 * kLeastTiles;
    few ? by_feature<Form>(pool, x, kernel, s, y) : by_image<Form>(pool, x, kernel, s, y);
  });
}

// The gradient of the image is a convolution of the gradient of the result with the turned kernel; with a stride, one
// for each of the stride's positions, of those taps that fall on it.
void image_gradient(ffi::ThreadPool* pool, const float* kernel, const float* g, const Shape& s, float* dx) {
  int64_t parts = parts_of(s.batch, 16), tap = s.channels * s.features;
  float* turned = scratch(kTurned, s.kernel());
  turn(pool, kernel, s, turned);
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
      // Taps k with (y + top - k) divisible by the stride: k = low, low + stride, ...; the turned kernel's last first.
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
    for (const Phase& phase : phases) {
      const Shape& of = phase.shape;
      int64_t first = s.batch * p / parts, last = s.batch * (p + 1) / parts, positions = of.out_height * of.out_width;
      auto out = [&](int64_t b, int64_t t) {
        int64_t i = phase.y + t / of.out_width * s.stride_y, j = phase.x + t % of.out_width * s.stride_x;
        return dx + b * s.image() + (i * s.width + j) * s.channels;
      };
      if (!positions) continue;
      if (!of.rows || !of.columns) {
        for (int64_t b = first; b < last; ++b)
          for (int64_t t = 0; t < positions; ++t) std::memset(out(b, t), 0, s.channels * sizeof(float));
        continue;
      }
      Padded padded(of, of.out_height + of.rows - 1, of.out_width + of.columns - 1);
      plain_positions(g, of, padded, packed + phase.offset, panels, first * positions, last * positions, out);
    }
  });
}

void kernel_gradient(ffi::ThreadPool* pool, const float* x, const float* g, const Shape& s, float* dw) {
  if (s.winograd() && s.channels * s.features > kLargeSums) {
    with_tiles(s, [&](auto form) { winograd_outer_by_place<decltype(form)>(pool, x, g, s, dw); });
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
      with_tiles(s, [&](auto form) { winograd_outer<decltype(form)>(x, g, s, first, last, out); });
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
