#include <doctest/doctest.h>

#include "base/core/cli.h"
#include "base/core/values.h"
#include "sample.h"

using namespace ds::core;

namespace {

/// All error lines of one config file called t.yaml.
std::vector<std::string> errors_of(const std::string& text) {
  sample::Fixture options;
  std::vector<ds::Error> errors;
  const Value root = parse_yaml(text, "t.yaml", errors);
  const auto settings = settings_of(root, std::make_shared<const Source>(Source{Source::Kind::kFile, "t.yaml", ""}), errors);
  apply_settings(*options, settings, errors);
  std::vector<std::string> lines;
  for (const ds::Error& error : errors) {
    CHECK(error.code() == ds::Exit::kUsage);
    lines.emplace_back(error.what());
  }
  return lines;
}

std::string error_of(const std::string& text) {
  const auto lines = errors_of(text);
  return lines.size() == 1 ? lines[0] : std::to_string(lines.size()) + " errors" + (lines.empty() ? "" : ", first: " + lines[0]);
}

/// Options after a config file, with the origin of each value.
std::map<std::string, std::string> load(sample::Fixture& options, const std::string& text) {
  std::vector<ds::Error> errors;
  const Value root = parse_yaml(text, "t.yaml", errors);
  const auto settings = settings_of(root, std::make_shared<const Source>(Source{Source::Kind::kFile, "t.yaml", ""}), errors);
  auto origins = apply_settings(*options, settings, errors);
  for (const ds::Error& error : errors) MESSAGE(error.what());
  CHECK(errors.empty());
  return origins;
}

}  // namespace

TEST_CASE("core: a config sets values, chooses members and resolves their options") {
  sample::Fixture options;
  load(options,
       "train: {epochs: 3, amp: bf16}\noptim:\n  momentum: 0.5\n  name: sgd\naugment: [affine, 010, \"a b\"]\nsizes: []\nlimit: .inf\nshuffle: "
       "false\nseed: 7\n");
  CHECK(options->train.epochs == 3);
  CHECK(options->train.amp == "bf16");
  CHECK(options->optim.name == "sgd");
  CHECK(options->optim.as<sample::SgdOptions>().momentum == 0.5);
  CHECK(options->augment == std::vector<std::string>{"affine", "010", "a b"});
  CHECK(options->sizes.empty());
  CHECK(std::isinf(options->limit));
  CHECK_FALSE(options->shuffle);
  CHECK(options->common.seed == 7);
}

TEST_CASE("core: an empty file, a comment and a null change nothing") {
  for (const char* text : {"", "\n", "# nothing\n", "---\n", "null\n", "train:\n", "train: {}\n", "optim: ~\n"}) {
    sample::Fixture options;
    CHECK(load(options, text).empty());
  }
}

TEST_CASE("core: a choice inside a chosen member is chosen too") {
  sample::Fixture options;
  load(options, "wrapper: {name: wrap, every: 2, inner: {name: adam, betas: [0.5, 0.6]}}\n");
  const auto& wrap = options->wrapper.as<sample::WrapOptions>();
  CHECK(wrap.every == 2);
  CHECK(wrap.inner.as<sample::AdamOptions>().betas[0] == 0.5);
}

TEST_CASE("core: unknown keys are named in full, with the nearest one") {
  CHECK(error_of("train:\n  epocs: 3\n") == "t.yaml:2:3: unknown key 'train.epocs' (did you mean 'train.epochs'?)");
  CHECK(error_of("optimm: {lr: 1, name: sgd}\n") == "t.yaml:1:1: unknown key 'optimm' (did you mean 'optim'?)");
  CHECK(error_of("\n\noptim: {lrr: 1}\n") == "t.yaml:3:9: unknown key 'optim.lrr' (did you mean 'optim.lr'?)");
  CHECK(error_of("train: {seed: 1}\n") == "t.yaml:1:9: unknown key 'train.seed' (did you mean 'seed'?)");
  CHECK(error_of("train: {batch-size: 1}\n") == "t.yaml:1:9: unknown key 'train.batch-size' (did you mean 'train.batch_size'?)");
  CHECK(error_of("lr: 1\n") == "t.yaml:1:1: unknown key 'lr' (did you mean 'optim.lr'?)");
  CHECK(error_of("train: {teacher: x}\n") == "t.yaml:1:9: unknown key 'train.teacher'; keys of 'train' are epochs, batch_size, amp, folder");
}

