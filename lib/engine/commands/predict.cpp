#include "engine/commands/predict.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <numeric>

#include "base/core/error.h"
#include "base/core/signals.h"
#include "base/io/files.h"
#include "engine/exec/executor.h"

namespace ds::commands {
namespace predict {

std::string json_text(const std::string& text) { return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace); }

std::string nested(at::IntArrayRef sizes, const float* values) {
  if (sizes.empty()) return fmt::format("{}", *values);
  std::int64_t step = 1;
  for (const std::int64_t size : sizes.slice(1)) step *= size;
  std::string text = "[";
  for (std::int64_t i = 0; i < sizes[0]; ++i) text += (i > 0 ? "," : "") + nested(sizes.slice(1), values + i * step);
  return text + "]";
}

std::string file_of(const Opened& opened) { return opened.given == "-" ? "stdin" : opened.given; }

std::vector<std::string> read_labels(const Opened& opened, std::int64_t classes) {
  const Json& labels = opened.checkpoint.labels;
  std::vector<std::string> texts;
  for (std::int64_t i = 0; i < classes && labels.is_null(); ++i) texts.push_back(json_text(std::to_string(i)));
  if (labels.is_null()) return texts;
  if (!labels.is_array() || static_cast<std::int64_t>(labels.size()) != classes)
    throw Error(Exit::kInput, file_of(opened) + ":/documents/labels",
                fmt::format("{} labels, expected {} as the model tells classes apart", labels.size(), classes));
  for (const Json& label : labels) texts.push_back(label.dump(-1, ' ', false, Json::error_handler_t::replace));
  return texts;
}

std::vector<Best> best(const float* scores, std::int64_t classes, std::int64_t top) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(classes));
  std::iota(order.begin(), order.end(), 0);
  const auto n = static_cast<std::ptrdiff_t>(std::min(classes, top));
  std::partial_sort(order.begin(), order.begin() + n, order.end(),
                    [&](std::int64_t a, std::int64_t b) { return scores[a] > scores[b] || (scores[a] == scores[b] && a < b); });
  double sum = 0;
  for (std::int64_t c = 0; c < classes; ++c) sum += std::exp(static_cast<double>(scores[c]) - scores[order[0]]);
  std::vector<Best> found;
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    const std::int64_t c = order[static_cast<std::size_t>(i)];
    found.push_back({c, std::exp(static_cast<double>(scores[c]) - scores[order[0]]) / sum});
  }
  return found;
}

std::string labels_and_scores(const float* scores, const std::vector<std::string>& labels, std::int64_t top) {
  std::string names, shares;
  for (const Best& found : best(scores, static_cast<std::int64_t>(labels.size()), top)) {
    names += (names.empty() ? "" : ",") + labels[static_cast<std::size_t>(found.index)];
    shares += fmt::format("{}{:.6f}", shares.empty() ? "" : ",", found.share);
  }
  return ",\"labels\":[" + names + "],\"scores\":[" + shares + "]";
}

std::unique_ptr<Kind> make_kind(const Opened& opened, const PredictCommand& options) {
  const Json& preprocessing = opened.checkpoint.preprocessing;
  if (preprocessing.is_null())
    throw Error(Exit::kInput, file_of(opened), "has no preprocessing, which says how an input is brought to the model",
                "name a checkpoint of ds-train");
  const Json kind = preprocessing.is_object() ? preprocessing.value("kind", Json("image")) : Json();
  if (kind == "image") return pictures(opened, options);
  if (kind == "text") return texts(opened, options);
  if (kind == "table") return rows(opened, options);
  throw Error(Exit::kInput, file_of(opened) + ":/documents/preprocessing",
              fmt::format("kind {}, expected \"image\", \"text\" or \"table\"", kind.dump()));
}

}  // namespace predict

namespace {

using predict::Item;
using predict::Kind;

constexpr std::size_t kMostLine = std::size_t{1} << 20, kMostPath = std::size_t{1} << 16;  ///< bytes
const std::string kStdin = "stdin";
constexpr std::int64_t kWindow = 16;  ///< batches among which items of like size are brought together

/// The inputs in order: the files of the command line or their lines, and in the place of `-` the lines of stdin as they come.
class Inputs {
 public:
  enum class State { kGot, kNotYet, kEnd };
  Inputs(const std::vector<std::string>& given, Kind& kind) : given_(given), kind_(kind) {}
  ~Inputs() { close(); }
  Inputs(const Inputs&) = delete;
  Inputs& operator=(const Inputs&) = delete;

