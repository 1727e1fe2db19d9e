// Options of ds-train.
#pragma once
#include "base/commands/fit_options.h"
#include "base/core/tool.h"

namespace ds::commands {

struct DataOptions : core::Options {
  std::string name;                     ///< SPEC; "" with --init: as the checkpoint says
  std::vector<std::string> augment;
  std::string tokenizer;                ///< file or folder; "" = a byte is a token
  void fields(core::Fields& f) override;
};

struct TrainCommand : core::CommandOptions {
  core::Choice model{"architecture", "cnn", "arch"};
  DataOptions data;
  FitOptions fit;
  std::string init, output, run_dir, resume = "no";
  bool dequantize = false;              ///< an int8 --init becomes its float twin
  bool list_models = false;
  std::vector<std::string> patterns;  ///< of --list-models: as file names are matched; none = all
  TrainCommand();
  void fields(core::Fields& f) override;
  void check() const override;
  void check_files() const override;
  std::string base_command() const override { return list_models ? "list-models" : ""; }
};

}  // namespace ds::commands
