#include "engine/data/dataset.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <cmath>
#include <filesystem>
#include <map>
#include <mutex>

#include "base/core/digest.h"
#include "base/core/error.h"
#include "base/io/files.h"
#include "engine/data/assemble.h"
#include "engine/data/pixels.h"
#include "engine/data/targets.h"

namespace ds::data {

const Split& Dataset::split(const std::string& name) const {
  if (name != "train" && name != "val" && name != "test") {
    throw Error(Exit::kUsage, "split", fmt::format("unknown split '{}'", name), "one of train, val, test");
  }
  const Split& found = name == "train" ? train : name == "val" ? val : test;
  if (found.size() == 0) throw Error(Exit::kInput, spec, fmt::format("split '{}' is empty", name));
  return found;
}

Dataset open(const std::string& spec, const Json& tokenizer) {
  const std::size_t colon = spec.find(':');
  const std::string name = spec.substr(0, colon), rest = colon == std::string::npos ? "" : spec.substr(colon + 1);
  if (name.empty()) throw Error(Exit::kUsage, "data", fmt::format("malformed data set '{}'", spec), "give NAME or NAME:REST, as mnist5k or idx:DIR");
  const core::Card& card = core::card("dataset", name, "data");
  Dataset set = core::body<LoadDataset>("dataset", name)(rest, *card.make_options());
  set.spec = spec;
  finish(set, tokenizer);
  return set;
}

const Dataset& open_cached(const std::string& spec, const Json& tokenizer) {
  static std::mutex mutex;
  static std::map<std::pair<std::string, std::string>, std::unique_ptr<Dataset>> sets;
  const std::string by = tokenizer.is_null() ? "" : core::sha256_hex(tokenizer.dump());
  const std::lock_guard lock(mutex);
  std::unique_ptr<Dataset>& set = sets[{spec, by}];
  if (!set) set = std::make_unique<Dataset>(open(spec, tokenizer));
  return *set;
}

std::string absolute_spec(const std::string& spec) {
  namespace fs = std::filesystem;
  const std::size_t colon = spec.find(':');
  if (colon == std::string::npos || colon + 1 == spec.size()) return spec;
  std::error_code error;
  const auto [path, options] = split_options(spec.substr(colon + 1));
  if (path.empty() || !fs::exists(path, error)) return spec;
  return spec.substr(0, colon + 1) + fs::absolute(path, error).lexically_normal().string() + (options.empty() ? "" : "?" + options);
}

at::Tensor preprocess(const at::Tensor& images, const Json& preprocessing) {
  const Pixels pixels(preprocessing);
  pixels.check(images);
  const at::Tensor planes = images.contiguous();
  at::Tensor out = at::empty(images.sizes(), at::TensorOptions().dtype(at::kFloat), at::MemoryFormat::ChannelsLast);
  const std::int64_t size = pixels.numel();
  auto* to = out.mutable_data_ptr<float>();
  const auto convert = [&](const auto* from) {
    at::parallel_for(0, images.size(0), std::max<std::int64_t>(1, 65536 / size), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) pixels.convert(from + i * size, to + i * size);
    });
  };
  if (planes.scalar_type() == at::kByte)
    convert(planes.const_data_ptr<std::uint8_t>());
  else
    convert(planes.const_data_ptr<float>());
  return out;
}

void check_labels(const at::Tensor& labels, std::int64_t classes, const std::string& file) {
  const auto* values = labels.const_data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < labels.numel(); ++i) {
    if (values[i] < 0 || values[i] >= classes) {
      throw Error(Exit::kInput, file, fmt::format("label {} of sample {}, expected 0 to {}", values[i], i, classes - 1));
    }
  }
}

void hold_out(Dataset& set) {
  const std::int64_t n = set.train.size(), held = n < 2 ? 0 : std::max<std::int64_t>(1, n / 10);
  const Split all = set.train;
  set.train = {all.images.narrow(0, 0, n - held), all.labels.narrow(0, 0, n - held)};
  set.val = {all.images.narrow(0, n - held, held), all.labels.narrow(0, n - held, held)};
}

std::vector<std::string> numbered(std::int64_t classes) {
  std::vector<std::string> names;
  for (std::int64_t i = 0; i < classes; ++i) names.push_back(std::to_string(i));
  return names;
}

