#include <doctest/doctest.h>

#include "base/core/digest.h"
#include "base/core/host.h"
#include "base/core/values.h"
#include "sample.h"

using namespace ds::core;

namespace {

std::vector<std::string> paths(ds::core::Options& options) {
  std::vector<std::string> all;
  const Fields fields = walk(options);
  for (const Entry& entry : fields.entries()) all.push_back(entry.path);
  return all;
}

bool has(const std::vector<std::string>& all, const std::string& path) { return std::find(all.begin(), all.end(), path) != all.end(); }

}  // namespace

TEST_CASE("core: a walk lists options in order with dotted paths, and a choice's options follow its name") {
  sample::Fixture options;
  const auto before = paths(*options);
  CHECK(before.front() == "input");
  CHECK(has(before, "train.batch_size"));
  CHECK(has(before, "optim.betas"));
  CHECK_FALSE(has(before, "optim.momentum"));
  options->optim.select("sgd");
  const auto after = paths(*options);
  CHECK(has(after, "optim.momentum"));
  CHECK_FALSE(has(after, "optim.betas"));
  const Fields fields = walk(*options);
  for (const Entry& entry : fields.entries()) {
    if (entry.path == "optim.name") CHECK(entry.choice == &options->optim);
    if (entry.path == "optim.momentum") CHECK(entry.member == "sgd");
    if (entry.path == "optim.momentum") CHECK(entry.kind == "sample-optimizer");
    if (entry.path == "train.epochs") CHECK(entry.group == "train");
    if (entry.path == "train.epochs") CHECK(entry.member.empty());
  }
}

TEST_CASE("core: a choice knows its card, its options and what it is not") {
  sample::register_cards();
  Choice choice("sample-optimizer", "sgd");
  CHECK(choice.as<sample::SgdOptions>().momentum == 0.9);
  try {
    choice.select("sdg");
    FAIL("an unknown name was taken");
  } catch (const ds::Error& e) {
    CHECK(e.code() == ds::Exit::kUsage);
    CHECK(e.message() == "unknown sample-optimizer 'sdg' (did you mean 'sgd'?)");
    CHECK(e.hint() == "one of adam, sgd");
  }
  CHECK(choice.name == "sgd");
  Choice none("sample-optimizer", "", "name", true);
  CHECK(none.options == nullptr);
}

TEST_CASE("core: cards and kinds are sorted, bodies are found by name, a missing one is named") {
  sample::register_cards();
  const auto all = cards("sample-optimizer");
  REQUIRE(all.size() == 2);
  CHECK(all[0].name == "adam");
  CHECK(all[1].name == "sgd");
  const auto every = kinds();
  CHECK(std::is_sorted(every.begin(), every.end()));
  using Function = int(int);
  static const Body<Function> body_of(
      "sample-kind", "twice", +[](int x) { return 2 * x; });
  CHECK(body<Function>("sample-kind", "twice")(4) == 8);
  CHECK_FALSE(static_cast<bool>(find_body("sample-kind", "thrice")));
  CHECK_THROWS_WITH_AS(require_body("sample-kind", "thrice"), "sample-kind 'thrice' has no code in this build", ds::Error);
}

TEST_CASE("core: nearest takes one or two edits, a third of short words") {
  const std::vector<std::string> names{"epochs", "batch_size", "lr", "optim.lr", "resnet18", "resnet50"};
  CHECK(nearest("epoch", names) == "epochs");
  CHECK(nearest("epcohs", names) == "epochs");
  CHECK(nearest("batch-size", names) == "batch_size");
  CHECK(nearest("BATCH_SIZE", names) == "batch_size");
  CHECK(nearest("optim.lrr", names) == "optim.lr");
  CHECK(nearest("resnet8", names) == "resnet18");
  CHECK(nearest("resnt50", names) == "resnet50");
  CHECK(nearest("l", names) == "lr");
  CHECK(nearest("xy", names).empty());
  CHECK(nearest("something", names).empty());
  CHECK(nearest("", names).empty());
  CHECK(nearest("x", {}).empty());
}

