#include <doctest/doctest.h>

#include <csignal>
#include <cstring>
#include <sstream>
#include <thread>

#include "base/core/digest.h"
#include "base/core/log.h"
#include "base/core/signals.h"
#include "sample.h"

using namespace ds::core;

namespace {

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

/// What the sample command does is told by --note.
void sample_command(const CommandOptions& base, Record& record) {
  const auto& options = static_cast<const sample::Options&>(base);
  record["metrics"]["top1"] = 0.5;
  if (options.note == "input") throw ds::Error(ds::Exit::kInput, "net.h5:/conv1", "shape [3], expected [4]", "export it again");
  if (options.note == "usage") throw ds::Error(ds::Exit::kUsage, "out.h5", "exists");
  if (options.note == "gate") throw ds::Error(ds::Exit::kGate, "--min-metric", "top1 0.5, expected at least 0.9");
  if (options.note == "stopped") throw ds::Error(ds::Exit::kStopped, "out.h5.partial", "saved after 3 steps");
  if (options.note == "memory") throw std::bad_alloc();
  if (options.note == "bug") throw std::runtime_error("a bug");
  if (options.note == "thread") std::thread([] { throw std::runtime_error("two\nlines"); }).join();
  if (options.note == "thread memory") std::thread([] { throw std::bad_alloc(); }).join();
  if (options.note == "signal") {
    raise(SIGTERM);
    record["stop"] = stop_requested();
  }
  if (options.note == "twice") {
    raise(SIGINT);
    raise(SIGINT);
  }
  if (options.note == "save") {
    raise(SIGUSR1);
    record["save"] = Json{take_save_request(), take_save_request()};
  }
  record.output("model", "out.h5", "abc");
  record["dry_run"] = options.common.dry_run;
  record["seen"] = invocation().config["train"]["epochs"];
  if (options.common.format == "table") record.text = "a | b\n";
  info("working");
}

const BaseCommand registered("sample", sample_command);

}  // namespace

TEST_CASE("core: a run prints one record on stdout and messages on stderr") {
  const auto result = sample::run({"in.h5", "--epochs", "3", "-n"});
  CHECK(result.code == 0);
  CHECK(result.out.compare(0, 31, "schema: ds-record/1\nstatus: don") == 0);
  CHECK(contains(result.out, "tool: ds-sample\nversion: "));
  CHECK(contains(result.out, "outputs:\n- digest: abc\n  name: model\n  path: /"));
  CHECK(contains(result.out, "dry_run: true\n"));
  CHECK(contains(result.out, "seen: 3\n"));
  CHECK(contains(result.out, "command: [ds-sample, in.h5, \"--epochs\", 3, \"-n\"]") == false);
  CHECK(result.err == "working\n");
  const Json record = Json::parse(sample::run({"in.h5", "--format", "json", "-q"}).out);
  CHECK(record["status"] == "done");
  CHECK(record["config"]["train"]["epochs"] == 12);
  CHECK(record["config_digest"] == sha256_hex(record["config"].dump()));
  CHECK(record["command"] == Json{"ds-sample", "in.h5", "--format", "json", "-q"});
  CHECK(record.contains("isa"));
  CHECK(record["threads"].get<int>() >= 1);
  CHECK_FALSE(record["config"].contains("output"));
}

TEST_CASE("core: the digest of a config knows values only, not how they were given") {
  const auto digest = [](const std::vector<std::string>& arguments) { return Json::parse(sample::run(arguments).out)["config_digest"]; };
  CHECK(digest({"--format=json", "--lr", "0.5"}) == digest({"--set", "optim.lr=0.5", "-f", "--format", "json", "-q"}));
  CHECK(digest({"--format=json", "--lr", "0.5"}) != digest({"--format=json"}));
}

TEST_CASE("core: quiet is quiet, a tool's own format is its text, -o - leaves stdout alone") {
  CHECK(sample::run({"-q"}).err.empty());
  CHECK(sample::run({"--format", "table"}).out == "a | b\n");
  CHECK(sample::run({"-o", "-"}).out.empty());
  CHECK(contains(sample::run({"--format", "csv"}).err, "--format: expected one of yaml, json, table, got 'csv'"));
}

