// Data of tokens: what a batch holds, what is asked of it, and texts from files.
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <map>

#include "base/text/tokenizer.h"
#include "engine/data/dataset.h"
#include "files.h"

using namespace data_test;
using namespace ds::data;

namespace {

at::Tensor whole(std::vector<std::int64_t> values, at::ScalarType type) {
  at::Tensor t = at::empty({std::int64_t(values.size())}, at::TensorOptions().dtype(at::kLong));
  std::copy(values.begin(), values.end(), t.mutable_data_ptr<std::int64_t>());
  return t.to(type);
}

/// Three samples: [7 8 9], [5], [6 7].
Split three(Target target) {
  Split split;
  split.tokens.ids = whole({7, 8, 9, 5, 6, 7}, at::kInt);
  split.tokens.first = whole({0, 3, 4}, at::kLong);
  split.tokens.length = whole({3, 1, 2}, at::kLong);
  split.tokens.target = target;
  split.tokens.vocab_size = 10;
  split.tokens.pad_id = 1;
  split.tokens.mask_id = 4;
  split.first_id = 100;
  if (target == Target::kClass) split.labels = whole({2, 0, 1}, at::kLong);
  if (target == Target::kToken) split.tokens.labels = whole({0, 1, 2, 3, 4, 5}, at::kLong);
  return split;
}

Json form(std::vector<std::string> inputs = {"input_ids", "attention_mask"}) { return {{"kind", "text"}, {"inputs", inputs}}; }

std::vector<std::int64_t> values(const at::Tensor& t) {
  const at::Tensor flat = t.contiguous().to(at::kLong);
  return {flat.const_data_ptr<std::int64_t>(), flat.const_data_ptr<std::int64_t>() + flat.numel()};
}
using Values = std::vector<std::int64_t>;

struct Texts : Folder {
  std::string said(const std::string& spec, const Json& tokenizer = nullptr) const {
    std::string text = failure([&] { open(spec, tokenizer); });
    for (std::size_t at = text.find(path()); at != std::string::npos; at = text.find(path())) text.replace(at, path().size(), "D");
    return text;
  }
  void put(const std::string& name, const std::string& bytes) const {
    std::filesystem::create_directories(std::filesystem::path(*this / name).parent_path());
    write(name, bytes);
  }
};

}  // namespace

TEST_CASE("tokens: a batch is padded to its longest, inputs in the order that is asked for") {
  Split split = three(Target::kClass);
  const Batch all = batch_of(split, form({"attention_mask", "input_ids", "token_type_ids"}), 0, 3);
  REQUIRE(all.inputs.size() == 3);
  CHECK(all.inputs[0].sizes() == at::IntArrayRef({3, 3}));
  CHECK(values(all.inputs[0]) == Values{1, 1, 1, 1, 0, 0, 1, 1, 0});
  CHECK(values(all.inputs[1]) == Values{7, 8, 9, 5, 1, 1, 6, 7, 1});
  CHECK(values(all.inputs[2]) == Values(9, 0));
  CHECK(values(all.labels) == Values{2, 0, 1});
  CHECK(values(all.ids) == Values{100, 101, 102});
  CHECK(all.size() == 3);
  const Batch rest = batch_of(split, form(), 1, 2);
  CHECK(values(rest.inputs[0]) == Values{5, 1, 6, 7});
  split.tokens.types = whole({0, 1, 1, 0, 0, 1}, at::kByte);
  CHECK(values(batch_of(split, form({"token_type_ids"}), 0, 3).inputs[0]) == Values{0, 1, 1, 0, 0, 0, 0, 1, 0});
}

