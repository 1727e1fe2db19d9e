#include "base/catalog/tracker/page.h"

#include <chrono>

#include "base/catalog/tracker/jsonl.h"
#include "base/core/tool.h"
#include "base/core/yaml.h"
#include "base/io/files.h"
#include "base/report/run_page.h"
#include "engine/train/tracking.h"

namespace ds::train::page {
namespace {

/// Its curves come from metrics.jsonl, which is written before: trackers are called in the order of their names.
struct Tracker : Callback {
  explicit Tracker(const Setting& setting) : folder(setting.options.run_dir) {
    facts.name = run_name(setting);
    facts.model = architecture(setting);
    facts.data = setting.data.spec;
    facts.epochs = setting.fit.loop.epochs;
    facts.config = core::yaml_text(core::invocation().config);
  }

  /// Short epochs do not get a page each: a hundredth of the run's time is what pages may take.
  void on_epoch(Trainer& trainer, Json&) override {
    const auto now = std::chrono::steady_clock::now();
    if (!begun || now - written > 100 * cost) write(trainer, trainer.epoch() + 1, "running");
  }
  void on_finish(Trainer& trainer) override {
    if (begun) write(trainer, trainer.epoch(), "done");
  }

  void write(const Trainer& trainer, std::int64_t epochs_done, const char* state) {
    const auto start = std::chrono::steady_clock::now();
    begun = true;
    facts.epoch = epochs_done;
    facts.step = trainer.step();
    facts.steps = trainer.total_steps();
    facts.state = state;
    history.read(folder + "/metrics.jsonl");
    io::write_file(folder + "/report.html", report::run_page(facts, history));
    written = std::chrono::steady_clock::now();
    cost = written - start;
  }

  std::string folder;
  report::RunFacts facts;
  report::RunHistory history;
  bool begun = false;
  std::chrono::steady_clock::time_point written;
  std::chrono::steady_clock::duration cost{};
};

std::shared_ptr<Callback> make(const core::Options& options, const Setting& setting) {
  const auto& o = static_cast<const catalog::tracker::page::Options&>(options);
  if (!o.page || setting.options.run_dir.empty() || !setting.fit.watch.as<catalog::tracker::jsonl::Options>("jsonl").jsonl) return nullptr;
  return std::make_shared<Tracker>(setting);
}

const core::Body<MakeTracker> body{"tracker", "page", make};

}  // namespace
}  // namespace ds::train::page
