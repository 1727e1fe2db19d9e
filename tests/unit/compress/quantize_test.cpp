#include <doctest/doctest.h>

#include <c10/core/GradMode.h>

#include "base/core/error.h"
#include "base/graph/builder.h"
#include "engine/compress/lowering.h"
#include "engine/compress/quantizer.h"
#include "unit/compress/support.h"

using namespace ds;

namespace {

const data::Dataset& pictures() { return data::open_cached("synthetic:shape=1x12x12,classes=4,train=256,val=32,test=32,seed=7"); }

std::map<std::string, int> count_ops(const graph::Graph& g) {
  std::map<std::string, int> n;
  for (const auto& node : g.nodes) ++n[node.op];
  return n;
}

}  // namespace

TEST_CASE("quantize: scale and zero point by hand") {
  const auto relu = compress::make_qparams(0, 12.7);
  CHECK(relu.scale == doctest::Approx(0.1));
  CHECK(relu.zero_point == 0);
  const auto both = compress::make_qparams(-1.27, 11.43);
  CHECK(both.scale == doctest::Approx(0.1));
  CHECK(both.zero_point == 13);
  CHECK(compress::make_qparams(3, 12.7).zero_point == 0);    // 0 is always in the range
  CHECK(compress::make_qparams(-12.7, -3).zero_point == 127);
}

TEST_CASE("quantize: observers choose what they say") {
  compress::Histogram h{0, 10, std::vector<double>(2048, 0)};
  for (std::size_t i = 0; i < 205; ++i) h.counts[i] = 1000;  // values up to 1 ...
  h.counts[2047] = 1;                                        // ... and one of 10
  const auto range = [&](const char* name) {
    const auto options = core::card("observer", name).make_options();
    return core::body<compress::ChooseRange>("observer", name)(h, *options).scale * 127;
  };
  CHECK(range("min-max") == doctest::Approx(10));
  CHECK(range("percentile") == doctest::Approx(1.0).epsilon(0.02));
  CHECK(range("histogram") < 9.9);  // one outlier is not worth a tenfold step for all others
  // No range has less error than the one that the histogram observer chose, among those that it may choose.
  const auto options = core::card("observer", "histogram").make_options();
  const double least = compress::squared_error(h, core::body<compress::ChooseRange>("observer", "histogram")(h, *options));
  for (int i = 20; i <= 100; ++i) CHECK(compress::squared_error(h, compress::make_qparams(0, 10 * i / 100.0)) >= least * (1 - 1e-9));
}

TEST_CASE("quantize: weights a channel, round half to even, biases in s_x * s_w") {
  io::Array a = io::make_array(io::DType::kF32, {2, 2});
  const float values[] = {127, -63.5f, 0.5f, 0};
  std::copy(values, values + 4, a.as<float>());
  const at::Tensor w = exec::to_tensor(a);
  const auto q = compress::quantize_weight(w, {}, 0.5f);
  CHECK(q.scale[0].item<float>() == 1.0f);
  CHECK(q.codes[0][0].item<int>() == 127);
  CHECK(q.codes[0][1].item<int>() == -64);  // -63.5: half to even
  CHECK(q.codes[1][0].item<int>() == 127);
  const at::Tensor bias = compress::quantize_bias(w[0], 0.5f, q.scale);
  CHECK(bias[0].item<int>() == 254);
  // A tiny channel with a large bias gets a scale whose bias fits 32 bits.
  const auto tiny = compress::quantize_weight(w.mul(1e-30), w[0].mul(1e6), 1e-3f);
  CHECK(std::abs(compress::quantize_bias(w[0].mul(1e6), 1e-3f, tiny.scale)[0].item<double>()) <= double(1 << 30) + 1);
}

TEST_CASE("quantize: the int8 net has int8 ops alone and stays close to the float one") {
  const c10::NoGradGuard off;
  exec::Model model = test::make_cnn(1, 16);
  compress::Json report;
  exec::Model int8 = compress::quantize_static(model, pictures(), pictures().preprocessing, {}, report);
  const auto ops = count_ops(int8.graph);
  CHECK(ops.count("conv2d") == 0);
  CHECK(ops.count("batch_norm2d") == 0);
  CHECK(ops.count("relu") == 0);
  CHECK(ops.at("qconv2d") == 5);
  CHECK(ops.at("qlinear") == 1);
  CHECK(ops.at("quantize") == 1);
  CHECK(report.size() == 6);
  CHECK(graph::cost(int8.graph).tensor_bytes < 0.27 * double(graph::cost(model.graph).tensor_bytes));
  const at::Tensor x = data::preprocess(pictures().test.images, pictures().preprocessing);
  exec::Executor f(model), q(int8);
  const at::Tensor y = f.run({x}, {})[0], yq = q.run({x}, {})[0];
  CHECK(test::largest_difference(y, yq) < 0.08 * y.abs().max().item<double>());
}

