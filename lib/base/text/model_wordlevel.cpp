// A token a word.
#include <fmt/format.h>

#include "base/core/error.h"
#include "base/text/component.h"

namespace ds::text {
namespace {

class WordLevel : public Model {
 public:
  explicit WordLevel(const Spec& spec)
      : vocabulary_(spec.at("vocab"), spec.where() + ".vocab"),
        where_(spec.where()),
        unknown_(spec.text("unk_token", "<unk>")),
        unknown_id_(vocabulary_.id(unknown_)) {}

  void tokenize(std::string_view piece, std::vector<std::int32_t>& ids) const override {
    const std::int32_t id = vocabulary_.id(piece);
    if (id < 0 && unknown_id_ < 0)
      throw Error(Exit::kInput, where_,
                  fmt::format("unk_token {} is not in the vocabulary, and a word cannot be told without it", Json(unknown_).dump()));
    ids.push_back(id < 0 ? unknown_id_ : id);
  }

  const Vocabulary& vocabulary() const override { return vocabulary_; }

 private:
  Vocabulary vocabulary_;
  std::string where_, unknown_;
  std::int32_t unknown_id_;
};

const Component<Model> component("WordLevel", [](const Spec& spec) -> std::unique_ptr<Model> { return std::make_unique<WordLevel>(spec); });

}  // namespace
}  // namespace ds::text
