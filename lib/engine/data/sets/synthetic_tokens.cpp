#include "engine/data/sets/synthetic_tokens.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include "base/core/error.h"
#include "engine/data/assemble.h"
#include "engine/exec/random.h"

namespace ds::data::sets::synthetic {

namespace {

using Options = catalog::dataset::synthetic::Options;

const std::vector<std::string> kSpecial = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
constexpr std::int64_t kWords = 5;  ///< the first id that is a word

/// The document of a tokenizer that splits at spaces and knows each word.
Json word_tokenizer(const Options& options) {
  Json vocab = Json::object(), added = Json::array();
  for (std::int64_t id = 0; id < options.vocab; ++id) {
    const bool special = id < kWords;
    const std::string word = special ? kSpecial[static_cast<std::size_t>(id)] : "w" + std::to_string(id);
    vocab[word] = id;
    if (special)
      added.push_back({{"id", id}, {"content", word}, {"single_word", false}, {"lstrip", false}, {"rstrip", false}, {"normalized", false}, {"special", true}});
  }
  return {{"version", "1.0"}, {"truncation", nullptr}, {"padding", nullptr}, {"added_tokens", added}, {"normalizer", nullptr},
          {"pre_tokenizer", {{"type", "WhitespaceSplit"}}}, {"post_processor", nullptr}, {"decoder", nullptr},
          {"model", {{"type", "WordLevel"}, {"vocab", vocab}, {"unk_token", "[UNK]"}}},
          {"ds", {{"max_length", options.length}, {"pad_token", "[PAD]"}, {"unk_token", "[UNK]"}, {"mask_token", "[MASK]"}}}};
}

class Writer {
 public:
  explicit Writer(const Options& options) : o_(options), words_(options.vocab - kWords) {
    order_ = exec::permutation(words_, exec::stream_key(seed(), "synthetic", "words"), 0);
  }

  Split split(const char* name, std::int64_t n, Target target) const {
    Split split;
    if (n == 0) return split;
    const std::uint64_t key = exec::stream_key(seed(), "synthetic", name);
    const auto integers = at::TensorOptions().dtype(at::kLong);
    Tokens& tokens = split.tokens;
    tokens.first = at::empty({n}, integers);
    tokens.length = at::empty({n}, integers);
    std::vector<std::int64_t> ids;
    for (std::int64_t i = 0; i < n; ++i) {
      exec::Stream stream(key, 0, static_cast<std::uint64_t>(i));
      const std::int64_t least = (o_.length + 1) / 2;
      const std::int64_t length = least + static_cast<std::int64_t>(stream.below(static_cast<std::uint64_t>(o_.length - least + 1)));
      tokens.first.mutable_data_ptr<std::int64_t>()[i] = static_cast<std::int64_t>(ids.size());
      tokens.length.mutable_data_ptr<std::int64_t>()[i] = length;
      write(ids, length + (target == Target::kNext), target, i % o_.classes, stream);  // one more to tell
    }
    const auto total = static_cast<std::int64_t>(ids.size());
    tokens.ids = at::empty({total}, at::TensorOptions().dtype(at::kInt));
    std::copy(ids.begin(), ids.end(), tokens.ids.mutable_data_ptr<std::int32_t>());
    label(split, ids, n, target);
    return split;
  }

 private:
  std::uint64_t seed() const { return static_cast<std::uint64_t>(o_.seed); }
  std::int64_t any(exec::Stream& stream) const { return static_cast<std::int64_t>(stream.below(static_cast<std::uint64_t>(words_))); }

  /// Appends `length` ids.
  void write(std::vector<std::int64_t>& ids, std::int64_t length, Target target, std::int64_t label, exec::Stream& stream) const {
    const std::int64_t own = words_ / o_.classes;  // words of a class, in a random order of all
    std::int64_t word = any(stream);
    for (std::int64_t i = 0; i < length; ++i) {
      const double draw = stream.uniform();
      if (target == Target::kClass && draw < 0.5)
        word = order_[static_cast<std::size_t>(label * own + static_cast<std::int64_t>(stream.below(static_cast<std::uint64_t>(own))))];
      else if ((target == Target::kNext || target == Target::kMasked) && i > 0 && draw < 0.8)
        word = order_[static_cast<std::size_t>(word)];
      else
        word = any(stream);
      ids.push_back(kWords + word);
    }
  }

  void label(Split& split, const std::vector<std::int64_t>& ids, std::int64_t n, Target target) const {
    const auto integers = at::TensorOptions().dtype(at::kLong);
    if (target == Target::kClass) {
      split.labels = at::empty({n}, integers);
      for (std::int64_t i = 0; i < n; ++i) split.labels.mutable_data_ptr<std::int64_t>()[i] = i % o_.classes;
    }
    if (target == Target::kToken) {
      split.tokens.labels = at::empty({static_cast<std::int64_t>(ids.size())}, integers);
      for (std::size_t i = 0; i < ids.size(); ++i) split.tokens.labels.mutable_data_ptr<std::int64_t>()[i] = ids[i] % o_.classes;
    }
  }

  const Options& o_;
  std::int64_t words_;
  std::vector<std::int64_t> order_;  ///< of words: which one comes next, and which class each belongs to
};

}  // namespace

Dataset tokens(const Options& options) {
  const Target target = options.task == "class"   ? Target::kClass
                        : options.task == "token" ? Target::kToken
                        : options.task == "next"  ? Target::kNext
                                                  : Target::kMasked;
  if (options.vocab - kWords < options.classes)
    throw Error(Exit::kUsage, "data", fmt::format("synthetic: vocab={}, expected at least {}: {} special tokens and a word a class", options.vocab,
                                                  options.classes + kWords, kWords));
  const Writer writer(options);
  Dataset set;
  set.train = writer.split("train", options.train, target);
  set.val = writer.split("val", options.val, target);
  set.test = writer.split("test", options.test, target);
  for (Split* split : {&set.train, &set.val, &set.test}) {
    split->tokens.target = target;
    split->tokens.vocab_size = options.vocab;
    split->tokens.mask_id = 4;
    split->tokens.special.assign(static_cast<std::size_t>(options.vocab), false);
    for (std::int64_t id = 0; id < kWords; ++id) split->tokens.special[static_cast<std::size_t>(id)] = true;
  }
  const bool language = target == Target::kNext || target == Target::kMasked;
  set.num_classes = language ? options.vocab : options.classes;
  if (!language) set.labels = numbered(options.classes);
  set.tokenizer = word_tokenizer(options);
  set.preprocessing = {{"kind", "text"}, {"max_length", options.length}};
  return set;
}

}  // namespace ds::data::sets::synthetic
