#include "engine/compress/quantizer.h"

#include <c10/core/GradMode.h>

#include <cmath>

#include "base/core/error.h"
#include "base/graph/passes.h"
#include "engine/compress/calibration.h"
#include "engine/compress/lowering.h"

namespace ds::compress {

namespace {

exec::Model fold(const exec::Model& model) {
  std::map<std::string, io::Array> arrays;
  for (const auto& [name, tensor] : model.tensors) arrays[name] = exec::to_array(tensor);
  const graph::Folded folded = graph::fold_batch_norm(model.graph, arrays);
  exec::Model out;
  out.graph = folded.graph;
  for (const auto& spec : out.graph.tensors) {
    const auto changed = folded.tensors.find(spec.name);
    out.tensors[spec.name] = changed == folded.tensors.end() ? model.tensors.at(spec.name).detach() : exec::to_tensor(changed->second);
  }
  return out;
}

double decibels(double signal, double noise) { return noise > 0 && signal > 0 ? 10 * std::log10(signal / noise) : 999.0; }

/// What quantizing each weight cost: mean squared error and signal to noise in decibels.
Json weight_report(const exec::Model& before, const exec::Model& after) {
  Json rows = Json::array();
  for (const graph::Node& n : after.graph.nodes) {
    if (n.op != "qconv2d" && n.op != "qlinear") continue;
    const at::Tensor w = slot_value(before, before.graph.find_node(n.name)->slots.at("weight")).detach().to(at::kDouble);
    const at::Tensor codes = after.tensors.at(n.slots.at("weight").tensor), scale = after.tensors.at(n.slots.at("weight_scale").tensor);
    std::vector<std::int64_t> shape(std::size_t(codes.dim()), 1);
    shape[0] = -1;
    const double noise = codes.to(at::kDouble).mul(scale.to(at::kDouble).reshape(shape)).sub(w.reshape(codes.sizes())).square().mean().item<double>();
    const double signal = w.square().mean().item<double>();
    const std::int64_t count = w.numel();
    rows.push_back({{"tensor", n.name + ".weight"},
                    {"from", "float32"},
                    {"to", "int8"},
                    {"bytes_before", 4 * count},
                    {"bytes_after", count + 4 * scale.numel()},
                    {"mse", noise},
                    {"sqnr_db", decibels(signal, noise)}});
  }
  return rows;
}

/// Adds to each layer's row how near its output is to the float net's, on a batch: what all that is rounded up to there costs.
void output_report(exec::Model& before, exec::Model& after, const LoweringPlan& plan, const std::vector<at::Tensor>& inputs, Json& rows) {
  const c10::NoGradGuard off;
  std::map<std::string, std::string> last_of;
  for (const auto& [last, chain] : plan.by_last) last_of[chain.nodes[0]] = last;
  exec::PlanOptions floats, codes;
  std::vector<const graph::Node*> layers;
  for (const graph::Node& n : after.graph.nodes) {
    if (n.op != "qconv2d" && n.op != "qlinear") continue;
    layers.push_back(&n);
    floats.fetch.push_back(last_of.at(n.name));
    codes.fetch.push_back(n.name);
  }
  const std::size_t outputs = before.graph.outputs.size();
  const auto wanted = exec::Executor(before).run(inputs, exec::RunContext{}, floats), got = exec::Executor(after).run(inputs, exec::RunContext{}, codes);
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const Json attrs = graph::full_attributes(*layers[i]);
    const at::Tensor truth = wanted[outputs + i].to(at::kDouble);
    at::Tensor value = got[outputs + i].to(at::kDouble);
    if (!attrs["dequantize"].get<bool>()) value = value.sub(attrs["y_zero_point"].get<double>()).mul(attrs["y_scale"].get<double>());
    rows[i]["output_sqnr_db"] = decibels(truth.square().sum().item<double>(), truth.sub(value).square().sum().item<double>());
  }
}

}  // namespace

exec::Model quantize_static(const exec::Model& model, const data::Dataset& data, const Json& preprocessing, const CalibrationOptions& options, Json& report) {
  data::Loader loader(data.split("train"), preprocessing, {.batch_size = options.batch_size, .shuffle = true, .seed = 0});
  const auto batches = [&](const std::function<void(const std::vector<at::Tensor>&)>& see) {
    data::Batch batch;
    loader.start(0);
    for (std::int64_t done = 0; done < options.samples && loader.next(batch); done += batch.size()) see(batch.inputs);
  };
  return quantize_static(model, batches, options, report);
}

exec::Model quantize_static(const exec::Model& given, const EachBatch& batches, const CalibrationOptions& options, Json& report) {
  const bool again = given.is_quantized();
  const exec::Model model = again ? to_float(given) : given;
  for (const std::string& name : options.skip)
    if (!model.graph.find_node(name)) throw Error(Exit::kUsage, "--skip", "no node '" + name + "' in the model");
  exec::Model folded = fold(model);
  const LoweringPlan plan = plan_lowering(folded.graph, {options.skip.begin(), options.skip.end()});
  if (plan.by_last.empty()) throw Error(Exit::kInput, "model", "has no layer that int8 can run", "conv2d, linear and add have int8 twins");
  const auto ranges = calibrate(folded, batches, options, plan.shared_ranges);
  exec::Model out = lower_to_int8(folded, plan, ranges);
  report = weight_report(folded, out);
  std::vector<at::Tensor> first;
  batches([&first](const std::vector<at::Tensor>& inputs) {
    if (first.empty()) first = inputs;
  });
  output_report(folded, out, plan, first, report);
  for (Json& row : report) {
    if (!again) break;
    row["from"] = "int8";
    row["bytes_before"] = row["bytes_after"];
  }
  return out;
}

}  // namespace ds::compress
