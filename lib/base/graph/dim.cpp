#include "base/graph/dim.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <numeric>
#include <vector>

#include "base/core/error.h"

namespace ds::graph {
namespace dims {

constexpr std::size_t kMaxTerms = 256;
constexpr std::size_t kMaxText = 4096;
constexpr int kMaxDepth = 32;

[[noreturn]] void overflow() { throw Error(Exit::kInput, "", "a size leaves the range of 64-bit integers"); }

std::int64_t add(std::int64_t a, std::int64_t b) {
  std::int64_t r = 0;
  if (__builtin_add_overflow(a, b, &r)) overflow();
  return r;
}

std::int64_t mul(std::int64_t a, std::int64_t b) {
  std::int64_t r = 0;
  if (__builtin_mul_overflow(a, b, &r)) overflow();
  return r;
}

std::int64_t floor_div(std::int64_t a, std::int64_t b) {
  if (b == 0) throw Error(Exit::kInput, "", "a size is divided by zero");
  if (b == -1) return mul(a, -1);
  const std::int64_t q = a / b;
  return (a % b != 0 && (a < 0) != (b < 0)) ? q - 1 : q;
}

}  // namespace dims

// A symbol, or a floor of a quotient. Ordered by its text.
struct Dim::Factor {
  std::string text;
  std::shared_ptr<const Dim> numerator, denominator;  // null for a symbol
  bool operator<(const Factor& other) const { return text < other.text; }
  bool operator==(const Factor& other) const { return text == other.text; }
};

struct Dim::Term {
  std::int64_t coefficient = 0;
  std::vector<Factor> factors;  // sorted; none: the constant
};

struct Dim::Expr {
  std::vector<Term> terms;  // canonical order, no zero coefficients
  std::string text;
};

struct Dim::Algebra {
  using Terms = std::vector<Term>;

  static Terms terms(const Dim& d) {
    if (d.expr_) return d.expr_->terms;
    if (d.value_ == 0) return {};
    return {Term{d.value_, {}}};
  }

  // Higher degrees first, the constant last; within a degree by names.
  static bool before(const Term& a, const Term& b) {
    if (a.factors.size() != b.factors.size()) return a.factors.size() > b.factors.size();
    return a.factors < b.factors;
  }

  static std::string term_text(const Term& term) {
    std::string text;
    if (term.factors.empty()) return std::to_string(term.coefficient);
    if (term.coefficient == -1)
      text = "-";
    else if (term.coefficient != 1)
      text = std::to_string(term.coefficient) + "*";
    for (std::size_t i = 0; i < term.factors.size(); ++i) text += (i ? "*" : "") + term.factors[i].text;
    return text;
  }

  static Dim make(Terms terms) {
    std::stable_sort(terms.begin(), terms.end(), before);
    Terms merged;
    for (Term& term : terms) {
      if (merged.empty() || merged.back().factors != term.factors)
        merged.push_back(std::move(term));
      else
        merged.back().coefficient = dims::add(merged.back().coefficient, term.coefficient);
    }
    merged.erase(std::remove_if(merged.begin(), merged.end(), [](const Term& t) { return t.coefficient == 0; }), merged.end());
    if (merged.size() > dims::kMaxTerms) throw Error(Exit::kInput, "", fmt::format("a size has more than {} terms", dims::kMaxTerms));
    if (merged.empty()) return Dim(0);
    if (merged.size() == 1 && merged[0].factors.empty()) return Dim(merged[0].coefficient);
    auto expr = std::make_shared<Expr>();
    for (const Term& term : merged) {
      const std::string text = term_text(term);
      if (!expr->text.empty() && text[0] != '-') expr->text += '+';
      expr->text += text;
    }
    if (expr->text.size() > dims::kMaxText) throw Error(Exit::kInput, "", fmt::format("a size is longer than {} characters", dims::kMaxText));
    expr->terms = std::move(merged);
    Dim result;
    result.expr_ = std::move(expr);
    return result;
  }

  static Dim symbol(const std::string& name) { return make({Term{1, {Factor{name, nullptr, nullptr}}}}); }

  static Dim sum(const Dim& a, const Dim& b, std::int64_t sign) {
    Terms all = terms(a);
    for (Term term : terms(b)) {
      term.coefficient = dims::mul(term.coefficient, sign);
      all.push_back(std::move(term));
    }
    return make(std::move(all));
  }

