// What XLA calls: the kernels as foreign functions, with a leading axis S over independent ones (seeds).

#include "convolution.h"
#include "recurrent.h"
#include "sums.h"

namespace {

using Images = ffi::Buffer<ffi::F32, 5>;
using ImagesOut = ffi::ResultBuffer<ffi::F32, 5>;
using Rows = ffi::Buffer<ffi::F32, 4>;  // [S, B, P, C]
using RowsOut = ffi::ResultBuffer<ffi::F32, 4>;
using Biases = ffi::Buffer<ffi::F32, 3>;  // [S, D, gates]
using BiasesOut = ffi::ResultBuffer<ffi::F32, 3>;
using Channels = ffi::Buffer<ffi::F32, 2>;  // [S, C]
using ChannelsOut = ffi::ResultBuffer<ffi::F32, 2>;
using Pair = ffi::Span<const int64_t>;

ffi::Error Convolution(ffi::ThreadPool pool, Images a, Images b, ImagesOut out, int64_t what, Pair stride, Pair padding) {
  auto x = what == kImageGradient ? out->dimensions() : a.dimensions();
  auto w = what == kForward ? b.dimensions() : what == kImageGradient ? a.dimensions() : out->dimensions();
  auto y = what == kForward ? out->dimensions() : b.dimensions();
  Shape s{x[1], x[2], x[3], x[4], y[2], y[3], y[4], w[1], w[2], stride[0], stride[1], padding[0], padding[1]};
  auto each = [](const auto& dimensions) {
    return dimensions[1] * dimensions[2] * dimensions[3] * dimensions[4];
  };
  for (int64_t n = 0; n < x[0]; ++n)
    compute(&pool, what, a.typed_data() + n * each(a.dimensions()), b.typed_data() + n * each(b.dimensions()), s,
            out->typed_data() + n * each(out->dimensions()));
  return ffi::Error::Success();
}

ffi::Error Sums(ffi::ThreadPool pool, Rows a, Rows b, Channels shift, ChannelsOut sum, ChannelsOut product) {
  auto x = a.dimensions();
  int64_t each = x[1] * x[2] * x[3], channels = x[3];
  for (int64_t n = 0; n < x[0]; ++n)
    sums(&pool, a.typed_data() + n * each, b.typed_data() + n * each, shift.typed_data() + n * channels, x[1], x[2],
         channels, sum->typed_data() + n * channels, product->typed_data() + n * channels);
  return ffi::Error::Success();
}

template <typename Out>
float* or_null(Out& buffer) { return buffer->element_count() ? buffer->typed_data() : nullptr; }

Layer layer_of(Rows x, Rows state) {
  auto a = x.dimensions(), b = state.dimensions();
  return {a[0], a[1], a[2], a[3], b[1], b[2]};
}

// What is not kept for the gradient, `gates` and `memory`, has no steps.
ffi::Error Read(ffi::ThreadPool pool, Rows x, Rows inputs, Rows state, Biases bias, ImagesOut out, ImagesOut gates,
                ImagesOut memory, int64_t cell) {
  Given given{x.typed_data(), inputs.typed_data(), state.typed_data(), bias.typed_data(), nullptr, nullptr, nullptr};
  read_all(&pool, kCells[cell], layer_of(x, state), given, out->typed_data(), or_null(gates), or_null(memory));
  return ffi::Error::Success();
}

// A gradient of x that is not wanted has no steps.
ffi::Error ReadBack(ffi::ThreadPool pool, Rows x, Rows inputs, Rows state, Images out, Images gates, Images memory,
                    Images of_out, ImagesOut of_x, RowsOut of_inputs, RowsOut of_state, BiasesOut of_bias,
                    int64_t cell) {
  Given given{x.typed_data(),   inputs.typed_data(), state.typed_data(), nullptr,
              out.typed_data(), gates.typed_data(),  memory.typed_data()};
  learn_all(&pool, kCells[cell], layer_of(x, state), given, of_out.typed_data(), or_null(of_x), of_inputs->typed_data(),
            of_state->typed_data(), of_bias->typed_data());
  return ffi::Error::Success();
}

}  // namespace

XLA_FFI_DEFINE_HANDLER_SYMBOL(HwrConvolution, Convolution,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<Images>()
                                  .Arg<Images>()
                                  .Ret<Images>()
                                  .Attr<int64_t>("what")
                                  .Attr<Pair>("stride")
                                  .Attr<Pair>("padding"));

XLA_FFI_DEFINE_HANDLER_SYMBOL(HwrSums, Sums,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<Rows>()
                                  .Arg<Rows>()
                                  .Arg<Channels>()
                                  .Ret<Channels>()
                                  .Ret<Channels>());

XLA_FFI_DEFINE_HANDLER_SYMBOL(HwrRead, Read,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<Rows>()
                                  .Arg<Rows>()
                                  .Arg<Rows>()
                                  .Arg<Biases>()
                                  .Ret<Images>()
                                  .Ret<Images>()
                                  .Ret<Images>()
                                  .Attr<int64_t>("cell"));

XLA_FFI_DEFINE_HANDLER_SYMBOL(HwrReadBack, ReadBack,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<Rows>()
                                  .Arg<Rows>()
                                  .Arg<Rows>()
                                  .Arg<Images>()
                                  .Arg<Images>()
                                  .Arg<Images>()
                                  .Arg<Images>()
                                  .Ret<Images>()
                                  .Ret<Rows>()
                                  .Ret<Rows>()
                                  .Ret<Biases>()
                                  .Attr<int64_t>("cell"));

// For the check of a new library: one kernel by this thread alone; `shape` as in Shape.
extern "C" void HwrConvolve(int64_t what, const float* a, const float* b, const int64_t* shape, float* out) {
  Shape s;
  std::memcpy(&s, shape, sizeof(Shape));
  compute(nullptr, what, a, b, s, out);
}

extern "C" void HwrSum(const float* a, const float* b, const float* shift, int64_t batch, int64_t rows,
                       int64_t channels, float* sum, float* product) {
  sums(nullptr, a, b, shift, batch, rows, channels, sum, product);
}

// sizes: as in Layer.
extern "C" void HwrReadAlone(int64_t cell, const float* x, const float* inputs, const float* state, const float* bias,
                             const float* of_out, const int64_t* sizes, float* out, float* of_x, float* of_inputs,
                             float* of_state, float* of_bias) {
  Layer s;
  std::memcpy(&s, sizes, sizeof(Layer));
  int64_t kept = s.seeds * s.batch * s.directions * s.steps * s.width;
  std::vector<float> gates(kept * kCells[cell].gates), memory(kept);
  Given given{x, inputs, state, bias, out, gates.data(), memory.data()};
  read_all(nullptr, kCells[cell], s, given, out, gates.data(), memory.data());
  learn_all(nullptr, kCells[cell], s, given, of_out, of_x, of_inputs, of_state, of_bias);
}