TEST_CASE("core: a key of another tool is named, with this tool's own keys") {
  CHECK(error_of("distillation: {temperature: 2}\n") ==
        "t.yaml:1:1: unknown key 'distillation'; keys are ratio, limit, note, augment, sizes, shuffle, train, optim, wrapper, device, threads, seed, "
        "memory, reproducible");
}

TEST_CASE("core: a key that belongs to another member of a choice names that member") {
  CHECK(error_of("optim: {name: sgd, betas: [0.9, 0.99]}\n") == "t.yaml:1:20: key 'optim.betas' belongs to sample-optimizer 'adam', not 'sgd'");
  CHECK(error_of("optim: {momentum: 0.9}\n") == "t.yaml:1:9: key 'optim.momentum' belongs to sample-optimizer 'sgd', not 'adam'");
  CHECK(error_of("wrapper: {every: 3}\n") == "t.yaml:1:11: key 'wrapper.every' belongs to sample-wrapper 'wrap', not 'none'");
}

TEST_CASE("core: duplicate keys are errors, in one map and by dots") {
  CHECK(error_of("train:\n  epochs: 1\n  epochs: 2\n") == "t.yaml:3:3: duplicate key 'epochs', first in line 2");
  CHECK(error_of("seed: 1\ntrain: {epochs: 1}\ntrain: {amp: off}\n") == "t.yaml:3:1: duplicate key 'train', first in line 2");
  CHECK(error_of("train.epochs: 1\ntrain: {epochs: 2}\n") == "t.yaml:2:9: duplicate key 'train.epochs', first in line 1");
}

TEST_CASE("core: wrong types say what was expected and what came") {
  CHECK(error_of("train: {epochs: many}\n") == "t.yaml:1:17: key 'train.epochs': expected an integer, got 'many'");
  CHECK(error_of("train: {epochs: 1e3}\n") == "t.yaml:1:17: key 'train.epochs': expected an integer, got '1e3'; write 1000");
  CHECK(error_of("train: {epochs: 3.0}\n") == "t.yaml:1:17: key 'train.epochs': expected an integer, got '3.0'; write 3");
  CHECK(error_of("train: {epochs: \"3\"}\n") == "t.yaml:1:17: key 'train.epochs': expected an integer, got the string \"3\"; drop the quotes");
  CHECK(error_of("train: {epochs: [3]}\n") == "t.yaml:1:17: key 'train.epochs': expected an integer, got a list");
  CHECK(error_of("train: {epochs: {a: 3}}\n") == "t.yaml:1:9: key 'train.epochs': expected an integer, got a map");
  CHECK(error_of("ratio: half\n") == "t.yaml:1:8: key 'ratio': expected a number, got 'half'");
  CHECK(error_of("shuffle: yes\n") == "t.yaml:1:10: key 'shuffle': expected true or false, got 'yes'; write true");
  CHECK(error_of("shuffle: Off\n") == "t.yaml:1:10: key 'shuffle': expected true or false, got 'Off'; write false");
  CHECK(error_of("augment: affine\n") == "t.yaml:1:10: key 'augment': expected a list, got 'affine'; write [affine]");
  CHECK(error_of("sizes: [1, two]\n") == "t.yaml:1:12: key 'sizes': expected an integer, got 'two'");
  CHECK(error_of("optim: sgd\n") == "t.yaml:1:1: 'optim' is a group of options, expected a map; keys of 'optim' are name, lr, betas");
  CHECK(error_of("note: [a]\n") == "t.yaml:1:7: key 'note': expected a text, got a list");
}