TEST_CASE("tokens: labels of tokens, of the next one, and of masked ones") {
  CHECK(values(batch_of(three(Target::kToken), form(), 0, 3).labels) == Values{0, 1, 2, 3, -100, -100, 4, 5, -100});
  // The next token of a sample's last one is the first behind it, where there is one.
  CHECK(values(batch_of(three(Target::kNext), form(), 0, 3).labels) == Values{8, 9, 5, 6, -100, -100, 7, -100, -100});
  const Split split = three(Target::kMasked);
  const Batch batch = batch_of(split, form(), 0, 3);
  const Values shown = values(batch.inputs[0]), labels = values(batch.labels), truth{7, 8, 9, 5, 1, 1, 6, 7, 1};
  for (std::size_t row = 0; row < 3; ++row) {
    int asked = 0;
    for (std::size_t i = 3 * row; i < 3 * row + 3; ++i) {
      if (labels[i] == -100) CHECK(shown[i] == truth[i]);
      else CHECK(labels[i] == truth[i]);
      asked += labels[i] != -100;
    }
    CHECK(asked >= 1);
  }
}

TEST_CASE("tokens: 15 % are masked, 8 of 10 of them by the mask, never a special one; by sample and epoch alone") {
  const Dataset set = open("synthetic:kind=tokens,task=masked,vocab=200,length=40,train=300,val=8,test=8");
  std::int64_t asked = 0, masked = 0, kept = 0, total = 0;
  Loader loader(set.train, set.preprocessing, {.batch_size = 32, .shuffle = true, .workers = 0, .seed = 3});
  std::map<std::int64_t, Values> by_id;
  for (Batch batch; loader.next(batch);) {
    const at::Tensor there = batch.labels.ge(0);
    asked += there.sum().item<std::int64_t>();
    masked += batch.inputs[0].eq(4).sum().item<std::int64_t>();
    kept += batch.inputs[0].eq(batch.labels).sum().item<std::int64_t>();
    total += batch.inputs[1].sum().item<std::int64_t>();
    CHECK(batch.labels.masked_select(there).min().item<std::int64_t>() >= 5);
    for (std::int64_t i = 0; i < batch.size(); ++i)
      by_id[batch.ids[i].item<std::int64_t>()] = values(batch.inputs[0][i].narrow(0, 0, batch.inputs[1][i].sum().item<std::int64_t>()));
  }
  CHECK(double(asked) / double(total) == doctest::Approx(0.15).epsilon(0.15));
  CHECK(double(masked) / double(asked) == doctest::Approx(0.8).epsilon(0.1));
  CHECK(double(kept) / double(asked) == doctest::Approx(0.1).epsilon(0.5));
  for (const std::int64_t workers : {0, 3}) {
    Loader again(set.train, set.preprocessing, {.batch_size = 7, .shuffle = true, .workers = workers, .seed = 3});
    again.start(0, 2);
    for (Batch batch; again.next(batch);)
      for (std::int64_t i = 0; i < batch.size(); ++i) {
        const std::int64_t length = batch.inputs[1][i].sum().item<std::int64_t>();
        CHECK(values(batch.inputs[0][i].narrow(0, 0, length)) == by_id.at(batch.ids[i].item<std::int64_t>()));
      }
  }
}

TEST_CASE("tokens: what does not fit") {
  const Split split = three(Target::kClass);
  const auto fault = [&](const Json& preprocessing, LoaderOptions options = {}) {
    return failure([&] { Loader loader(split, preprocessing, options); });
  };
  CHECK(fault({{"kind", "image"}}) == "3|preprocessing: kind \"image\", expected \"text\" for data of tokens");
  CHECK(fault({{"kind", "text"}}) == "3|preprocessing: 'inputs' is null, expected a list of names");
  CHECK(fault(form({"input_ids", "pixels"})) == "3|preprocessing: input \"pixels\", expected input_ids, attention_mask or token_type_ids");
  CHECK(fault(form(), {.augment = {"flip"}}).find("2|data: augmentation 'flip' is for images, the data are tokens") == 0);
}

