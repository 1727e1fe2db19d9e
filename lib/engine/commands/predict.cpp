#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <numeric>

#include "base/commands/predict_options.h"
#include "base/core/error.h"
#include "base/core/signals.h"
#include "base/io/files.h"
#include "base/io/image.h"
#include "engine/commands/session.h"
#include "engine/data/pixels.h"
#include "engine/exec/executor.h"

namespace ds::commands {
namespace {

constexpr std::size_t kMostLine = 1 << 16;  ///< bytes; no path is longer

/// The inputs in order: those of the command line, and in the place of `-` the lines of stdin as they come.
class Inputs {
 public:
  enum class State { kGot, kNotYet, kEnd };
  explicit Inputs(const std::vector<std::string>& given) : given_(given) {}

  /// The next one. Where stdin has none yet: waits for it, or tells kNotYet. Throws ds::Error(kInterrupted) where a signal ends the waiting.
  State next(std::string& name, bool wait) {
    for (; at_ < given_.size(); ++at_) {
      if (given_[at_] != "-") {
        name = given_[at_++];
        return State::kGot;
      }
      const State state = line(name, wait);
      if (state != State::kEnd) return state;
    }
    return State::kEnd;
  }

 private:
  State line(std::string& name, bool wait) {
    for (;;) {
      const std::size_t end = buffer_.find('\n', begin_);
      if (end != std::string::npos || (ended_ && begin_ < buffer_.size())) {
        name = buffer_.substr(begin_, end == std::string::npos ? end : end - begin_);
        begin_ = end == std::string::npos ? buffer_.size() : end + 1;
        if (!name.empty() && name.back() == '\r') name.pop_back();
        return State::kGot;
      }
      if (ended_) return State::kEnd;
      if (buffer_.size() - begin_ > kMostLine)
        throw Error(Exit::kInput, "-", fmt::format("a line of stdin has over {} bytes, expected the path of a picture", kMostLine));
      if (!fill(wait)) return State::kNotYet;
    }
  }

  /// Reads what there is, or waits for it; false where there is nothing yet.
  bool fill(bool wait) {
    pollfd ready{STDIN_FILENO, POLLIN, 0};
    while (::poll(&ready, 1, wait ? 100 : 0) <= 0) {
      if (core::stop_requested()) throw Error(Exit::kInterrupted, "", "interrupted while it waited for inputs");
      if (!wait) return false;
    }
    if ((ready.revents & POLLNVAL) != 0) throw Error(Exit::kInput, "-", "stdin is closed");
    buffer_.erase(0, begin_);
    begin_ = 0;
    char bytes[1 << 14];
    const ssize_t n = ::read(STDIN_FILENO, bytes, sizeof bytes);
    if (n < 0 && errno != EINTR && errno != EAGAIN) throw Error(Exit::kInput, "-", fmt::format("stdin cannot be read: {}", std::strerror(errno)));
    if (n == 0) ended_ = true;
    if (n > 0) buffer_.append(bytes, static_cast<std::size_t>(n));
    return true;
  }

  const std::vector<std::string>& given_;
  std::size_t at_ = 0, begin_ = 0;
  std::string buffer_;
  bool ended_ = false;
};

/// One input on its way to its line.
struct Item {
  std::string name, error;
  io::Image picture;
};

class Predictor {
 public:
  Predictor(Opened& opened, const PredictCommand& options) : options_(options), preprocessing_(opened.checkpoint.preprocessing), executor_(opened.model) {
    const std::string file = opened.given == "-" ? "stdin" : opened.given, where = file + ":/documents/preprocessing";
    if (preprocessing_.is_null())
      throw Error(Exit::kInput, file, "has no preprocessing, which says how a picture is brought to the model's size", "name a checkpoint of ds-train");
    const data::Pixels pixels(preprocessing_, where);
    if (preprocessing_.value("kind", "image") != "image")
      throw Error(Exit::kInput, where, fmt::format("kind {}, expected \"image\": inputs are pictures", preprocessing_["kind"].dump()));
    fit_ = io::fit_of(preprocessing_, where);
    const graph::Graph& graph = opened.model.graph;
    const auto& dims = graph.inputs.at(0).type.dims;
    const std::int64_t sizes[] = {pixels.channels, pixels.height, pixels.width};
    bool fits = graph.inputs.size() == 1 && dims.size() == 4;
    for (std::size_t i = 1; fits && i < 4; ++i) fits = !dims[i].is_known() || dims[i].value() == sizes[i - 1];
    if (!fits)
      throw Error(Exit::kInput, file, fmt::format("the model takes {}, its preprocessing gives pictures of {}x{}x{}",
                                                  graph::type_text(graph.inputs[0].type), sizes[0], sizes[1], sizes[2]));
    if (!options.raw) read_labels(opened, train::output_classes(graph), file);
  }