TEST_CASE("core: of all typos of one edit in all keys, the suggestion is right in 95 % or more") {
  sample::Fixture options;
  const auto keys = paths(*options);
  const std::string letters = "abcdefghijklmnopqrstuvwxyz_";
  int right = 0, all = 0;
  for (const std::string& key : keys) {
    std::vector<std::string> typos;
    for (std::size_t i = 0; i < key.size(); ++i) {
      typos.push_back(key.substr(0, i) + key.substr(i + 1));
      for (const char c : letters) {
        typos.push_back(key.substr(0, i) + c + key.substr(i));
        typos.push_back(key.substr(0, i) + c + key.substr(i + 1));
      }
      if (i + 1 < key.size()) typos.push_back(key.substr(0, i) + key[i + 1] + key[i] + key.substr(i + 2));
    }
    for (const std::string& typo : typos) {
      if (has(keys, typo)) continue;
      ++all;
      right += nearest(typo, keys) == key ? 1 : 0;
    }
  }
  MESSAGE(right << " of " << all << " typos");
  CHECK(all > 10000);
  CHECK(right >= 0.95 * all);
}

TEST_CASE("core: numbers are read as written or not at all") {
  CHECK(*parse_integer("0") == 0);
  CHECK(*parse_integer("-12") == -12);
  CHECK(*parse_integer("9223372036854775807") == INT64_MAX);
  for (const char* bad : {"", "010", "-01", "1e3", "1.0", "0x10", "1_000", "9223372036854775808", " 1", "1 ", "+-1", "--1"})
    CHECK_FALSE(parse_integer(bad));
  CHECK(*parse_number("1e-3") == 0.001);
  CHECK(*parse_number("3") == 3);
  CHECK(*parse_number(".5") == 0.5);
  CHECK(*parse_number("-2.5E2") == -250);
  CHECK(std::isinf(*parse_number(".inf")));
  CHECK(*parse_number("-inf") < 0);
  for (const char* bad : {"", "010", "01.5", "1e", "e3", "0x1p3", "1e999", "1,5", "one", "-", ".", "--1", "infinity"}) CHECK_FALSE(parse_number(bad));
  CHECK(*parse_bytes("4096") == 4096);
  CHECK(*parse_bytes("8G") == std::int64_t{8} << 30);
  CHECK(*parse_bytes("1.5 GiB") == std::int64_t{3} << 29);
  CHECK(*parse_bytes("2kb") == 2000);
  for (const char* bad : {"", "G", "8X", "8GG", "1e3G", "-1"}) CHECK_FALSE(parse_bytes(bad));
}

TEST_CASE("core: SHA-256 equals the published vectors") {
  CHECK(sha256_hex("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(sha256_hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_CASE("core: threads come from the request, Slurm, or the affinity mask") {
  CHECK(thread_count(3) == 3);
  setenv("SLURM_CPUS_PER_TASK", "5", 1);
  CHECK(thread_count(0) == 5);
  setenv("SLURM_CPUS_PER_TASK", "x", 1);
  CHECK(thread_count(0) >= 1);
  unsetenv("SLURM_CPUS_PER_TASK");
  CHECK(memory_limit_bytes("1G") == 1 << 30);
  CHECK(memory_limit_bytes("none") == 0);
  CHECK(memory_limit_bytes("auto") > 0);
  CHECK_THROWS_AS(memory_limit_bytes("lots"), ds::Error);
}

TEST_CASE("core: a number that may be auto takes the word, says it again, and keeps its range for numbers") {
  double rate = 0.5;
  std::int64_t size = 8;
  Entry number{"lr", {.name = "lr", .doc = "rate", .min = 0, .above_min = true, .or_auto = true}, &rate, "", nullptr, "", ""};
  Entry integer{"n", {.name = "n", .doc = "size", .min = 1, .or_auto = true}, &size, "", nullptr, "", ""};
  for (const Entry* entry : {&number, &integer}) {
    CHECK(!assign(*entry, Value::scalar("auto")));
    CHECK(entry_json(*entry) == "auto");
    CHECK(entry_text(*entry) == "auto");
    CHECK(assign(*entry, Value::scalar("0")));
    CHECK(assign(*entry, Value::scalar("automatic"))->what.find("or auto, got 'automatic'") != std::string::npos);
  }
  CHECK(is_auto(rate));
  CHECK(is_auto(size));
  CHECK(!assign(number, Value::scalar("0.25")));
  CHECK(entry_json(number) == 0.25);
  number.field.or_auto = false;
  CHECK(assign(number, Value::scalar("auto"))->what == "expected a number, got 'auto'");
}