TEST_CASE("synthetic tokens: learnable, the same again, words that its tokenizer knows") {
  const std::string spec = "synthetic:kind=tokens,vocab=40,length=12,classes=3,train=90,val=9,test=30";
  const Dataset set = open(spec);
  CHECK(set.fingerprint == open(spec).fingerprint);
  CHECK(set.fingerprint != open(spec + ",seed=2").fingerprint);
  CHECK(set.num_classes == 3);
  CHECK(set.train.size() == 90);
  CHECK(set.tokens().longest() <= 12);
  CHECK(set.tokens().ids.min().item<int>() >= 5);
  CHECK(set.tokens().ids.max().item<int>() < 40);
  const ds::text::Tokenizer tokenizer(set.tokenizer);
  CHECK(tokenizer.encode("w7 w39  nothing").ids == Values{7, 39, 1});
  CHECK(tokenizer.max_length() == 12);
  // Which words a class has more of than others tells the classes of the test split.
  at::Tensor counts = at::zeros({3, 40});
  const auto count = [&](const Split& split, std::int64_t i) {
    at::Tensor row = at::zeros({40});
    const std::int64_t first = split.tokens.first[i].item<std::int64_t>(), length = split.tokens.length[i].item<std::int64_t>();
    for (std::int64_t k = first; k < first + length; ++k) row[split.tokens.ids[k].item<std::int64_t>()] += 1;
    return row;
  };
  for (std::int64_t i = 0; i < 90; ++i) counts[set.train.labels[i].item<std::int64_t>()] += count(set.train, i);
  int right = 0;
  for (std::int64_t i = 0; i < 30; ++i)
    right += counts.add(1).log().matmul(count(set.test, i)).argmax().item<std::int64_t>() == set.test.labels[i].item<std::int64_t>();
  CHECK(right >= 24);
  CHECK(failure([] { open("synthetic:kind=tokens,vocab=8,classes=4"); }).find("2|data: synthetic: vocab=8, expected at least 9") == 0);
  CHECK(failure([] { open("synthetic:kind=sound"); }) == "2|data: synthetic: kind=sound, expected one of image, tokens");
}

TEST_CASE("text: a folder a class; without a tokenizer a byte is a token") {
  Texts files;
  for (int i = 0; i < 40; ++i) {
    files.put("set/good/" + std::to_string(i) + ".txt", "fine " + std::to_string(i));
    files.put("set/bad/" + std::to_string(i) + ".txt", "poor \xC3\xA9" + std::to_string(i));
  }
  files.put("set/good/notes.md", "left out");
  const Dataset set = open("text:" + (files / "set") + "?length=6");
  CHECK(set.labels == std::vector<std::string>{"bad", "good"});
  CHECK(set.train.size() + set.val.size() + set.test.size() == 80);
  CHECK(set.val.size() > 0);
  CHECK(set.test.size() > 0);
  CHECK(set.preprocessing == Json({{"kind", "text"}, {"max_length", 6}, {"inputs", {"input_ids", "attention_mask"}}}));
  CHECK(set.tokens().vocab_size == 261);
  const Batch batch = batch_of(set.train, set.preprocessing, 0, 1);
  CHECK(values(batch.inputs[0]) == Values{'p' + 5, 'o' + 5, 'o' + 5, 'r' + 5, ' ' + 5, 0xC3 + 5});
  // What the tokenizer makes of the texts is no part of what they are.
  CHECK(open("text:" + (files / "set")).fingerprint == set.fingerprint);
}