std::vector<std::string> read_names(const std::string& file, std::vector<std::string> names) {
  if (!io::exists(file)) return names;
  const std::string text = io::read_file(file, 1 << 20);
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    std::string line = text.substr(begin, end - begin);
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (!line.empty()) lines.push_back(std::move(line));
    begin = end + 1;
  }
  if (lines.size() != names.size()) throw Error(Exit::kInput, file, fmt::format("{} names, expected {}", lines.size(), names.size()));
  return lines;
}

namespace {

/// Mean and standard deviation a channel of u * scale, exact but for the last division. A channel of one value gets 1 for its deviation.
void measure(const at::Tensor& images, double scale, Json& preprocessing) {
  const at::Tensor planes = images.contiguous();
  const std::int64_t n = planes.size(0), channels = planes.size(1), size = planes.size(2) * planes.size(3);
  const auto* bytes = planes.const_data_ptr<std::uint8_t>();
  std::vector<double> means, deviations;
  for (std::int64_t c = 0; c < channels; ++c) {
    std::array<std::int64_t, 256> counts{};
    for (std::int64_t i = 0; i < n; ++i) {
      const std::uint8_t* plane = bytes + (i * channels + c) * size;
      for (std::int64_t p = 0; p < size; ++p) ++counts[plane[p]];
    }
    double sum = 0, square = 0;
    for (std::size_t u = 0; u < 256; ++u) sum += double(u) * double(counts[u]);
    const double total = double(n) * double(size), mean = sum / total;
    for (std::size_t u = 0; u < 256; ++u) square += (double(u) - mean) * (double(u) - mean) * double(counts[u]);
    const double deviation = std::sqrt(square / total) * std::abs(scale);
    means.push_back(mean * scale);
    deviations.push_back(deviation > 0 ? deviation : 1);
  }
  preprocessing["mean"] = means;
  preprocessing["std"] = deviations;
}

/// Of the bytes with their shapes and dtypes, split by split, and of nothing else: not of paths or times.
std::string fingerprint(const Dataset& set) {
  std::string manifest;
  const auto add = [&manifest](const char* name, const at::Tensor& tensor) {
    if (!tensor.defined()) return;
    const at::Tensor bytes = tensor.contiguous();
    manifest += fmt::format("{} {} [{}] {}\n", name, c10::toString(bytes.scalar_type()), fmt::join(bytes.sizes().begin(), bytes.sizes().end(), ","),
                            core::sha256_hex(bytes.const_data_ptr(), bytes.nbytes()));
  };
  for (const auto& [name, split] : {std::pair{"train", &set.train}, {"val", &set.val}, {"test", &set.test}}) {
    add(name, split->images);
    add(name, split->labels);
    if (!split->texts.empty()) {
      std::string texts;
      for (const std::string& text : split->texts) texts += std::to_string(text.size()) + ":" + text;
      manifest += fmt::format("{} texts [{}] {}\n", name, split->texts.size(), core::sha256_hex(texts));
      continue;  // what tokens they become is the tokenizer's matter
    }
    for (const at::Tensor* tensor : {&split->tokens.ids, &split->tokens.labels, &split->tokens.first, &split->tokens.length}) add(name, *tensor);
  }
  return core::sha256_hex(manifest);
}

}  // namespace

void finish(Dataset& set, const Json& tokenizer) {
  if (!set.train.texts.empty()) make_tokens(set, tokenizer);
  set.train.first_id = 0;
  set.val.first_id = set.train.size();
  set.test.first_id = set.train.size() + set.val.size();
  set.fingerprint = fingerprint(set);
  Json& preprocessing = set.preprocessing;
  if (!set.values.empty()) preprocessing["targets"] = measure_targets(set.values, set.train.labels);
  if (set.has_tokens()) {
    preprocessing["kind"] = "text";
    if (!preprocessing.contains("inputs")) preprocessing["inputs"] = {"input_ids", "attention_mask"};
    return;
  }
  if (!preprocessing.contains("kind")) preprocessing["kind"] = "image";
  if (!preprocessing.contains("shape")) preprocessing["shape"] = set.train.images.sizes().slice(1).vec();
  if (!preprocessing.contains("scale")) preprocessing["scale"] = 1.0 / 255;
  if (!preprocessing.contains("mean") || !preprocessing.contains("std")) measure(set.train.images, preprocessing["scale"], preprocessing);
}

}  // namespace ds::data
