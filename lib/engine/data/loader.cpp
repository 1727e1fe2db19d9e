#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <numeric>
#include <system_error>
#include <thread>

#include "base/core/error.h"
#include "base/core/log.h"
#include "engine/data/dataset.h"
#include "engine/data/form.h"
#include "engine/exec/random.h"

namespace ds::data {

namespace {

/// One batch on its way. The caller's thread makes the tensors; whoever fills them sees plain memory only.
struct Task {
  std::uint64_t epoch = 0;
  std::vector<std::int64_t> rows;  ///< samples of the split
  Batch batch;
  bool done = false;
  std::exception_ptr error;
};

}  // namespace

struct Loader::State {
  LoaderOptions options;
  std::unique_ptr<Form> form;
  std::int64_t size = 0, unit = 1;  ///< samples that stay together
  std::vector<std::int64_t> lengths;  ///< [size] tokens of each, where batches are by length
  std::vector<double> cumulative;     ///< [size] of the weights

  std::int64_t epoch = -1, scheduled = 0;
  std::vector<std::int64_t> order;
  std::deque<std::shared_ptr<Task>> ahead;  ///< scheduled, not delivered, in order
  Scratch scratch;                          ///< of the caller's thread

  std::mutex mutex;
  std::condition_variable work, finished;
  std::deque<std::shared_ptr<Task>> queue;  ///< for the workers
  bool stop = false;
  std::vector<std::thread> threads;