TEST_CASE("text: lines of a file a class; one file is packed, each token is to be told once") {
  Texts files;
  std::string lines, book;
  for (int i = 0; i < 60; ++i) lines += "line " + std::to_string(i) + "\r\n\n";
  for (int i = 0; i < 100; ++i) book += "line " + std::to_string(i) + "\n";
  files.put("lines/a.txt", lines);
  files.put("lines/b.txt", "\xEF\xBB\xBF" + lines + "more");
  const Dataset set = open("text:" + (files / "lines"));
  CHECK(set.labels == std::vector<std::string>{"a", "b"});
  CHECK(set.train.size() + set.val.size() + set.test.size() == 121);
  CHECK(set.train.texts[0].find_first_of("\r\n") == std::string::npos);

  files.put("book.txt", book);
  const Dataset model = open("text:" + (files / "book.txt") + "?length=16");
  CHECK(model.tokens().target == Target::kNext);
  CHECK(model.num_classes == 261);
  CHECK(model.train.texts[0] + model.val.texts[0] + model.test.texts[0] == book);
  CHECK(model.val.texts[0].back() == '\n');
  const std::string& text = model.train.texts[0];
  CHECK(model.train.size() == std::int64_t(text.size() - 1 + 15) / 16);
  std::string told;
  for (std::int64_t i = 0; i < model.train.size(); ++i)
    for (const std::int64_t label : values(batch_of(model.train, model.preprocessing, i, 1).labels)) told += char(label - 5);
  CHECK(told == text.substr(1));
  const Dataset masked = open("text:" + (files / "book.txt") + "?task=masked-lm");
  CHECK(masked.tokens().target == Target::kMasked);
  CHECK(masked.tokens().mask_id == 4);
}

TEST_CASE("text: files that cannot be") {
  Texts files;
  CHECK(files.said("text:" + (files / "none")) == "3|D/none: no such file or folder");
  files.put("one/a/x.txt", "x");
  CHECK(files.said("text:" + (files / "one")) == "3|D/one: has 1 folders of classes, expected 2 or more");
  files.put("one/b/y.txt", "fine\xFF");
  CHECK(files.said("text:" + (files / "one")) == "3|D/one/b/y.txt: byte 4 is no UTF-8; convert it, as with iconv -t UTF-8");
  files.put("one/b/y.txt", std::string("a\0b", 3));
  CHECK(files.said("text:" + (files / "one")) == "3|D/one/b/y.txt: byte 1 is a NUL, expected text");
  files.put("empty.txt", " \n");
  CHECK(files.said("text:" + (files / "empty.txt")) == "3|D/empty.txt: has no text");
  CHECK(files.said("text:" + (files / "empty.txt") + "?task=class").find("2|data: text: task=class of one file") == 0);
  CHECK(files.said("text:" + (files / "empty.txt") + "?task=song") == "2|data: text: task=song, expected one of auto, class, causal-lm, masked-lm, embedding");
}

TEST_CASE("csv: texts of a column, with a second one each") {
  Texts files;
  std::string table = "id,said,class,reply\n";
  for (int i = 0; i < 50; ++i) table += std::to_string(i) + ",\"hi, " + std::to_string(i) + "\"," + (i % 2 ? "odd" : "even") + ",yes\n";
  files.put("t.csv", table);
  const Dataset set = open("csv:" + (files / "t.csv") + "?text=said,target=class,length=9");
  CHECK(set.labels == std::vector<std::string>{"even", "odd"});
  CHECK(set.train.size() + set.val.size() + set.test.size() == 50);
  CHECK(set.train.texts[0].starts_with("hi, "));
  CHECK(set.tokens().longest() == 6);
  CHECK(set.preprocessing["max_length"] == 9);
  const Dataset pairs = open("csv:" + (files / "t.csv") + "?text=said,pair=reply,target=class");
  CHECK(pairs.tokens().longest() == 9);
  CHECK(files.said("csv:" + (files / "t.csv") + "?text=sayd,target=class").find("2|data: csv: D/t.csv has no column 'sayd' (did you mean 'said'?)") == 0);
  CHECK(files.said("csv:" + (files / "t.csv") + "?text=class,target=class").find("2|data: csv: column 'class' is both text and target") == 0);
  CHECK(files.said("csv:" + (files / "t.csv") + "?pair=said,target=class").find("2|data: csv: pair and length are for text") == 0);
  files.put("bad.csv", table + "9,\xC3,odd,no\n");
  CHECK(files.said("csv:" + (files / "bad.csv") + "?text=said,target=class") == "3|D/bad.csv:52: field 2, byte 0 is no UTF-8 text");
}
