#include "base/report/facts.h"

#include <doctest/doctest.h>

#include "base/core/error.h"
#include "base/core/interval.h"
#include "sample.h"

using namespace ds;
using namespace ds::report;
using namespace report_test;

namespace {

std::vector<std::string> names(const Facts& facts) {
  std::vector<std::string> all;
  for (const Model& m : facts.models) all.push_back(m.name);
  return all;
}

Facts facts_of(const std::vector<std::pair<io::Checkpoint, std::string>>& given) {
  Collector collector;
  for (const auto& [checkpoint, path] : given) collector.add(checkpoint, path, 0);
  return collector.finish();
}

std::string refusal(const Json& record) {
  Collector collector;
  try {
    collector.add(record, "x.json");
  } catch (const Error& error) {
    CHECK(error.code() == Exit::kInput);
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("facts: parents come before children, whatever the order of the files") {
  const Facts facts = Family().facts();
  CHECK(names(facts) == std::vector<std::string>{"base", "pruned", "distilled", "int8"});
  CHECK(facts.models[0].parent == -1);
  CHECK(facts.models[1].parent == 0);
  CHECK(facts.models[2].parent == 1);  // the nearest, not the teacher
  CHECK(facts.models[3].parent == 2);
  CHECK(facts.data == "digits");
  CHECK(facts.isa == "avx2");
}

TEST_CASE("facts: where the parent is not given, the nearest ancestor that is") {
  const Family family;
  const Facts facts = facts_of({{family.int8, "int8.h5"}, {family.base, "base.h5"}});
  CHECK(names(facts) == std::vector<std::string>{"base", "int8"});
  CHECK(facts.models[1].parent == 0);
}

TEST_CASE("facts: sizes and layers are those of graph and tensors") {
  const Facts facts = Family().facts(1234);
  const Model& m = facts.models[0];
  CHECK(m.parameters == 10);
  CHECK(m.macs == 8);
  CHECK(m.tensor_bytes == 40);
  CHECK(m.file_bytes == 1234);
  CHECK(m.arch == "mlp");
  CHECK(m.dtype == "float32");
  REQUIRE(m.layers.size() == 1);
  CHECK(m.layers[0].name == "fc");
  CHECK(m.layers[0].parameters == 10);
  CHECK(m.layers[0].bytes == 40);
  CHECK(m.layers[0].shape == std::vector<std::int64_t>{2, 4});
}

TEST_CASE("facts: a step is told once, with those who came of it") {
  const Facts facts = Family().facts();
  REQUIRE(facts.steps.size() == 4);
  const char* tools[] = {"ds-train", "ds-prune", "ds-distill", "ds-quantize"};
  for (std::size_t i = 0; i < 4; ++i) {
    CHECK(facts.steps[i].tool == tools[i]);
    CHECK(facts.steps[i].model == static_cast<int>(i));
    CHECK(facts.steps[i].digest == digest(static_cast<char>('a' + i)));
    CHECK(facts.steps[i].unknown.empty());
  }
  CHECK(facts.steps[0].parents.empty());
  CHECK(facts.steps[1].parents == std::vector<int>{0});
  CHECK(facts.steps[2].parents == std::vector<int>{1, 0});
  CHECK(facts.steps[3].parents == std::vector<int>{2});
}

TEST_CASE("facts: parents that no file tells about are named") {
  const Family family;
  io::Checkpoint student = checkpoint('c', {family.distill});
  const Facts facts = facts_of({{student, "c.h5"}});
  REQUIRE(facts.steps.size() == 1);
  CHECK(facts.steps[0].unknown == std::vector<std::string>{digest('b'), digest('a')});
}

TEST_CASE("facts: models are judged on a split that all have; tools tell of their parents too") {
  const Family family;
  const Facts facts = family.facts();
  for (const Model& m : facts.models) REQUIRE(m.score);
  CHECK(facts.models[0].score->split == "val");  // test is known of base alone
  CHECK(facts.models[0].score->top1 == 0.9);
  CHECK(facts.models[0].score->low == doctest::Approx(core::wilson(0.9, 16).first));
  CHECK(facts.models[1].score->top1 == 0.8);
  CHECK(facts_of({{family.base, "a.h5"}}).models[0].score->split == "test");
}

TEST_CASE("facts: an evaluation tells a score where no step does, and nonsense tells none") {
  io::Checkpoint c = checkpoint('a', {});
  c.evaluation = evaluation();
  const Facts facts = facts_of({{c, "a.h5"}});
  REQUIRE(facts.models[0].score);
  CHECK(facts.models[0].score->top1 == 0.875);
  CHECK(facts.models[0].score->high == doctest::Approx(core::wilson(0.875, 16).second));
  for (const Json& top1 : std::vector<Json>{1.5, -0.1, "0.5", nullptr, NAN}) {
    c.evaluation["top1"] = top1;
    CHECK_FALSE(facts_of({{c, "a.h5"}}).models[0].score);
  }
}

TEST_CASE("facts: the same digest twice is one model with another name") {
  const Family family;
  const Facts facts = facts_of({{family.base, "a.h5"}, {family.base, "copy.h5"}, {family.base, "a.h5"}, {family.base, "copy.h5"}});
  REQUIRE(facts.models.size() == 1);
  CHECK(facts.models[0].name == "a");
  CHECK(facts.models[0].aliases == std::vector<std::string>{"copy.h5"});
  CHECK(facts.steps.size() == 1);
}

TEST_CASE("facts: names are those of files, with the folder or a number where that is not enough") {
  const auto named = [](const std::vector<std::string>& paths) {
    std::vector<std::pair<io::Checkpoint, std::string>> given;
    for (std::size_t i = 0; i < paths.size(); ++i) given.emplace_back(checkpoint(static_cast<char>('a' + i), {}), paths[i]);
    return names(facts_of(given));
  };
  using Names = std::vector<std::string>;
  CHECK(named({"x/net.v2.h5", "y/other.hdf5", "stdin"}) == Names{"net.v2", "other", "stdin"});
  CHECK(named({"x/net.h5", "y/net.h5"}) == Names{"x/net", "y/net"});
  CHECK(named({"net.h5", "net.hdf5"}) == Names{"net", "net (2)"});
  CHECK(named({"net.h5", "net.hdf5", "net (2).h5"}) == Names{"net", "net (2)", "net (2) (2)"});
  CHECK(named({"a/x/net.h5", "b/x/net.h5"}) == Names{"x/net", "x/net (2)"});
  CHECK(named({"dir/"}) == Names{"aaaaaaaaaaaa"});
}

TEST_CASE("facts: pixels of [C,H,W] become interleaved, dark ones are stretched, and what does not fit is left out") {
  io::Checkpoint c = checkpoint('a', {});
  c.evaluation = {
      {"split", "val"},
      {"wrong", {wrong(1, 0, 1), wrong(2, 0, 1, "000f0300"), wrong(3, 0, 1, "00"), wrong(4, 0, 1, "00FF8040"), Json("x"), Json{{"label", -5}}}}};
  Json colour = wrong(5, 0, 1, "010203040506");
  colour["shape"] = {3, 1, 2};
  c.evaluation["wrong"].push_back(colour);
  colour["shape"] = {3, 1, 99999};
  c.evaluation["wrong"].push_back(colour);
  const std::vector<Mistake> m = facts_of({{c, "a.h5"}}).models[0].mistakes;
  REQUIRE(m.size() == 8);
  CHECK(m[0].pixels == std::vector<std::uint8_t>{0, 255, 128, 64});
  CHECK(m[0].confidence == 0.75);
  CHECK(m[1].pixels == std::vector<std::uint8_t>{0, 255, 51, 0});  // of 15
  CHECK(m[2].pixels.empty());
  CHECK(m[3].pixels.empty());  // hex is lower case
  CHECK(m[4].label == -1);
  CHECK(m[5].label == -1);
  CHECK(m[6].channels == 3);
  CHECK(m[6].pixels == std::vector<std::uint8_t>{42, 127, 212, 85, 170, 255});  // R0 G0 B0 R1 G1 B1 = 1 3 5 2 4 6, of 6
  CHECK(m[7].pixels.empty());
}

TEST_CASE("facts: a confusion that is no square of counts is none") {
  io::Checkpoint c = checkpoint('a', {});
  const auto confusion = [&](const Json& rows) {
    c.evaluation = {{"split", "val"}, {"confusion", rows}};
    return facts_of({{c, "a.h5"}}).models[0].confusion.has_value();
  };
  CHECK(confusion({{1, 0}, {0, 1}}));
  CHECK_FALSE(confusion({{1, 0}, {0}}));
  CHECK_FALSE(confusion({{1, -1}, {0, 1}}));
  CHECK_FALSE(confusion({{1, 0.5}, {0, 1}}));
  CHECK_FALSE(confusion({{1, std::uint64_t{1} << 63}, {0, 1}}));
  CHECK_FALSE(confusion(Json::array()));
  CHECK_FALSE(confusion("x"));
}

TEST_CASE("facts: records of ds-bench come before what tools saw, where they tell of all models") {
  const Family family;
  Collector collector;
  collector.add(family.base, "base.h5", 0);
  collector.add(bench('a', 0.97, {timing(1, 2, 5e-3), timing(32, 2, 0.1)}), "bench.json");
  const Facts facts = collector.finish();
  REQUIRE(facts.models.size() == 1);
  const Model& m = facts.models[0];
  CHECK(facts.measured);
  CHECK(m.latency->p50 == 5e-3);
  CHECK(m.latency->p99 == 1e-2);
  CHECK(m.latency->batch == 1);
  CHECK(m.score->top1 == 0.97);
  REQUIRE(m.timings.size() == 2);
  CHECK(m.timings[1].throughput == 320);
  CHECK(m.timings[1].peak_memory == 5000);
  CHECK(facts.commands == std::vector<std::vector<std::string>>{{"ds-bench", "x.h5"}});
}

TEST_CASE("facts: latencies at different batch sizes are not compared") {
  Collector collector;
  collector.add(bench('a', 0.9, {timing(1, 1, 1e-3), timing(8, 1, 4e-3)}), "a.json");
  collector.add(bench('b', 0.9, {timing(8, 1, 2e-3)}), "b.json");
  const Facts facts = collector.finish();
  REQUIRE(facts.models.size() == 2);
  CHECK(facts.models[0].latency->p50 == 4e-3);
  CHECK(facts.models[1].latency->p50 == 2e-3);
  CHECK_FALSE(facts.models[0].checkpoint);
  CHECK(facts.models[0].dtype == "int8");
}

TEST_CASE("facts: where ds-bench left a model out, tools' own latencies compare them all") {
  const Family family;
  Collector collector;
  collector.add(family.base, "base.h5", 0);
  collector.add(family.pruned, "pruned.h5", 0);
  collector.add(bench('a', 0.97, {timing(1, 2, 5e-3)}), "bench.json");
  const Facts facts = collector.finish();
  CHECK_FALSE(facts.measured);
  CHECK(facts.models[0].latency->p50 == 4e-3);
  CHECK(facts.models[1].latency->p50 == 2e-3);
  CHECK(facts.models[0].timings.size() == 1);
}

TEST_CASE("facts: a record of one model gives it a score, a confusion and its command") {
  const Json record = {{"schema", "ds-record/1"},
                       {"status", "done"},
                       {"tool", "ds-eval"},
                       {"command", {"ds-eval", "a.h5"}},
                       {"inputs", {{{"name", "model"}, {"path", "/x/a.h5"}, {"digest", digest('a')}}}},
                       {"labels", {"n", "y"}},
                       {"data", {{"split", "test"}}},
                       {"confusion", {{4, 1}, {0, 5}}},
                       {"metrics", {{"test_top1", 0.9}, {"test_n", 10}, {"parameters", 10}}}};
  Collector collector;
  collector.add(record, "eval.json");
  const Facts facts = collector.finish();
  REQUIRE(facts.models.size() == 1);
  CHECK(facts.models[0].name == "a");
  CHECK(facts.models[0].score->split == "test");
  CHECK(facts.models[0].parameters == 10);
  REQUIRE(facts.models[0].confusion);
  CHECK(facts.models[0].confusion->counts[0][1] == 1);
  CHECK(facts.commands.size() == 1);
}

TEST_CASE("facts: what is no record, or of no finished run, is refused") {
  CHECK(refusal(Json::array()) == "x.json: is neither a checkpoint nor a record of a ds tool");
  CHECK(refusal({{"schema", "other/1"}}) == "x.json: is neither a checkpoint nor a record of a ds tool");
  CHECK(refusal({{"schema", 3}}) == "x.json: is neither a checkpoint nor a record of a ds tool");
  CHECK(refusal({{"schema", "ds-record/1"}, {"status", "failed"}}) ==
        "x.json: is a record with status 'failed', expected 'done'; see what that tool said");
  CHECK(refusal({{"schema", "ds-record/1"}, {"status", "done"}}) == "x.json: is a record that names no model");
  CHECK(refusal({{"schema", "ds-record/1"}, {"results", {{{"model", "m"}}}}}) == "x.json: a result without the digest of its model");
  CHECK(refusal({{"schema", "ds-record/1"}, {"results", {1, "x"}}}) == "x.json: a result without the digest of its model");
}

TEST_CASE("facts: documents of other shapes than expected are borne") {
  io::Checkpoint c = checkpoint(
      'a', {Json(7), Json("x"), Json{{"parents", 3}, {"metrics", {1, 2}}, {"argv", {1, nullptr}}, {"layers", "x"}, {"data", 1}, {"threads", -3}}});
  c.history = {1, "x", nullptr};
  c.labels = {{"a", 1}};
  c.evaluation = {{"split", 3}, {"wrong", 5}};
  const Facts facts = facts_of({{c, "a.h5"}});
  CHECK(facts.models.size() == 1);
  CHECK(facts.steps.size() == 3);
  CHECK(facts.steps[0].tool == "unknown tool");
  CHECK_FALSE(facts.models[0].latency);
}

TEST_CASE("facts: ancestors in a ring do not hang") {
  io::Checkpoint a = checkpoint('a', {step("ds-prune", {digest('b')})}), b = checkpoint('b', {step("ds-prune", {digest('a')})});
  CHECK(facts_of({{a, "a.h5"}, {b, "b.h5"}}).models.size() == 2);
}

TEST_CASE("facts: dominated is who is nowhere better and somewhere worse") {
  std::vector<Model> models(4);
  const double top1[] = {0.9, 0.9, 0.95, 0.9}, bytes[] = {100, 50, 200, 50}, p50[] = {1, 1, 2, 1};
  for (std::size_t i = 0; i < 4; ++i) {
    models[i].score = Score{"val", top1[i], NAN, NAN};
    models[i].tensor_bytes = bytes[i];
    models[i].latency = Latency{p50[i], NAN, 1, 1};
  }
  mark_dominated(models);
  CHECK(models[0].dominated);
  CHECK_FALSE(models[1].dominated);
  CHECK_FALSE(models[2].dominated);                          // the most accurate
  CHECK_FALSE(models[3].dominated);                          // equal to another one
  models[1].score->split = models[3].score->split = "test";  // no comparison
  mark_dominated(models);
  CHECK_FALSE(models[0].dominated);
}

TEST_CASE("interval: Wilson's by its formula, within 0 and 1") {
  // p = 0.5, n = 100: centre 0.5, half = z sqrt(0.0025 + z^2 / 40000) / (1 + z^2 / 100)
  CHECK(core::wilson(0.5, 100).first == doctest::Approx(0.40383).epsilon(1e-4));
  CHECK(core::wilson(0.5, 100).second == doctest::Approx(0.59617).epsilon(1e-4));
  CHECK(core::wilson(1, 10).second <= 1);
  CHECK(core::wilson(1, 10).second == doctest::Approx(1));
  CHECK(core::wilson(1, 10).first == doctest::Approx(10 / (10 + 3.8414588)).epsilon(1e-6));
  CHECK(core::wilson(0, 10).first == 0);
  CHECK(core::wilson(0.5, 0) == std::pair<double, double>{0, 1});
}
