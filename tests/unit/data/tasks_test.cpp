// Data sets of numbers, pairs and vectors, and the orders in which samples are drawn.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "engine/data/dataset.h"
#include "engine/data/targets.h"
#include "files.h"

using namespace data_test;
using namespace ds::data;

namespace {

std::string table(int rows) {
  std::string text = "x,y,height,width\n";
  for (int i = 0; i < rows; ++i)
    text += std::to_string(i) + "," + std::to_string(i % 7) + "," + std::to_string(100 + 3 * i) + "," + std::to_string(0.001 * (i % 5)) + "\n";
  return text;
}

struct File : Folder {
  std::string name;
  File(const std::string& name_, const std::string& text) : name(name_) { write(name, text); }
  std::string spec(const std::string& options, const std::string& kind = "csv") const { return kind + ":" + (*this / name) + "?" + options; }
  std::string said(const std::string& options) const {
    std::string text = failure([&] { open(spec(options)); });
    for (std::size_t at = text.find(path()); at != std::string::npos; at = text.find(path())) text.replace(at, path().size(), "D");
    return text;
  }
};

std::string pairs(int rows) {
  std::string text = "a,b,score\n";
  for (int i = 0; i < rows; ++i) text += "left " + std::to_string(i) + ",right " + std::to_string(i) + "," + std::to_string(i % 10 * 0.1) + "\n";
  return text;
}

/// Samples of an epoch in order.
std::vector<std::int64_t> epoch(Loader& loader, std::int64_t number, std::int64_t first = 0) {
  std::vector<std::int64_t> ids;
  loader.start(number, first);
  for (Batch batch; loader.next(batch);) ids.insert(ids.end(), batch.ids.const_data_ptr<std::int64_t>(), batch.ids.const_data_ptr<std::int64_t>() + batch.size());
  return ids;
}

}  // namespace

TEST_CASE("regression: several targets, standardised by train and given back in their own units") {
  const File file("t.csv", table(200));
  const Dataset set = open(file.spec("target=height+width,task=regression"));
  CHECK(set.values == std::vector<std::string>{"height", "width"});
  CHECK(set.labels.empty());
  CHECK(set.num_classes == 2);
  CHECK_FALSE(set.tells_classes());
  CHECK(set.preprocessing["columns"] == Json({"x", "y"}));
  CHECK(set.train.labels.size(1) == 2);
  for (std::int64_t i = 0; i < set.train.size(); ++i) CHECK(set.train.labels[i][0].item<float>() == 100 + 3 * set.train.images[i][0].item<float>());
  const Batch batch = batch_of(set.train, set.preprocessing, 0, set.train.size());
  CHECK(batch.labels.is_floating_point());
  CHECK(std::abs(batch.labels.select(1, 0).mean().item<double>()) < 1e-5);
  CHECK(batch.labels.select(1, 1).std(false).item<double>() == doctest::Approx(1).epsilon(1e-4));
  const at::Tensor back = Targets(set.preprocessing).restored(batch.labels);
  CHECK(back.sub(set.train.labels.to(at::kDouble)).abs().max().item<double>() < 1e-4);
  Loader loader(set.train, set.preprocessing, {.batch_size = 16, .shuffle = true, .seed = 3});
  for (Batch b; loader.next(b);)
    for (std::int64_t i = 0; i < b.size(); ++i) CHECK(b.labels[i].equal(batch.labels[b.ids[i].item<std::int64_t>()]));
}

