// The cells of recurrent layers, one example at one step: from sums to gates and state, and the gradients of both.

#pragma once

#include <cstdint>

#include "exponential.h"
#include "shared.h"

namespace {

// Where a step reads and writes, each a row of blocks of `width` values.
struct Step {
  const float *bias, *before, *memory_before;  // `before` is the output of the step before
  float *gates, *memory, *out;                 // the gates' sums become the gates
};

// The same for its gradient. `of_out` is the gradient of the output by what reads it, `of_state` by the next step;
// `carry` is what else goes from step to step.
struct StepBack {
  const float *gates, *before, *memory, *memory_before, *of_out, *of_state;
  float *carry, *of_gates;  // by the gates' sums
};

// Hochreiter & Schmidhuber (1997), with a forget gate: i, f, g, o.
void lstm_step(const Step& at, int64_t width) {
  for (int64_t j = 0; j < width; j += kLanes) {
    auto sum = [&](int64_t gate) { return load(at.gates + gate * width + j) + load(at.bias + gate * width + j); };
    Vec i = sigmoid(sum(0)), f = sigmoid(sum(1)), g = tangent(sum(2)), o = sigmoid(sum(3));
    Vec memory = f * load(at.memory_before + j) + i * g;
    store(at.gates + j, i);
    store(at.gates + width + j, f);
    store(at.gates + 2 * width + j, g);
    store(at.gates + 3 * width + j, o);
    store(at.memory + j, memory);
    store(at.out + j, o * tangent(memory));
  }
}

void lstm_step_back(const StepBack& at, int64_t width) {
  for (int64_t j = 0; j < width; j += kLanes) {
    Vec i = load(at.gates + j), f = load(at.gates + width + j);
    Vec g = load(at.gates + 2 * width + j), o = load(at.gates + 3 * width + j);
    Vec of_h = load(at.of_out + j) + load(at.of_state + j), bent = tangent(load(at.memory + j));
    Vec of_memory = load(at.carry + j) + of_h * o * (1.0f - bent * bent);
    store(at.of_gates + j, of_memory * g * i * (1.0f - i));
    store(at.of_gates + width + j, of_memory * load(at.memory_before + j) * f * (1.0f - f));
    store(at.of_gates + 2 * width + j, of_memory * i * (1.0f - g * g));
    store(at.of_gates + 3 * width + j, of_h * bent * o * (1.0f - o));
    store(at.carry + j, of_memory * f);
  }
}

// Cho et al. (2014), the reset gate after the product: n, r, z, and what r is multiplied with, m.
void gru_step(const Step& at, int64_t width) {
  for (int64_t j = 0; j < width; j += kLanes) {
    auto sum = [&](int64_t gate) { return load(at.gates + gate * width + j) + load(at.bias + gate * width + j); };
    Vec r = sigmoid(sum(1)), z = sigmoid(sum(2)), m = sum(3), n = tangent(sum(0) + r * m);
    store(at.gates + j, n);
    store(at.gates + width + j, r);
    store(at.gates + 2 * width + j, z);
    store(at.gates + 3 * width + j, m);
    store(at.out + j, (1.0f - z) * n + z * load(at.before + j));
  }
}

void gru_step_back(const StepBack& at, int64_t width) {
  for (int64_t j = 0; j < width; j += kLanes) {
    Vec n = load(at.gates + j), r = load(at.gates + width + j);
    Vec z = load(at.gates + 2 * width + j), m = load(at.gates + 3 * width + j);
    Vec of_h = load(at.of_out + j) + load(at.of_state + j) + load(at.carry + j);
    Vec of_n = of_h * (1.0f - z) * (1.0f - n * n);
    store(at.of_gates + j, of_n);
    store(at.of_gates + width + j, of_n * m * r * (1.0f - r));
    store(at.of_gates + 2 * width + j, of_h * (load(at.before + j) - n) * z * (1.0f - z));
    store(at.of_gates + 3 * width + j, of_n * r);
    store(at.carry + j, of_h * z);
  }
}

// Elman (1990).
void simple_step(const Step& at, int64_t width) {
  for (int64_t j = 0; j < width; j += kLanes) {
    Vec h = tangent(load(at.gates + j) + load(at.bias + j));
    store(at.gates + j, h);
    store(at.out + j, h);
  }
}

void simple_step_back(const StepBack& at, int64_t width) {
  for (int64_t j = 0; j < width; j += kLanes) {
    Vec h = load(at.gates + j);
    store(at.of_gates + j, (load(at.of_out + j) + load(at.of_state + j)) * (1.0f - h * h));
  }
}

// A cell has `gates` blocks a step, which it keeps for the gradient. The products of the inputs are sums of the first
// `columns` of them, those of the state are sums of `columns` blocks from `state_from` on.
struct Cell {
  int64_t gates, columns, state_from;
  bool memory;  // beside its output
  void (*step)(const Step&, int64_t width);
  void (*step_back)(const StepBack&, int64_t width);
};

constexpr Cell kCells[] = {
    {4, 4, 0, true, lstm_step, lstm_step_back},
    {4, 3, 1, false, gru_step, gru_step_back},
    {1, 1, 0, false, simple_step, simple_step_back},
};

}  // namespace
