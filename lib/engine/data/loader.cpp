#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <exception>
#include <mutex>
#include <numeric>
#include <system_error>
#include <thread>

#include "base/core/error.h"
#include "engine/data/augment.h"
#include "engine/data/dataset.h"
#include "engine/data/pixels.h"
#include "engine/exec/random.h"

namespace ds::data {

namespace {

/// One batch on its way. The caller's thread makes the tensors; whoever fills them sees plain memory only.
struct Task {
  std::uint64_t epoch = 0;
  std::vector<std::int64_t> rows;  ///< samples of the split
  Batch batch;
  float* images = nullptr;
  std::int64_t *labels = nullptr, *ids = nullptr;
  bool done = false;
  std::exception_ptr error;
};

/// Buffers of one thread.
struct Scratch {
  std::vector<float> a, b, augment;
};

}  // namespace

struct Loader::State {
  Pixels pixels;
  LoaderOptions options;
  Shape shape;
  at::Tensor images, labels;  ///< contiguous; keep alive what the pointers below see
  const std::uint8_t* bytes = nullptr;
  const float* floats = nullptr;
  const std::int64_t* targets = nullptr;
  std::int64_t first_id = 0, size = 0;
  std::vector<std::unique_ptr<Augment>> augments;
  std::vector<std::uint64_t> keys;

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
  void fill(Task& task, Scratch& buffers) const;
  void run();
  void schedule();
};

Loader::State::State(const Split& split, const Json& preprocessing, LoaderOptions given) : pixels(preprocessing), options(std::move(given)) {
  const auto check = [](bool good, const std::string& what) {
    if (!good) throw Error(Exit::kUsage, "data", what);
  };
  check(options.batch_size >= 1, fmt::format("batch size {}, expected at least 1", options.batch_size));
  check(options.workers >= -1 && options.workers <= 256, fmt::format("{} workers, expected -1 to 256", options.workers));
  check(options.prefetch >= 1, fmt::format("prefetch {}, expected at least 1", options.prefetch));
  if (split.size() == 0) throw Error(Exit::kInput, "data", "the split is empty");
  pixels.check(split.images);
  if (split.images.size(0) != split.size()) {
    throw Error(Exit::kInput, "data", fmt::format("{} labels, expected {} as there are images", split.size(), split.images.size(0)));
  }
  if (split.labels.scalar_type() != at::kLong) {
    throw Error(Exit::kInput, "data", fmt::format("labels of dtype {}, expected int64", c10::toString(split.labels.scalar_type())));
  }
  shape = {pixels.channels, pixels.height, pixels.width};
  images = split.images.contiguous();
  labels = split.labels.contiguous();
  if (images.scalar_type() == at::kByte)
    bytes = images.const_data_ptr<std::uint8_t>();
  else
    floats = images.const_data_ptr<float>();
  targets = labels.const_data_ptr<std::int64_t>();
  first_id = split.first_id;
  size = split.size();
  for (std::size_t i = 0; i < options.augment.size(); ++i) {
    const std::string& name = options.augment[i];
    check(std::find(options.augment.begin(), options.augment.begin() + std::ptrdiff_t(i), name) == options.augment.begin() + std::ptrdiff_t(i),
          fmt::format("augmentation '{}' is given twice", name));
    augments.push_back(make_augment(name));
    keys.push_back(exec::stream_key(options.seed, "augment", name));
  }
  if (options.workers == -1) {
    // About a nanosecond a value, ten more for each augmentation: below 0.1 ms a batch, handing over costs more than it gains.
    const double cost = double(std::min(options.batch_size, size)) * double(shape.numel()) * (1 + 10 * double(augments.size()));
    options.workers = cost > 1e5 ? 1 : 0;
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
  const std::int64_t begin = index * options.batch_size, end = std::min(begin + options.batch_size, size), n = end - begin;
  task->epoch = std::uint64_t(epoch);
  task->rows.assign(order.begin() + begin, order.begin() + end);
  const auto integers = at::TensorOptions().dtype(at::kLong);
  task->batch.images =
      at::empty({n, shape.channels, shape.height, shape.width}, at::TensorOptions().dtype(at::kFloat), at::MemoryFormat::ChannelsLast);
  task->batch.labels = at::empty({n}, integers);
  task->batch.ids = at::empty({n}, integers);
  task->images = task->batch.images.mutable_data_ptr<float>();
  task->labels = task->batch.labels.mutable_data_ptr<std::int64_t>();
  task->ids = task->batch.ids.mutable_data_ptr<std::int64_t>();
  return task;
}

void Loader::State::fill(Task& task, Scratch& buffers) const {
  const auto numel = std::size_t(shape.numel());
  for (std::size_t i = 0; i < task.rows.size(); ++i) {
    const std::int64_t row = task.rows[i];
    const std::size_t at = std::size_t(row) * numel;
    float* out = task.images + i * numel;
    task.labels[i] = targets[row];
    task.ids[i] = first_id + row;
    if (augments.empty()) {
      if (bytes)
        pixels.convert(bytes + at, out);
      else
        pixels.convert(floats + at, out);
      continue;
    }
    buffers.a.resize(numel);
    buffers.b.resize(numel);
    if (bytes)
      std::copy_n(bytes + at, numel, buffers.a.data());
    else
      std::copy_n(floats + at, numel, buffers.a.data());
    for (std::size_t k = 0; k < augments.size(); ++k) {
      exec::Stream stream(keys[k], task.epoch, std::uint64_t(first_id + row));
      augments[k]->apply(buffers.a.data(), buffers.b.data(), shape, stream, buffers.augment);
      std::swap(buffers.a, buffers.b);
    }
    pixels.convert(buffers.a.data(), out);
  }
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
      fill(*task, buffers);
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
    s.order = exec::permutation(s.size, exec::stream_key(s.options.seed, "shuffle"), std::uint64_t(epoch));
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
    s.fill(*task, s.scratch);
    batch = std::move(task->batch);
    return true;
  }
  if (s.ahead.empty()) return false;
  const auto task = std::move(s.ahead.front());
  s.ahead.pop_front();
  s.schedule();
  {
    std::unique_lock lock(s.mutex);
    s.finished.wait(lock, [&task] { return task->done; });
  }
  if (task->error) std::rethrow_exception(task->error);
  batch = std::move(task->batch);
  return true;
}

}  // namespace ds::data
