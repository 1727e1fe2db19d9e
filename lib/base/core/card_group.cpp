#include "base/core/card_group.h"

#include <fmt/format.h>

#include "base/core/error.h"
#include "base/core/registry.h"

namespace ds::core {

CardGroup::CardGroup(std::string kind_) : kind(std::move(kind_)) {
  for (const Card& card : cards(kind)) members.push_back({card.name, card.make_options()});
}

void CardGroup::fields(Fields& f) {
  for (Member& member : members) f.include(*member.options);
}

void CardGroup::check() const {
  for (const Member& member : members) member.options->check();
}

std::shared_ptr<Options> CardGroup::find(const std::string& name) const {
  for (const Member& member : members)
    if (member.name == name) return member.options;
  throw Error(Exit::kFailure, kind, fmt::format("there is no '{}'", name));
}

}  // namespace ds::core