TEST_CASE("regression: what is wrong is told with its place") {
  std::string text = table(30);
  const std::size_t row = text.find("\n4,");
  File file("t.csv", text.substr(0, row) + "\n4,4,nan,0" + text.substr(text.find('\n', row + 1)));
  CHECK(file.said("target=height,task=regression") == "3|D/t.csv:6: column 'height' has 'nan', expected a finite number");
  CHECK(file.said("target=hight,task=regression").starts_with("2|data: csv: D/t.csv has no column 'hight' (did you mean 'height'?)"));
  CHECK(file.said("target=x+width+depth,task=regression").find("no column 'depth'") != std::string::npos);
  CHECK(file.said("target=height").find("D/t.csv:6") == std::string::npos);  // a name of a class may be anything
  const Json wrong = {{"targets", {{"names", {"a"}}, {"mean", {0}}, {"std", {0}}}}};
  CHECK(failure([&] { Targets t(wrong); }).starts_with("3|preprocessing: targets"));
}

TEST_CASE("pairs: two samples each that stay together, with a score or without, of CSV or JSON lines") {
  const File file("p.csv", pairs(80));
  const Dataset set = open(file.spec("text=a,pair=b,task=embedding"));
  CHECK(set.tokens().target == Target::kPair);
  CHECK(set.train.size() % 2 == 0);
  CHECK(set.train.size() + set.val.size() + set.test.size() == 160);
  for (std::int64_t i = 0; i < set.train.size(); ++i) {
    const std::string& text = set.train.texts[std::size_t(i)];
    CHECK(text.starts_with(i % 2 == 0 ? "left " : "right "));
    CHECK(text.substr(text.find(' ')) == set.train.texts[std::size_t(i ^ 1)].substr(set.train.texts[std::size_t(i ^ 1)].find(' ')));
    CHECK(set.train.labels[i].item<std::int64_t>() == i / 2);
  }
  Loader loader(set.train, set.preprocessing, {.batch_size = 10, .shuffle = true, .seed = 5});
  std::vector<std::int64_t> ids = epoch(loader, 1);
  for (std::size_t i = 0; i < ids.size(); i += 2) CHECK((ids[i] % 2 == 0 && ids[i + 1] == ids[i] + 1));
  CHECK(ids != epoch(loader, 2));
  CHECK(ids == epoch(loader, 1));
  std::sort(ids.begin(), ids.end());
  CHECK(std::int64_t(std::set<std::int64_t>(ids.begin(), ids.end()).size()) == set.train.size());
  CHECK(failure([&] { Loader odd(set.train, set.preprocessing, {.batch_size = 3}); }).find("even") != std::string::npos);

  const Dataset scored = open(file.spec("text=a,pair=b,target=score,task=embedding"));
  CHECK(scored.tokens().target == Target::kScored);
  CHECK(scored.train.labels.size(1) == 1);
  const Batch batch = batch_of(scored.train, scored.preprocessing, 0, 4);
  CHECK(batch.labels.equal(scored.train.labels.narrow(0, 0, 4)));  // scores are not standardised

  std::string lines;
  for (int i = 0; i < 80; ++i) lines += Json({{"a", "left " + std::to_string(i)}, {"b", "right, \"" + std::to_string(i) + "\"\n"}}).dump() + "\n";
  const File json("p.jsonl", lines);
  const Dataset same = open(json.spec("text=a,pair=b,task=embedding"));
  CHECK(same.train.size() + same.val.size() + same.test.size() == 160);
  CHECK(same.train.texts[1].starts_with("right, \""));
  const File broken("p.jsonl", lines + "{\"a\": 3}\n");
  CHECK(broken.said("text=a,pair=b,task=embedding") == "3|D/p.jsonl:81: has no 'b', the first object has");
  const File torn("p.jsonl", lines + "{\"a\": \n");
  CHECK(torn.said("text=a,pair=b,task=embedding").starts_with("3|D/p.jsonl:81: is no JSON object"));
}

TEST_CASE("vectors of classes, and what task=embedding must have") {
  std::string text = "t,kind\n";
  for (int i = 0; i < 60; ++i) text += "text " + std::to_string(i) + "," + (i % 2 ? "odd" : "even") + "\n";
  const File file("t.csv", text);
  const Dataset set = open(file.spec("text=t,target=kind,task=embedding"));
  CHECK(set.tokens().target == Target::kNear);
  CHECK(set.labels == std::vector<std::string>{"even", "odd"});
  CHECK(file.said("target=kind,task=embedding").starts_with("2|data: csv: task=embedding without a text"));
  CHECK(file.said("text=t,task=embedding").starts_with("2|data: csv: task=embedding with neither a pair nor a target"));
}