  /// The lines of these inputs.
  std::string lines(std::vector<Item>& items) {
    at::parallel_for(0, static_cast<std::int64_t>(items.size()), 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) read(items[static_cast<std::size_t>(i)]);
    });
    const at::Tensor output = run(items);
    std::string text;
    std::int64_t row = 0;
    for (Item& item : items) {
      std::string values;
      if (item.error.empty()) {
        const at::Tensor scores = output.select(0, row++).contiguous();
        if (scores.isfinite().all().item<bool>())
          values = options_.raw ? ",\"output\":" + nested(scores.sizes(), scores.const_data_ptr<float>()) : best(scores);
        else
          item.error = "the model's output is not finite";
      }
      if (!item.error.empty()) fail(item);
      text += "{\"input\":" + quoted(item.name) + (item.error.empty() ? values : ",\"error\":" + quoted(item.error)) + "}\n";
    }
    total_ += static_cast<std::int64_t>(items.size());
    return text;
  }

  std::int64_t total() const { return total_; }
  std::int64_t failed() const { return failed_; }
  const Item& first_failure() const { return first_failure_; }

 private:
  static std::string quoted(const std::string& text) { return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace); }

  void read_labels(const Opened& opened, std::int64_t classes, const std::string& file) {
    const Json& labels = opened.checkpoint.labels;
    for (std::int64_t i = 0; i < classes && labels.is_null(); ++i) labels_.push_back(quoted(std::to_string(i)));
    if (labels.is_null()) return;
    if (!labels.is_array() || static_cast<std::int64_t>(labels.size()) != classes)
      throw Error(Exit::kInput, file + ":/documents/labels", fmt::format("{} labels, expected {} as the model tells classes apart", labels.size(), classes));
    for (const Json& label : labels) labels_.push_back(label.dump(-1, ' ', false, Json::error_handler_t::replace));
  }

  void read(Item& item) const {
    try {
      if (item.name.empty()) throw Error(Exit::kInput, "", "is an empty line, expected the path of a picture");
      if (item.name.find('\0') != std::string::npos) throw Error(Exit::kInput, "", "is no path: it has a zero byte");
      item.picture = io::fit_image(io::read_image(item.name, static_cast<int>(fit_.channels)), fit_);
    } catch (const Error& e) {
      if (e.code() != Exit::kInput) throw;
      item.error = e.message() + (e.hint().empty() ? "" : "; " + e.hint());
    }
  }

  /// The model's first output for the pictures that are there, float32; undefined without one.
  at::Tensor run(const std::vector<Item>& items) {
    std::int64_t n = 0;
    for (const Item& item : items) n += item.error.empty();
    if (n == 0) return {};
    const at::NoGradGuard no_grad;
    const std::int64_t size = fit_.height * fit_.width;
    at::Tensor images = at::empty({n, fit_.channels, fit_.height, fit_.width}, at::TensorOptions().dtype(at::kByte));
    auto* to = images.mutable_data_ptr<std::uint8_t>();
    for (const Item& item : items) {
      if (!item.error.empty()) continue;
      for (std::int64_t c = 0; c < fit_.channels; ++c)
        for (std::int64_t p = 0; p < size; ++p) *to++ = item.picture.pixels[static_cast<std::size_t>(p * fit_.channels + c)];
    }
    const at::Tensor output = executor_.run({data::preprocess(images, preprocessing_)}, {}).at(0).to(at::kFloat).contiguous();
    if (output.dim() < 1 || output.size(0) != n || (!options_.raw && output.dim() != 2))
      throw Error(Exit::kInput, executor_.model().graph.outputs[0].name, "is no row of scores for each picture", options_.raw ? "" : "--raw prints any output");
    return output;
  }

  /// The likeliest labels with their softmax; of equal scores the first class is first.
  std::string best(const at::Tensor& scores) const {
    const float* values = scores.const_data_ptr<float>();
    std::vector<std::int64_t> order(labels_.size());
    std::iota(order.begin(), order.end(), 0);
    const auto top = static_cast<std::ptrdiff_t>(std::min<std::size_t>(order.size(), static_cast<std::size_t>(options_.top)));
    std::partial_sort(order.begin(), order.begin() + top, order.end(),
                      [&](std::int64_t a, std::int64_t b) { return values[a] > values[b] || (values[a] == values[b] && a < b); });
    double sum = 0;
    for (std::size_t c = 0; c < labels_.size(); ++c) sum += std::exp(static_cast<double>(values[c]) - values[order[0]]);
    std::string labels, shares;
    for (std::ptrdiff_t i = 0; i < top; ++i) {
      const std::int64_t c = order[static_cast<std::size_t>(i)];
      const double share = std::exp(static_cast<double>(values[c]) - values[order[0]]) / sum;
      labels += (i > 0 ? "," : "") + labels_[static_cast<std::size_t>(c)];
      shares += fmt::format("{}{:.6f}", i > 0 ? "," : "", share);
    }
    return ",\"labels\":[" + labels + "],\"scores\":[" + shares + "]";
  }

  /// Lists in lists, the shortest decimals that give the floats back.
  static std::string nested(at::IntArrayRef sizes, const float* values) {
    if (sizes.empty()) return fmt::format("{}", *values);
    std::int64_t step = 1;
    for (const std::int64_t size : sizes.slice(1)) step *= size;
    std::string text = "[";
    for (std::int64_t i = 0; i < sizes[0]; ++i) text += (i > 0 ? "," : "") + nested(sizes.slice(1), values + i * step);
    return text + "]";
  }

  void fail(const Item& item) {
    if (failed_++ == 0) first_failure_ = {item.name, item.error, {}};
  }

  const PredictCommand& options_;
  const Json& preprocessing_;
  exec::Executor executor_;
  io::Fit fit_;
  std::vector<std::string> labels_;  ///< as JSON
  std::int64_t total_ = 0, failed_ = 0;
  Item first_failure_;
};

