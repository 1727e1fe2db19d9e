// Ops of sequences against values by hand and closed forms: turns by position, biases by distance, the last token, recurrent layers, convolutions.
// (Gradients: ops_test.cpp. Whole nets against other programs: parity_test.cpp.)
#include <ATen/ops/arange.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <doctest/doctest.h>

#include <cmath>

#include "base/core/error.h"
#include "base/graph/builder.h"
#include "base/graph/channels.h"
#include "base/graph/positions.h"
#include "engine/compress/pruner.h"
#include "engine/exec/executor.h"
#include "unit/exec/net_inputs.h"
#include "unit/models/zoo.h"

using namespace ds;
using graph::DType;
using graph::Json;
using net_inputs::wave;

namespace {

graph::Dim sym(const char* name) { return graph::Dim::symbol(name); }

/// One node on x [N, S, F] and, where asked, a mask [N, S]; float64 waves as weights.
exec::Model one(const std::string& op, std::int64_t features, const Json& attrs, bool masked = false) {
  graph::Builder b;
  std::vector<graph::Value> in{b.input("x", DType::kF32, {sym("N"), sym("S"), features})};
  if (masked) in.push_back(b.input("mask", DType::kI64, {sym("N"), sym("S")}));
  b.output("y", b.node(op, "node", in, attrs));
  exec::Model model = exec::make_model(b.finish(), 1);
  model.to(at::kDouble);
  double step = 0.31;
  for (auto& [name, tensor] : model.tensors) tensor.copy_(wave(tensor.sizes().vec(), step += 0.17));
  return model;
}

at::Tensor run(exec::Model& model, const std::vector<at::Tensor>& inputs) { return exec::Executor(model).run(inputs, exec::RunContext{}).at(0); }
double difference(const at::Tensor& a, const at::Tensor& b) { return a.sub(b).abs().max().item<double>(); }
at::Tensor mask(std::vector<std::int64_t> values, std::int64_t rows) { return at::tensor(values).reshape({rows, -1}); }

std::vector<double> frequencies(std::int64_t features, const Json& attrs) {
  exec::Model model = one("rope", features, attrs);
  const graph::NodeView view(model.graph, model.graph.nodes[0], {model.graph.inputs[0].type});
  return graph::rope_frequencies(view);
}

std::string failure(const std::string& op, std::int64_t features, const Json& attrs, bool masked = false) {
  try {
    one(op, features, attrs, masked);
  } catch (const Error& e) {
    CHECK(e.code() == Exit::kInput);
    CHECK(e.where() == "node 'node' (" + op + ")");
    return e.message();
  }
  return "no error";
}

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

}  // namespace

TEST_CASE("sequence: a rotary turn is by position times frequency, and products depend on the distance alone") {
  exec::Model model = one("rope", 4, {{"heads", 1}, {"base", 100.0}});
  const at::Tensor x = wave({1, 6, 4}, 0.7), y = run(model, {x});
  CHECK(y.select(1, 0).equal(x.select(1, 0)));
  const double angle[] = {3, 3 * 0.1};  // position 3; frequencies 100^0 and 100^(-2/4)
  for (std::int64_t i = 0; i < 2; ++i) {
    const double a = x[0][3][i].item<double>(), b = x[0][3][i + 2].item<double>();
    CHECK(y[0][3][i].item<double>() == doctest::Approx(a * std::cos(angle[i]) - b * std::sin(angle[i])).epsilon(1e-14));
    CHECK(y[0][3][i + 2].item<double>() == doctest::Approx(b * std::cos(angle[i]) + a * std::sin(angle[i])).epsilon(1e-14));
  }
  const at::Tensor same = run(model, {x.select(1, 0).unsqueeze(1).expand({1, 6, 4})}).squeeze(0);  // [6, 4]
  const at::Tensor products = same.matmul(same.t());
  for (std::int64_t d = 0; d < 5; ++d) CHECK(products[d][0].item<double>() == doctest::Approx(products[d + 1][1].item<double>()).epsilon(1e-13));
  CHECK(failure("rope", 6, {{"heads", 2}}) == "6 features cannot be divided into 2 heads of pairs");
  CHECK(failure("rope", 8, {{"heads", 2}, {"scaling", "llama3"}, {"low_freq_factor", 4}}) ==
        "low_freq_factor is 4, expected less than high_freq_factor (4)");
}

