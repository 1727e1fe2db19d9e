#include <ATen/ops/empty.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/core/error.h"
#include "engine/data/form.h"
#include "engine/data/targets.h"
#include "engine/exec/random.h"

namespace ds::data {

const char* target_name(Target target) {
  switch (target) {
    case Target::kClass: return "classification";
    case Target::kToken: return "token";
    case Target::kNext: return "causal-lm";
    case Target::kMasked: return "masked-lm";
    case Target::kNear:
    case Target::kPair:
    case Target::kScored: return "embedding";
  }
  return "";
}

std::int64_t Tokens::longest() const {
  if (size() == 0) return 0;
  const auto* lengths = length.const_data_ptr<std::int64_t>();
  return *std::max_element(lengths, lengths + size());
}

namespace {

constexpr std::int64_t kIgnored = -100;  ///< a label that no loss counts
constexpr std::size_t kMostInputs = 16;

enum class Input { kIds, kMask, kTypes };

/// preprocessing.inputs: what the net wants, in the order of its inputs.
std::vector<Input> inputs_of(const Json& preprocessing) {
  const auto refuse = [](const std::string& what) { throw Error(Exit::kInput, "preprocessing", what); };
  if (!preprocessing.is_object() || preprocessing.value("kind", Json()) != "text")
    refuse(fmt::format("kind {}, expected \"text\" for data of tokens",
                       (preprocessing.is_object() ? preprocessing.value("kind", Json("image")) : Json()).dump()));
  const Json names = preprocessing.value("inputs", Json());
  if (!names.is_array() || names.empty() || names.size() > kMostInputs)
    refuse(fmt::format("'inputs' is {}, expected a list of names", names.dump()));
  std::vector<Input> inputs;
  for (const Json& name : names) {
    if (name == "input_ids") inputs.push_back(Input::kIds);
    else if (name == "attention_mask") inputs.push_back(Input::kMask);
    else if (name == "token_type_ids") inputs.push_back(Input::kTypes);
    else refuse(fmt::format("input {}, expected input_ids, attention_mask or token_type_ids", name.dump()));
  }
  return inputs;
}

/// Numbers of a regression standardised; scores of pairs as they are.
at::Tensor labels_of(const Split& split, const Json& preprocessing) {
  if (!split.labels.defined() || !split.labels.is_floating_point() || of_pairs(split.tokens.target)) return split.labels;
  return Targets(preprocessing).standardised(split.labels);
}

class TokenForm final : public Form {
 public:
  TokenForm(const Split& split, const Json& preprocessing, const std::vector<std::string>& augment, std::uint64_t seed)
      : tokens_(split.tokens),
        inputs_(inputs_of(preprocessing)),
        labels_(labels_of(split, preprocessing)),
        first_id_(split.first_id),
        key_(exec::stream_key(seed, "mask")) {
    if (!augment.empty())
      throw Error(Exit::kUsage, "data", fmt::format("augmentation '{}' is for images, the data are tokens", augment[0]), "leave data.augment out");
    if (!of_each_token(tokens_.target) && (!labels_.defined() || labels_.size(0) != tokens_.size()))
      throw Error(Exit::kInput, "data", fmt::format("{} labels, expected {} as there are texts", labels_.defined() ? labels_.size(0) : 0, tokens_.size()));
    ids_ = tokens_.ids.const_data_ptr<std::int32_t>();
    end_ = tokens_.ids.numel();
    firsts_ = tokens_.first.const_data_ptr<std::int64_t>();
    lengths_ = tokens_.length.const_data_ptr<std::int64_t>();
  }

  Batch make(const std::vector<std::int64_t>& rows) const override {
    std::int64_t longest = 1;
    for (const std::int64_t row : rows) longest = std::max(longest, lengths_[row]);
    const auto n = static_cast<std::int64_t>(rows.size());
    const auto integers = at::TensorOptions().dtype(at::kLong);
    Batch batch;
    for (std::size_t i = 0; i < inputs_.size(); ++i) batch.inputs.push_back(at::empty({n, longest}, integers));
    if (of_each_token(tokens_.target)) batch.labels = at::empty({n, longest}, integers);
    else if (labels_.is_floating_point()) batch.labels = at::empty({n, labels_.size(1)}, at::TensorOptions().dtype(at::kFloat));
    else batch.labels = at::empty({n}, integers);
    batch.ids = at::empty({n}, integers);
    return batch;
  }

