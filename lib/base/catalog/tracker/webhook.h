#pragma once
#include "base/core/registry.h"
#include "base/io/endpoint.h"

namespace ds::catalog::tracker::webhook {

struct Options : core::Options {
  std::string webhook;
  void fields(core::Fields& f) override {
    f.add({.name = "webhook", .doc = "where alarms are sent, as a POST of JSON: an URL, @FILE that has one, or env:NAME", .alias = "webhook",
           .value_name = "URL", .hidden = true}, webhook);
  }
  void check() const override {
    if (!webhook.empty()) io::check_endpoint(webhook, "watch.webhook");
  }
};

inline const core::Card kCard{"tracker", "webhook", "a POST of JSON for each alarm", ""};

}  // namespace ds::catalog::tracker::webhook
