// Winograd's convolution of 3x3 kernels with stride 1 (Lavin & Gray 2016). The result is cut into tiles of RxR values,
// each of which needs (R + 2)x(R + 2) of the image: V = B' d B of such a tile, U = G g G' of the kernel, and the result
// is Y = A' M A, where M is the sum over the channels of U V, place by place. The gradients are these products turned
// around. A tile of 2x2 costs 16 products where the plain sum has 36; one of 4x4 costs 36 where it has 144.

#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "products.h"
#include "shape.h"

namespace {

// ---- the transforms along one axis ----

// F(2, 3): the polynomials are multiplied at 0, 1, -1 and infinity.
struct Small {
  static constexpr int kResults = 2, kSide = 4, kPlaces = 16;
  static void image(const Vec (&d)[4], Vec (&v)[4]) {  // B'
    v[0] = d[0] - d[2];
    v[1] = d[1] + d[2];
    v[2] = d[2] - d[1];
    v[3] = d[1] - d[3];
  }
  static void kernel(const Vec (&g)[3], Vec (&u)[4]) {  // G
    u[0] = g[0];
    u[1] = (g[0] + g[1] + g[2]) * 0.5f;
    u[2] = (g[0] - g[1] + g[2]) * 0.5f;
    u[3] = g[2];
  }
  static void result(const Vec (&m)[4], Vec (&y)[2]) {  // A'
    y[0] = m[0] + m[1] + m[2];
    y[1] = m[1] - m[2] - m[3];
  }
  static void gradient(const Vec (&y)[2], Vec (&w)[4]) {  // A
    w[0] = y[0];
    w[1] = y[0] + y[1];
    w[2] = y[0] - y[1];
    w[3] = -y[1];
  }
  static void kernel_gradient(const Vec (&u)[4], Vec (&g)[3]) {  // G'
    g[0] = u[0] + (u[1] + u[2]) * 0.5f;
    g[1] = (u[1] - u[2]) * 0.5f;
    g[2] = u[3] + (u[1] + u[2]) * 0.5f;
  }
};

// F(4, 3) at 0, a, -a, b, -b and infinity. The usual points 1 and 2 have four times the error of these
// (Barabasz, Anderson, Soodhalter & Gregg 2020 on the choice); a and b are exact in binary.
struct Large {
  static constexpr int kResults = 4, kSide = 6, kPlaces = 36;
  static constexpr float a = 0.75f, b = 1.5f, a2 = a * a, b2 = b * b, a3 = a * a2, b3 = b * b2;
  static constexpr float sum = a2 + b2, product = a2 * b2;
  static constexpr float at_0 = 1 / product, at_a = 1 / (2 * a2 * (a2 - b2)), at_b = 1 / (2 * b2 * (b2 - a2));
  static void image(const Vec (&d)[6], Vec (&v)[6]) {
    Vec even = d[4] - d[2] * b2, odd = (d[3] - d[1] * b2) * a;
    v[1] = even + odd;
    v[2] = even - odd;
    even = d[4] - d[2] * a2, odd = (d[3] - d[1] * a2) * b;
    v[3] = even + odd;
    v[4] = even - odd;
    v[0] = d[4] - d[2] * sum + d[0] * product;
    v[5] = d[5] - d[3] * sum + d[1] * product;
  }
  static void kernel(const Vec (&g)[3], Vec (&u)[6]) {
    Vec even = (g[0] + g[2] * a2) * at_a, odd = g[1] * (a * at_a);
    u[1] = even + odd;
    u[2] = even - odd;
    even = (g[0] + g[2] * b2) * at_b, odd = g[1] * (b * at_b);
    u[3] = even + odd;
    u[4] = even - odd;
    u[0] = g[0] * at_0;
    u[5] = g[2];
  }
  static void result(const Vec (&m)[6], Vec (&y)[4]) {
    Vec even_a = m[1] + m[2], odd_a = m[1] - m[2], even_b = m[3] + m[4], odd_b = m[3] - m[4];
    y[0] = m[0] + even_a + even_b;
    y[1] = odd_a * a + odd_b * b;
    y[2] = even_a * a2 + even_b * b2;
    y[3] = odd_a * a3 + odd_b * b3 + m[5];
  }
  static void gradient(const Vec (&y)[4], Vec (&w)[6]) {
    Vec even = y[0] + y[2] * a2, odd = y[1] * a + y[3] * a3;
    w[1] = even + odd;
    w[2] = even - odd;
    even = y[0] + y[2] * b2, odd = y[1] * b + y[3] * b3;
    w[3] = even + odd;
    w[4] = even - odd;
    w[0] = y[0];
    w[5] = y[3];
  }
  static void kernel_gradient(const Vec (&u)[6], Vec (&g)[3]) {
    Vec even_a = (u[1] + u[2]) * at_a, even_b = (u[3] + u[4]) * at_b;
    g[0] = u[0] * at_0 + even_a + even_b;
    g[1] = (u[1] - u[2]) * (a * at_a) + (u[3] - u[4]) * (b * at_b);
    g[2] = even_a * a2 + even_b * b2 + u[5];
  }
};

// Whether tiles of 4x4 results need clearly fewer products: a function of the shape alone.
bool large_tiles(const Shape& s) {
  int64_t small = ceil_div(s.out_height, 2) * ceil_div(s.out_width, 2) * Small::kPlaces;
  int64_t large = ceil_div(s.out_height, 4) * ceil_div(s.out_width, 4) * Large::kPlaces;
  return large * 10 < small * 9;
}

// Calls act(Small{}) or act(Large{}).
template <typename Act>
void with_tiles(const Shape& s, const Act& act) {
  large_tiles(s) ? act(Large{}) : act(Small{});
}

// One transform along both axes, T in T': values come from load(i, j) and go to store(i, j, value). The outer loops
// stay loops: unrolled, their addresses would need more registers than there are.
template <int From, int To, typename Load, typename Store>
inline __attribute__((always_inline)) void both_axes(void (*line)(const Vec (&)[From], Vec (&)[To]), const Load& load,
                                                     const Store& store) {
  Vec half[From][To];
#pragma GCC unroll 1
  for (int i = 0; i < From; ++i) {
    Vec in[From];
#pragma GCC unroll 6
    for (int j = 0; j < From; ++j) in[j] = load(i, j);
    line(in, half[i]);
  }
#pragma GCC unroll 1
  for (int j = 0; j < To; ++j) {
    Vec in[From], out[To];
#pragma GCC unroll 6
    for (int i = 0; i < From; ++i) in[i] = half[i][j];
    line(in, out);
#pragma GCC unroll 6
    for (int i = 0; i < To; ++i) store(i, j, out[i]);
  }
}

// A vector of which only `width` values count, and are there.
inline Vec load_some(const float* p, int64_t width) {
  if (width >= kLanes) return load(p);
  Vec v{};
  std::memcpy(&v, p, width * sizeof(float));
  return v;
}

inline void store_some(float* p, Vec v, int64_t width) {
  if (width >= kLanes) {
    store(p, v);
  } else {
    std::memcpy(p, &v, width * sizeof(float));
  }
}

// ---- one tile: planes of each place, [places][tiles][channels of whole vectors] ----

constexpr int64_t kApart = 16;  // floats between the planes, so that they do not fall on the same sets of the cache

// The tiles of a result. Those at its lower and right edge may reach beyond it.
template <class Form>
struct Tiles {
  static constexpr int kResults = Form::kResults;
  int64_t down, across, height, width;
  explicit Tiles(const Shape& s)
      : down(ceil_div(s.out_height, kResults)), across(ceil_div(s.out_width, kResults)), height(s.out_height),
        width(s.out_width) {}
  int64_t each() const { return down * across; }
  Padded padded(const Shape& s) const { return Padded(s, kResults * down + 2, kResults * across + 2); }
  int rows(int64_t i) const { return static_cast<int>(std::min<int64_t>(kResults, height - kResults * i)); }
  int columns(int64_t j) const { return static_cast<int>(std::min<int64_t>(kResults, width - kResults * j)); }
};

// V of the tile whose corner is `x`.
template <class Form>
inline void tile_of_image(const float* x, int64_t row, int64_t channels, float* v, int64_t plane) {
  constexpr int kSide = Form::kSide;
  for (int64_t c = 0; c < channels; c += kLanes)
    both_axes<kSide, kSide>(
        Form::image, [&](int i, int j) { return load(x + i * row + j * channels + c); },
        [&](int i, int j, Vec e) { store(v + (kSide * i + j) * plane + c, e); });
}

// Writes the results of one tile, `rows` x `columns` of them.
template <class Form>
inline void tile_of_result(const float* m, int64_t plane, int64_t features, float* y, int64_t row, int64_t pitch,
                           int rows, int columns) {
  constexpr int kSide = Form::kSide;
  for (int64_t f = 0; f < features; f += kLanes)
    both_axes<kSide, Form::kResults>(
        Form::result, [&](int i, int j) { return load(m + (kSide * i + j) * plane + f); },
        [&](int i, int j, Vec e) {
          if (i < rows && j < columns) store_some(y + i * row + j * pitch + f, e, features - f);
        });
}

// W = A dy A' of the gradients of one tile, `rows` x `columns` of them.
template <class Form>
inline void tile_of_gradient(const float* y, int64_t features, int64_t row, int rows, int columns, float* w,
                             int64_t plane) {
  constexpr int kSide = Form::kSide;
  for (int64_t f = 0; f < features; f += kLanes)
    both_axes<Form::kResults, kSide>(
        Form::gradient,
        [&](int i, int j) {
          return i < rows && j < columns ? load_some(y + i * row + j * features + f, features - f) : Vec{};
        },
        [&](int i, int j, Vec e) { store(w + (kSide * i + j) * plane + f, e); });
}

// Floats from the factor of one place to that of the next.
int64_t factor_plane(const Panels& panels, int64_t channels) { return panels.size(channels) + kApart; }

// U of the kernel's channels `from` to `to`, packed in panels, for every place the same way. `kernel` is at the panels'
// first feature.
template <class Form>
void factor_of_kernel(const float* kernel, const Shape& s, int64_t from, int64_t to, const Panels& panels,
                      float* factor) {
  constexpr int kSide = Form::kSide;
  int64_t plane = factor_plane(panels, s.channels), tap = s.channels * s.features;
  panels.each(s.channels, [&](int64_t first, int64_t n, int64_t offset) {
    for (int64_t c = from; c < to; ++c)
      for (int64_t v = 0; v < n; ++v) {
        int64_t f = first + v * kLanes;
        float* u = factor + offset + (c * n + v) * kLanes;
        both_axes<3, kSide>(
            Form::kernel,
            [&](int i, int j) { return load_some(kernel + (3 * i + j) * tap + c * s.features + f, panels.width - f); },
            [&](int i, int j, Vec e) { store(u + (kSide * i + j) * plane, e); });
      }
  });
}

// Floats from the sums of one place, [C][F of whole vectors], to those of the next.
int64_t sums_plane(const Shape& s) { return s.channels * round_up(s.features) + kApart; }

// dw [3][3][C][F] = G' dU G, of some channels; `sums` is dU.
template <class Form>
void kernel_of_factor(const float* sums, const Shape& s, int64_t first, int64_t last, float* dw) {
  constexpr int kSide = Form::kSide;
  int64_t out_pitch = round_up(s.features), plane = sums_plane(s), tap = s.channels * s.features;
  for (int64_t c = first; c < last; ++c)
    for (int64_t f = 0; f < s.features; f += kLanes)
      both_axes<kSide, 3>(
          Form::kernel_gradient,
          [&](int i, int j) { return load(sums + (kSide * i + j) * plane + c * out_pitch + f); },
          [&](int i, int j, Vec g) {
            store_some(dw + (3 * i + j) * tap + c * s.features + f, g, s.features - f);
          });
}

// ---- some images ----

// Floats of the two vectors of a tile at one place, in vectors of 16 on every machine: the number of tiles that are
// added up before they join the sums depends on it.
int64_t floats_of_pair(const Shape& s) { return 16 * (ceil_div(s.channels, 16) + ceil_div(s.features, 16)); }

// Tiles at a time: what they take of the second cache, and enough for the factor to be worth reading.
template <class Form>
int64_t tiles_at_once(const Shape& s) {
  int64_t fit = (200 << 10) / (Form::kPlaces * sizeof(float) * floats_of_pair(s));
  return std::max<int64_t>(24, fit / 12 * 12);
}

// The results of some images, or of those features of theirs that the panels have; `y` is at the first one.
template <class Form>
void winograd_images(const float* x, const Shape& s, const float* factor, const Panels& panels, int64_t first,
                     int64_t last, float* y) {
  constexpr int kResults = Form::kResults;
  Tiles<Form> tiles(s);
  Padded padded = tiles.padded(s);
  int64_t pitch = round_up(s.channels), out_pitch = panels.vectors * kLanes, at_once = tiles_at_once<Form>(s);
  int64_t plane = at_once * pitch + kApart, out_plane = at_once * out_pitch + kApart, row = padded.width * s.channels;
  float* v = scratch(kLeft, Form::kPlaces * plane);
  float* m = scratch(kSums, Form::kPlaces * out_plane);
  std::vector<const float*> from(at_once);
  std::vector<float*> to(at_once), out(at_once);
  std::vector<int> rows(at_once), columns(at_once);
  int64_t held = 0;
  auto flush = [&] {
    for (int p = 0; p < Form::kPlaces; ++p) {
      for (int64_t t = 0; t < held; ++t) {
        from[t] = v + p * plane + t * pitch;
        to[t] = m + p * out_plane + t * out_pitch;
      }
      Panels whole = panels;
      whole.width = out_pitch;
      product(from.data(), held, 1, 0, s.channels, factor + p * factor_plane(panels, s.channels), whole, to.data());
    }
    for (int64_t t = 0; t < held; ++t)
      tile_of_result<Form>(m + t * out_pitch, out_plane, panels.width, out[t], s.out_width * s.features, s.features,
                           rows[t], columns[t]);
    held = 0;
  };
  for (int64_t b = first; b < last; ++b) {
    // The last vector of an image may reach behind it: only a copy has room there.
    const float* image = padded.of(x + b * s.image(), s, s.channels % kLanes && b == s.batch - 1);
    for (int64_t i = 0; i < tiles.down; ++i)
      for (int64_t j = 0; j < tiles.across; ++j) {
        tile_of_image<Form>(image + kResults * (i * row + j * s.channels), row, s.channels, v + held * pitch, plane);
        out[held] = y + b * s.result() + kResults * (i * s.out_width + j) * s.features;
        rows[held] = tiles.rows(i);
        columns[held] = tiles.columns(j);
        if (++held == at_once) flush();
      }
  }
  if (held) flush();
}

// ---- the gradient of the kernel: dU = sum over the tiles of V' W, place by place ----

// Planes for some tiles of images and of the gradients of their results.
template <class Form>
struct Pairs {
  const Shape& s;
  Tiles<Form> tiles;
  Padded padded;
  int64_t pitch, out_pitch, plane, out_plane;
  float *v, *w;
  Pairs(const Shape& shape, int64_t at_once)
      : s(shape), tiles(shape), padded(tiles.padded(shape)), pitch(round_up(shape.channels)),
        out_pitch(round_up(shape.features)), plane(at_once * pitch + kApart), out_plane(at_once * out_pitch + kApart),
        v(scratch(kLeft, Form::kPlaces * plane)), w(scratch(kRight, Form::kPlaces * out_plane)) {}
  // Calls put(write) for every tile of image b: write(t) transforms it into the planes' row t.
  template <typename Put>
  void each(const float* x, const float* g, int64_t b, const Put& put) const {
    constexpr int kResults = Form::kResults;
    int64_t row = padded.width * s.channels, out_row = s.out_width * s.features;
    const float* image = padded.of(x + b * s.image(), s, s.channels % kLanes && b == s.batch - 1);
    const float* gradient = g + b * s.result();
    for (int64_t i = 0; i < tiles.down; ++i)
      for (int64_t j = 0; j < tiles.across; ++j)
        put([&](int64_t t) {
          tile_of_image<Form>(image + kResults * (i * row + j * s.channels), row, s.channels, v + t * pitch, plane);
          tile_of_gradient<Form>(gradient + kResults * (i * out_row + j * s.features), s.features, out_row,
                                 tiles.rows(i), tiles.columns(j), w + t * out_pitch, out_plane);
        });
  }
  // Adds the products of the first `count` rows of one place to its sums [C][F of whole vectors].
  void add(int64_t place, int64_t count, float* sums) const {
    Walk walk{1, 0, 0, count, pitch, out_pitch};
    outer_product(v + place * plane, w + place * out_plane, walk, s.channels, out_pitch / kLanes, sums);
  }
};

// dw of some images, by one thread.
template <class Form>
void winograd_outer(const float* x, const float* g, const Shape& s, int64_t first, int64_t last, float* dw) {
  int64_t at_once = tiles_at_once<Form>(s), place = sums_plane(s), held = 0;
  Pairs<Form> pairs(s, at_once);
  float* sums = scratch(kSums, Form::kPlaces * place);
  std::memset(sums, 0, Form::kPlaces * place * sizeof(float));
  auto flush = [&] {
    for (int p = 0; p < Form::kPlaces; ++p) pairs.add(p, held, sums + p * place);
    held = 0;
  };
  for (int64_t b = first; b < last; ++b)
    pairs.each(x, g, b, [&](const auto& write) {
      write(held);
      if (++held == at_once) flush();
    });
  if (held) flush();
  kernel_of_factor<Form>(sums, s, 0, s.channels, dw);
}

// The same for wide layers, whose sums are too large for a core's own cache: all tiles of some images, then one product
// for each place, which has sums of its own.
template <class Form>
void winograd_outer_by_place(ffi::ThreadPool* pool, const float* x, const float* g, const Shape& s, float* dw) {
  int64_t of_image = Tiles<Form>(s).each(), place = sums_plane(s);
  int64_t bytes = Form::kPlaces * floats_of_pair(s) * of_image * sizeof(float);
  int64_t at_once = std::clamp<int64_t>((8 << 20) / bytes, 1, s.batch);  // images
  Pairs<Form> pairs(s, at_once * of_image);
  float* sums = scratch(kParts, Form::kPlaces * place);
  std::memset(sums, 0, Form::kPlaces * place * sizeof(float));
  for (int64_t begin = 0; begin < s.batch; begin += at_once) {
    int64_t count = std::min(at_once, s.batch - begin), parts = parts_of(count, 16);
    parallel(pool, parts, [&](int64_t p) {
      int64_t t = count * p / parts * of_image;
      for (int64_t b = count * p / parts; b < count * (p + 1) / parts; ++b)
        pairs.each(x, g, begin + b, [&](const auto& write) { write(t++); });
    });
    parallel(pool, Form::kPlaces, [&](int64_t p) { pairs.add(p, count * of_image, sums + p * place); });
  }
  parallel(pool, 16, [&](int64_t p) {
    kernel_of_factor<Form>(sums, s, s.channels * p / 16, s.channels * (p + 1) / 16, dw);
  });
}

}  // namespace
