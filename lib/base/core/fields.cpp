#include "base/core/fields.h"

#include "base/core/error.h"
#include "base/core/registry.h"

namespace ds::core {

Options::~Options() = default;

Choice::Choice(std::string kind_, std::string name_, std::string key_, bool allow_none_)
    : kind(std::move(kind_)), key(std::move(key_)), allow_none(allow_none_) {
  if (!name_.empty() || !allow_none) select(name_);
}

void Choice::select(const std::string& entry) {
  if (entry.empty() && allow_none) {
    name.clear();
    options.reset();
    return;
  }
  const Card& chosen = card(kind, entry, key);
  options = chosen.make_options();
  name = entry;
}

void Fields::push(Field field, FieldTarget target) {
  std::string path = prefix_.empty() ? field.name : prefix_ + "." + field.name;
  entries_.push_back({std::move(path), std::move(field), target, prefix_, nullptr, member_, kind_});
}

void Fields::group(const std::string& name, const std::string& doc, Options& options) {
  const std::string outer = prefix_;
  if (!name.empty()) {
    prefix_ = outer.empty() ? name : outer + "." + name;
    groups_.emplace_back(prefix_, doc);
  }
  options.fields(*this);
  prefix_ = outer;
}

void Fields::choice(const std::string& name, const std::string& doc, Choice& choice, const std::string& alias) {
  const std::string outer = prefix_, outer_member = member_, outer_kind = kind_;
  if (!name.empty()) {
    prefix_ = outer.empty() ? name : outer + "." + name;
    groups_.emplace_back(prefix_, doc);
  }
  Field field;
  field.name = choice.key;
  field.doc = doc;
  field.alias = alias;
  field.value_name = "NAME";
  push(std::move(field), &choice.name);
  entries_.back().choice = &choice;
  if (choice.options) {
    member_ = choice.name;
    kind_ = choice.kind;
    choice.options->fields(*this);
  }
  prefix_ = outer;
  member_ = outer_member;
  kind_ = outer_kind;
}

Fields walk(Options& options) {
  Fields fields;
  options.fields(fields);
  return fields;
}

Fields walk_member(const Entry& choice, const Card& card, Options& options) {
  Fields fields;
  fields.prefix_ = choice.group;
  fields.member_ = card.name;
  fields.kind_ = card.kind;
  options.fields(fields);
  return fields;
}

}  // namespace ds::core