TEST_CASE("sequence: Llama 3.1 keeps fast rotary frequencies and stretches slow ones") {
  const auto plain = frequencies(128, {{"heads", 1}, {"base", 500000.0}});
  const auto scaled = frequencies(128, {{"heads", 1}, {"base", 500000.0}, {"scaling", "llama3"}, {"factor", 8.0}});
  CHECK(plain[0] == 1);
  CHECK(plain[32] == doctest::Approx(1 / std::sqrt(500000.0)).epsilon(1e-14));
  CHECK(scaled[0] == 1);
  CHECK(scaled[28] == doctest::Approx(plain[28]).epsilon(1e-14));  // 8192 f / 2 pi = 4.19 waves, more than 4
  CHECK(scaled[35] == doctest::Approx(plain[35] / 8).epsilon(1e-14));  // 0.997, less than 1
  // From transformers 5.24, _compute_llama3_parameters in float64, the two in between:
  CHECK(scaled[29] == doctest::Approx(0.002166570763503359).epsilon(1e-12));
  CHECK(scaled[34] == doctest::Approx(0.00017850781276799638).epsilon(1e-12));
}

TEST_CASE("sequence: distances have the buckets that T5 was trained with") {
  // From transformers 5.24, T5Attention._relative_position_bucket.
  const std::int64_t distances[] = {-200, -128, -127, -91, -90, -64, -32, -16, -12, -11, -9, -8, -7, -1, 0, 1, 7, 8, 11, 12, 16, 45, 46, 127, 1000};
  const std::int64_t both[] = {15, 15, 15, 15, 14, 14, 12, 10, 9, 8, 8, 8, 7, 1, 0, 17, 23, 24, 24, 25, 26, 28, 29, 31, 31};
  const std::int64_t before[] = {31, 31, 31, 29, 29, 26, 21, 16, 12, 11, 9, 8, 7, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  for (std::size_t i = 0; i < std::size(distances); ++i) {
    CAPTURE(distances[i]);
    CHECK(graph::relative_bucket(distances[i], 32, 128, true) == both[i]);
    CHECK(graph::relative_bucket(distances[i], 32, 128, false) == before[i]);
  }
  graph::Builder b;
  const graph::Value x = b.input("x", DType::kF32, {sym("N"), sym("S"), 2}), z = b.input("z", DType::kF32, {sym("N"), sym("T"), 2});
  b.output("y", b.node("relative_bias", "node", {x, z}, {{"heads", 2}, {"buckets", 4}, {"max_distance", 3}}));
  exec::Model model = exec::make_model(b.finish(), 1);
  model.tensors.at("node.weight").copy_(at::arange(8).reshape({4, 2}));  // bucket k: head 0 has 2 k, head 1 has 2 k + 1
  const at::Tensor y = run(model, {at::zeros({5, 2, 2}), at::zeros({5, 3, 2})});
  REQUIRE(y.sizes().vec() == std::vector<std::int64_t>{1, 2, 2, 3});
  CHECK(y[0][0].equal(at::tensor({0.f, 6.f, 6.f, 2.f, 0.f, 6.f}).reshape({2, 3})));
  CHECK(y[0][1].equal(y[0][0].add(1)));
}

TEST_CASE("sequence: the last token is the last one that is no padding") {
  exec::Model model = one("last_token", 2, Json::object(), true);
  const at::Tensor x = at::arange(16).to(at::kDouble).reshape({2, 4, 2});
  CHECK(run(model, {x, mask({1, 1, 1, 0, 1, 1, 1, 1}, 2)}).equal(at::tensor({4.0, 5.0, 14.0, 15.0}).reshape({2, 2})));
  CHECK(run(model, {x, mask({0, 1, 0, 0, 0, 0, 0, 0}, 2)}).equal(at::tensor({2.0, 3.0, 8.0, 9.0}).reshape({2, 2})));
}

TEST_CASE("sequence: recurrent cells are their equations") {
  const double x[] = {0.3, -0.8};
  exec::Model lstm = one("lstm", 1, {{"hidden", 1}});
  const auto of = [](const exec::Model& m, const char* slot, std::int64_t row) {
    return m.tensors.at(std::string("node.") + slot).flatten()[row].item<double>();
  };
  const auto gate = [&](std::int64_t g, double in, double h) {
    return of(lstm, "weight_ih", g) * in + of(lstm, "bias_ih", g) + of(lstm, "weight_hh", g) * h + of(lstm, "bias_hh", g);
  };
  double h = 0, c = 0;
  const at::Tensor in = at::tensor({x[0], x[1]}).reshape({1, 2, 1}), y = run(lstm, {in});
  for (std::int64_t t = 0; t < 2; ++t) {
    c = sigmoid(gate(1, x[t], h)) * c + sigmoid(gate(0, x[t], h)) * std::tanh(gate(2, x[t], h));
    h = sigmoid(gate(3, x[t], h)) * std::tanh(c);  // h in the gates is still that before this token
    CHECK(y[0][t][0].item<double>() == doctest::Approx(h).epsilon(1e-13));
  }
  exec::Model gru = one("gru", 1, {{"hidden", 1}});
  const at::Tensor z = run(gru, {in});
  h = 0;
  for (std::int64_t t = 0; t < 2; ++t) {
    const auto input = [&](std::int64_t g) { return of(gru, "weight_ih", g) * x[t] + of(gru, "bias_ih", g); };
    const auto state = [&](std::int64_t g) { return of(gru, "weight_hh", g) * h + of(gru, "bias_hh", g); };
    const double reset = sigmoid(input(0) + state(0)), update = sigmoid(input(1) + state(1)), fresh = std::tanh(input(2) + reset * state(2));
    h = (1 - update) * fresh + update * h;
    CHECK(z[0][t][0].item<double>() == doctest::Approx(h).epsilon(1e-13));
  }
}

TEST_CASE("sequence: a recurrent layer starts at each sequence's end in reverse, and padding is nothing to it") {
  for (const char* op : {"lstm", "gru"}) {
    CAPTURE(op);
    exec::Model forward = one(op, 3, {{"hidden", 4}}, true), reverse = one(op, 3, {{"hidden", 4}, {"reverse", true}}, true);
    const at::Tensor x = wave({2, 5, 3}, 0.37), m = mask({1, 1, 1, 0, 0, 1, 1, 1, 1, 1}, 2);
    const at::Tensor a = run(forward, {x, m}), b = run(reverse, {x, m});
    CHECK(a[0].narrow(0, 3, 2).abs().max().item<double>() == 0);
    CHECK(b[0].narrow(0, 3, 2).abs().max().item<double>() == 0);
    const at::Tensor alone = x.narrow(0, 0, 1).narrow(1, 0, 3);
    CHECK(difference(a[0].narrow(0, 0, 3), run(forward, {alone, at::ones({1, 3}, at::kLong)})[0]) <= 1e-15);
    CHECK(difference(b[0].narrow(0, 0, 3), run(forward, {alone.flip(1), at::ones({1, 3}, at::kLong)})[0].flip(0)) <= 1e-15);
    CHECK(difference(b[1], run(forward, {x.narrow(0, 1, 1).flip(1), at::ones({1, 5}, at::kLong)})[0].flip(0)) <= 1e-15);
  }
  CHECK(failure("lstm", 3, {{"hidden", 4}, {"reverse", 1}}) == "attribute 'reverse' is 1, expected true or false");
  try {
    graph::from_yaml("inputs: [{name: x, dims: [N, S, 3]}]\nnodes: [{name: y, op: lstm, attrs: {hidden: 2}, slots: {bias_ih: ~}}]\n"
                     "outputs: [{name: y, value: y}]\n", "net.yaml");
    FAIL("one bias was taken");
  } catch (const Error& e) {
    CHECK(e.message() == "has one of bias_ih and bias_hh, expected both or none");
  }
}

TEST_CASE("sequence: float32 gradients of recurrent layers, which have kernels of their own, are those of float64") {
  for (const char* op : {"lstm", "gru"}) {
    CAPTURE(op);
    exec::Model wide = one(op, 5, {{"hidden", 6}, {"reverse", true}}, true), narrow = wide.clone();
    narrow.to(at::kFloat);
    const at::Tensor x = wave({3, 7, 5}, 0.37), m = mask({1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0}, 3);
    for (exec::Model* model : {&wide, &narrow}) {
      model->require_grad(true);
      const at::Tensor y = exec::Executor(*model).run({x.to(model->tensors.at("node.weight_hh").scalar_type()), m}, {.training = true}, {.training = true})[0];
      y.mul(wave(y.sizes().vec(), 0.53).to(y.scalar_type())).sum().backward();
    }
    for (const std::string& name : wide.parameters()) {
      CAPTURE(name);
      const at::Tensor expected = wide.tensors.at(name).grad();
      CHECK(difference(narrow.tensors.at(name).grad().to(at::kDouble), expected) <= 1e-5 * expected.abs().max().item<double>());
    }
  }
}

TEST_CASE("sequence: a convolution padded before sees no later token; transposed linear layers are linear layers") {
  graph::Builder b;
  const graph::Value x = b.input("x", DType::kF32, {sym("N"), 1, sym("L")});
  const graph::Value y = b.node("conv1d", "node", {x}, {{"out_channels", 1}, {"kernel", 2}, {"dilation", 2}, {"padding", {2, 0}}}, {}, {"bias"});
  CHECK(graph::type_text(b.type(y)) == "float32[N, 1, L]");
  b.output("y", y);
  exec::Model conv = exec::make_model(b.finish(), 1);
  conv.tensors.at("node.weight").copy_(at::tensor({10.f, 1.f}).reshape({1, 1, 2}));
  const at::Tensor row = at::tensor({1.f, 2.f, 3.f, 4.f, 5.f}).reshape({1, 1, 5});
  CHECK(run(conv, {row}).equal(at::tensor({1.f, 2.f, 13.f, 24.f, 35.f}).reshape({1, 1, 5})));
  CHECK(graph::cost(conv.graph, {{"N", 2}, {"L", 5}}).macs == 2 * 5 * 2);

  exec::Model plain = one("linear", 3, {{"out_features", 4}}), transposed = one("linear", 3, {{"out_features", 4}, {"transposed", true}});
  CHECK(transposed.graph.tensor("node.weight").shape == std::vector<std::int64_t>{3, 4});
  transposed.tensors.at("node.bias").copy_(plain.tensors.at("node.bias"));
  transposed.tensors.at("node.weight").copy_(plain.tensors.at("node.weight").t());
  const at::Tensor in = wave({2, 5, 3}, 0.4);
  CHECK(difference(run(plain, {in}), run(transposed, {in})) <= 1e-15);
}

TEST_CASE("sequence: hidden units of every layer and direction go on their own, with a row of each gate") {
  const c10::NoGradGuard off;
  for (const char* arch : {"lstm", "gru"}) {
    CAPTURE(arch);
    const std::int64_t gates = std::string(arch) == "lstm" ? 4 : 3;
    exec::Model model = exec::make_model(zoo::build_small(arch, 5, {{"bidirectional", true}, {"hidden_size", 10}}), 3);
    model.to(at::kDouble);
    const graph::ChannelClasses all = graph::channel_classes(model.graph);
    CHECK(all.notes.empty());
    std::map<std::string, std::size_t> groups;
    for (const graph::ChannelClass& entry : all.classes) {
      if (entry.frozen) continue;
      for (const auto& [key, indices] : entry.members) {
        const auto& [tensor, axis] = key;
        if (!tensor.starts_with("rnn.weight_hh") || axis != 1) continue;
        ++groups[tensor];
        const std::string end = tensor.substr(std::string("rnn.weight_hh").size());
        CHECK(indices.size() == 1);
        for (const char* rows : {"weight_ih", "weight_hh", "bias_ih", "bias_hh"})
          CHECK(entry.members.at({std::string("rnn.") + rows + end, 0}).size() == static_cast<std::size_t>(gates));
      }
    }
    CHECK(groups == std::map<std::string, std::size_t>{
                        {"rnn.weight_hh_l0", 10}, {"rnn.weight_hh_l0_reverse", 10}, {"rnn.weight_hh_l1", 10}, {"rnn.weight_hh_l1_reverse", 10}});
    commands::PruneSettings settings;
    settings.ratio = 0.4;
    const auto plan = compress::plan_pruning(model, settings, 3);
    exec::Model sliced = compress::slice(model, plan.keep), masked = compress::mask(model, plan.keep);
    const auto inputs = net_inputs::make(model.graph, 3);
    const at::Tensor a = run(sliced, inputs), b = run(masked, inputs);
    CHECK(difference(a, b) <= 1e-12 * b.abs().max().item<double>());
    CHECK(difference(run(model, inputs), b) > 1e-6);
    for (const graph::Node& node : sliced.graph.nodes)
      if (node.op == arch) CHECK(node.attrs["hidden"] == sliced.graph.tensor(node.slots.at("weight_hh").tensor).shape[1]);
  }
}

TEST_CASE("sequence: a head of T5 goes from every layer of its stack, with its column of the table of distances") {
  const graph::Graph g = zoo::build_small("t5_tiny", 2);
  const graph::ChannelClasses all = graph::channel_classes(g);
  const std::string table = ".block.0.layer.0.SelfAttention.relative_attention_bias.weight";
  for (const std::string stack : {"encoder", "decoder"}) {
    std::size_t heads = 0;
    int first = -1;
    for (std::size_t c = 0; c < all.classes.size(); ++c) {
      const auto& members = all.classes[c].members;
      if (!members.count({stack + table, 1})) continue;
      if (heads++ == 0) first = static_cast<int>(c);
      CHECK(!all.classes[c].frozen);
      for (const char* layer : {"0", "1"})
        CHECK(members.at({stack + ".block." + layer + ".layer.0.SelfAttention.q.weight", 0}).size() == 16);
      CHECK(!members.count({"decoder.block.0.layer.1.EncDecAttention.q.weight", 0}));
    }
    CHECK(heads == 6);
    const graph::Graph small = graph::slice_graph(g, graph::keep_without(g, all, {first}));
    CHECK(small.tensor(stack + table).shape == std::vector<std::int64_t>{32, 5});
    CHECK(small.tensor(stack + ".block.1.layer.0.SelfAttention.o.weight").shape == std::vector<std::int64_t>{24, 80});
    CHECK(small.find_node(stack + ".block.0.layer.0.SelfAttention.relative_attention_bias")->attrs["heads"] == 5);
    CHECK(small.find_node("decoder.block.0.layer.1.EncDecAttention.attention")->attrs["heads"] == 6);
  }
}
