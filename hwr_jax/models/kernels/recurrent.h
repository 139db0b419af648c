// Recurrent layers over whole sequences, in both directions: forward, and backward through time.
//
// A thread takes some examples through all steps, so that the threads wait for each other only at the end. The inputs'
// products are computed for several steps at a time.

#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "cells.h"
#include "products.h"
#include "shared.h"

namespace {

constexpr int64_t kExamples = 24;  // at a time: what reads a panel of a factor from the first cache
constexpr int64_t kRowsAtOnce = 96;  // examples times steps whose inputs are multiplied together

// Independent layers (seeds), examples, steps, values of an input, directions (the second reads backwards), and the
// width of the state, which is a multiple of 16.
struct Layer {
  int64_t seeds, batch, steps, inputs, directions, width;
  int64_t time(int64_t direction, int64_t step) const { return direction ? steps - 1 - step : step; }
};

// What a layer reads, [S, ...] each: x [B, T, C], inputs [D, C, columns], state [D, H, columns], bias [D, gates], and
// what the forward pass has written: out [B, T, D, H], gates [B, D, T, gates], memory [B, D, T, H].
struct Given {
  const float *x, *inputs, *state, *bias, *out, *gates, *memory;
};

// A factor [depth, width] given by at(k, f), in panels.
template <typename At>
void pack_factor(int64_t depth, const Panels& panels, const At& at, float* to) {
  panels.each(depth, [&](int64_t first, int64_t n, int64_t offset) {
    float* out = to + offset;
    for (int64_t k = 0; k < depth; ++k)
      for (int64_t f = first; f < first + n * kLanes; ++f) *out++ = f < panels.width ? at(k, f) : 0;
  });
}

// Zeros for the state before the first step.
const float* zeros(int64_t size) {
  static thread_local std::vector<float> none;
  if (static_cast<int64_t>(none.size()) < size) none.assign(size, 0);
  return none.data();
}

// ---- forward ----

// Examples [first, last) of one seed and direction. `gates` and `memory` may be null: nothing is kept then.
void read_forward(const Cell& cell, const Layer& s, const float* x, int64_t direction, const float* inputs,
                  const float* state, const float* bias, int64_t first, int64_t last, float* out, float* gates,
                  float* memory) {
  int64_t count = last - first, width = s.width, columns = cell.columns * width, all = cell.gates * width;
  int64_t at_once = std::clamp<int64_t>(kRowsAtOnce / count, 1, s.steps);
  float* sums = gates ? nullptr : scratch(kGates, count * at_once * all);
  float* cells = memory ? nullptr : scratch(kMemory, count * width);
  Panels panels(columns);
  std::vector<const float*> from(count * at_once);
  std::vector<float*> to(count * at_once);
  const float* none = zeros(width);
  for (int64_t begin = 0; begin < s.steps; begin += at_once) {
    int64_t end = std::min(s.steps, begin + at_once);
    auto gates_at = [&](int64_t b, int64_t step) {
      return gates ? gates + ((b * s.directions + direction) * s.steps + s.time(direction, step)) * all
                   : sums + ((b - first) * at_once + step - begin) * all;
    };
    auto out_at = [&](int64_t b, int64_t step) {
      return out + ((b * s.steps + s.time(direction, step)) * s.directions + direction) * width;
    };
    auto memory_at = [&](int64_t b, int64_t step) {
      return memory ? memory + ((b * s.directions + direction) * s.steps + s.time(direction, step)) * width
                    : cells + (b - first) * width;
    };
    int64_t rows = 0;
    for (int64_t b = first; b < last; ++b)
      for (int64_t step = begin; step < end; ++step, ++rows) {
        from[rows] = x + (b * s.steps + s.time(direction, step)) * s.inputs;
        to[rows] = gates_at(b, step);
        std::memset(to[rows] + columns, 0, (all - columns) * sizeof(float));
      }
    product(from.data(), rows, 1, 0, s.inputs, inputs, panels, to.data());
    for (int64_t step = begin; step < end; ++step) {
      if (step > 0) {
        for (int64_t b = first; b < last; ++b) {
          from[b - first] = out_at(b, step - 1);
          to[b - first] = gates_at(b, step) + cell.state_from * width;
        }
        product(from.data(), count, 1, 0, width, state, panels, to.data(), true);
      }
      for (int64_t b = first; b < last; ++b)
        cell.step({bias, step ? out_at(b, step - 1) : none, step && cell.memory ? memory_at(b, step - 1) : none,
                   gates_at(b, step), cell.memory ? memory_at(b, step) : nullptr, out_at(b, step)},
                  width);
    }
  }
}

void read_all(ffi::ThreadPool* pool, const Cell& cell, const Layer& s, const Given& given, float* out, float* gates,
              float* memory) {
  int64_t width = s.width, columns = cell.columns * width, all = cell.gates * width;
  Panels panels(columns);
  int64_t of_inputs = panels.size(s.inputs), each = of_inputs + panels.size(width);
  int64_t readers = s.seeds * s.directions;
  float* packed = scratch(kFactor, readers * each);
  parallel(pool, readers, [&](int64_t r) {
    const float *inputs = given.inputs + r * s.inputs * columns, *state = given.state + r * width * columns;
    pack_factor(s.inputs, panels, [&](int64_t k, int64_t f) { return inputs[k * columns + f]; }, packed + r * each);
    pack_factor(width, panels, [&](int64_t k, int64_t f) { return state[k * columns + f]; },
                packed + r * each + of_inputs);
  });
  int64_t rows = std::clamp<int64_t>(ceil_div(ceil_div(s.batch, 4), 12) * 12, 12, kExamples);
  int64_t blocks = ceil_div(s.batch, rows);
  parallel(pool, readers * blocks, [&](int64_t p) {
    int64_t r = p / blocks, seed = r / s.directions, first = p % blocks * rows, examples = seed * s.batch;
    int64_t kept = examples * s.directions * s.steps;
    read_forward(cell, s, given.x + examples * s.steps * s.inputs, r % s.directions, packed + r * each,
                 packed + r * each + of_inputs, given.bias + r * all, first, std::min(s.batch, first + rows),
                 out + kept * width, gates ? gates + kept * all : nullptr, memory ? memory + kept * width : nullptr);
  });
}

// ---- backward ----

// Sums over the examples of one part: of the inputs' factor [C, columns], the state's [H, columns], the bias [gates].
struct Gradients {
  int64_t columns, inputs, state, bias, size;
  Gradients(const Cell& cell, const Layer& s)
      : columns(cell.columns * s.width), inputs(0), state(s.inputs * columns), bias(state + s.width * columns),
        size(bias + cell.gates * s.width) {}
};

// Examples [first, last) of one seed and direction: adds to the gradients `sums`, and writes that of x, [B, D, T, C],
// if it is wanted. The factors are those of the products with the gates' gradients.
void read_backward(const Cell& cell, const Layer& s, const Given& given, int64_t direction, const float* inputs,
                   const float* state, const float* of_out, int64_t first, int64_t last, float* of_x, float* sums) {
  int64_t count = last - first, width = s.width, all = cell.gates * width;
  int64_t at_once = std::clamp<int64_t>(kRowsAtOnce / count, 1, s.steps);
  Gradients at(cell, s);
  float* of_gates = scratch(kGates, count * at_once * all);  // [example, step]
  float* carry = scratch(kMemory, count * width);
  float* of_state = scratch(kState, count * width);
  std::memset(carry, 0, count * width * sizeof(float));
  std::memset(of_state, 0, count * width * sizeof(float));
  const float* none = zeros(width);
  const float one = 1;
  int64_t way = direction ? -1 : 1, row = s.directions * width;  // of the output, from step to step
  std::vector<const float*> from(count * at_once);
  std::vector<float*> to(count * at_once);
  for (int64_t end = s.steps; end > 0; end -= std::min(end, at_once)) {
    int64_t begin = std::max<int64_t>(0, end - at_once), length = end - begin;
    auto place = [&](int64_t b, int64_t step) {
      return (b * s.directions + direction) * s.steps + s.time(direction, step);
    };
    auto out_at = [&](const float* values, int64_t b, int64_t step) {
      return values + (b * s.steps + s.time(direction, step)) * row + direction * width;
    };
    auto of_gates_at = [&](int64_t b, int64_t step) { return of_gates + ((b - first) * at_once + step - begin) * all; };
    for (int64_t step = end - 1; step >= begin; --step) {
      for (int64_t b = first; b < last; ++b) {
        cell.step_back({given.gates + place(b, step) * all, step ? out_at(given.out, b, step - 1) : none,
                        cell.memory ? given.memory + place(b, step) * width : none,
                        cell.memory && step ? given.memory + place(b, step - 1) * width : none,
                        out_at(of_out, b, step), of_state + (b - first) * width, carry + (b - first) * width,
                        of_gates_at(b, step)},
                       width);
        from[b - first] = of_gates_at(b, step) + cell.state_from * width;
        to[b - first] = of_state + (b - first) * width;
      }
      if (step > 0) product(from.data(), count, 1, 0, at.columns, state, Panels(width), to.data());
    }
    if (of_x) {
      int64_t rows = 0;
      for (int64_t b = first; b < last; ++b)
        for (int64_t step = begin; step < end; ++step, ++rows) {
          from[rows] = of_gates_at(b, step);
          to[rows] = of_x + place(b, step) * s.inputs;
        }
      product(from.data(), rows, 1, 0, at.columns, inputs, Panels(s.inputs), to.data());
    }
    Walk over_x{count, s.steps * s.inputs, at_once * all, length, way * s.inputs, all};
    outer_product(given.x + (first * s.steps + s.time(direction, begin)) * s.inputs, of_gates, over_x, s.inputs,
                  at.columns / kLanes, sums + at.inputs);
    int64_t second = std::max<int64_t>(begin, 1);  // no state comes before the first step
    if (second < end) {
      Walk over_state{count, s.steps * row, at_once * all, end - second, way * row, all};
      outer_product(out_at(given.out, first, second - 1), of_gates + (second - begin) * all + cell.state_from * width,
                    over_state, width, at.columns / kLanes, sums + at.state);
    }
    outer_product(&one, of_gates, Walk{count, 0, at_once * all, length, 0, all}, 1, all / kLanes, sums + at.bias);
  }
}

// The gradients, [S, ...] each, of x [B, D, T, C] (null: not wanted), of the factors, and of the bias.
void learn_all(ffi::ThreadPool* pool, const Cell& cell, const Layer& s, const Given& given, const float* of_out,
               float* of_x, float* of_inputs, float* of_state, float* of_bias) {
  int64_t width = s.width, columns = cell.columns * width, all = cell.gates * width;
  int64_t readers = s.seeds * s.directions, blocks = ceil_div(s.batch, kExamples), parts = parts_of(blocks, 8);
  Panels back(s.inputs), again(width);
  int64_t to_inputs = back.size(columns), each = to_inputs + again.size(columns);
  Gradients at(cell, s);
  float* packed = scratch(kFactor, readers * each);
  float* sums = scratch(kParts, readers * parts * at.size);
  parallel(pool, readers, [&](int64_t r) {
    const float *inputs = given.inputs + r * s.inputs * columns, *state = given.state + r * width * columns;
    float* to = packed + r * each;
    if (of_x) pack_factor(columns, back, [&](int64_t k, int64_t f) { return inputs[f * columns + k]; }, to);
    pack_factor(columns, again, [&](int64_t k, int64_t f) { return state[f * columns + k]; }, to + to_inputs);
  });
  parallel(pool, readers * parts, [&](int64_t p) {
    int64_t r = p / parts, part = p % parts, seed = r / s.directions, kept = seed * s.batch * s.directions * s.steps;
    Given own{};
    own.x = given.x + seed * s.batch * s.steps * s.inputs;
    own.out = given.out + kept * width;
    own.gates = given.gates + kept * all;
    own.memory = cell.memory ? given.memory + kept * width : nullptr;
    float* to = sums + p * at.size;
    std::memset(to, 0, at.size * sizeof(float));
    for (int64_t block = blocks * part / parts; block < blocks * (part + 1) / parts; ++block)
      read_backward(cell, s, own, r % s.directions, packed + r * each, packed + r * each + to_inputs,
                    of_out + kept * width, block * kExamples, std::min(s.batch, (block + 1) * kExamples),
                    of_x ? of_x + kept * s.inputs : nullptr, to);
  });
  parallel(pool, readers * 4, [&](int64_t p) {
    int64_t r = p / 4, first = at.size * (p % 4) / 4, last = at.size * (p % 4 + 1) / 4;
    float* total = sums + r * parts * at.size;
    for (int64_t part = 1; part < parts; ++part)
      for (int64_t k = first; k < last; ++k) total[k] += total[part * at.size + k];
    auto copy = [&](int64_t from, int64_t size, float* to) {
      int64_t low = std::max(first, from), high = std::min(last, from + size);
      if (low < high) std::memcpy(to + r * size + low - from, total + low, (high - low) * sizeof(float));
    };
    copy(at.inputs, s.inputs * columns, of_inputs);
    copy(at.state, width * columns, of_state);
    copy(at.bias, all, of_bias);
  });
}

}  // namespace
