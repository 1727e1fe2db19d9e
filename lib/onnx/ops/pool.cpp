// Pooling and means
#include <cstring>

#include "onnx/ops/common.h"

namespace ds::onnx::ops::pool {

void max_pool2d(Emitter& e) {
  Attributes attributes = window_attributes(e.view(), /*conv=*/false);
  if (e.view().b("ceil_mode")) attributes.emplace("ceil_mode", 1);
  e.add("MaxPool", {e.in()}, attributes, e.out());
}

void avg_pool2d(Emitter& e) {
  Attributes attributes = window_attributes(e.view(), /*conv=*/false);
  attributes.emplace("count_include_pad", e.view().b("count_include_pad") ? 1 : 0);
  e.add("AveragePool", {e.in()}, attributes, e.out());
}

void global_avg_pool(Emitter& e) { e.add("GlobalAveragePool", {e.in()}, {}, e.out()); }

/// Row i has 1 / n at the n places of window i: floor(i size / parts) to ceil((i + 1) size / parts). [parts, size], or its transpose.
io::Array windows(std::int64_t size, std::int64_t parts, bool transposed) {
  io::Array array = io::make_array(io::DType::kF32, transposed ? std::vector{size, parts} : std::vector{parts, size});
  std::memset(array.data, 0, array.bytes());
  for (std::int64_t i = 0; i < parts; ++i) {
    const std::int64_t begin = i * size / parts, end = ((i + 1) * size + parts - 1) / parts;
    for (std::int64_t j = begin; j < end; ++j) array.as<float>()[transposed ? j * parts + i : i * size + j] = 1.0f / static_cast<float>(end - begin);
  }
  return array;
}

/// ONNX has the global one alone: equal windows are an average pool, and else each axis is a product with a constant matrix.
void adaptive_avg_pool2d(Emitter& e) {
  const std::vector<std::int64_t> size = e.view().ints("size");
  if (size[0] == 1 && size[1] == 1) return global_avg_pool(e);
  const graph::Dim &h = e.type().dims[2], &w = e.type().dims[3];
  if (!h.is_known() || !w.is_known()) e.fail("pools an image of unknown size to a stated one, which cannot be written");
  if (h.value() % size[0] == 0 && w.value() % size[1] == 0) {
    const std::vector<std::int64_t> kernel{h.value() / size[0], w.value() / size[1]};
    e.add("AveragePool", {e.in()}, {{"kernel_shape", kernel}, {"strides", kernel}}, e.out());
    return;
  }
  const std::string rows = e.add("MatMul", {e.constant(windows(h.value(), size[0], false)), e.in()});
  e.add("MatMul", {rows, e.constant(windows(w.value(), size[1], true))}, {}, e.out());
}

void mean(Emitter& e) {
  e.add("ReduceMean", {e.in()}, {{"axes", e.view().ints("axes")}, {"keepdims", e.view().b("keepdim") ? 1 : 0}}, e.out());
}

const core::Body<ExportOp> bodies[] = {{"onnx", "max_pool2d", max_pool2d},
                                       {"onnx", "avg_pool2d", avg_pool2d},
                                       {"onnx", "adaptive_avg_pool2d", adaptive_avg_pool2d},
                                       {"onnx", "global_avg_pool", global_avg_pool},
                                       {"onnx", "mean", mean}};

}  // namespace ds::onnx::ops::pool
