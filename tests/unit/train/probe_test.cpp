// The probe: figures against what they are by hand, warnings against the faults that they are for, and a model that stays as it was.
#include <doctest/doctest.h>

#include "engine/exec/memory.h"
#include "engine/train/probe.h"
#include "unit/models/zoo.h"

using namespace ds;

namespace {

const data::Dataset& digits() { return data::open_cached("digits"); }

struct Setting {
  exec::Model model = exec::make_model(models::build(zoo::choice("cnn"), 10, 1, 8, 8), 3);
  commands::FitOptions fit;
  Setting() {
    exec::install_allocator();
    fit.loop.batch_size = 32;
  }
  train::Probe run() const { return train::probe(model, digits(), fit, 7, digits().preprocessing); }
};

const train::LayerProbe& layer(const train::Probe& probe, const std::string& op, bool last = false) {
  const train::LayerProbe* found = nullptr;
  for (const train::LayerProbe& l : probe.layers)
    if (l.op == op && (last || !found)) found = &l;
  REQUIRE(found != nullptr);
  return *found;
}

bool warns(const train::Probe& probe, const std::string& kind, const std::string& name) {
  for (const train::ProbeWarning& w : probe.warnings)
    if (w.kind == kind && w.layer == name && !w.remedies.empty() && w.text.find(name) != std::string::npos) return true;
  return false;
}

}  // namespace

TEST_CASE("probe: a batch norm gives mean 0 and deviation 1, a ReLU behind it zeros of half, and the model stays as it was") {
  Setting s;
  const exec::Model before = s.model.clone();
  const train::Probe probe = s.run();
  const train::LayerProbe &norm = layer(probe, "batch_norm2d"), &relu = layer(probe, "relu");
  CHECK(std::abs(norm.activation.mean) < 1e-5);
  CHECK(norm.activation.std == doctest::Approx(1).epsilon(0.01));
  CHECK(norm.gradient.absmax > 0);
  CHECK(norm.weight_gradient > 0);
  CHECK(relu.zeros > 0.2);
  CHECK(relu.zeros < 0.8);
  CHECK(relu.weight_gradient == -1);
  CHECK(probe.samples == 32);
  CHECK(probe.loss == doctest::Approx(std::log(10.0)).epsilon(0.3));
  CHECK(probe.gradient_norm > 0);
  CHECK(double(probe.estimate.peak) == doctest::Approx(double(probe.measured_peak)).epsilon(0.15));
  for (const auto& [name, tensor] : before.tensors) {
    CHECK(s.model.tensors.at(name).equal(tensor));
    CHECK_FALSE(s.model.tensors.at(name).grad().defined());
  }
  CHECK(probe.table().rows.size() == probe.layers.size());
  const nlohmann::json json = probe.to_json(true);
  CHECK(json["layers"].size() == probe.layers.size());
  CHECK_FALSE(json["step"].contains("forward_s"));
}

TEST_CASE("probe: what is wrong is told with the layer and a remedy") {
  Setting s;
  const train::Probe fine = s.run();
  std::string first, last;
  for (const train::LayerProbe& l : fine.layers)
    if (l.op == "conv2d") first = first.empty() ? l.name : first, last = l.name;
  const std::string relu = layer(fine, "relu").name, norm = layer(fine, "batch_norm2d").name, head = layer(fine, "linear").name;
  CHECK_FALSE(warns(fine, "not-finite", first));
  CHECK_FALSE(warns(fine, "dead", relu));

  const auto broken = [](const std::string& tensor, const std::function<void(at::Tensor&)>& change) {
    Setting other;
    change(other.model.tensors.at(tensor));
    return other.run();
  };
  CHECK(warns(broken(first + ".weight", [](at::Tensor& t) { t.fill_(std::nan("")); }), "not-finite", first));
  CHECK(warns(broken(norm + ".bias", [](at::Tensor& t) { t.fill_(-100); }), "dead", relu));
  CHECK(warns(broken(head + ".weight", [](at::Tensor& t) { t.mul_(1e-9); }), "vanishing", last));
  CHECK(warns(broken(head + ".weight", [](at::Tensor& t) { t.mul_(1e6); }), "exploding", last));
  CHECK(warns(broken(first + ".weight", [](at::Tensor& t) { t.mul_(1e5); }), "drift", first));
}

TEST_CASE("probe: memory near the limit names the remedies") {
  train::Probe probe;
  probe.estimate.peak = 900;
  CHECK(train::judge(probe, 10000).empty());
  const auto warnings = train::judge(probe, 1000);
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0].kind == "memory");
  CHECK(warnings[0].remedies.size() == 3);
}
