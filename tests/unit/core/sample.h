// A tool's options in small, with a choice whose members differ, and a way to run the tool as a process.
#pragma once
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "base/core/config.h"
#include "base/core/error.h"
#include "base/core/fields.h"
#include "base/core/registry.h"
#include "base/core/tool.h"

namespace sample {

namespace core = ds::core;

struct AdamOptions : core::Options {
  double lr = 0.003;
  std::vector<double> betas = {0.9, 0.999};
  void fields(core::Fields& f) override {
    f.add({.name = "lr", .doc = "learning rate", .min = 0, .above_min = true, .alias = "lr"}, lr);
    f.add({.name = "betas", .doc = "decay of the running means", .min = 0, .max = 1, .below_max = true}, betas);
  }
};

struct SgdOptions : core::Options {
  double lr = 0.1, momentum = 0.9;
  bool nesterov = false;
  void fields(core::Fields& f) override {
    f.add({.name = "lr", .doc = "learning rate", .min = 0, .above_min = true, .alias = "lr"}, lr);
    f.add({.name = "momentum", .doc = "decay of the velocity", .min = 0, .max = 1, .below_max = true}, momentum);
    f.add({.name = "nesterov", .doc = "look ahead"}, nesterov);
  }
};

/// A member that has a choice of its own.
struct WrapOptions : core::Options {
  core::Choice inner{"sample-optimizer", "sgd"};
  std::int64_t every = 5;
  void fields(core::Fields& f) override {
    f.add({.name = "every", .doc = "steps between two", .min = 1}, every);
    f.choice("inner", "the wrapped one", inner);
  }
};

inline void register_cards() {
  static const bool once = [] {
    core::add_card<AdamOptions>({"sample-optimizer", "adam", "running means of gradient and square", ""});
    core::add_card<SgdOptions>({"sample-optimizer", "sgd", "gradient with momentum", ""});
    core::add_card<WrapOptions>({"sample-wrapper", "wrap", "another one inside", ""});
    core::add_card<SgdOptions>({"sample-wrapper", "plain", "nothing inside", ""});
    return true;
  }();
  (void)once;
}

struct TrainOptions : core::Options {
  std::int64_t epochs = 12, batch_size = 64;
  std::string amp = "auto", folder;
  void fields(core::Fields& f) override {
    f.add({.name = "epochs", .doc = "passes over the data", .min = 0, .max = 1e6, .alias = "epochs"}, epochs);
    f.add({.name = "batch_size", .doc = "samples a step", .min = 1, .unit = "samples", .alias = "batch-size", .letter = 'b'}, batch_size);
    f.add({.name = "amp", .doc = "mixed precision", .choices = {"auto", "bf16", "off"}}, amp);
    f.add({.name = "folder", .doc = "where to keep things", .value_name = "DIR", .path = true}, folder);
  }
};

struct Options : core::CommandOptions {
  std::string input, output, note;
  TrainOptions train;
  core::Choice optim{"sample-optimizer", "adam"};
  core::Choice wrapper{"sample-wrapper", "", "name", true};
  std::vector<std::string> augment;
  std::vector<std::int64_t> sizes = {1, 8};
  double ratio = 0.5, limit = 1;
  bool shuffle = true;
  void fields(core::Fields& f) override {
    f.add({.name = "input", .doc = "what to read", .value_name = "INPUT", .flag_only = true, .positional = true}, input);
    f.add({.name = "output", .doc = "what to write", .letter = 'o', .value_name = "FILE", .flag_only = true}, output);
    f.add({.name = "ratio", .doc = "share to keep", .min = 0, .max = 1, .below_max = true}, ratio);
    f.add({.name = "limit", .doc = "any number"}, limit);
    f.add({.name = "note", .doc = "free text"}, note);
    f.add({.name = "augment", .doc = "transforms"}, augment);
    f.add({.name = "sizes", .doc = "sizes to try", .min = 1}, sizes);
    f.add({.name = "shuffle", .doc = "shuffle the samples"}, shuffle);
    f.group("train", "training loop", train);
    f.choice("optim", "optimizer", optim, "opt");
    f.choice("wrapper", "wrapper", wrapper);
    common.fields(f);
  }
};

/// The tool's options, with the cards there.
struct Fixture {
  Fixture() { register_cards(); }
  Options& operator*() { return options_; }
  Options* operator->() { return &options_; }

 private:
  struct Cards {
    Cards() { register_cards(); }
  } cards_;
  Options options_;
};

/// A folder of its own, gone at the end.
struct Folder {
  Folder() {
    char name[] = "/tmp/ds_core_XXXXXX";
    path = mkdtemp(name);
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories(std::filesystem::path(path + "/" + name).parent_path());
    std::ofstream(path + "/" + name, std::ios::binary) << text;
    return path + "/" + name;
  }
  std::string path;
};

inline std::string read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct Result {
  int code = 0;
  std::string out, err;
};

/// Runs `body` in a child process and gives what it wrote.
inline Result in_child(const std::function<int()>& body) {
  const Folder folder;
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    const int out = open((folder.path + "/out").c_str(), O_WRONLY | O_CREAT, 0600),
              err = open((folder.path + "/err").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(out, 1);
    dup2(err, 2);
    const int code = body();
    std::fflush(nullptr);
    _exit(code);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), read(folder.path + "/out"), read(folder.path + "/err")};
}

inline core::ToolSpec spec() {
  core::ToolSpec spec;
  spec.name = "ds-sample";
  spec.summary = "samples what there is";
  spec.description = "Takes a sample. Then it takes another one.";
  spec.examples = {{"ds-sample in.h5 --ratio 0.3 -o out.h5", "keeps three tenths"}};
  spec.see_also = {"ds-eval(1)", "ds-train(1)"};
  spec.command = "sample";
  spec.engine = false;
  spec.formats = {"table"};
  return spec;
}

/// `ds-sample ARGUMENTS` as a process.
inline Result run(std::vector<std::string> arguments, const std::function<void()>& before = {}) {
  return in_child([&] {
    if (before) before();
    Fixture options;
    arguments.insert(arguments.begin(), "ds-sample");
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    return core::run_tool(spec(), *options, static_cast<int>(argv.size()), argv.data());
  });
}

}  // namespace sample
