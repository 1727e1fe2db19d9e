#include "base/report/page.h"

#include <doctest/doctest.h>

#include "sample.h"
#include "xml.h"

using namespace ds;
using namespace ds::report;
using namespace report_test;

namespace {

Facts one(const io::Checkpoint& checkpoint, const std::string& path = "a.h5") {
  Collector collector;
  collector.add(checkpoint, path, 100);
  return collector.finish();
}

/// Part of the page between an id and the next section.
std::string section(const std::string& page, const std::string& id) {
  const std::size_t start = page.find("<section id=\"" + id + "\">");
  return start == std::string::npos ? "" : page.substr(start, page.find("</section>", start) - start);
}

}  // namespace

TEST_CASE("page: a family has all pictures, once for each model that has them") {
  const std::string page = html(Family().facts(), {});
  CHECK(problem_of(page) == "");
  CHECK(contains(page, "<title>mlp: 4 models on digits</title>"));
  CHECK(contains(section(page, "models"), "base"));
  CHECK(count(section(page, "models"), "<tr>") == 5);
  CHECK(contains(section(page, "trade"), "Accuracy against latency of 4 models"));
  CHECK(count(section(page, "training"), "<figure>") == 3);
  CHECK(count(section(page, "training"), "<li>") == 3);               // int8 has its parent's history
  CHECK(count(section(page, "classes"), "Confusion matrix: ") == 8);  // alternative text and title of four
  CHECK(count(section(page, "classes"), "data:image/png;base64,") == 8);
  CHECK(count(section(page, "provenance"), "<li>") == 4);
  CHECK(count(section(page, "commands"), "<code") == 4);
  CHECK(section(page, "speed").empty());  // no ds-bench
  CHECK_FALSE(contains(page, "<script"));
  CHECK_FALSE(contains(page, "{{"));
  CHECK_FALSE(contains(page, ">nan"));
}

TEST_CASE("page: ratios are to the first model") {
  Family family;
  family.pruned.tensors["fc.weight"] = io::make_array(io::DType::kF32, {2, 4});
  family.pruned.tensors.erase("fc.bias");
  const std::string page = html(family.facts(), {});
  const std::string rows = section(page, "models");
  CHECK(contains(rows, "<td>32 B<small>0.80\u00d7</small></td>"));
  CHECK(contains(rows, "<td>2.00 ms<small>0.50\u00d7</small></td>"));
  CHECK(contains(rows, "<td>4.00 ms<small></small></td>"));
  CHECK(contains(page, "4.0\u00d7 faster"));
  CHECK(contains(page, "4.00 ms \u2192 1.00 ms, batch 1"));
  CHECK(contains(page, "\u22125.00 points"));
}

TEST_CASE("page: names, labels, paths and words of others' files are text, not markup") {
  const std::string evil = "\"><script>alert('x')</script>{{style}}&\x01\xff";
  io::Checkpoint c = checkpoint('a', {step(evil, {evil}, {{"val_top1", 0.5}, {"val_n", 4}})});
  c.provenance[0]["argv"] = {evil, "--title=" + evil};
  c.provenance[0]["version"] = evil;
  c.provenance[0]["isa"] = evil;
  c.provenance[0]["data"]["name"] = evil;
  c.graph["meta"]["arch"] = evil;
  c.labels = {evil, evil};
  c.evaluation = evaluation();
  c.evaluation["split"] = evil;
  c.history = {{{"step", 1}, {"val_loss", 0.5}}};
  io::Checkpoint other = checkpoint('b', c.provenance);
  Collector collector;
  collector.add(c, "dir/" + evil + ".h5", 100);
  collector.add(other, "b.h5", 100);
  const Facts facts = collector.finish();
  for (const std::string& page : {html(facts, {}), html(facts, {evil})}) {
    CHECK(problem_of(page) == "");
    CHECK_FALSE(contains(page, "<script"));
    CHECK(contains(page, "&lt;script&gt;"));
    CHECK(contains(page, "{{style}}"));  // as it was given, not filled in
    CHECK(count(page, "--over:#fff") == 1);
    CHECK_FALSE(contains(page, "\x01"));
    CHECK_FALSE(contains(page, "\xff"));
  }
}

TEST_CASE("page: one model without history, evaluation or provenance is still a page") {
  io::Checkpoint c = checkpoint('a', {});
  std::string page = html(one(c), {});
  CHECK(problem_of(page) == "");
  CHECK(contains(page, "<title>a (mlp)</title>"));
  for (const char* id : {"trade", "training", "classes", "layers", "provenance", "commands", "speed"}) CHECK(section(page, id).empty());
  CHECK(count(page, "href=") == 1);
  CHECK_FALSE(contains(page, "class=\"tile\""));
  c.graph = nullptr;  // as a file of tensors alone
  page = html(one(c), {"a title"});
  CHECK(problem_of(page) == "");
  CHECK(contains(page, "<h1>a title</h1>"));
  CHECK(contains(page, "\u2013"));
  CHECK_FALSE(contains(page, ">nan"));
}

