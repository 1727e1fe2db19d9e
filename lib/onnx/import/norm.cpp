// Norms and pooling
#include <fmt/format.h>

#include "onnx/import/importer.h"

namespace ds::onnx::imports::norm {

using graph::Json;

void batch_norm(Reader& r) {
  if (r.i("training_mode", 0) != 0) r.fail("is in training mode");
  if (r.node().output_size() > 1) r.fail(fmt::format("has {} outputs, expected 1", r.node().output_size()));
  r.set("batch_norm2d", {r.value(0)}, {{"eps", r.f("epsilon", 1e-5)}},
        {{"weight", r.tensor(1)},
         {"bias", r.tensor(2)},
         {"running_mean", r.tensor(3, graph::Role::kBuffer)},
         {"running_var", r.tensor(4, graph::Role::kBuffer)}},
        {}, r.name_by_weight(1));
}

void layer_norm(Reader& r) {
  const std::int64_t axis = r.i("axis", -1), rank = static_cast<std::int64_t>(r.type(0).dims.size());
  if (axis != -1 && axis != rank - 1) r.fail(fmt::format("has axis {}, read is the last one", axis));
  if (!r.has(2)) r.fail("has no bias");
  r.set("layer_norm", {r.value(0)}, {{"eps", r.f("epsilon", 1e-5)}}, {{"weight", r.tensor(1)}, {"bias", r.tensor(2)}}, {}, r.name_by_weight(1));
}

/// Kernel, stride and padding; sides that differ only as far as ceil_mode or a pad node can make up.
Json window(Reader& r, std::vector<std::int64_t>& pads) {
  const std::vector<std::int64_t> kernel = r.ints("kernel_shape", {}), stride = r.ints("strides", {1, 1});
  pads = r.ints("pads", {0, 0, 0, 0});
  if (kernel.size() != 2 || stride.size() != 2 || pads.size() != 4) r.fail("is not over two axes");
  if (r.ints("dilations", {1, 1}) != std::vector<std::int64_t>{1, 1}) r.fail("has dilations");
  if (const std::string automatic = r.s("auto_pad", "NOTSET"); automatic != "NOTSET" && automatic != "VALID") r.fail("has auto_pad " + automatic);
  return {{"kernel", kernel}, {"stride", stride}, {"padding", {pads[0], pads[1]}}};
}

void max_pool(Reader& r) {
  if (r.node().output_size() > 1) r.fail("has an output of places");
  std::vector<std::int64_t> pads;
  Json attrs = window(r, pads);
  if (pads[0] != pads[2] || pads[1] != pads[3]) r.fail("has different padding on opposite sides");
  if (r.i("ceil_mode", 0) != 0) attrs["ceil_mode"] = true;
  const bool bytes = r.type(0).dtype == io::DType::kU8;
  r.set(bytes ? "qmax_pool2d" : "max_pool2d", {r.value(0)}, attrs);
}

void average_pool(Reader& r) {
  std::vector<std::int64_t> pads;
  Json attrs = window(r, pads);
  if (pads[0] != pads[2] || pads[1] != pads[3]) r.fail("has different padding on opposite sides");
  if (r.i("ceil_mode", 0) != 0) r.fail("has ceil_mode");
  attrs["count_include_pad"] = r.i("count_include_pad", 0) != 0;
  r.set("avg_pool2d", {r.value(0)}, attrs);
}

void global_average_pool(Reader& r) { r.set("global_avg_pool", {r.value(0)}); }

void reduce_mean(Reader& r) {
  if (r.in(0).kind == Known::kNothing) return;  // of a decomposed norm
  std::vector<std::int64_t> axes = r.has(1) ? r.integers(1) : r.ints("axes", {});
  const std::size_t rank = r.type(0).dims.size();
  if (axes.empty())
    for (std::size_t i = 0; i < rank; ++i) axes.push_back(static_cast<std::int64_t>(i));
  const bool keep = r.i("keepdims", 1) != 0;
  std::vector<bool> both(rank, false);
  for (const std::int64_t axis : axes)
    if (const std::int64_t counted = axis < 0 ? axis + static_cast<std::int64_t>(rank) : axis; counted >= 0 && counted < static_cast<std::int64_t>(rank))
      both[static_cast<std::size_t>(counted)] = true;
  if (rank == 4 && keep && axes.size() == 2 && both[2] && both[3]) return r.set("global_avg_pool", {r.value(0)});
  r.set("mean", {r.value(0)}, {{"axes", axes}, {"keepdim", keep}});
}

const core::Body<ImportOp> bodies[] = {{"onnx-import", "BatchNormalization", batch_norm}, {"onnx-import", "LayerNormalization", layer_norm},
                                       {"onnx-import", "MaxPool", max_pool},              {"onnx-import", "AveragePool", average_pool},
                                       {"onnx-import", "GlobalAveragePool", global_average_pool}, {"onnx-import", "ReduceMean", reduce_mean}};

}  // namespace ds::onnx::imports::norm