/// Batch after batch, to `write`, until it says that nobody reads any more. A batch waits for no input that is not there yet.
/// @return whether all was written
bool predict(Predictor& predictor, const PredictCommand& options, const std::function<bool(const std::string&)>& write) {
  Inputs inputs(options.inputs);
  std::vector<Item> batch;
  for (;;) {
    std::string name;
    const Inputs::State state = inputs.next(name, batch.empty());
    if (state == Inputs::State::kGot) batch.push_back({std::move(name), "", {}});
    const bool full = static_cast<std::int64_t>(batch.size()) == options.batch_size;
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
    predict(predictor, options, [&](const std::string& text) {
      sink.write(text.data(), text.size());
      return true;
    });
    sink.flush();
  });
}

void run(const core::CommandOptions& base, core::Record& record) {
  const auto& o = static_cast<const PredictCommand&>(base);
  Opened opened = open_model("model", o.model, record);
  Predictor predictor(opened, o);
  record["metrics"] = figures(opened.model.graph);
  if (o.common.dry_run) {
    for (const std::string& input : o.inputs)
      if (input != "-") io::require_regular(input);
    return;
  }
  bool whole = true;
  if (o.output == "-")
    whole = predict(predictor, o, core::write_stdout);
  else
    predict_to_file(predictor, o);
  if (o.output != "-") record["predictions"] = io::absolute(o.output);
  record["metrics"]["inputs"] = predictor.total();
  record["metrics"]["failed"] = predictor.failed();
  if (whole && predictor.failed() > 0) {
    const Item& first = predictor.first_failure();
    throw Error(Exit::kInput, first.name, fmt::format("{} ({} of {} inputs have no prediction)", first.error, predictor.failed(), predictor.total()));
  }
}

const core::Body<core::Command> body{"command", "predict", run};

}  // namespace
}  // namespace ds::commands