TEST_CASE("core: integers with a leading zero are refused, since readers disagree on them") {
  CHECK(error_of("seed: 010\n") == "t.yaml:1:7: key 'seed': expected an integer without a leading zero, got '010'; write 10");
  CHECK(error_of("limit: 010\n") == "t.yaml:1:8: key 'limit': expected a number without a leading zero, got '010'");
}

TEST_CASE("core: numbers out of range, infinite or not a number") {
  CHECK(error_of("ratio: 1.5\n") == "t.yaml:1:8: key 'ratio': expected a number in [0, 1), got 1.5");
  CHECK(error_of("ratio: 1\n") == "t.yaml:1:8: key 'ratio': expected a number in [0, 1), got 1");
  CHECK(error_of("optim: {lr: 0}\n") == "t.yaml:1:13: key 'optim.lr': expected a number above 0, got 0");
  CHECK(error_of("optim: {lr: .inf}\n") == "t.yaml:1:13: key 'optim.lr': expected a number above 0, got .inf");
  CHECK(error_of("ratio: .nan\n") == "t.yaml:1:8: key 'ratio': expected a number in [0, 1), got .nan");
  CHECK(error_of("train: {batch_size: 0}\n") == "t.yaml:1:21: key 'train.batch_size': expected a number of at least 1, got 0");
  CHECK(error_of("limit: 1e999\n") == "t.yaml:1:8: key 'limit': expected a number, got '1e999'");
  CHECK(error_of("seed: 99999999999999999999\n") == "t.yaml:1:7: key 'seed': expected an integer, got '99999999999999999999'");
  CHECK(error_of("optim: {betas: [0.9, 1.0]}\n") == "t.yaml:1:22: key 'optim.betas': expected a number in [0, 1), got 1.0");
}

TEST_CASE("core: bad choices list the good ones") {
  CHECK(error_of("train: {amp: bf61}\n") == "t.yaml:1:14: key 'train.amp': expected one of auto, bf16, off, got 'bf61' (did you mean 'bf16'?)");
  CHECK(error_of("optim: {name: adm, lr: 1, momentum: 1}\n") ==
        "t.yaml:1:15: unknown sample-optimizer 'adm' (did you mean 'adam'?); one of adam, sgd");
}

TEST_CASE("core: what YAML can do but a config must not") {
  CHECK(errors_of("train: &t {epochs: 1}\n")[0] == "t.yaml:1:8: anchors (&name) are not supported; write the value where it is needed");
  CHECK(errors_of("note: &n x\naugment: [*n]\n")[1] == "t.yaml:2:11: aliases (*name) are not supported; repeat the value");
  CHECK(errors_of("augment: &loop [*loop]\n").size() >= 2);
  CHECK(errors_of("train:\n  <<: {epochs: 1}\n")[0] == "t.yaml:2:3: merge keys (<<) are not supported; write the keys out, or give several -c files");
  CHECK(errors_of("note: !!str 3\n")[0] == "t.yaml:1:7: tag 'tag:yaml.org,2002:str' is not supported; types come from the option");
  CHECK(error_of("a: 1\n---\nb: 2\n").find("a second document, expected one") != std::string::npos);
  CHECK(error_of("- a\n- b\n") == "t.yaml:1:1: expected a map of keys, got a list");
  CHECK(error_of("just text\n") == "t.yaml:1:1: expected a map of keys, got a single value");
  CHECK(error_of("train:\n\tepochs: 3\n") == "t.yaml:2:1: tab in the indentation; use spaces");
  CHECK(error_of("train:\n  epochs: 3\n amp: off\n").compare(0, 7, "t.yaml:") == 0);
  CHECK(error_of("train: {epochs: 3\n").compare(0, 7, "t.yaml:") == 0);
  CHECK(error_of("note: \"open\nseed: 1\n") == "t.yaml:1:7: a quote that is never closed");
  CHECK(error_of("note: 'it''s\n") == "t.yaml:1:7: a quote that is never closed");
  CHECK(errors_of("note: \"a \\\" b\"\naugment: ['it''s', \"\"]\n").empty());
  CHECK(error_of(std::string("note: a\0b\n", 10)) == "t.yaml:1:8: byte 0x00, expected UTF-8 text");
  CHECK(error_of("seed: 1\nnote: \xff\xfe\n") == "t.yaml:2:7: byte 0xff, expected UTF-8 text");
  CHECK(error_of("? [a, b]\n: 1\n").find("a key must be a word") != std::string::npos);
}

