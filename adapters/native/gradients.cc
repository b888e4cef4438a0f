// Gradients of norms and of depthwise convolutions, one pass over memory each.
//
// All arrays are float32, channels last and dense; whatever axes lie before an image's three are
// taken as one. Images are shared out over the threads of XLA's pool, and each image's sums are
// added up in one order by one thread: results do not depend on how many threads there are.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <thread>
#include <utility>

#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

namespace {

using Buffer = ffi::Buffer<ffi::F32>;
using Result = ffi::ResultBuffer<ffi::F32>;

#define INLINE static inline __attribute__((always_inline))

// Calls work(i) for each i below `count`. What is left to wait for in the end has begun on some
// thread: helpers that the pool never came to start are not waited for, since the pool's threads
// may all be in such a call as this.
template <typename Work>
void share(ffi::ThreadPool& pool, int64_t count, Work work) {
  struct Shared {
    Work work;
    int64_t count;
    std::atomic<int64_t> next{0}, done{0};
    Shared(Work work, int64_t count) : work(std::move(work)), count(count) {}
    void run() {
      for (int64_t i; (i = next.fetch_add(1)) < count;) {
        work(i);
        done.fetch_add(1, std::memory_order_release);
      }
    }
  };
  auto shared = std::make_shared<Shared>(std::move(work), count);
  const int64_t threads = std::min<int64_t>(pool.num_threads(), count);
  for (int64_t helper = 1; helper < threads; ++helper) {
    pool.Schedule([shared] { shared->run(); });
  }
  shared->run();
  while (shared->done.load(std::memory_order_acquire) < count) std::this_thread::yield();
}

template <typename Array>
int64_t images(const Array& array) {
  const auto sizes = array.dimensions();
  int64_t count = 1;
  for (size_t axis = 0; axis + 3 < sizes.size(); ++axis) count *= sizes[axis];
  return count;
}

enum Activation : int64_t { kLinear, kRelu, kRelu6, kHardSwish };

// dz, of y = act(z).
template <int64_t activation>
INLINE float through(float z, float dy) {
  if (activation == kRelu) return z > 0.f ? dy : 0.f;
  if (activation == kRelu6) return z > 0.f && z < 6.f ? dy : 0.f;
  if (activation == kHardSwish) {
    return z <= -3.f ? 0.f : z >= 3.f ? dy : dy * ((2.f * z + 3.f) / 6.f);
  }
  return dy;
}

// Of act(x * gain + bias): x, dy and dx are [pixels, channels], all else [channels].
template <int64_t activation>
void norm(const float* __restrict x, const float* __restrict dy, const float* __restrict gain,
          const float* __restrict bias, float* __restrict dx, float* __restrict d_gain,
          float* __restrict d_bias, int64_t pixels, int64_t channels) {
  std::memset(d_gain, 0, sizeof(float) * channels);
  std::memset(d_bias, 0, sizeof(float) * channels);
  for (int64_t pixel = 0; pixel < pixels; ++pixel) {
    for (int64_t c = 0; c < channels; ++c) {
      const float dz = through<activation>(x[c] * gain[c] + bias[c], dy[c]);
      dx[c] = dz * gain[c];
      d_gain[c] += dz * x[c];
      d_bias[c] += dz;
    }
    x += channels, dy += channels, dx += channels;
  }
}

ffi::Error norm_gradients(ffi::ThreadPool pool, Buffer x, Buffer dy, Buffer gain, Buffer bias,
                          int64_t activation, Result dx, Result d_gain, Result d_bias) {
  const auto sizes = x.dimensions();
  const size_t rank = sizes.size();
  const int64_t channels = sizes[rank - 1], pixels = sizes[rank - 2] * sizes[rank - 3];
  const auto of_images = activation == kRelu        ? norm<kRelu>
                         : activation == kRelu6     ? norm<kRelu6>
                         : activation == kHardSwish ? norm<kHardSwish>
                                                    : norm<kLinear>;
  share(pool, images(x),
        [=, x = x.typed_data(), dy = dy.typed_data(), gain = gain.typed_data(),
         bias = bias.typed_data(), dx = dx->typed_data(), d_gain = d_gain->typed_data(),
         d_bias = d_bias->typed_data()](int64_t i) {
          const int64_t image = i * pixels * channels, row = i * channels;
          of_images(x + image, dy + image, gain + row, bias + row, dx + image, d_gain + row,
                    d_bias + row, pixels, channels);
        });
  return ffi::Error::Success();
}

// Of a depthwise convolution: tap (i, j) of the output (r, q) meets the input's pixel
// (r * stride + i * dilation - top, q * stride + j * dilation - left).
struct Geometry {
  int64_t height, width;  // of the input
  int64_t rows, columns;  // of the output
  int64_t channels, stride, dilation, top, left;