TEST_CASE("page: a history of zero epochs, or of losses that diverged, makes no curves") {
  io::Checkpoint c = checkpoint('a', {});
  c.history = Json::array();
  CHECK(section(html(one(c), {}), "training").empty());
  c.history = {{{"step", 1}, {"val_loss", NAN}, {"train_loss", nullptr}}};
  CHECK(section(html(one(c), {}), "training").empty());
  c.history = {{{"epoch", 1}, {"val_loss", 0.5}}, {{"epoch", 2}, {"val_loss", NAN}}, {{"epoch", 3}, {"val_loss", 0.25}}};
  const std::string training = section(html(one(c), {}), "training");
  CHECK(count(training, "<figure>") == 1);
  CHECK(contains(training, ">epoch</text>"));
  CHECK(contains(training, "a, validation, epoch 3: 0.25"));
}

TEST_CASE("page: a run goes on where its parent's ended") {
  const std::string training = section(html(Family().facts(), {}), "training");
  CHECK(contains(training, "base, validation, training step 20: 0.25"));
  CHECK(contains(training, "pruned, validation, training step 25: 0.4"));
  CHECK(contains(training, "distilled, validation, training step 30: 0.3"));
  CHECK_FALSE(contains(training, "int8"));
}

TEST_CASE("page: an int8 model alone") {
  io::Checkpoint c = checkpoint('a', {});
  c.tensors["fc.weight"] = io::make_array(io::DType::kI8, {2, 4});
  const std::string page = html(one(c), {});
  CHECK(contains(section(page, "models"), "mlp \u00b7 int8"));
  CHECK(contains(section(page, "layers"), "[2,4] int8"));
}

TEST_CASE("page: the same facts give the same bytes") {
  const Family family;
  CHECK(html(family.facts(), {}) == html(family.facts(), {}));
}

TEST_CASE("page: measurements of ds-bench are a table of their own") {
  Collector collector;
  collector.add(Family().base, "base.h5", 100);
  collector.add(bench('a', 0.97, {timing(1, 2, 5e-3), timing(32, 2, 0.1)}), "a.json");
  collector.add(bench('b', 0.9, {timing(1, 2, 1e-3)}), "b.json");
  const std::string page = html(collector.finish(), {});
  CHECK(problem_of(page) == "");
  const std::string speed = section(page, "speed");
  CHECK(count(speed, "<tr>") == 4);
  CHECK(contains(speed, "<td>10.0 ms</td>"));                           // p99
  CHECK(contains(speed, "<td>1.00 ms<small>0.20\u00d7</small></td>"));  // of 5 ms
  CHECK(contains(speed, "<td>1.00 k<small>5.00\u00d7</small></td>"));   // samples a second, of 200
  CHECK(contains(speed, "<td>5.00 kB<small>1.00\u00d7</small></td>"));
  CHECK(contains(section(page, "commands"), "<span>ds-bench</span>"));
  CHECK_FALSE(contains(page, "/somewhere/bin"));
}

TEST_CASE("page: what would be too large leaves pictures out, and says so") {
  Collector collector;
  std::string pixels;
  for (std::uint32_t i = 0, x = 1; i < 3 * 64 * 64; ++i) {  // noise, which no compressor makes small
    x = x * 1664525 + 1013904223;
    pixels += "0123456789abcdef"[x >> 28];
    pixels += "0123456789abcdef"[x >> 24 & 15];
  }
  for (char letter = 'a'; letter < 'k'; ++letter) {
    io::Checkpoint c = checkpoint(letter, {});
    c.evaluation = evaluation();
    c.evaluation["wrong"] = Json::array();
    for (int i = 0; i < 12; ++i) {
      c.evaluation["wrong"].push_back(wrong(i, 0, 1, pixels));
      c.evaluation["wrong"].back()["shape"] = {3, 64, 64};
    }
    collector.add(c, std::string(1, letter) + ".h5", 100);
  }
  const std::string page = html(collector.finish(), {});
  CHECK(page.size() <= kMostBytes);
  CHECK(contains(page, "Some pictures are left out"));
  CHECK(problem_of(page) == "");
  CHECK(count(section(page, "models"), "<tr>") == 11);
}

TEST_CASE("page: figures in full, and rounded for a terminal") {
  const Facts facts = Family().facts();
  const Json row = figures(facts.models[1]);
  CHECK(row["name"] == "pruned");
  CHECK(row["digest"] == digest('b'));
  CHECK(row["split"] == "val");
  CHECK(row["top1"] == 0.8);
  CHECK(row["parameters"] == 10);
  CHECK(row["macs"] == 8);
  CHECK(row["tensor_bytes"] == 40);
  CHECK(row["file_bytes"] == 1000);
  CHECK(row["latency_p50_s"] == 2e-3);
  CHECK_FALSE(row.contains("latency_p99_s"));
  for (const auto& [key, value] : row.items()) CHECK(std::count(figure_keys().begin(), figure_keys().end(), key) == 1);
  const Table table = headline(facts);
  REQUIRE(table.rows.size() == 4);
  CHECK(table.rows[1][0] == "pruned");
  CHECK(table.rows[1][2] == "80.00");
  CHECK(table.rows[1][12] == "2.00 ms");
  CHECK(table.rows[1][13] == "0.50");
  for (const auto& cells : table.rows) CHECK(cells.size() == table.columns.size());
}
