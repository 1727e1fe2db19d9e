// Options are written once: a struct with plain members and one `fields()` that names them. Flags, YAML keys, defaults,
// ranges, help, man page, completion, JSON schema and the config digest all come from the list that `fields()` fills.
//
//   struct AdamWOptions : core::Options {
//     double lr = 0.003;
//     std::vector<double> betas = {0.9, 0.999};
//     void fields(core::Fields& f) override {
//       f.add({.name = "lr", .doc = "learning rate", .min = 0, .alias = "lr"}, lr);
//       f.add({.name = "betas", .doc = "decay of the running means", .min = 0, .max = 1}, betas);
//     }
//   };
#pragma once
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <variant>
#include <vector>

namespace ds::core {

class Fields;
struct Card;

/// A struct of options. `fields()` names each member; it must list the same members whenever it is called, save that a
/// `Choice` adds the options of the member that is chosen now.
struct Options {
  Options() = default;
  Options(const Options&) = default;
  Options& operator=(const Options&) = default;
  virtual ~Options();
  virtual void fields(Fields& f) = 0;
  /// Checks that cross members, after all values are set. Throws ds::Error(kUsage, key, ...).
  virtual void check() const {}
};

/// One of the registered entries of a kind, with its own options: `optim: {name: adamw, lr: 0.003}`.
/// The entry's name is the key `name`, its options are siblings of it.
struct Choice {
  std::string kind;                   ///< kind of the registry's cards: "optimizer", "schedule", "architecture", ...
  std::string name;                   ///< entry chosen; "" = none, where `allow_none` is set
  std::shared_ptr<Options> options;   ///< of that entry; made by `select`
  std::string key = "name";           ///< key of the name: "name"; the group `model` calls it "arch"
  bool allow_none = false;

  Choice(std::string kind_, std::string name_, std::string key_ = "name", bool allow_none_ = false);
  Choice(const Choice&) = default;
  Choice& operator=(const Choice&) = default;
  /// Chooses an entry and makes its options anew. Throws ds::Error(kUsage) with a suggestion for an unknown name.
  void select(const std::string& entry);
  /// The options as the type that the card states. The caller knows the type, since it is the entry's body.
  template <class T>
  const T& as() const { return static_cast<const T&>(*options); }
};

/// What is said about one option. `name` is a key in kebab-case or snake_case as the field's YAML calls it.
struct Field {
  std::string name;
  std::string doc;                                     ///< one line, lower-case, no final period
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  bool above_min = false;                              ///< the range is open at min
  bool below_max = false;                              ///< the range is open at max
  std::vector<std::string> choices = {};               ///< a string's allowed values
  std::string unit = {};
  std::string alias = {};                              ///< long flag without dashes that stands for the dotted one: "lr"
  char letter = 0;                                     ///< short flag
  std::string value_name = {};                         ///< in help: FILE, DIR, N ...
  bool flag_only = false;                              ///< not part of the config: no YAML key, not in its digest
  bool positional = false;                             ///< given without a flag, in order; a vector takes the rest
  bool behind_dashes = false;                          ///< a positional vector that takes all behind `--`, and that alone
  bool required = false;
  bool path = false;                                   ///< a path: relative ones in a YAML file are taken from that file's folder
  bool hidden = false;                                 ///< not in the short help
  bool or_auto = false;                                ///< a number or an integer may also be 'auto', whatever its range: kAuto..., below
};

/// What the target holds where an option is 'auto': what uses it works the value out.
inline constexpr double kAutoNumber = std::numeric_limits<double>::quiet_NaN();
inline constexpr std::int64_t kAutoInteger = std::numeric_limits<std::int64_t>::min();
inline bool is_auto(double value) { return value != value; }
inline bool is_auto(std::int64_t value) { return value == kAutoInteger; }

using FieldTarget = std::variant<bool*, std::int64_t*, double*, std::string*, std::vector<std::int64_t>*, std::vector<double>*,
                                 std::vector<std::string>*>;

/// One option of the flat list that a walk over `fields()` gives.
struct Entry {
  std::string path;      ///< dotted: "optim.lr"; what the flag and the YAML path are called
  Field field;
  FieldTarget target;
  std::string group;     ///< dotted path of the group it is in, "" at the top
  Choice* choice = nullptr;  ///< set where this entry is the name of a Choice
  std::string member;    ///< name of the Choice's entry that this option belongs to, else ""
  std::string kind;      ///< kind of that Choice, else ""
};

/// Walks an options struct and gives the flat list of its options, in the order of declaration.
class Fields {
 public:
  void add(Field field, bool& value) { push(std::move(field), &value); }
  void add(Field field, std::int64_t& value) { push(std::move(field), &value); }
  void add(Field field, double& value) { push(std::move(field), &value); }
  void add(Field field, std::string& value) { push(std::move(field), &value); }
  void add(Field field, std::vector<std::int64_t>& value) { push(std::move(field), &value); }
  void add(Field field, std::vector<double>& value) { push(std::move(field), &value); }
  void add(Field field, std::vector<std::string>& value) { push(std::move(field), &value); }
  /// A group of options under a key.
  void group(const std::string& name, const std::string& doc, Options& options);
  /// The options of another struct, as if they were written here.
  void include(Options& options) { options.fields(*this); }
  /// A group whose members depend on a name: key `name`, then the options of the entry of that name. An empty `name` puts
  /// both at the level where this is written.
  void choice(const std::string& name, const std::string& doc, Choice& choice, const std::string& alias = "");

  const std::vector<Entry>& entries() const { return entries_; }
  /// Groups in order of appearance: dotted path and one line.
  const std::vector<std::pair<std::string, std::string>>& groups() const { return groups_; }

 private:
  friend Fields walk_member(const Entry& choice, const Card& card, Options& options);
  void push(Field field, FieldTarget target);
  std::vector<Entry> entries_;
  std::vector<std::pair<std::string, std::string>> groups_;
  std::string prefix_, member_, kind_;
};

/// The flat list of `options` as they are now.
Fields walk(Options& options);
/// The flat list of what `choice` would add were `card` chosen; `options` is what the card made.
Fields walk_member(const Entry& choice, const Card& card, Options& options);

}  // namespace ds::core