  void fill(Batch& batch, const std::vector<std::int64_t>& rows, std::uint64_t epoch, Scratch&) const override {
    const std::int64_t width = batch.inputs[0].size(1);
    auto* ids = batch.ids.mutable_data_ptr<std::int64_t>();
    std::vector<std::int64_t> shown;  // what the net sees of a sample
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const std::int64_t row = rows[i], at = static_cast<std::int64_t>(i) * width;
      ids[i] = first_id_ + row;
      shown.assign(ids_ + firsts_[row], ids_ + firsts_[row] + lengths_[row]);
      if (of_each_token(tokens_.target)) label_tokens(row, epoch, shown, batch.labels.mutable_data_ptr<std::int64_t>() + at, width);
      else if (!labels_.is_floating_point()) batch.labels.mutable_data_ptr<std::int64_t>()[i] = labels_.const_data_ptr<std::int64_t>()[row];
      else put_numbers(batch.labels.mutable_data_ptr<float>() + static_cast<std::int64_t>(i) * labels_.size(1), row);
      for (std::size_t k = 0; k < inputs_.size(); ++k) put(inputs_[k], row, shown, batch.inputs[k].mutable_data_ptr<std::int64_t>() + at, width);
    }
  }

  double cost() const override { return 2 * static_cast<double>(tokens_.longest()) * static_cast<double>(inputs_.size()); }

 private:
  void put_numbers(float* to, std::int64_t row) const { std::copy_n(labels_.const_data_ptr<float>() + row * labels_.size(1), labels_.size(1), to); }

  void put(Input input, std::int64_t row, const std::vector<std::int64_t>& shown, std::int64_t* to, std::int64_t width) const {
    std::fill_n(to, width, input == Input::kIds ? tokens_.pad_id : 0);
    if (input == Input::kIds) std::copy(shown.begin(), shown.end(), to);
    if (input == Input::kMask) std::fill_n(to, shown.size(), 1);
    if (input == Input::kTypes && tokens_.types.defined()) std::copy_n(tokens_.types.const_data_ptr<std::uint8_t>() + firsts_[row], shown.size(), to);
  }

  void label_tokens(std::int64_t row, std::uint64_t epoch, std::vector<std::int64_t>& shown, std::int64_t* to, std::int64_t width) const {
    std::fill_n(to, width, kIgnored);
    const std::int64_t first = firsts_[row], length = lengths_[row];
    if (tokens_.target == Target::kToken) std::copy_n(tokens_.labels.const_data_ptr<std::int64_t>() + first, length, to);
    if (tokens_.target == Target::kNext) std::copy_n(ids_ + first + 1, std::min(length, end_ - first - 1), to);
    if (tokens_.target == Target::kMasked) mask(static_cast<std::uint64_t>(first_id_ + row), epoch, shown, to);
  }

  /// Asks for 15 % of the tokens, at least one: 8 of 10 are shown as the mask, 1 as any token, 1 as it is (Devlin et al. 2019, section 3.1).
  void mask(std::uint64_t id, std::uint64_t epoch, std::vector<std::int64_t>& shown, std::int64_t* to) const {
    exec::Stream stream(key_, epoch, id);
    std::vector<std::size_t> may;
    for (std::size_t i = 0; i < shown.size(); ++i)
      if (tokens_.special.empty() || !tokens_.special[static_cast<std::size_t>(shown[i])]) may.push_back(i);
    if (may.empty()) return;
    const std::size_t sure = may[stream.below(may.size())];
    for (const std::size_t i : may) {
      const bool asked = stream.uniform() < 0.15;
      const double how = stream.uniform();
      const auto other = static_cast<std::int64_t>(stream.below(static_cast<std::uint64_t>(tokens_.vocab_size)));
      if (!asked && i != sure) continue;
      to[i] = shown[i];
      if (how < 0.8) shown[i] = tokens_.mask_id;
      else if (how < 0.9) shown[i] = other;
    }
  }

  Tokens tokens_;
  std::vector<Input> inputs_;
  at::Tensor labels_;
  std::int64_t first_id_, end_ = 0;
  std::uint64_t key_;
  const std::int32_t* ids_ = nullptr;
  const std::int64_t *firsts_ = nullptr, *lengths_ = nullptr;
};

}  // namespace

std::unique_ptr<Form> token_form(const Split& split, const Json& preprocessing, const std::vector<std::string>& augment, std::uint64_t seed) {
  return std::make_unique<TokenForm>(split, preprocessing, augment, seed);
}

}  // namespace ds::data