TEST_CASE("core: nesting deeper than 64 is refused without recursion to the end") {
  const std::string deep = "note: " + std::string(2000, '[');
  CHECK(error_of(deep).find("nested deeper than 64 levels") != std::string::npos);
  CHECK(error_of(deep + std::string(2000, ']')) == "t.yaml:1:70: nested deeper than 64 levels");
  std::string maps;
  for (int i = 0; i < 100; ++i) maps += std::string(static_cast<std::size_t>(i), ' ') + "a:\n";
  CHECK(error_of(maps).find("nested deeper than 64 levels") != std::string::npos);
}

TEST_CASE("core: all errors of a file come at once") {
  const auto lines = errors_of("train:\n  epocs: 3\n  amp: maybe\nratio: 2\nshuffle: on\noptim: {name: sgd, betas: [1]}\nseed: 007\n");
  CHECK(lines.size() == 6);
}

TEST_CASE("core: flag-only options are no keys") {
  CHECK(error_of("output: a.h5\n") == "t.yaml:1:1: 'output' is no part of a config; give it as --output");
  CHECK(error_of("input: a.h5\n") == "t.yaml:1:1: 'input' is no part of a config; give it on the command line");
}

TEST_CASE("core: config files that cannot be read are errors of input") {
  const sample::Folder folder;
  std::vector<ds::Error> errors;
  file_settings(folder.path + "/none.yaml", errors);
  file_settings(folder.path, errors);
  REQUIRE(mkfifo((folder.path + "/fifo").c_str(), 0600) == 0);
  file_settings(folder.path + "/fifo", errors);
  REQUIRE(errors.size() == 3);
  for (const ds::Error& error : errors) CHECK(error.code() == ds::Exit::kInput);
  CHECK(errors[0].message() == "no such file");
  errors.clear();
  std::filesystem::resize_file(folder.write("huge.yaml", "a"), (16 << 20) + 1);
  file_settings(folder.path + "/huge.yaml", errors);
  file_settings("-", errors);
  REQUIRE(errors.size() == 2);
  for (const ds::Error& error : errors) CHECK(error.code() == ds::Exit::kUsage);
}

TEST_CASE("core: relative paths in a file start at its folder") {
  const sample::Folder folder;
  const std::string path = folder.write("sub/c.yaml", "train: {folder: ../here}\n");
  sample::Fixture options;
  std::vector<ds::Error> errors;
  apply_settings(*options, file_settings(path, errors), errors);
  CHECK(errors.empty());
  CHECK(options->train.folder == folder.path + "/here");
}

