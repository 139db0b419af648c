// What XLA calls: the kernels as foreign functions, with a leading axis S over independent ones (seeds).

#include "convolution.h"
#include "sums.h"

namespace {

using Images = ffi::Buffer<ffi::F32, 5>;
using ImagesOut = ffi::ResultBuffer<ffi::F32, 5>;
using Rows = ffi::Buffer<ffi::F32, 4>;  // [S, B, P, C]
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
