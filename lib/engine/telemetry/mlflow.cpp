#include "engine/telemetry/mlflow.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <thread>

#include "base/core/error.h"
#include "base/core/log.h"
#include "base/io/files.h"
#include "engine/telemetry/mlflow_session.h"

namespace ds::telemetry {
namespace {

constexpr std::size_t kMostPoints = 1000, kMostWaiting = 20000;  ///< points of a request; entries that wait for a slow server
constexpr auto kGather = std::chrono::milliseconds(500), kRetry = std::chrono::milliseconds(1000), kLast = std::chrono::milliseconds(20000);
constexpr std::int64_t kMostSpool = std::int64_t{1} << 30;

std::string text_of(const Json& entry) { return entry.dump(-1, ' ', false, Json::error_handler_t::replace) + '\n'; }

}  // namespace

std::int64_t mlflow_now() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

struct Mlflow::State {
  explicit State(MlflowRun run_) : run(std::move(run_)), session(run.server) {}
  MlflowRun run;
  Json head;                 ///< the entry that began the run
  MlflowSession session;     ///< the thread's own
  mutable std::mutex mutex;
  std::condition_variable changed;
  std::deque<Json> waiting;
  std::string id;
  bool ended = false, ending = false, hurry = false, failed = false, spooled = false, busy = false;
  std::thread thread;

