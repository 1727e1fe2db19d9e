// Sizes that may be unknown until run time: integers, symbols (N, S, H, W) and sums, products and quotients of them.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>

namespace ds::graph {

/// Values of symbols.
using Bindings = std::map<std::string, std::int64_t>;

/// An immutable size: an integer, or a polynomial with integer coefficients over symbols and floors of quotients. Sums, products and
/// quotients are simplified as they are made (floor((floor((H-1)/2)+1)/2) is floor((H+1)/4)), so equal sizes nearly always have equal text,
/// and equality is that of the text. Arithmetic that leaves 64 bits or grows past 256 terms throws ds::Error(kInput).
class Dim {
 public:
  Dim(std::int64_t value = 0);                  // NOLINT: integers are sizes
  Dim(int value) : Dim(std::int64_t{value}) {}  // NOLINT
  static Dim symbol(const std::string& name);
  /// From its text: "64", "N", "floor((H-1)/2)+1", "2*H*W". Throws ds::Error(kInput).
  static Dim parse(const std::string& text);

  bool is_known() const;
  std::int64_t value() const;                             ///< throws ds::Error(kFailure) where it is not known
  std::int64_t evaluate(const Bindings& bindings) const;  ///< throws ds::Error(kFailure) for an unbound symbol
  std::set<std::string> symbols() const;                  ///< those that must be bound to evaluate it
  std::string text() const;

  friend Dim operator+(const Dim& a, const Dim& b);
  friend Dim operator-(const Dim& a, const Dim& b);
  friend Dim operator*(const Dim& a, const Dim& b);
  friend Dim floor_div(const Dim& a, const Dim& b);
  friend bool operator==(const Dim& a, const Dim& b) { return a.text() == b.text(); }

 private:
  struct Expr;
  struct Term;
  struct Factor;
  struct Algebra;                     ///< the arithmetic on terms, in dim.cpp
  std::shared_ptr<const Expr> expr_;  ///< null: the integer value_
  std::int64_t value_ = 0;
};

}  // namespace ds::graph
