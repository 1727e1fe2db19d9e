#include "engine/telemetry/outbox.h"

#include <fmt/format.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "base/core/log.h"

namespace ds::telemetry {
namespace {

constexpr double kLastSeconds = 5;  ///< what a run waits for at its end

struct Task {
  std::string name;
  std::function<std::string()> run;
};

}  // namespace

struct Outbox::State {
  std::string what;
  std::size_t most = 0;
  mutable std::mutex mutex;
  std::condition_variable changed;
  std::deque<Task> waiting;
  bool busy = false, ending = false;
  std::int64_t failures = 0;
  std::thread thread;

  void loop();
  static std::string problem_of(const Task& task);
};

std::string Outbox::State::problem_of(const Task& task) {
  try {
    return task.run();
  } catch (const std::exception& e) {
    return e.what();
  }
}

void Outbox::State::loop() {
  std::unique_lock lock(mutex);
  while (true) {
    changed.wait(lock, [&] { return ending || !waiting.empty(); });
    if (waiting.empty() || ending) return;
    const Task task = std::move(waiting.front());
    waiting.pop_front();
    busy = true;
    lock.unlock();
    const std::string problem = problem_of(task);
    if (!problem.empty()) {
      const std::string line = fmt::format("{}: {}; the run goes on", what, problem);
      failures == 0 ? core::warn(line) : core::debug(line);
    }
    lock.lock();
    failures += !problem.empty();
    busy = false;
    changed.notify_all();
  }
}

Outbox::Outbox(std::string what, std::size_t most) : state_(std::make_unique<State>()) {
  state_->what = std::move(what);
  state_->most = most;
  state_->thread = std::thread([this] { state_->loop(); });
}

Outbox::~Outbox() {
  drain(kLastSeconds);
  {
    const std::lock_guard lock(state_->mutex);
    state_->ending = true;
  }
  state_->changed.notify_all();
  state_->thread.join();
}

bool Outbox::add(std::function<std::string()> task, const std::string& name) {
  {
    const std::lock_guard lock(state_->mutex);
    if (!name.empty())
      for (Task& there : state_->waiting)
        if (there.name == name) return there.run = std::move(task), true;
    if (state_->waiting.size() >= state_->most) return false;
    state_->waiting.push_back({name, std::move(task)});
  }
  state_->changed.notify_all();
  return true;
}

bool Outbox::drain(double seconds) {
  std::unique_lock lock(state_->mutex);
  return state_->changed.wait_for(lock, std::chrono::duration<double>(seconds), [&] { return state_->waiting.empty() && !state_->busy; });
}

std::int64_t Outbox::failures() const {
  const std::lock_guard lock(state_->mutex);
  return state_->failures;
}

}  // namespace ds::telemetry
