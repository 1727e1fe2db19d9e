#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/core/error.h"
#include "engine/data/augment.h"
#include "engine/data/form.h"
#include "engine/data/pixels.h"
#include "engine/data/targets.h"

namespace ds::data {

Form::~Form() = default;

namespace {

class ImageForm final : public Form {
 public:
  ImageForm(const Split& split, const Json& preprocessing, const std::vector<std::string>& augment, std::uint64_t seed) : pixels_(preprocessing) {
    pixels_.check(split.images);
    if (split.images.size(0) != split.size())
      throw Error(Exit::kInput, "data", fmt::format("{} labels, expected {} as there are images", split.size(), split.images.size(0)));
    if (split.labels.scalar_type() != at::kLong && split.labels.scalar_type() != at::kFloat)
      throw Error(Exit::kInput, "data", fmt::format("labels of dtype {}, expected int64, or float32 numbers", c10::toString(split.labels.scalar_type())));
    shape_ = {pixels_.channels, pixels_.height, pixels_.width};
    if (pixels_.scale > 0) shape_.white = std::round(1e6 / pixels_.scale) / 1e6;
    images_ = split.images.contiguous();
    labels_ = (split.labels.is_floating_point() ? Targets(preprocessing).standardised(split.labels) : split.labels).contiguous();
    if (images_.scalar_type() == at::kByte)
      bytes_ = images_.const_data_ptr<std::uint8_t>();
    else
      floats_ = images_.const_data_ptr<float>();
    if (labels_.is_floating_point()) numbers_ = labels_.const_data_ptr<float>();
    else classes_ = labels_.const_data_ptr<std::int64_t>();
    first_id_ = split.first_id;
    for (std::size_t i = 0; i < augment.size(); ++i) {
      const auto here = augment.begin() + static_cast<std::ptrdiff_t>(i);
      if (std::find(augment.begin(), here, *here) != here) throw Error(Exit::kUsage, "data", fmt::format("augmentation '{}' is given twice", *here));
      augments_.push_back(make_augment(*here));
      keys_.push_back(exec::stream_key(seed, "augment", *here));
    }
  }

  Batch make(const std::vector<std::int64_t>& rows) const override {
    const auto n = static_cast<std::int64_t>(rows.size());
    const auto integers = at::TensorOptions().dtype(at::kLong);
    Batch batch;
    batch.inputs = {
        at::empty({n, shape_.channels, shape_.height, shape_.width}, at::TensorOptions().dtype(at::kFloat), at::MemoryFormat::ChannelsLast)};
    batch.labels = numbers_ ? at::empty({n, labels_.size(1)}, at::TensorOptions().dtype(at::kFloat)) : at::empty({n}, integers);
    batch.ids = at::empty({n}, integers);
    return batch;
  }

  void fill(Batch& batch, const std::vector<std::int64_t>& rows, std::uint64_t epoch, Scratch& scratch) const override {
    const auto numel = static_cast<std::size_t>(shape_.numel());
    auto* images = batch.inputs[0].mutable_data_ptr<float>();
    auto* ids = batch.ids.mutable_data_ptr<std::int64_t>();
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const std::int64_t row = rows[i];
      const std::size_t at = static_cast<std::size_t>(row) * numel;
      if (numbers_) std::copy_n(numbers_ + row * labels_.size(1), labels_.size(1), batch.labels.mutable_data_ptr<float>() + std::int64_t(i) * labels_.size(1));
      else batch.labels.mutable_data_ptr<std::int64_t>()[i] = classes_[row];
      ids[i] = first_id_ + row;
      if (augments_.empty() && bytes_)
        pixels_.convert(bytes_ + at, images + i * numel);
      else if (augments_.empty())
        pixels_.convert(floats_ + at, images + i * numel);
      else
        augmented(at, epoch, static_cast<std::uint64_t>(first_id_ + row), images + i * numel, scratch);
    }
  }

  double cost() const override { return static_cast<double>(shape_.numel()) * (1 + 10 * static_cast<double>(augments_.size())); }

 private:
  void augmented(std::size_t at, std::uint64_t epoch, std::uint64_t id, float* out, Scratch& scratch) const {
    const auto numel = static_cast<std::size_t>(shape_.numel());
    scratch.a.resize(numel);
    scratch.b.resize(numel);
    if (bytes_)
      std::copy_n(bytes_ + at, numel, scratch.a.data());
    else
      std::copy_n(floats_ + at, numel, scratch.a.data());
    for (std::size_t k = 0; k < augments_.size(); ++k) {
      exec::Stream stream(keys_[k], epoch, id);
      augments_[k]->apply(scratch.a.data(), scratch.b.data(), shape_, stream, scratch.augment);
      std::swap(scratch.a, scratch.b);
    }
    pixels_.convert(scratch.a.data(), out);
  }

  Pixels pixels_;
  Shape shape_;
  at::Tensor images_, labels_;  ///< contiguous; keep alive what the pointers below see
  const std::uint8_t* bytes_ = nullptr;
  const float* floats_ = nullptr;
  const std::int64_t* classes_ = nullptr;  ///< or
  const float* numbers_ = nullptr;         ///< [N, values]
  std::int64_t first_id_ = 0;
  std::vector<std::unique_ptr<Augment>> augments_;
  std::vector<std::uint64_t> keys_;
};

}  // namespace

std::unique_ptr<Form> image_form(const Split& split, const Json& preprocessing, const std::vector<std::string>& augment, std::uint64_t seed) {
  return std::make_unique<ImageForm>(split, preprocessing, augment, seed);
}

std::unique_ptr<Form> make_form(const Split& split, const Json& preprocessing, const std::vector<std::string>& augment, std::uint64_t seed) {
  if (split.size() == 0) throw Error(Exit::kInput, "data", "the split is empty");
  return split.tokens.first.defined() ? token_form(split, preprocessing, augment, seed) : image_form(split, preprocessing, augment, seed);
}

Batch part_of(const Batch& batch, std::int64_t first, std::int64_t rows) {
  Batch part;
  const auto cut = [first, rows](const at::Tensor& whole) { return whole.defined() ? whole.narrow(0, first, rows) : whole; };
  for (const at::Tensor& input : batch.inputs) part.inputs.push_back(cut(input));
  part.labels = cut(batch.labels), part.ids = cut(batch.ids);
  part.mixed_labels = cut(batch.mixed_labels), part.mix = cut(batch.mix);
  return part;
}

Batch batch_of(const Split& split, const Json& preprocessing, std::int64_t first, std::int64_t rows) {
  if (!split.tokens.first.defined()) {
    const auto from = [&](const at::Tensor& t) { return t.narrow(0, first, rows); };
    const at::Tensor labels = from(split.labels).contiguous();
    Batch batch{{preprocess(from(split.images), preprocessing)}, labels.is_floating_point() ? Targets(preprocessing).standardised(labels) : labels,
                at::empty({rows}, at::TensorOptions().dtype(at::kLong)), {}, {}};
    for (std::int64_t i = 0; i < rows; ++i) batch.ids.mutable_data_ptr<std::int64_t>()[i] = split.first_id + first + i;
    return batch;
  }
  std::vector<std::int64_t> numbers(static_cast<std::size_t>(rows));
  for (std::int64_t i = 0; i < rows; ++i) numbers[static_cast<std::size_t>(i)] = first + i;
  const auto form = token_form(split, preprocessing, {}, 0);
  Batch batch = form->make(numbers);
  Scratch scratch;
  form->fill(batch, numbers, 0, scratch);
  return batch;
}

}  // namespace ds::data