TEST_CASE("core: --record writes the same record") {
  const sample::Folder folder;
  const auto result = sample::run({"--record", folder.path + "/r.yaml", "--reproducible"});
  CHECK(result.code == 0);
  CHECK(sample::read(folder.path + "/r.yaml") == result.out);
  CHECK_FALSE(contains(result.out, "elapsed_s"));
  CHECK(sample::run({"--record", folder.path + "/none/r.yaml"}).code == 4);
  CHECK(sample::run({"--record", "-"}).code == 2);
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path), {}) == 1);
}

TEST_CASE("core: errors are one line on stderr, an exit code, and a failed record for the next tool") {
  const auto input = sample::run({"--note", "input"});
  CHECK(input.code == 3);
  CHECK(input.err == "ds-sample: error: net.h5:/conv1: shape [3], expected [4]; export it again\n");
  CHECK(contains(input.out, "status: failed\nerror:\n  code: 3\n  hint: export it again\n"));
  CHECK(contains(input.out, "top1: 0.5"));
  const auto usage = sample::run({"--note", "usage"});
  CHECK(usage.code == 2);
  CHECK(usage.out.empty());
  CHECK(sample::run({"--note", "gate"}).code == 5);
  const auto stopped = sample::run({"--note", "stopped"});
  CHECK(stopped.code == 75);
  CHECK(stopped.err == "ds-sample: stopped: out.h5.partial: saved after 3 steps\n");
  CHECK(contains(stopped.out, "status: stopped\n"));
  CHECK(sample::run({"--note", "memory"}).code == 4);
  CHECK(contains(sample::run({"--note", "memory"}).err, "ds-sample: error: out of memory"));
  const auto bug = sample::run({"--note", "bug"});
  CHECK(bug.code == 1);
  CHECK(bug.err == "ds-sample: error: unexpected failure: a bug\n");
}

TEST_CASE("core: all configuration errors come at once, in a compiler's style, with nothing on stdout") {
  const sample::Folder folder;
  const std::string path = folder.write("c.yaml", "train:\n  epocs: 3\noptim: {name: sgd, betas: [1]}\n");
  const auto result = sample::run({"-c", path, "--ratio", "1.5", "--bogus"});
  CHECK(result.code == 2);
  CHECK(result.out.empty());
  CHECK(contains(result.err, path + ":2:3: error: unknown key 'train.epocs' (did you mean 'train.epochs'?)\n"));
  CHECK(contains(result.err, path + ":3:20: error: key 'optim.betas' belongs to sample-optimizer 'adam', not 'sgd'\n"));
  CHECK(contains(result.err, "ds-sample: error: --ratio: expected a number in [0, 1), got 1.5\n"));
  CHECK(contains(result.err, "ds-sample: error: unknown flag '--bogus'"));
  CHECK(sample::run({"-c", folder.path + "/none.yaml"}).code == 3);
  CHECK(sample::run({"-c", folder.path}).code == 3);
  CHECK(sample::run({"--device", "gpu"}).code == 2);
  CHECK(sample::run({"--memory-limit", "lots"}).code == 2);
  CHECK(sample::run({}, [] { setenv("DS_OPT_NO_SUCH", "1", 1); }).code == 2);
}

TEST_CASE("core: answers go to stdout with code 0 and compute nothing") {
  CHECK(sample::run({"--version"}).out == "ds-sample 0.1.0\n");
  CHECK(contains(sample::run({"--help"}).out, "usage: ds-sample"));
  CHECK(contains(sample::run({"-h", "--bogus"}).out, "usage: ds-sample"));
  CHECK(contains(sample::run({"--opt", "sgd", "--help"}).out, "--optim.momentum"));
  CHECK(contains(sample::run({"--generate", "man"}).out, ".SH NAME"));
  CHECK(contains(sample::run({"--generate=schema"}).out, "2020-12"));
  CHECK(sample::run({"--generate", "men"}).code == 2);
  CHECK(contains(sample::run({"--list", "sample-optimizer", "a*"}).out, "adam"));
  CHECK(sample::run({"--list", "sample-optimizr"}).code == 2);
  const auto config = sample::run({"--epochs", "7", "--print-config"}, [] { setenv("DS_OPT_OPTIM__LR", "0.5", 1); });
  CHECK(config.code == 0);
  CHECK(contains(config.out, "# --epochs\n"));
  CHECK(contains(config.out, "# DS_OPT_OPTIM__LR\n"));
  CHECK(sample::run({"--print-config", "--ratio", "3"}).code == 2);
}