  int64_t input() const { return height * width * channels; }
  int64_t output() const { return rows * columns * channels; }
};

// So many channels side by side, which one instruction takes together.
template <int count>
struct Lanes {
  typedef float type __attribute__((vector_size(sizeof(float) * count)));
};
template <>
struct Lanes<1> {
  typedef float type;
};

template <int lanes>
INLINE typename Lanes<lanes>::type load(const float* from) {
  typename Lanes<lanes>::type value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

template <typename Value>
INLINE void store(float* to, const Value& value) {
  std::memcpy(to, &value, sizeof value);
}

// dw [K, K, channels] for the first `lanes` channels; the sums stay in registers.
template <int K, int lanes>
INLINE void kernel_gradient_of(const float* x, const float* dy, float* dw, const Geometry& g) {
  typename Lanes<lanes>::type sums[K * K] = {};
  const int64_t reach = (K - 1) * g.dilation;
  for (int64_t r = 0; r < g.rows; ++r) {
    for (int64_t q = 0; q < g.columns; ++q) {
      const auto here = load<lanes>(dy + (r * g.columns + q) * g.channels);
      const int64_t upper = r * g.stride - g.top, leftmost = q * g.stride - g.left;
      const bool inside = upper >= 0 && leftmost >= 0 && upper + reach < g.height &&
                          leftmost + reach < g.width;
#pragma GCC unroll 7
      for (int i = 0; i < K; ++i) {
#pragma GCC unroll 7
        for (int j = 0; j < K; ++j) {
          const int64_t row = upper + i * g.dilation, column = leftmost + j * g.dilation;
          if (inside || (row >= 0 && column >= 0 && row < g.height && column < g.width)) {
            sums[i * K + j] += load<lanes>(x + (row * g.width + column) * g.channels) * here;
          }
        }
      }
    }
  }
#pragma GCC unroll 49
  for (int tap = 0; tap < K * K; ++tap) store(dw + tap * g.channels, sums[tap]);
}

// dx [height, width, channels] for the first `lanes` channels; the kernel stays in registers.
template <int K, int lanes>
INLINE void input_gradient_of(const float* w, const float* dy, float* dx, const Geometry& g) {
  typename Lanes<lanes>::type kernel[K * K];
#pragma GCC unroll 49
  for (int tap = 0; tap < K * K; ++tap) kernel[tap] = load<lanes>(w + tap * g.channels);
  const int64_t reach = (K - 1) * g.dilation;
  for (int64_t row = 0; row < g.height; ++row) {
    for (int64_t column = 0; column < g.width; ++column) {
      typename Lanes<lanes>::type sum = {};
      const int64_t lower = row + g.top, rightmost = column + g.left;
      const bool inside = g.stride == 1 && lower >= reach && rightmost >= reach &&
                          lower < g.rows && rightmost < g.columns;
#pragma GCC unroll 7
      for (int i = 0; i < K; ++i) {
        const int64_t down = lower - i * g.dilation;
        if (!inside && (down < 0 || down % g.stride || down / g.stride >= g.rows)) continue;
        const int64_t r = inside ? down : down / g.stride;
#pragma GCC unroll 7
        for (int j = 0; j < K; ++j) {
          const int64_t right = rightmost - j * g.dilation;
          if (!inside && (right < 0 || right % g.stride || right / g.stride >= g.columns)) continue;
          const int64_t q = inside ? right : right / g.stride;
          sum += load<lanes>(dy + (r * g.columns + q) * g.channels) * kernel[i * K + j];
        }
      }
      store(dx + (row * g.width + column) * g.channels, sum);
    }
  }
}

#define ALL_CHANNELS(name)                                                                      \
  template <int K>                                                                              \
  void name(const float* first, const float* dy, float* out, const Geometry& g) {               \
    int64_t c = 0;                                                                              \
    for (; c + 16 <= g.channels; c += 16) name##_of<K, 16>(first + c, dy + c, out + c, g);      \
    for (; c + 8 <= g.channels; c += 8) name##_of<K, 8>(first + c, dy + c, out + c, g);         \
    for (; c < g.channels; ++c) name##_of<K, 1>(first + c, dy + c, out + c, g);                 \
  }
ALL_CHANNELS(kernel_gradient)
ALL_CHANNELS(input_gradient)

template <typename Array>
Geometry geometry(const Array& x, const Buffer& dy, int64_t stride, int64_t dilation, int64_t top,
                  int64_t left) {
  const auto in = x.dimensions(), out = dy.dimensions();
  const size_t rank = in.size();
  return {in[rank - 3], in[rank - 2], out[rank - 3], out[rank - 2], in[rank - 1],
          stride,       dilation,     top,           left};
}

ffi::Error kernel_gradients(ffi::ThreadPool pool, Buffer x, Buffer dy, int64_t stride,
                            int64_t dilation, int64_t top, int64_t left, Result dw) {
  const Geometry g = geometry(x, dy, stride, dilation, top, left);
  const auto sizes = dw->dimensions();
  const int64_t k = sizes[sizes.size() - 2];
  const auto of_image = k == 3   ? kernel_gradient<3>
                        : k == 5 ? kernel_gradient<5>
                                 : kernel_gradient<7>;
  share(pool, images(x),
        [=, x = x.typed_data(), dy = dy.typed_data(), dw = dw->typed_data()](int64_t i) {
          of_image(x + i * g.input(), dy + i * g.output(), dw + i * k * k * g.channels, g);
        });
  return ffi::Error::Success();
}

ffi::Error input_gradients(ffi::ThreadPool pool, Buffer w, Buffer dy, int64_t stride,
                           int64_t dilation, int64_t top, int64_t left, Result dx) {
  const Geometry g = geometry(*dx, dy, stride, dilation, top, left);
  const auto sizes = w.dimensions();
  const int64_t k = sizes[sizes.size() - 2];
  const auto of_image = k == 3   ? input_gradient<3>
                        : k == 5 ? input_gradient<5>
                                 : input_gradient<7>;
  share(pool, images(dy),
        [=, w = w.typed_data(), dy = dy.typed_data(), dx = dx->typed_data()](int64_t i) {
          of_image(w + i * k * k * g.channels, dy + i * g.output(), dx + i * g.input(), g);
        });
  return ffi::Error::Success();
}

auto depthwise() {
  return ffi::Ffi::Bind()
      .Ctx<ffi::ThreadPool>()
      .Arg<Buffer>()
      .Arg<Buffer>()
      .Attr<int64_t>("stride")
      .Attr<int64_t>("dilation")
      .Attr<int64_t>("top")
      .Attr<int64_t>("left")
      .Ret<Buffer>();
}

}  // namespace

XLA_FFI_DEFINE_HANDLER_SYMBOL(modelpatch_norm_gradients, norm_gradients,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<Buffer>()
                                  .Arg<Buffer>()
                                  .Arg<Buffer>()
                                  .Arg<Buffer>()
                                  .Attr<int64_t>("activation")
                                  .Ret<Buffer>()
                                  .Ret<Buffer>()
                                  .Ret<Buffer>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(modelpatch_kernel_gradients, kernel_gradients, depthwise());
XLA_FFI_DEFINE_HANDLER_SYMBOL(modelpatch_input_gradients, input_gradients, depthwise());
