#include "engine/optim/loops.h"

#include <ATen/Parallel.h>

#include <cmath>

#pragma GCC push_options
#pragma GCC optimize("no-math-errno")  // a square root is then one instruction for many numbers

namespace ds::optim::loops {
namespace {

template <class T>
T* data(const at::Tensor& tensor) { return tensor.defined() ? tensor.mutable_data_ptr<T>() : nullptr; }

constexpr std::int64_t kGrain = 16384;

template <class T, bool kCentered, bool kMomentum>
void rmsprop_range(std::int64_t begin, std::int64_t end, T* __restrict w, const T* __restrict g, T* __restrict v, T* __restrict a, T* __restrict b,
                   const RmsProp& by) {
  const T lr = T(by.lr), alpha = T(by.alpha), rest = T(1 - by.alpha), momentum = T(by.momentum), decay = T(by.weight_decay), eps = T(by.eps),
          shrink = T(by.shrink);
#pragma omp simd
  for (std::int64_t i = begin; i < end; ++i) {
    const T x = w[i] * shrink, d = g[i] + decay * x;
    v[i] = alpha * v[i] + rest * d * d;
    T below = v[i];
    if constexpr (kCentered) {
      a[i] = a[i] + rest * (d - a[i]);
      below = v[i] - a[i] * a[i];
    }
    const T step = d / (std::sqrt(below) + eps);
    if constexpr (kMomentum) {
      b[i] = momentum * b[i] + step;
      w[i] = x - lr * b[i];
    } else {
      w[i] = x - lr * step;
    }
  }
}

template <class T>
void rmsprop_of(const at::Tensor& value, const at::Tensor& gradient, const at::Tensor& square, const at::Tensor& mean, const at::Tensor& velocity,
                const RmsProp& by) {
  T *w = data<T>(value), *v = data<T>(square), *a = data<T>(mean), *b = data<T>(velocity);
  const T* g = gradient.const_data_ptr<T>();
  at::parallel_for(0, value.numel(), kGrain, [&](std::int64_t begin, std::int64_t end) {
    if (a && b) return rmsprop_range<T, true, true>(begin, end, w, g, v, a, b, by);
    if (a) return rmsprop_range<T, true, false>(begin, end, w, g, v, a, b, by);
    if (b) return rmsprop_range<T, false, true>(begin, end, w, g, v, a, b, by);
    rmsprop_range<T, false, false>(begin, end, w, g, v, a, b, by);
  });
}

template <class T>
void lion_of(const at::Tensor& value, const at::Tensor& gradient, const at::Tensor& momentum, double lr, double decay, double b1, double b2) {
  T *w_all = data<T>(value), *m_all = data<T>(momentum);
  const T* g_all = gradient.const_data_ptr<T>();
  at::parallel_for(0, value.numel(), kGrain, [&](std::int64_t begin, std::int64_t end) {
    T *__restrict w = w_all, *__restrict m = m_all;
    const T* __restrict g = g_all;
    const T rate = T(lr), shrink = T(1 - lr * decay), now = T(1 - b1), kept = T(1 - b2);
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) {
      const T c = m[i] + now * (g[i] - m[i]);
      const T sign = T(c > 0) - T(c < 0);
      w[i] = w[i] * shrink - rate * sign;
      m[i] = m[i] + kept * (g[i] - m[i]);
    }
  });
}

template <class T>
void lamb_of(const at::Tensor& value, const at::Tensor& gradient, const at::Tensor& mean, const at::Tensor& square, const at::Tensor& to, double b1,
             double b2, double c1, double c2, double eps_, double decay_) {
  T *m_all = data<T>(mean), *v_all = data<T>(square), *r_all = data<T>(to);
  const T *g_all = gradient.const_data_ptr<T>(), *w_all = value.const_data_ptr<T>();
  at::parallel_for(0, value.numel(), kGrain, [&](std::int64_t begin, std::int64_t end) {
    T *__restrict m = m_all, *__restrict v = v_all, *__restrict r = r_all;
    const T *__restrict g = g_all, *__restrict w = w_all;
    const T now = T(1 - b1), kept = T(b2), rest = T(1 - b2), mean_by = T(c1), root_by = T(std::sqrt(c2)), eps = T(eps_), decay = T(decay_);
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) {
      m[i] = m[i] + now * (g[i] - m[i]);
      v[i] = kept * v[i] + rest * g[i] * g[i];
      r[i] = (m[i] / mean_by) / (std::sqrt(v[i]) / root_by + eps) + decay * w[i];
    }
  });
}

}  // namespace

void rmsprop(const at::Tensor& value, const at::Tensor& gradient, const at::Tensor& square, const at::Tensor& mean, const at::Tensor& velocity,
             const RmsProp& by) {
  if (value.scalar_type() == at::kDouble) rmsprop_of<double>(value, gradient, square, mean, velocity, by);
  else rmsprop_of<float>(value, gradient, square, mean, velocity, by);
  value.unsafeGetTensorImpl()->bump_version();
}

void lion(const at::Tensor& value, const at::Tensor& gradient, const at::Tensor& momentum, double lr, double decay, double b1, double b2) {
  if (value.scalar_type() == at::kDouble) lion_of<double>(value, gradient, momentum, lr, decay, b1, b2);
  else lion_of<float>(value, gradient, momentum, lr, decay, b1, b2);
  value.unsafeGetTensorImpl()->bump_version();
}

void lamb(const at::Tensor& value, const at::Tensor& gradient, const at::Tensor& mean, const at::Tensor& square, const at::Tensor& to, double b1,
          double b2, double c1, double c2, double eps, double decay) {
  if (value.scalar_type() == at::kDouble) lamb_of<double>(value, gradient, mean, square, to, b1, b2, c1, c2, eps, decay);
  else lamb_of<float>(value, gradient, mean, square, to, b1, b2, c1, c2, eps, decay);
}

}  // namespace ds::optim::loops

#pragma GCC pop_options
