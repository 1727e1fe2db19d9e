// Options of ds-train.
#pragma once
#include "base/commands/fit_options.h"
#include "base/core/tool.h"
#include "base/graph/initialize.h"

namespace ds::commands {

struct DataOptions : core::Options {
  std::string name;                     ///< SPEC; "" with --init: as the checkpoint says
  std::vector<std::string> augment;
  std::string sampler = "shuffle";      ///< or weighted, length
  std::string tokenizer;                ///< file or folder; "" = a byte is a token
  void fields(core::Fields& f) override;
};

/// How a fresh net starts.
struct InitializeOptions : core::Options {
  graph::WeightInit init;
  void fields(core::Fields& f) override;
};

struct TrainCommand : core::CommandOptions {
  core::Choice model{"architecture", "cnn", "arch"};
  DataOptions data;
  FitOptions fit;
  InitializeOptions initialize;
  core::Choice adapter{"adapter", "", "name", true};  ///< "": the net itself is trained
  std::string pretrained;               ///< file or folder of weights; the net of --init is used as it is, this one is fitted to the data
  std::string init, output, run_dir, resume = "no";
  bool cache_frozen = false;            ///< what the frozen front says of each sample is computed once
  bool dequantize = false;              ///< an int8 --init becomes its float twin
  bool list_models = false;
  bool find_lr = false;                 ///< measures a learning rate instead of training
  bool probe = false;                   ///< looks at one batch instead of training
  std::vector<std::string> patterns;  ///< of --list-models: as file names are matched; none = all
  TrainCommand();
  void fields(core::Fields& f) override;
  void check() const override;
  void check_files() const override;
  std::string base_command() const override { return list_models ? "list-models" : ""; }
};

}  // namespace ds::commands
