// All cards of a kind as one group of options, side by side: `regularize: {dropout: 0.3, mixup: 0.2, cutmix: 1}`. For kinds of which any number
// may be chosen at once, where a Choice is one of many. Each entry's keys begin with its own name, and its defaults leave it off.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "base/core/fields.h"

namespace ds::core {

struct CardGroup : Options {
  struct Member {
    std::string name;                  ///< of the card
    std::shared_ptr<Options> options;  ///< made by it; shared by copies of the group
  };
  std::string kind;
  std::vector<Member> members;  ///< sorted by name

  /// Members of all cards of `kind`, with their defaults.
  explicit CardGroup(std::string kind);
  void fields(Fields& f) override;
  void check() const override;
  /// The options of one member as the type that its card states. Throws ds::Error(kFailure) where there is no such card.
  template <class T>
  T& as(const std::string& name) const { return static_cast<T&>(*find(name)); }

 private:
  std::shared_ptr<Options> find(const std::string& name) const;
};

}  // namespace ds::core