TEST_CASE("core: later settings win, lists replace, maps merge, null takes back") {
  sample::Fixture options;
  std::vector<ds::Error> errors;
  std::vector<Setting> all;
  const auto file = [&](const char* name, const std::string& text) {
    for (Setting& setting :
         settings_of(parse_yaml(text, name, errors), std::make_shared<const Source>(Source{Source::Kind::kFile, name, ""}), errors))
      all.push_back(setting);
  };
  file("a.yaml", "train: {epochs: 1, batch_size: 2}\nsizes: [1, 2, 3]\noptim: {name: adam, betas: [0.1, 0.2]}\nratio: 0.25\nnote: a\n");
  file("b.yaml", "train: {epochs: 5}\nsizes: [9]\noptim: {betas: null}\n");
  const KnownOptions known(*options);
  const char* environment[] = {"DS_OPT_TRAIN__EPOCHS=6", "DS_OPT_OPTIM__LR=0.5", "HOME=/", "DS_OPT_MEMORY__LIMIT=2G", nullptr};
  for (Setting& setting : environment_settings(known, const_cast<char**>(environment), errors)) all.push_back(setting);
  const CommandLine line = parse_command_line(
      known, {"--lr", "0.25", "--opt", "sgd", "--set", "ratio=null", "--set", "sizes=[4, 5]", "--epochs", "7", "--set", "train.epochs=8"});
  CHECK(line.errors.empty());
  for (const Setting& setting : line.settings) all.push_back(setting);
  const auto origins = apply_settings(*options, all, errors);
  for (const ds::Error& error : errors) MESSAGE(error.what());
  CHECK(errors.empty());
  CHECK(options->train.epochs == 8);
  CHECK(options->train.batch_size == 2);
  CHECK(options->sizes == std::vector<std::int64_t>{4, 5});
  CHECK(options->optim.name == "sgd");
  CHECK(options->optim.as<sample::SgdOptions>().lr == 0.25);
  CHECK(options->ratio == 0.5);
  CHECK(options->common.memory_limit == "2G");
  CHECK(origins.at("train.epochs") == "--set train.epochs");
  CHECK(origins.at("train.batch_size") == "a.yaml:1");
  CHECK(origins.at("optim.lr") == "--lr");
  CHECK(origins.at("memory.limit") == "DS_OPT_MEMORY__LIMIT");
  CHECK(origins.count("ratio") == 0);
}

TEST_CASE("core: a choice changed above a file says how to drop the file's key") {
  sample::Fixture options;
  std::vector<ds::Error> errors;
  auto all = settings_of(parse_yaml("optim: {betas: [0.1, 0.2]}\n", "a.yaml", errors),
                         std::make_shared<const Source>(Source{Source::Kind::kFile, "a.yaml", ""}), errors);
  for (const Setting& setting : parse_command_line(KnownOptions(*options), {"--opt", "sgd"}).settings) all.push_back(setting);
  apply_settings(*options, all, errors);
  REQUIRE(errors.size() == 1);
  CHECK(std::string(errors[0].what()) ==
        "a.yaml:1:9: key 'optim.betas' belongs to sample-optimizer 'adam', not 'sgd'; --opt chose 'sgd'; --set optim.betas=null drops it");
}

TEST_CASE("core: unknown variables DS_OPT_* are errors") {
  sample::Fixture options;
  std::vector<ds::Error> errors;
  const char* environment[] = {"DS_OPT_TRAIN__EPOCH=6", "DS_OPT_CONFIG=a", "DS_OPTX=1", nullptr};
  CHECK(environment_settings(KnownOptions(*options), const_cast<char**>(environment), errors).empty());
  REQUIRE(errors.size() == 2);
  CHECK(std::string(errors[0].what()) == "DS_OPT_TRAIN__EPOCH: no such option (did you mean 'DS_OPT_TRAIN__EPOCHS'?); unset it");
}

TEST_CASE("core: print-config loads back to the same values and shows where each came from") {
  sample::Fixture options;
  const auto origins = load(options,
                            "optim: {name: sgd, lr: 1e-05}\nnote: \"yes: # no\"\naugment: [\"010\", null_, \"a,b\", \"\"]\nlimit: -.inf\nratio: "
                            "0.1\ntrain: {folder: /x/y}\n");
  const std::string text = print_config(*options, origins);
  CHECK(text.find("lr: 1.0e-05") != std::string::npos);
  CHECK(text.find("# t.yaml:1\n") != std::string::npos);
  CHECK(text.find("# default\n") != std::string::npos);
  CHECK(text.find("output") == std::string::npos);
  sample::Fixture again;
  load(again, text);
  CHECK(to_json(*again) == to_json(*options));
  CHECK(again->note == "yes: # no");
  CHECK(again->augment == options->augment);
  sample::Fixture third;
  load(third, print_config(*options, {}, true));
  CHECK(to_json(*third) == to_json(*options));
}

