// An int8 student in training: float masters in a net with fake-quantization, then int8 again.
#include <doctest/doctest.h>

#include <c10/core/GradMode.h>

#include "base/core/log.h"
#include "engine/compress/distill/distiller.h"
#include "engine/compress/quantizer.h"
#include "engine/train/statistics.h"
#include "engine/train/trainer.h"
#include "unit/compress/support.h"

using namespace ds;

namespace {

const bool silent = [] {
  core::set_log(core::Level::kWarn, core::ProgressMode::kNone, false);
  return true;
}();

const data::Dataset& pictures() { return data::open_cached("synthetic:shape=1x12x12,classes=4,train=128,val=64,test=8"); }

double accuracy(exec::Model& model) {
  exec::Executor executor(model);
  return train::evaluate(executor, pictures().val, pictures().preprocessing, 4).top1;
}

void fit(exec::Model& model, std::int64_t epochs, std::shared_ptr<train::Callback> callback = nullptr) {
  commands::FitOptions options;
  options.loop.epochs = epochs;
  options.loop.batch_size = 16;
  io::Checkpoint checkpoint;
  checkpoint.preprocessing = pictures().preprocessing;
  train::Trainer trainer(model, pictures(), options, {.reproducible = true}, checkpoint);
  if (callback) trainer.add(std::move(callback));
  trainer.run();
}

}  // namespace

TEST_CASE("distill: an int8 student learns from its teacher, in float masters, and is int8 again with the ranges that it had") {
  exec::Model teacher = test::make_cnn(2, 16);
  fit(teacher, 12);
  REQUIRE(accuracy(teacher) > 0.9);

  // A student that was pruned hard and quantized: hardly better than chance.
  commands::PruneSettings settings;
  settings.ratio = 0.5;
  exec::Model student = compress::slice(teacher, compress::plan_pruning(teacher, settings, 1).keep);
  train::reestimate_statistics(student, pictures(), pictures().preprocessing, 8, 16, 1);
  student.require_grad(false);
  for (const char* name : {"fc.weight", "fc.bias"}) student.tensors.at(name).zero_();
  compress::Json report;
  const exec::Model int8 = compress::quantize_static(student, pictures(), pictures().preprocessing, {.samples = 64}, report);
  exec::Model before = int8, masters = compress::to_fake_quantized(int8);
  CHECK(accuracy(before) < 0.6);
  CHECK(masters.graph.find_node("conv2")->op == "fake_conv2d");
  for (const std::string& name : masters.parameters()) CHECK((masters.tensors.at(name).scalar_type() == at::kFloat));

  core::Choice loss{"distillation", "logits"};
  fit(masters, 8, core::body<compress::MakeDistillation>("distillation", "logits")(teacher, *loss.options));
  exec::Model after = compress::from_fake_quantized(masters, int8);
  CHECK(after.is_quantized());
  CHECK(accuracy(after) > 0.8);
  // What fake-quantization promised is what int8 does: rounding moves a picture at most here and there.
  CHECK(std::abs(accuracy(after) - accuracy(masters)) <= 2.0 / 64);
  CHECK(graph::to_json(after.graph) == graph::to_json(int8.graph));  // scales of activations stand in the graph
  CHECK((after.tensors.at("conv2.weight").scalar_type() == at::kChar));
  CHECK_FALSE(after.tensors.at("conv2.weight").equal(int8.tensors.at("conv2.weight")));
}