  static Dim product(const Dim& a, const Dim& b) {
    const Terms x = terms(a), y = terms(b);
    if (x.size() * y.size() > dims::kMaxTerms * 4) throw Error(Exit::kInput, "", "a product of sizes has too many terms");
    Terms all;
    for (const Term& s : x) {
      for (const Term& t : y) {
        Term term{dims::mul(s.coefficient, t.coefficient), s.factors};
        term.factors.insert(term.factors.end(), t.factors.begin(), t.factors.end());
        std::sort(term.factors.begin(), term.factors.end());
        all.push_back(std::move(term));
      }
    }
    return make(std::move(all));
  }

  // The quotient where one term divides all terms of `a` exactly, e.g. N*C*H*W / (H*W).
  static bool exact(const Dim& a, const Term& divisor, Dim& result) {
    Terms all = terms(a);
    for (Term& term : all) {
      if (term.coefficient % divisor.coefficient != 0) return false;
      term.coefficient = dims::floor_div(term.coefficient, divisor.coefficient);
      for (const Factor& factor : divisor.factors) {
        auto it = std::find(term.factors.begin(), term.factors.end(), factor);
        if (it == term.factors.end()) return false;
        term.factors.erase(it);
      }
    }
    result = make(std::move(all));
    return true;
  }

  static Dim floor_atom(const Dim& numerator, const Dim& denominator) {
    const auto wrap = [](const Dim& d, bool top) {
      const Terms t = terms(d);
      const bool single = !t.empty() && (t[0].factors.empty() || (t[0].coefficient == 1 && t[0].factors.size() == 1));
      const bool simple = t.size() == 1 && t[0].coefficient >= 0 && (!top || single);
      return simple ? d.text() : "(" + d.text() + ")";
    };
    const std::string text = "floor(" + wrap(numerator, false) + "/" + wrap(denominator, true) + ")";
    return make({Term{1, {Factor{text, std::make_shared<Dim>(numerator), std::make_shared<Dim>(denominator)}}}});
  }

  // floor(a/d) for an integer d > 0: whole multiples of d leave the floor, common divisors cancel, and a floor in a floor becomes one.
  static Dim quotient(const Dim& a, std::int64_t d) {
    Terms whole, rest;
    for (const Term& term : terms(a)) {
      const std::int64_t q = dims::floor_div(term.coefficient, d), r = term.coefficient - q * d;
      if (q != 0) whole.push_back(Term{q, term.factors});
      if (r != 0) rest.push_back(Term{r, term.factors});
    }
    std::int64_t divisor = d;
    for (const Term& term : rest) {
      if (!term.factors.empty()) divisor = std::gcd(divisor, term.coefficient);
    }
    for (Term& term : rest) term.coefficient = dims::floor_div(term.coefficient, divisor);
    const std::int64_t below = d / divisor;
    const Dim numerator = make(rest);
    Dim floored;
    if (below == 1 || numerator.is_known()) {
      floored = numerator.is_known() ? Dim(dims::floor_div(numerator.value(), below)) : numerator;
    } else {
      const Terms& inner = numerator.expr_->terms;
      const bool nested = inner[0].coefficient == 1 && inner[0].factors.size() == 1 && inner[0].factors[0].denominator &&
                          inner[0].factors[0].denominator->is_known() && (inner.size() == 1 || (inner.size() == 2 && inner[1].factors.empty()));
      if (nested) {
        const std::int64_t b = inner[0].factors[0].denominator->value(), c = inner.size() == 2 ? inner[1].coefficient : 0;
        floored = quotient(sum(*inner[0].factors[0].numerator, Dim(dims::mul(b, c)), 1), dims::mul(b, below));
      } else {
        floored = floor_atom(numerator, Dim(below));
      }
    }
    return sum(make(std::move(whole)), floored, 1);
  }

  static Dim quotient(const Dim& a, const Dim& b) {
    if (b.is_known()) {
      if (a.is_known()) return Dim(dims::floor_div(a.value(), b.value()));
      if (b.value() == 0) throw Error(Exit::kInput, "", "a size is divided by zero");
      return b.value() > 0 ? quotient(a, b.value()) : quotient(product(a, Dim(-1)), dims::mul(b.value(), -1));
    }
    if (a == b) return Dim(1);
    if (a.is_known() && a.value() == 0) return Dim(0);
    Dim result;
    if (b.expr_->terms.size() == 1 && exact(a, b.expr_->terms[0], result)) return result;
    return floor_atom(a, b);
  }