TEST_CASE("core: signals become flags, a second SIGINT ends at once") {
  CHECK(contains(sample::run({"--note", "signal"}).out, "stop: true\n"));
  CHECK(contains(sample::run({"--note", "save"}).out, "save: [true, false]\n"));
  const auto twice = sample::run({"--note", "twice"});
  CHECK(twice.code == 130);
  CHECK(contains(twice.err, "interrupted a second time"));
}

TEST_CASE("core: what no handler can catch is one line and an exit code, too") {
  const auto thread = sample::run({"--note", "thread"});
  CHECK(thread.code == 1);
  CHECK(thread.err == "ds-sample: error: unexpected failure: two\n");
  const auto memory = sample::run({"--note", "thread memory"});
  CHECK(memory.code == 4);
  CHECK(contains(memory.err, "ds-sample: error: out of memory; raise"));
}

TEST_CASE("core: a reader that went away is no error") {
  const auto result = sample::run({}, [] {
    int ends[2];
    if (pipe(ends) != 0) _exit(99);
    close(ends[0]);
    dup2(ends[1], 1);
  });
  CHECK(result.code == 0);
  CHECK(result.err == "working\n");
  const auto full = sample::run({}, [] { dup2(open("/dev/full", O_WRONLY), 1); });
  CHECK(full.code == 4);
}

TEST_CASE("core: progress is plain lines in a log, JSON on request, silent when quiet") {
  const auto steps = [](ProgressMode mode, Level level) {
    return sample::in_child([&] {
             set_log(level, mode, false);
             {
               Progress progress("epoch 1/2", 1000);
               for (int i = 0; i <= 1000; ++i) progress.update(i, "loss=1");
               progress.finish("loss=0.5");
             }
             warn("odd");
             debug("detail");
             event("custom", {{"x", 1}});
             return 0;
           })
        .err;
  };
  const std::string plain = steps(ProgressMode::kAuto, Level::kInfo);
  CHECK(contains(plain, "epoch 1/2: 100% 1000/1000 [00:00, "));
  CHECK(contains(plain, "loss=0.5]\nwarning: odd\n"));
  CHECK(std::count(plain.begin(), plain.end(), '\n') <= 3);
  CHECK_FALSE(contains(plain, "\r"));
  CHECK(steps(ProgressMode::kNone, Level::kDebug) == "warning: odd\ndebug: detail\n");
  CHECK(steps(ProgressMode::kAuto, Level::kWarn) == "warning: odd\n");
  CHECK(steps(ProgressMode::kAuto, Level::kQuiet).empty());
  std::istringstream lines(steps(ProgressMode::kJsonl, Level::kInfo));
  int progress = 0, custom = 0;
  for (std::string line; std::getline(lines, line);) {
    const Json json = Json::parse(line);
    progress += json["event"] == "progress" && json["step"] == 1000 && json["done"] == true ? 1 : 0;
    custom += json["event"] == "custom" ? 1 : 0;
  }
  CHECK(progress == 1);
  CHECK(custom == 1);
}

TEST_CASE("core: lines of many threads stay whole") {
  const auto result = sample::in_child([] {
    set_log(Level::kInfo, ProgressMode::kPlain, false);
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([t] {
        for (int i = 0; i < 200; ++i) info(std::string(50, static_cast<char>('a' + t)));
      });
    for (auto& thread : threads) thread.join();
    return 0;
  });
  std::istringstream lines(result.err);
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) CHECK(line == std::string(50, line[0]));
  CHECK(count == 800);
}