  /// The next one. Where stdin has none yet: waits for it, or tells kNotYet. Throws ds::Error(kInterrupted) where a signal ends the waiting,
  /// ds::Error(kInput) where a file of lines cannot be read.
  State next(Item& item, bool wait) {
    for (; at_ < given_.size(); ++at_) {
      const std::string& source = given_[at_];
      if (source != "-" && !kind_.reads_lines()) {
        item.name = item.place = source;
        ++at_;
        return State::kGot;
      }
      for (;;) {
        std::string text;
        const State state = line(text, wait);
        if (state == State::kEnd) break;
        if (state == State::kNotYet) return state;
        item = Item{kind_.reads_lines() ? "" : text};
        item.line = std::move(text);
        const std::string& named = source == "-" ? kStdin : source;
        item.place = kind_.reads_lines() ? fmt::format("{}:{}", named, ++line_) : item.name;
        if (kind_.take(named, line_, item)) return State::kGot;
      }
      close();
    }
    return State::kEnd;
  }

 private:
  void open() {
    ended_ = false;
    line_ = 0;
    buffer_.clear();
    begin_ = 0;
    fd_ = STDIN_FILENO;
    const std::string& source = given_[at_];
    if (source == "-") return;
    io::require_regular(source);
    fd_ = ::open(source.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd_ < 0) throw Error(Exit::kInput, source, fmt::format("cannot be read: {}", std::strerror(errno)));
  }
  void close() {
    if (fd_ > STDIN_FILENO) ::close(fd_);
    fd_ = -1;
  }

  State line(std::string& text, bool wait) {
    if (fd_ < 0) open();
    for (;;) {
      const std::size_t end = buffer_.find('\n', begin_);
      if (end != std::string::npos || (ended_ && begin_ < buffer_.size())) {
        text = buffer_.substr(begin_, end == std::string::npos ? end : end - begin_);
        begin_ = end == std::string::npos ? buffer_.size() : end + 1;
        if (!text.empty() && text.back() == '\r') text.pop_back();
        return State::kGot;
      }
      if (ended_) return State::kEnd;
      const std::size_t most = kind_.reads_lines() ? kMostLine : kMostPath;
      if (buffer_.size() - begin_ > most)
        throw Error(Exit::kInput, given_[at_], fmt::format("a line of {} has over {} bytes", fd_ == STDIN_FILENO ? "stdin" : "it", most));
      if (!fill(wait)) return State::kNotYet;
    }
  }

  /// Reads what there is, or waits for it; false where there is nothing yet.
  bool fill(bool wait) {
    pollfd ready{fd_, POLLIN, 0};
    while (::poll(&ready, 1, wait ? 100 : 0) <= 0) {
      if (core::stop_requested()) throw Error(Exit::kInterrupted, "", "interrupted while it waited for inputs");
      if (!wait) return false;
    }
    if ((ready.revents & POLLNVAL) != 0) throw Error(Exit::kInput, "-", "stdin is closed");
    buffer_.erase(0, begin_);
    begin_ = 0;
    char bytes[1 << 14];
    const ssize_t n = ::read(fd_, bytes, sizeof bytes);
    if (n < 0 && errno != EINTR && errno != EAGAIN) throw Error(Exit::kInput, given_[at_], fmt::format("cannot be read: {}", std::strerror(errno)));
    if (n == 0) ended_ = true;
    if (n > 0) buffer_.append(bytes, static_cast<std::size_t>(n));
    return true;
  }

  const std::vector<std::string>& given_;
  Kind& kind_;
  std::size_t at_ = 0, begin_ = 0;
  int fd_ = -1;
  std::int64_t line_ = 0;
  std::string buffer_;
  bool ended_ = false;
};

class Predictor {
 public:
  Predictor(Opened& opened, const PredictCommand& options) : options_(options), kind_(predict::make_kind(opened, options)), executor_(opened.model) {
    if (!kind_->reads_lines()) return;
    for (const std::string& input : options.inputs)
      if (input != "-") io::require_regular(input);
  }

  Kind& kind() { return *kind_; }
  /// How many inputs are looked at together.
  std::int64_t window() const { return kind_->reads_lines() ? options_.batch_size * kWindow : options_.batch_size; }

