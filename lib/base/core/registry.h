// Names of what can be chosen (cards, base library) and the code behind them (bodies, engine).
// A card is lib/base/catalog/<kind>/<name>.h: namespace ds::catalog::<kind>::<name> with `struct Options : core::Options` and
// `inline const core::Card kCard{...}`. CMake writes the source that registers all of them.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/core/fields.h"

namespace ds::core {

/// What an entry of a kind is, without its code.
struct Card {
  std::string kind;     ///< "optimizer", "schedule", "criterion", "scheme", "dataset", "architecture", "sampler", "distillation" ...
  std::string name;     ///< kebab-case, as users write it
  std::string summary;  ///< one line, lower-case, no final period
  std::string source;   ///< paper with number of equation or section; "" where there is none
  std::function<std::shared_ptr<Options>()> make_options = {};  ///< filled by add_card
};

/// Registers a card; called at load, by generated code and by registrars of architectures and ops.
void add_card(Card card);
template <class T>
void add_card(const Card& card) {
  Card copy = card;
  copy.make_options = [] { return std::make_shared<T>(); };
  add_card(std::move(copy));
}
/// All cards of a kind, sorted by name.
std::vector<Card> cards(const std::string& kind);
/// All kinds, sorted.
std::vector<std::string> kinds();
/// The card of that name. Throws ds::Error(kUsage, where, "unknown <kind> '<name>'", did you mean).
const Card& card(const std::string& kind, const std::string& name, const std::string& where = "");

/// The code of an entry: a pointer to a factory function, whose type belongs to the kind (for an optimizer
/// `std::unique_ptr<optim::Optimizer>(const core::Options&, ...)`). Registered when the engine is loaded.
void add_body(const std::string& kind, const std::string& name, void (*factory)());
/// The factory, or nullptr.
void (*find_body(const std::string& kind, const std::string& name))();
std::vector<std::string> bodies(const std::string& kind);

/// Registers `factory` when the file is loaded: `const core::Body<Factory> body{"optimizer", "adamw", make};`
template <class Function>
struct Body {
  Body(const char* kind, const char* name, Function* factory) { add_body(kind, name, reinterpret_cast<void (*)()>(factory)); }
};
/// The factory of `kind`/`name` as its type. Throws ds::Error(kFailure) where a card has no body.
template <class Function>
Function* body(const std::string& kind, const std::string& name);
void (*require_body(const std::string& kind, const std::string& name))();
template <class Function>
Function* body(const std::string& kind, const std::string& name) {
  return reinterpret_cast<Function*>(require_body(kind, name));
}

/// The nearest of `names` within edit distance 2 (a third of the length for short words), or "".
std::string nearest(const std::string& word, const std::vector<std::string>& names);

}  // namespace ds::core
