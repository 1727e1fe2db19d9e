#pragma once
#include "base/core/registry.h"

namespace ds::catalog::regularizer::orthogonal {

struct Options : core::Options {
  double orthogonal = 0;
  std::string orthogonal_form = "soft";
  void fields(core::Fields& f) override {
    f.add({.name = "orthogonal", .doc = "adds this times the squared distance of each layer's weights from orthogonal ones to the loss; 1e-4 is usual; 0: off",
           .min = 0}, orthogonal);
    f.add({.name = "orthogonal_form", .doc = "soft: all of W W^T - I counts; off-diagonal: only what is beside the diagonal, lengths are free",
           .choices = {"soft", "off-diagonal"}}, orthogonal_form);
  }
};

inline const core::Card kCard{"regularizer", "orthogonal", "penalty on rows of weights that are not orthogonal",
                              "Bansal et al. 2018, arXiv:1810.09102, eq. 1; off-diagonal: Brock et al. 2019, arXiv:1809.11096, eq. 3"};

}  // namespace ds::catalog::regularizer::orthogonal
