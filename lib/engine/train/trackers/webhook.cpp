#include "base/catalog/tracker/webhook.h"

#include <fmt/chrono.h>

#include "engine/telemetry/http.h"
#include "engine/telemetry/outbox.h"
#include "engine/train/tracking.h"

namespace ds::train::webhook {
namespace {

constexpr double kSeconds = 5;
constexpr std::size_t kMostWaiting = 64;

/// The host alone is named in warnings: the path of a hook is often its secret.
struct Tracker : Callback {
  Tracker(const io::Endpoint& to, const Setting& setting)
      : run(run_name(setting)), model(architecture(setting)), client(std::make_shared<telemetry::Client>(to, kSeconds)),
        outbox("webhook " + to.origin, kMostWaiting) {}

  void on_alarm(Trainer& trainer, const Alarm& alarm) override {
    const Json body = {{"event", "alarm"}, {"kind", alarm.kind},      {"text", alarm.text}, {"value", alarm.value},
                       {"limit", alarm.limit}, {"step", trainer.step()}, {"epoch", trainer.epoch() + 1}, {"run", run},
                       {"model", model}, {"time", fmt::format("{:%FT%TZ}", fmt::gmtime(std::time(nullptr)))}};
    outbox.add([client = client, text = body.dump(-1, ' ', false, Json::error_handler_t::replace)] { return client->send({.body = text}).problem; });
  }

  std::string run, model;
  std::shared_ptr<telemetry::Client> client;
  telemetry::Outbox outbox;
};

std::shared_ptr<Callback> make(const core::Options& options, const Setting& setting) {
  const auto& o = static_cast<const catalog::tracker::webhook::Options&>(options);
  if (o.webhook.empty()) return nullptr;
  return std::make_shared<Tracker>(io::endpoint(o.webhook, "watch.webhook"), setting);
}

const core::Body<MakeTracker> body{"tracker", "webhook", make};

}  // namespace
}  // namespace ds::train::webhook
