#pragma once
#include "base/core/registry.h"
#include "base/graph/adapters.h"

namespace ds::catalog::adapter::conv1x1 {

struct Options : graph::AdapterOptions {
  std::int64_t rank = 8;
  std::string placement = "parallel";

  void fields(core::Fields& f) override {
    AdapterOptions::fields(f);
    f.add({.name = "rank", .doc = "channels between two 1x1 convolutions; 0: one full 1x1 convolution", .min = 0, .max = 1e5}, rank);
    f.add({.name = "placement", .doc = "beside the convolution, or behind it", .choices = {"parallel", "series"}}, placement);
  }
};

inline const core::Card kCard{"adapter", "conv1x1", "1x1 convolutions beside or behind those of a convolutional net; merged where these are not grouped",
                              "Rebuffi et al. 2017, arXiv:1705.08045 (series); 2018, arXiv:1803.10082 (parallel)"};

}  // namespace ds::catalog::adapter::conv1x1