  static std::int64_t evaluate(const Factor& factor, const Bindings& bindings) {
    if (factor.numerator) return dims::floor_div(factor.numerator->evaluate(bindings), factor.denominator->evaluate(bindings));
    const auto it = bindings.find(factor.text);
    if (it == bindings.end()) throw Error(Exit::kFailure, "", fmt::format("size '{}' is not bound to a number", factor.text));
    return it->second;
  }
};

namespace dims {

// expr := ['-'] term (('+'|'-') term)*;  term := factor ('*' factor)*;  factor := integer | symbol | (expr) | floor(term / factor)
class Parser {
 public:
  explicit Parser(const std::string& text) : text_(text) {
    if (text.size() > kMaxText) throw Error(Exit::kInput, "", fmt::format("a size is longer than {} characters", kMaxText));
  }

  Dim run() {
    const Dim result = expression();
    if (peek() != 0) fail("an operator");
    return result;
  }

 private:
  [[noreturn]] void fail(const char* expected) const {
    throw Error(Exit::kInput, "", fmt::format("size '{}': expected {} at column {}", text_, expected, at_ + 1),
                "sizes are like 64, N or floor((H-1)/2)+1");
  }

  char peek() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
    return at_ < text_.size() ? text_[at_] : 0;
  }

  bool take(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }

  Dim expression() {
    if (++depth_ > kMaxDepth) fail("fewer parentheses");
    Dim result = take('-') ? Dim(0) - term() : term();
    while (peek() == '+' || peek() == '-') {
      const bool plus = text_[at_++] == '+';
      result = plus ? result + term() : result - term();
    }
    --depth_;
    return result;
  }

  Dim term() {
    Dim result = factor();
    while (take('*')) result = result * factor();
    return result;
  }

  Dim factor() {
    const char c = peek();
    if (take('(')) {
      const Dim result = expression();
      if (!take(')')) fail("')'");
      return result;
    }
    if (c >= '0' && c <= '9') return integer();
    std::string name;
    while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) || text_[at_] == '_')) name += text_[at_++];
    if (name.empty()) fail("a number, a symbol or '('");
    if (name != "floor") return Dim::symbol(name);
    if (++depth_ > kMaxDepth) fail("fewer parentheses");
    if (!take('(')) fail("'(' after floor");
    const Dim above = term();
    if (!take('/')) fail("'/'");
    const Dim below = factor();
    if (!take(')')) fail("')'");
    --depth_;
    return floor_div(above, below);
  }

  Dim integer() {
    std::int64_t value = 0;
    while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') value = add(mul(value, 10), text_[at_++] - '0');
    return Dim(value);
  }

  const std::string& text_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace dims

Dim::Dim(std::int64_t value) : value_(value) {}

Dim Dim::symbol(const std::string& name) {
  bool good = !name.empty() && name.size() <= 32 && name != "floor" && !(name[0] >= '0' && name[0] <= '9');
  for (const char c : name) good = good && (std::isalnum(static_cast<unsigned char>(c)) || c == '_');
  if (!good)
    throw Error(Exit::kInput, "", fmt::format("'{}' is no name of a size", name), "use up to 32 letters, digits and _, not starting with a digit");
  return Algebra::symbol(name);
}

Dim Dim::parse(const std::string& text) { return dims::Parser(text).run(); }

bool Dim::is_known() const { return !expr_; }

std::int64_t Dim::value() const {
  if (expr_) throw Error(Exit::kFailure, "", fmt::format("size '{}' is not known before run time", expr_->text));
  return value_;
}

std::int64_t Dim::evaluate(const Bindings& bindings) const {
  if (!expr_) return value_;
  std::int64_t total = 0;
  for (const Term& term : expr_->terms) {
    std::int64_t value = term.coefficient;
    for (const Factor& factor : term.factors) value = dims::mul(value, Algebra::evaluate(factor, bindings));
    total = dims::add(total, value);
  }
  return total;
}

std::set<std::string> Dim::symbols() const {
  std::set<std::string> all;
  if (!expr_) return all;
  for (const Term& term : expr_->terms)
    for (const Factor& factor : term.factors) {
      if (!factor.numerator) {
        all.insert(factor.text);
        continue;
      }
      all.merge(factor.numerator->symbols());
      all.merge(factor.denominator->symbols());
    }
  return all;
}

std::string Dim::text() const { return expr_ ? expr_->text : std::to_string(value_); }

Dim operator+(const Dim& a, const Dim& b) { return Dim::Algebra::sum(a, b, 1); }
Dim operator-(const Dim& a, const Dim& b) { return Dim::Algebra::sum(a, b, -1); }
Dim operator*(const Dim& a, const Dim& b) { return Dim::Algebra::product(a, b); }
Dim floor_div(const Dim& a, const Dim& b) { return Dim::Algebra::quotient(a, b); }

}  // namespace ds::graph
