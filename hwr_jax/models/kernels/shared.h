// What the kernels share: the vectors of the machine, XLA's threads, and memory that is kept.

#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

namespace {

// ---- vectors: as wide as the machine's registers ----

#if defined(__AVX512F__)
constexpr int kLanes = 16, kRegisters = 32;
#elif defined(__AVX2__)
constexpr int kLanes = 8, kRegisters = 16;
#elif defined(__aarch64__)
constexpr int kLanes = 4, kRegisters = 32;
#else
constexpr int kLanes = 4, kRegisters = 16;
#endif
typedef float Vec __attribute__((vector_size(4 * kLanes)));
// One at any address. A type of its own: as a template's argument a type loses this attribute, and clang then takes
// arrays of it on the stack for aligned that are not.
typedef Vec Loose __attribute__((aligned(4), may_alias));

static_assert(alignof(Vec) == sizeof(Vec), "see Loose");

inline Vec load(const float* p) { return *reinterpret_cast<const Loose*>(p); }
inline void store(float* p, Vec v) { *reinterpret_cast<Loose*>(p) = v; }
inline Vec broadcast(float a) { return a - Vec{}; }  // exact, so that no subtraction is left of it
inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
inline int64_t round_up(int64_t a) { return ceil_div(a, kLanes) * kLanes; }

// ---- threads ----

// Calls act(0), ..., act(parts - 1). A part that a helper has taken is being computed, so that waiting for it ends
// whatever else the pool does; a helper that comes too late finds nothing left. No pool: this thread alone.
template <typename Act>
void parallel(ffi::ThreadPool* pool, int64_t parts, const Act& act) {
  struct State {
    std::atomic<int64_t> next{0}, done{0};
    std::mutex mutex;
    std::condition_variable all;
  };
  int64_t helpers = pool ? std::min<int64_t>(pool->num_threads(), parts) - 1 : 0;
  if (helpers < 1) {
    for (int64_t p = 0; p < parts; ++p) act(p);
    return;
  }
  auto state = std::make_shared<State>();
  auto work = [state, parts, &act]() noexcept {  // `act` is there as long as a part is left
    for (int64_t p; (p = state->next.fetch_add(1)) < parts;) {
      act(p);
      if (state->done.fetch_add(1) + 1 == parts) {
        std::lock_guard<std::mutex> lock(state->mutex);
        state->all.notify_one();
      }
    }
  };
  for (int64_t h = 0; h < helpers; ++h) pool->Schedule([work] { work(); });
  work();
  if (state->done.load() == parts) return;
  std::unique_lock<std::mutex> lock(state->mutex);
  state->all.wait(lock, [&] { return state->done.load() == parts; });
}

// Memory of this thread that grows and stays: one piece for each purpose.
enum { kPadded, kLeft, kRight, kSums, kFactor, kTurned, kParts, kGates, kMemory, kState, kPieces };
float* scratch(int which, int64_t size) {
  static thread_local std::vector<float> pieces[kPieces];
  if (static_cast<int64_t>(pieces[which].size()) < size) pieces[which].resize(size);
  return pieces[which].data();
}

// Parts of a batch: a function of the shape, so that the sums' order is one too.
int64_t parts_of(int64_t batch, int64_t most) { return std::min(batch, most); }

}  // namespace