TEST_CASE("core: options go to JSON and back") {
  sample::Fixture options;
  options->optim.select("sgd");
  options->limit = std::numeric_limits<double>::infinity();
  options->note = "12";
  options->output = "o.h5";
  const Json json = to_json(*options);
  CHECK(json["optim"]["name"] == "sgd");
  CHECK(json["memory"]["limit"] == "auto");
  CHECK_FALSE(json.contains("output"));
  sample::Fixture back;
  from_json(*back, Json::parse(json.dump()), "here");
  CHECK(to_json(*back) == json);
  from_json(*back, to_json(*options, true), "here");
  CHECK(back->output == "o.h5");
  CHECK_THROWS_WITH_AS(from_json(*back, {{"train", {{"epochs", "x"}}}}, "here"),
                       "here: key 'train.epochs': expected an integer, got the string \"x\"", ds::Error);
  CHECK_THROWS_WITH_AS(from_json(*back, {{"sed", 1}}, "here"), "here: unknown key 'sed' (did you mean 'seed'?)", ds::Error);
}

TEST_CASE("core: YAML text reads back as the same JSON") {
  const Json json = {
      {"a", {{"b", 1}, {"c", {1, 2.5, true, nullptr, "x"}}}},
      {"list", {{{"k", "v"}, {"l", {1, 2}}}, {{"k", "w: x"}}}},
      {"empty", Json::object()},
      {"none", Json::array()},
      {"text",
       {"010", "1.5", "true", "null", "~", "- a", "a #b", "a\tb", "line\nbreak", "ä", "", " x", "0.1.0", ".5", "2024-01-01", "@a", "%b", "{x}"}},
      {"nested", {{1, 2}, {3, {4}}}}};
  CHECK(json_from_yaml(yaml_text(json), "t") == json);
  CHECK_THROWS_AS(json_from_yaml("a: 010\n", "t"), ds::Error);
  CHECK(yaml_text({{"z", 1}, {"a", 2}, {"m", 3}}, {"z"}, {"a"}) == "z: 1\nm: 3\na: 2\n");
}

TEST_CASE("core: whatever a config file holds, the answer is values or errors with a place in it") {
  const std::string base =
      "train: {epochs: 3, amp: bf16}\noptim:\n  name: sgd\n  momentum: 0.5\naugment: [affine, \"a b\"]\nnote: |\n  text\nseed: 7\n";
  const std::string bytes = "\t\n :-[]{}&*!|>'\"%@`#,?~<0.e\\\xc3\x00";
  std::uint32_t random = 1;
  const auto next = [&](std::size_t below) { return ((random = random * 1664525 + 1013904223) >> 8) % below; };
  for (int round = 0; round < 3000; ++round) {
    std::string text = base;
    for (std::size_t edits = 1 + next(4); edits > 0 && !text.empty(); --edits) {
      const std::size_t at = next(text.size());
      const char c = bytes[next(bytes.size())];
      switch (next(4)) {
        case 0:
          text[at] = c;
          break;
        case 1:
          text.insert(at, 1, c);
          break;
        case 2:
          text.erase(at, 1 + next(5));
          break;
        default:
          text.insert(at, text.substr(next(text.size()), next(20)));
          break;
      }
    }
    sample::Fixture options;
    std::vector<ds::Error> errors;
    const Value root = parse_yaml(text, "t.yaml", errors);
    apply_settings(*options, settings_of(root, std::make_shared<const Source>(Source{Source::Kind::kFile, "t.yaml", ""}), errors), errors);
    for (const ds::Error& error : errors)
      if (error.where().compare(0, 7, "t.yaml:") != 0) FAIL_CHECK(error.what() << "\n" << text);
  }
}