TEST_CASE("quantize: residual sums, pools and concatenations are int8 too; layers to skip stay float") {
  const c10::NoGradGuard off;
  core::Choice arch("architecture", "resnet18", "arch");
  core::from_json(*arch.options, {{"stem", "cifar"}}, "test");
  exec::Model model = exec::make_model(models::build(arch, 4, 1, 12, 12), 3);
  compress::Json report;
  exec::Model int8 = compress::quantize_static(model, pictures(), pictures().preprocessing, {.samples = 64}, report);
  const auto ops = count_ops(int8.graph);
  CHECK(ops.count("add") == 0);
  CHECK(ops.count("conv2d") == 0);
  CHECK(ops.at("qconv2d") == 20);
  CHECK(ops.at("qglobal_avg_pool") == 1);
  int with_residual = 0;
  for (const auto& node : int8.graph.nodes) with_residual += node.op == "qconv2d" && node.inputs.size() == 2;
  CHECK(with_residual == 8);
  exec::Model part = compress::quantize_static(model, pictures(), pictures().preprocessing, {.samples = 64, .skip = {"conv1"}}, report);
  CHECK(count_ops(part.graph).at("conv2d") == 1);
  exec::Executor e(part);
  CHECK(e.run({data::preprocess(pictures().test.images, pictures().preprocessing)}, {})[0].isfinite().all().item<bool>());
}

TEST_CASE("quantize: sums that only norms and other such sums read stay float; one that comes to a layer with weights is of codes") {
  const auto plan_of = [](bool more) {
    graph::Builder b;
    graph::Value x = b.input("x", graph::DType::kF32, {graph::Dim::symbol("N"), 5, 8});
    const graph::Value first = b.add("sum1", b.linear("a", b.layer_norm("n1", x), 8), x);
    graph::Value y = b.add("sum2", b.linear("b", b.gelu("g", b.linear("c", b.layer_norm("n2", first), 8)), 8), first);
    y = more ? b.linear("d", b.relu("r", y), 8) : b.layer_norm("n3", y);
    b.output("y", y);
    return compress::plan_lowering(b.finish(), {});
  };
  const auto of_codes = [](const compress::LoweringPlan& plan, const char* name) { return plan.by_last.count(name) != 0; };
  const auto norms = plan_of(false), weights = plan_of(true);
  CHECK_FALSE(of_codes(norms, "sum1"));
  CHECK_FALSE(of_codes(norms, "sum2"));
  for (const char* layer : {"a", "b"}) CHECK(of_codes(norms, layer));
  CHECK(of_codes(norms, "g"));   // c with the function behind it
  CHECK(of_codes(weights, "r"));  // sum2 with its clamp
  CHECK(of_codes(weights, "sum1"));
}

TEST_CASE("quantize: an int8 model anew, by its float twin: near the same, without growing, and the same again") {
  exec::Model model = test::make_cnn(2);
  test::roughen(model);
  compress::Json report;
  exec::Model once = compress::quantize_static(model, pictures(), pictures().preprocessing, {.samples = 64}, report);
  CHECK(report[0]["from"] == "float32");
  for (const compress::Json& row : report) CHECK(row["output_sqnr_db"] > 15);
  exec::Model twin = compress::to_float(once);
  CHECK(!twin.is_quantized());
  exec::Model again = compress::quantize_static(once, pictures(), pictures().preprocessing, {.samples = 64}, report);
  CHECK(report[0]["from"] == "int8");
  CHECK(report[0]["bytes_before"] == report[0]["bytes_after"]);
  CHECK(again.graph.nodes.size() == once.graph.nodes.size());
  for (std::size_t i = 0; i < once.graph.nodes.size(); ++i) CHECK(again.graph.nodes[i].name == once.graph.nodes[i].name);
  const at::Tensor x = data::preprocess(pictures().test.images, pictures().preprocessing);
  const at::Tensor truth = exec::Executor(model).run({x}, {})[0];
  for (exec::Model* other : {&once, &twin, &again}) {
    const at::Tensor y = exec::Executor(*other).run({x}, {})[0];
    CHECK(y.sub(truth).square().sum().item<double>() < 0.02 * truth.square().sum().item<double>());
  }
  // Codes of a scale are exact numbers of the twin: quantizing them gives them back.
  for (const auto& [name, tensor] : once.tensors)
    if (tensor.scalar_type() == at::kChar) CHECK(tensor.equal(again.tensors.at(name)));
}