TEST_CASE("a language model's texts, each a sample of its own") {
  std::string text;
  for (int i = 0; i < 100; ++i) text += std::string(std::size_t(1 + i % 9), char('a' + i % 26)) + "\n";
  const File file("l.txt", text);
  const Dataset set = open(file.spec("pack=no,length=6", "text"));
  CHECK(set.tokens().target == Target::kNext);
  // Lines of one byte tell nothing; of n bytes n - 1 are shown, at most 6.
  std::int64_t expected = 0;
  for (const std::string& line : set.train.texts) expected += line.size() > 1;
  CHECK(set.train.size() == expected);
  CHECK(set.tokens().longest() == 6);
  const Batch batch = batch_of(set.train, set.preprocessing, 0, set.train.size());
  const at::Tensor asked = batch.labels.ge(0);
  // All bytes of a line are alike: what is to be told is what is shown.
  CHECK(batch.labels.masked_select(asked).equal(batch.inputs[0].masked_select(asked)));
  CHECK(asked.sum(1).equal(set.tokens().length));
}

TEST_CASE("loader: weighted draws have each class as often, and are a function of seed and epoch") {
  const Dataset set = open("synthetic:shape=1x2x2,classes=4,train=400");
  std::vector<double> weights(400);
  for (std::size_t i = 0; i < 400; ++i) weights[i] = i < 40 ? 9 : 1;  // 360 : 360
  LoaderOptions options{.batch_size = 32, .shuffle = true, .seed = 7, .weights = weights};
  Loader loader(set.train, set.preprocessing, options);
  const std::vector<std::int64_t> ids = epoch(loader, 0);
  CHECK(ids.size() == 400);
  const auto few = std::count_if(ids.begin(), ids.end(), [](std::int64_t id) { return id < 40; });
  CHECK(few > 150);
  CHECK(few < 250);
  CHECK(epoch(loader, 1) != ids);
  const std::vector<std::int64_t> later = epoch(loader, 0, 5);
  CHECK(later == std::vector<std::int64_t>(ids.begin() + 160, ids.end()));
  options.weights.pop_back();
  CHECK(failure([&] { Loader wrong(set.train, set.preprocessing, options); }).find("399 weights") != std::string::npos);
}

TEST_CASE("loader: batches of like length pad little, have each sample once, and another order each epoch") {
  const Dataset set = open("synthetic:kind=tokens,train=500,length=64");
  const auto padded = [&](bool by_length, std::vector<std::int64_t>& ids) {
    Loader loader(set.train, set.preprocessing, {.batch_size = 16, .shuffle = true, .seed = 2, .by_length = by_length});
    std::int64_t padding = 0;
    loader.start(3);
    for (Batch b; loader.next(b);) {
      padding += b.inputs[1].eq(0).sum().item<std::int64_t>();
      ids.insert(ids.end(), b.ids.const_data_ptr<std::int64_t>(), b.ids.const_data_ptr<std::int64_t>() + b.size());
    }
    return padding;
  };
  std::vector<std::int64_t> plain, sorted, again;
  const std::int64_t before = padded(false, plain), after = padded(true, sorted);
  CHECK(after * 5 < before);
  padded(true, again);
  CHECK(again == sorted);
  CHECK(std::set<std::int64_t>(sorted.begin(), sorted.end()).size() == 500);
  Loader loader(set.train, set.preprocessing, {.batch_size = 16, .shuffle = true, .seed = 2, .by_length = true});
  CHECK(epoch(loader, 4) != sorted);
  CHECK(epoch(loader, 3, 30) == std::vector<std::int64_t>(sorted.begin() + 480, sorted.end()));
}