  State(const Split& split, const Json& preprocessing, LoaderOptions given);
  ~State();
  std::int64_t batches() const;
  std::shared_ptr<Task> make(std::int64_t index);
  void run();
  void schedule();
  std::vector<std::int64_t> shuffled() const;
  void sort_by_length(std::vector<std::int64_t>& units) const;
  void wait_for(const Task& task);
};

Loader::State::State(const Split& split, const Json& preprocessing, LoaderOptions given) : options(std::move(given)), size(split.size()) {
  const auto check = [](bool good, const std::string& what) {
    if (!good) throw Error(Exit::kUsage, "data", what);
  };
  check(options.batch_size >= 1, fmt::format("batch size {}, expected at least 1", options.batch_size));
  check(options.workers >= -1 && options.workers <= 256, fmt::format("{} workers, expected -1 to 256", options.workers));
  check(options.prefetch >= 1, fmt::format("prefetch {}, expected at least 1", options.prefetch));
  unit = of_pairs(split.tokens.target) ? 2 : 1;
  check(options.batch_size % unit == 0 && size % unit == 0, fmt::format("batch size {} of {} samples, expected even ones of pairs", options.batch_size, size));
  if (!options.weights.empty()) {
    check(unit == 1 && static_cast<std::int64_t>(options.weights.size()) == size,
          fmt::format("{} weights of draws, expected {} as there are samples, and no pairs", options.weights.size(), size));
    double sum = 0;
    for (const double weight : options.weights) {
      check(std::isfinite(weight) && weight >= 0, fmt::format("weight {}, expected a number of at least 0", weight));
      cumulative.push_back(sum += weight);
    }
    check(sum > 0, "weights of draws are all 0");
  }
  if (options.by_length) {
    check(split.tokens.first.defined(), "batches by length are of tokens");
    const auto* from = split.tokens.length.const_data_ptr<std::int64_t>();
    lengths.assign(from, from + size);
  }
  form = make_form(split, preprocessing, options.augment, options.seed);
  if (options.workers == -1) {
    // Below 0.1 ms a batch, handing over costs more than it gains.
    options.workers = static_cast<double>(std::min(options.batch_size, size)) * form->cost() > 1e5 ? 1 : 0;
  }
  try {
    for (std::int64_t i = 0; i < std::min(options.workers, batches()); ++i) threads.emplace_back([this] { run(); });
  } catch (const std::system_error&) {
    // No more threads to be had: those there are, or the caller's, do it all. The batches are the same.
  }
}

Loader::State::~State() {
  {
    const std::lock_guard lock(mutex);
    stop = true;
  }
  work.notify_all();
  for (std::thread& thread : threads) thread.join();
}

std::int64_t Loader::State::batches() const {
  return options.drop_last ? size / options.batch_size : (size + options.batch_size - 1) / options.batch_size;
}

std::shared_ptr<Task> Loader::State::make(std::int64_t index) {
  auto task = std::make_shared<Task>();
  const std::int64_t begin = index * options.batch_size, end = std::min(begin + options.batch_size, size);
  task->epoch = std::uint64_t(epoch);
  task->rows.assign(order.begin() + begin, order.begin() + end);
  task->batch = form->make(task->rows);
  return task;
}

void Loader::State::run() {
  Scratch buffers;
  for (;;) {
    std::shared_ptr<Task> task;
    {
      std::unique_lock lock(mutex);
      work.wait(lock, [this] { return stop || !queue.empty(); });
      if (stop) return;
      task = std::move(queue.front());
      queue.pop_front();
    }
    try {
      form->fill(task->batch, task->rows, task->epoch, buffers);
    } catch (...) {
      task->error = std::current_exception();
    }
    {
      const std::lock_guard lock(mutex);
      task->done = true;
    }
    finished.notify_all();
  }
}

void Loader::State::schedule() {
  while (scheduled < batches() && std::int64_t(ahead.size()) < options.prefetch) {
    ahead.push_back(make(scheduled++));
    {
      const std::lock_guard lock(mutex);
      queue.push_back(ahead.back());
    }
    work.notify_one();
  }
}

/// A function of (seed, epoch) alone.
std::vector<std::int64_t> Loader::State::shuffled() const {
  std::vector<std::int64_t> rows;
  rows.reserve(static_cast<std::size_t>(size));
  if (!cumulative.empty()) {
    exec::Stream stream(exec::stream_key(options.seed, "draw"), static_cast<std::uint64_t>(epoch));
    for (std::int64_t i = 0; i < size; ++i) {
      const auto found = std::upper_bound(cumulative.begin(), cumulative.end(), stream.uniform() * cumulative.back());
      rows.push_back(std::min<std::int64_t>(found - cumulative.begin(), size - 1));
    }
    return rows;
  }
  std::vector<std::int64_t> units = exec::permutation(size / unit, exec::stream_key(options.seed, "shuffle"), static_cast<std::uint64_t>(epoch));
  if (!lengths.empty()) sort_by_length(units);
  if (unit == 1) return units;
  for (const std::int64_t first : units)
    for (std::int64_t i = 0; i < unit; ++i) rows.push_back(first * unit + i);
  return rows;
}

void Loader::State::sort_by_length(std::vector<std::int64_t>& units) const {
  constexpr std::int64_t kBatches = 50;  // more leave less padding, and less chance in which samples meet
  const std::int64_t n = static_cast<std::int64_t>(units.size()), batch = options.batch_size / unit;
  const auto longest = [&](std::int64_t u) { return *std::max_element(lengths.begin() + u * unit, lengths.begin() + (u + 1) * unit); };
  for (std::int64_t first = 0; first < n; first += kBatches * batch)
    std::stable_sort(units.begin() + first, units.begin() + std::min(n, first + kBatches * batch),
                     [&](std::int64_t a, std::int64_t b) { return longest(a) < longest(b); });
  // A last batch that is not full stays the last.
  const std::int64_t full = n / batch;
  const std::vector<std::int64_t> order = exec::permutation(full, exec::stream_key(options.seed, "shuffle", "batches"), static_cast<std::uint64_t>(epoch));
  std::vector<std::int64_t> moved;
  for (const std::int64_t b : order) moved.insert(moved.end(), units.begin() + b * batch, units.begin() + (b + 1) * batch);
  moved.insert(moved.end(), units.begin() + full * batch, units.end());
  units = std::move(moved);
}

/// For the batch that is due; says so where it takes longer than patience allows, once a batch.
void Loader::State::wait_for(const Task& task) {
  std::unique_lock lock(mutex);
  const auto done = [&task] { return task.done; };
  if (options.patience <= 0 || finished.wait_for(lock, std::chrono::duration<double>(options.patience), done)) {
    finished.wait(lock, done);
    return;
  }
  const std::size_t behind = queue.size();
  lock.unlock();
  std::string rows;
  for (std::size_t i = 0; i < std::min<std::size_t>(4, task.rows.size()); ++i) rows += (i ? ", " : "") + std::to_string(task.rows[i]);
  core::warn(fmt::format("the loader gives nothing for {:.3g} s: {} workers have in hand a batch of epoch {} with {} samples ({}{}), {} more wait",
                         options.patience, threads.size(), task.epoch + 1, task.rows.size(), rows, task.rows.size() > 4 ? " ..." : "", behind));
  lock.lock();
  finished.wait(lock, done);
}

Loader::Loader(const Split& split, const Json& preprocessing, LoaderOptions options)
    : state_(std::make_unique<State>(split, preprocessing, std::move(options))) {}

Loader::~Loader() = default;

std::int64_t Loader::batches() const { return state_->batches(); }

void Loader::start(std::int64_t epoch, std::int64_t first) {
  State& s = *state_;
  if (epoch < 0 || first < 0) throw Error(Exit::kUsage, "data", fmt::format("epoch {}, batch {}, expected neither below 0", epoch, first));
  {
    // A batch that a worker has in hand still belongs to the task, which nobody waits for any more.
    const std::lock_guard lock(s.mutex);
    s.queue.clear();
  }
  s.ahead.clear();
  if (s.options.shuffle) {
    s.epoch = epoch;
    s.order = s.shuffled();
  } else {
    s.order.resize(std::size_t(s.size));
    std::iota(s.order.begin(), s.order.end(), 0);
  }
  s.epoch = epoch;
  s.scheduled = first;
  if (!s.threads.empty()) s.schedule();
}

bool Loader::next(Batch& batch) {
  State& s = *state_;
  if (s.epoch < 0) start(0);
  if (s.threads.empty()) {
    if (s.scheduled >= s.batches()) return false;
    const auto task = s.make(s.scheduled++);
    s.form->fill(task->batch, task->rows, task->epoch, s.scratch);
    batch = std::move(task->batch);
    return true;
  }
  if (s.ahead.empty()) return false;
  const auto task = std::move(s.ahead.front());
  s.ahead.pop_front();
  s.schedule();
  s.wait_for(*task);
  if (task->error) std::rethrow_exception(task->error);
  batch = std::move(task->batch);
  return true;
}

}  // namespace ds::data
