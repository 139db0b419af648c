// exp, sigmoid and tanh of vectors in float32, right to a few units in the last place; NaN stays NaN.

#pragma once

#include <cstdint>

#include "shared.h"

namespace {

typedef int32_t Int __attribute__((vector_size(4 * kLanes)));

// e^x for -87 <= x <= 87; beyond, e^87 and e^-87 (no number that sigmoid makes of it is subnormal). As in Cephes
// (Moshier 1992): x = n log 2 + r, and a polynomial of r.
inline Vec exponential(Vec x) {
  x = x > 87 ? broadcast(87) : x;
  x = x < -87 ? broadcast(-87) : x;
  Vec shifted = x * 1.44269504088896341f + 12582912.0f;  // 1.5 * 2^23: n is in the last bits
  Vec n = shifted - 12582912.0f;
  Vec r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  Vec p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  Int power = ((Int)shifted << 23) + 0x3f800000;
  return (p * (r * r) + r + 1.0f) * (Vec)power;
}

inline Vec sigmoid(Vec x) { return 1.0f / (1.0f + exponential(-x)); }

// The rational function of Eigen and XLA; 1 - 5e-8 from 7.9 on.
inline Vec tangent(Vec x) {
  x = x > 7.90531110763549805f ? broadcast(7.90531110763549805f) : x;
  x = x < -7.90531110763549805f ? broadcast(-7.90531110763549805f) : x;
  Vec s = x * x;
  Vec p = s * -2.76076847742355e-16f + 2.00018790482477e-13f;
  p = p * s + -8.60467152213735e-11f;
  p = p * s + 5.12229709037114e-08f;
  p = p * s + 1.48572235717979e-05f;
  p = p * s + 6.37261928875436e-04f;
  p = p * s + 4.89352455891786e-03f;
  Vec q = s * 1.19825839466702e-06f + 1.18534705686654e-04f;
  q = q * s + 2.26843463243900e-03f;
  q = q * s + 4.89352518554385e-03f;
  return x * p / q;
}

}  // namespace