  /// The lines of these inputs, in their order.
  std::string lines(std::vector<Item>& items) {
    at::parallel_for(0, static_cast<std::int64_t>(items.size()), 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) read(items[static_cast<std::size_t>(i)]);
    });
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < items.size(); ++i)
      if (items[i].error.empty()) order.push_back(i);
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return kind_->size(items[a]) < kind_->size(items[b]); });
    std::vector<std::string> values(items.size());
    for (std::size_t begin = 0; begin < order.size(); begin += static_cast<std::size_t>(options_.batch_size)) {
      const std::size_t end = std::min(order.size(), begin + static_cast<std::size_t>(options_.batch_size));
      run(items, std::vector<std::size_t>(order.begin() + static_cast<std::ptrdiff_t>(begin), order.begin() + static_cast<std::ptrdiff_t>(end)),
          values);
    }
    std::string text;
    for (std::size_t i = 0; i < items.size(); ++i) {
      const Item& item = items[i];
      if (!item.error.empty() && failed_++ == 0) first_failure_ = {item.place, item.error};
      text += "{\"input\":" + predict::json_text(item.name) + item.more +
              (item.error.empty() ? values[i] : ",\"error\":" + predict::json_text(item.error)) + "}\n";
    }
    total_ += static_cast<std::int64_t>(items.size());
    return text;
  }

  std::int64_t total() const { return total_; }
  std::int64_t failed() const { return failed_; }
  /// Place and error.
  const std::pair<std::string, std::string>& first_failure() const { return first_failure_; }

 private:
  void read(Item& item) const {
    if (!item.error.empty()) return;
    try {
      kind_->read(item);
    } catch (const Error& e) {
      if (e.code() != Exit::kInput) throw;
      item.error = e.message() + (e.hint().empty() ? "" : "; " + e.hint());
    }
  }

  /// One batch: the values of the items of these indices.
  void run(std::vector<Item>& items, const std::vector<std::size_t>& indices, std::vector<std::string>& values) {
    const at::NoGradGuard no_grad;
    std::vector<const Item*> batch;
    for (const std::size_t i : indices) batch.push_back(&items[i]);
    const at::Tensor output = executor_.run(kind_->batch(batch), {}).at(0).to(at::kFloat);
    const auto n = static_cast<std::int64_t>(batch.size());
    const std::string& name = executor_.model().graph.outputs[0].name;
    if (output.dim() < 1 || output.size(0) != n) throw Error(Exit::kInput, name, fmt::format("is no row for each of {} inputs", n));
    for (std::int64_t row = 0; row < n; ++row) {
      Item& item = items[indices[static_cast<std::size_t>(row)]];
      const at::Tensor scores = kind_->own(item, output.select(0, row)).contiguous();
      if (!scores.isfinite().all().item<bool>())
        item.error = "the model's output is not finite";
      else if (options_.raw)
        values[indices[static_cast<std::size_t>(row)]] = ",\"output\":" + predict::nested(scores.sizes(), scores.const_data_ptr<float>());
      else
        values[indices[static_cast<std::size_t>(row)]] = kind_->values(item, scores);
    }
  }

  const PredictCommand& options_;
  std::unique_ptr<Kind> kind_;
  exec::Executor executor_;
  std::int64_t total_ = 0, failed_ = 0;
  std::pair<std::string, std::string> first_failure_;
};

/// Batch after batch, to `write`, until it says that nobody reads any more. A batch waits for no input that is not there yet.
/// @return whether all was written
bool predict_all(Predictor& predictor, const PredictCommand& options, const std::function<bool(const std::string&)>& write) {
  Inputs inputs(options.inputs, predictor.kind());
  std::vector<Item> batch;
  for (;;) {
    Item item;
    const Inputs::State state = inputs.next(item, batch.empty());
    if (state == Inputs::State::kGot) batch.push_back(std::move(item));
    const bool full = static_cast<std::int64_t>(batch.size()) == predictor.window();
    if (!batch.empty() && (full || state != Inputs::State::kGot)) {
      if (core::stop_requested()) throw Error(Exit::kInterrupted, "", fmt::format("interrupted after {} inputs", predictor.total()));
      if (!write(predictor.lines(batch))) return false;
      batch.clear();
    }
    if (state == Inputs::State::kEnd) return true;
  }
}

/// The file appears when all its lines are there.
void predict_to_file(Predictor& predictor, const PredictCommand& options) {
  io::write_atomically(options.output, [&](const std::string& temporary) {
    const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) throw Error(Exit::kResource, options.output, fmt::format("cannot be written: {}", std::strerror(errno)));
    const std::shared_ptr<void> closing(nullptr, [fd](void*) { ::close(fd); });
    io::Sink sink(fd, options.output);
    predict_all(predictor, options, [&](const std::string& text) {
      sink.write(text.data(), text.size());
      return true;
    });
    sink.flush();
  });
}

void run(const core::CommandOptions& base, core::Record& record) {
  const auto& o = static_cast<const PredictCommand&>(base);
  Opened opened = open_model("model", o.model, record, o.adapter);
  Predictor predictor(opened, o);
  record["metrics"] = figures(opened.model.graph);
  if (o.common.dry_run) {
    for (const std::string& input : o.inputs)
      if (input != "-") io::require_regular(input);
    return;
  }
  bool whole = true;
  if (o.output == "-")
    whole = predict_all(predictor, o, core::write_stdout);
  else
    predict_to_file(predictor, o);
  if (o.output != "-") record["predictions"] = io::absolute(o.output);
  record["metrics"]["inputs"] = predictor.total();
  record["metrics"]["failed"] = predictor.failed();
  if (whole && predictor.failed() > 0) {
    const auto& [name, error] = predictor.first_failure();
    throw Error(Exit::kInput, name, fmt::format("{} ({} of {} inputs have no prediction)", error, predictor.failed(), predictor.total()));
  }
}

const core::Body<core::Command> body{"command", "predict", run};

}  // namespace
}  // namespace ds::commands