TEST_CASE("quantize: ReLU6 is the clamp of its codes, unless it shares them with others; reordered channels stay codes") {
  const c10::NoGradGuard off;
  for (const bool shared : {false, true}) {
    CAPTURE(shared);
    graph::Builder b;
    const graph::Value in = b.input("image", graph::DType::kF32, {graph::Dim::symbol("N"), 1, 12, 12});
    const graph::Value x = b.node("relu6", "clamp", {b.batch_norm2d("norm", b.conv2d("first", in, 8, 3, 2, 1))});
    graph::Value y = b.node("reorder", "shuffle", {x}, {{"axis", 1}, {"order", {7, 5, 3, 1, 6, 4, 2, 0}}});
    if (shared) y = b.node("concat", "both", {y, b.conv2d("other", in, 4, 3, 2, 1)}, {{"axis", 1}});  // its values may be above 6
    y = b.conv2d("second", y, 8, 3, 1, 1);
    b.output("logits", b.linear("fc", b.flatten("flatten", b.global_avg_pool("pool", y)), 4));
    exec::Model model = exec::make_model(b.finish(), 5);
    model.tensors.at("norm.weight").fill_(4);  // so that many values are above 6
    if (shared) model.tensors.at("other.weight").mul_(9);
    compress::Json report;
    exec::Model int8 = compress::quantize_static(model, pictures(), pictures().preprocessing, {}, report);
    const auto ops = count_ops(int8.graph);
    CHECK(ops.count("conv2d") == 0);
    CHECK(ops.count("relu6") == (shared ? 1 : 0));
    CHECK(ops.at("quantize") == (shared ? 2 : 1));
    const at::Tensor images = data::preprocess(pictures().test.images, pictures().preprocessing);
    const auto f = exec::Executor(model).run({images}, {}, {.fetch = {"clamp"}}), q = exec::Executor(int8).run({images}, {});
    CHECK(f[1].max().item<double>() == 6);
    CHECK(test::largest_difference(f[0], q[0]) < 0.06 * f[0].abs().max().item<double>());
  }
}

TEST_CASE("quantize: to a fake-quantized net and back gives the same codes, and the net computes what int8 computes") {
  const c10::NoGradGuard off;
  exec::Model model = test::make_cnn(1, 16);
  compress::Json report;
  exec::Model int8 = compress::quantize_static(model, pictures(), pictures().preprocessing, {}, report);
  exec::Model fake = compress::to_fake_quantized(int8), again = compress::from_fake_quantized(fake, int8);
  for (const auto& [name, tensor] : int8.tensors) {
    CAPTURE(name);
    if (tensor.is_floating_point()) CHECK(test::largest_difference(tensor, again.tensors.at(name)) <= 1e-6 * tensor.abs().max().item<double>());
    else CHECK(tensor.equal(again.tensors.at(name)));
  }
  const at::Tensor x = data::preprocess(pictures().test.images, pictures().preprocessing);
  exec::Executor q(int8), f(fake);
  const at::Tensor y = q.run({x}, {})[0];
  // Rounding of sums in float may move a code by one here and there.
  CHECK(test::largest_difference(y, f.run({x}, {})[0]) < 0.05 * y.abs().max().item<double>());
}

TEST_CASE("quantize: pruning an int8 net cuts codes, scales and biases and quantizes nothing again") {
  const c10::NoGradGuard off;
  exec::Model model = test::make_cnn(1, 16);
  compress::Json report;
  const exec::Model int8 = compress::quantize_static(model, pictures(), pictures().preprocessing, {}, report);
  commands::PruneSettings settings;
  const auto plan = compress::plan_pruning(int8, settings, 1);
  exec::Model sliced = compress::slice(int8, plan.keep), masked = compress::mask(int8, plan.keep);
  CHECK(sliced.tensors.at("conv2.weight").sizes() == at::IntArrayRef({8, 8, 3, 3}));
  CHECK(sliced.tensors.at("conv2.bias").numel() == 8);
  const at::Tensor x = data::preprocess(pictures().test.images, pictures().preprocessing);
  exec::Executor a(sliced), b(masked);
  CHECK(a.run({x}, {})[0].equal(b.run({x}, {})[0]));
}