  void add(Json entry);
  Json take(std::unique_lock<std::mutex>& lock);
  void loop();
  void deliver(const Json& entry, std::size_t behind);
  void spool(const Json& entry);
};

void Mlflow::State::add(Json entry) {
  {
    const std::lock_guard lock(mutex);
    waiting.push_back(std::move(entry));
  }
  changed.notify_all();
}

/// The next entry; those of metrics are joined, which is what the server is quick at.
Json Mlflow::State::take(std::unique_lock<std::mutex>& lock) {
  if (waiting.front()["kind"] == "metrics" && !ending)
    changed.wait_for(lock, kGather, [&] { return ending || waiting.size() >= kMostPoints; });
  Json entry = std::move(waiting.front());
  waiting.pop_front();
  while (entry["kind"] == "metrics" && !waiting.empty() && waiting.front()["kind"] == "metrics" && entry["points"].size() < kMostPoints) {
    for (Json& point : waiting.front()["points"]) entry["points"].push_back(std::move(point));
    waiting.pop_front();
  }
  return entry;
}

void Mlflow::State::loop() {
  std::unique_lock lock(mutex);
  while (true) {
    changed.wait(lock, [&] { return ending || !waiting.empty(); });
    if (waiting.empty()) return;
    busy = true;
    const Json entry = take(lock);
    const std::size_t behind = waiting.size();
    lock.unlock();
    deliver(entry, behind);
    lock.lock();
    id = session.id();
    busy = false;
    changed.notify_all();
  }
}

void Mlflow::State::deliver(const Json& entry, std::size_t behind) {
  bool late = false;
  {
    const std::lock_guard lock(mutex);
    late = hurry;
  }
  if (!failed) {
    std::string problem = late ? "is too slow for the end of the run" : behind > kMostWaiting ? "is too slow" : session.send(entry);
    if (!problem.empty() && !late && session.may_pass() && behind <= kMostWaiting) {
      std::this_thread::sleep_for(kRetry);
      problem = session.send(entry);
    }
    if (problem.empty()) return;
    failed = true;
    core::warn(fmt::format("mlflow {}: {}; the run goes on, {}", run.server.text(), problem,
                           run.spool.empty() ? "what the server would get from here on is lost (with -o or --run-dir it is kept)"
                                             : fmt::format("what the server would get is kept: 'ds-report --replay-mlflow {}' sends it later", run.spool)));
  }
  if (!run.spool.empty()) spool(entry);
}

void Mlflow::State::spool(const Json& entry) {
  std::string text;
  if (!spooled && entry["kind"] != "run" && !(run.resumed && session.id().empty() && io::exists(run.spool))) {
    Json begin = head;  // it was sent, and the run goes on in the spool
    begin["run_id"] = session.id();
    text = text_of(begin);
  }
  Json kept = entry;
  if (entry["kind"] == "run") kept["run_id"] = session.id();
  if (!(entry["kind"] == "run" && run.resumed && io::exists(run.spool))) text += text_of(kept);
  spooled = true;
  const int fd = ::open(run.spool.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  try {
    if (fd < 0) throw Error(Exit::kResource, run.spool, std::strerror(errno));
    io::Sink sink(fd, run.spool);
    sink.write(text.data(), text.size());
    sink.flush();
  } catch (const Error& e) {
    core::warn(fmt::format("mlflow: {}; what the server would get from here on is lost", e.what()));
    run.spool.clear();
  }
  if (fd >= 0) ::close(fd);
}

Mlflow::Mlflow(MlflowRun run, const Json& params) : state_(std::make_unique<State>(std::move(run))) {
  State& s = *state_;
  s.id = s.run.id;
  s.head = {{"kind", "run"},          {"server", s.run.server.text()}, {"experiment", s.run.experiment}, {"run_name", s.run.name},
            {"run_id", s.run.id},     {"start_time", mlflow_now()},    {"params", params}};
  s.waiting.push_back(s.head);
  s.thread = std::thread([&s] { s.loop(); });
}

Mlflow::~Mlflow() {
  State& s = *state_;
  if (!s.ended) end("FAILED");
  {
    std::unique_lock lock(s.mutex);
    s.ending = true;
    s.changed.notify_all();
    s.changed.wait_for(lock, kLast, [&] { return s.waiting.empty() && !s.busy; });
    s.hurry = true;
  }
  s.changed.notify_all();
  s.thread.join();
}

void Mlflow::log(std::vector<MlflowPoint> points) {
  Json list = Json::array();
  for (const MlflowPoint& p : points) list.push_back({p.key, std::isfinite(p.value) ? Json(p.value) : Json(), p.step, p.time_ms});
  state_->add({{"kind", "metrics"}, {"points", std::move(list)}});
}

void Mlflow::end(const std::string& status) {
  state_->ended = true;
  state_->add({{"kind", "end"}, {"status", status}, {"end_time", mlflow_now()}});
}

std::string Mlflow::id() const {
  const std::lock_guard lock(state_->mutex);
  return state_->id;
}

// --- replay -----------------------------------------------------------------------------------------------------

namespace {

std::vector<Json> read_spool(const std::string& file) {
  const std::string text = io::read_file(file, kMostSpool);
  std::vector<Json> entries;
  for (std::size_t begin = 0, end; begin < text.size(); begin = end + 1) {
    end = std::min(text.find('\n', begin), text.size());
    Json entry = Json::parse(text.begin() + static_cast<std::ptrdiff_t>(begin), text.begin() + static_cast<std::ptrdiff_t>(end), nullptr, false);
    if (entry.is_discarded() && end == text.size()) break;  // cut off by a kill
    if (!entry.is_object() || !entry.contains("kind"))
      throw Error(Exit::kInput, fmt::format("{}:{}", file, entries.size() + 1), "is no entry of an MLflow run", "the file that a warning of ds-train named");
    entries.push_back(std::move(entry));
  }
  if (entries.empty() || entries[0]["kind"] != "run") throw Error(Exit::kInput, file, "does not begin with a run");
  return entries;
}

void write_spool(const std::string& file, const std::vector<Json>& entries) {
  std::string text;
  for (const Json& entry : entries) text += text_of(entry);
  io::write_file(file, text);
}

}  // namespace

Json replay_mlflow(const std::string& file, const std::string& server) {
  std::vector<Json> entries = read_spool(file);
  const io::Endpoint to = io::endpoint(server.empty() ? entries[0].value("server", "") : server, server.empty() ? file : "--mlflow");
  MlflowSession session(to);
  for (Json& entry : entries) {
    const std::string problem = session.send(entry);
    // From now on a second try goes on in this run.
    if (entry["kind"] == "run" && !session.id().empty() && entry.value("run_id", "") != session.id()) {
      entry["run_id"] = session.id();
      write_spool(file, entries);
    }
    if (!problem.empty()) throw Error(Exit::kFailure, to.text(), problem, "what was sent is not sent twice: try again when the server is there");
  }
  if (std::rename(file.c_str(), (file + ".sent").c_str()) != 0)
    throw Error(Exit::kResource, file, std::string("was sent but cannot be renamed: ") + std::strerror(errno));
  return {{"run_id", session.id()}, {"points", session.points()}, {"server", to.text()}};
}

}  // namespace ds::telemetry
