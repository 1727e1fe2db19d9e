#include "onnx/import/probe.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "base/core/error.h"
#include "base/io/tensor_file.h"
#include "onnx/read.h"

namespace ds::onnx::imports {

namespace probing {

constexpr std::int64_t kMostElements = 1 << 16;
constexpr int kMostNodes = 4000, kDeepest = 400;

/// Thrown where a node cannot be worked out: nothing is found then.
struct Unknown {};

/// Numbers, of which doubles hold all that sizes and masks have. `hollow`: the shape alone is known.
struct Num {
  std::vector<std::int64_t> shape;
  std::vector<double> data;
  bool hollow = false;
};

std::int64_t count(const std::vector<std::int64_t>& shape) {
  std::int64_t n = 1;
  for (const std::int64_t size : shape)
    if (size < 0 || size > kMostElements || (n *= size) > kMostElements) throw Unknown{};
  return n;
}

Num make(std::vector<std::int64_t> shape) {
  const std::int64_t n = count(shape);
  return {std::move(shape), std::vector<double>(static_cast<std::size_t>(n)), false};
}

Num list(const std::vector<std::int64_t>& values) {
  Num y = make({static_cast<std::int64_t>(values.size())});
  std::copy(values.begin(), values.end(), y.data.begin());
  return y;
}

std::vector<std::int64_t> integers(const Num& x) {
  std::vector<std::int64_t> values;
  for (const double v : x.data) values.push_back(std::abs(v) < 9e18 ? static_cast<std::int64_t>(v) : v < 0 ? INT64_MIN : INT64_MAX);
  return values;
}

/// Steps from element to element of `shape` seen as `to`, 0 along axes that are repeated.
std::vector<std::int64_t> steps(const std::vector<std::int64_t>& shape, const std::vector<std::int64_t>& to) {
  std::vector<std::int64_t> found(to.size(), 0);
  std::int64_t step = 1;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const std::size_t from = shape.size() - 1 - i, at = to.size() - 1 - i;
    if (shape[from] != 1 && shape[from] != to[at]) throw Unknown{};
    found[at] = shape[from] == 1 ? 0 : step;
    step *= shape[from];
  }
  return found;
}

std::vector<std::int64_t> together(const std::vector<std::int64_t>& a, const std::vector<std::int64_t>& b) {
  std::vector<std::int64_t> shape(std::max(a.size(), b.size()), 1);
  for (const auto* part : {&a, &b})
    for (std::size_t i = 0; i < part->size(); ++i) {
      std::int64_t& size = shape[shape.size() - part->size() + i];
      if ((*part)[i] != 1) size = (*part)[i];
    }
  return shape;
}

/// Element i of the numbers of `shape` in order, by these steps.
std::size_t place(std::int64_t i, const std::vector<std::int64_t>& shape, const std::vector<std::int64_t>& step) {
  std::int64_t at = 0;
  for (std::size_t axis = shape.size(); axis-- > 0; i /= shape[axis]) at += i % shape[axis] * step[axis];
  return static_cast<std::size_t>(at);
}

Num expanded(const Num& x, const std::vector<std::int64_t>& to) {
  Num y = make(to);
  const auto step = steps(x.shape, to);
  for (std::size_t i = 0; i < y.data.size(); ++i) y.data[i] = x.data[place(static_cast<std::int64_t>(i), to, step)];
  return y;
}

Num of_two(const Num& a, const Num& b, const std::function<double(double, double)>& f) {
  const auto shape = together(a.shape, b.shape);
  Num x = expanded(a, shape);
  const Num y = expanded(b, shape);
  for (std::size_t i = 0; i < x.data.size(); ++i) x.data[i] = f(x.data[i], y.data[i]);
  return x;
}

std::size_t counted(std::int64_t axis, std::size_t rank) {
  if (axis < 0) axis += static_cast<std::int64_t>(rank);
  if (axis < 0 || axis >= static_cast<std::int64_t>(rank)) throw Unknown{};
  return static_cast<std::size_t>(axis);
}

/// What one node sees.
struct Args {
  Reader& r;
  std::vector<Num> in;
  bool has(std::size_t i) const { return i < in.size() && r.has(static_cast<int>(i)); }
};

using Function = std::function<Num(const Args&)>;

Function two(double (*f)(double, double)) {
  return [f](const Args& a) { return of_two(a.in.at(0), a.in.at(1), f); };
}

Function one(double (*f)(double)) {
  return [f](const Args& a) {
    Num y = a.in.at(0);
    for (double& v : y.data) v = f(v);
    return y;
  };
}

Num cast(const Args& a) {
  const std::int64_t to = a.r.i("to", 0);
  Num y = a.in.at(0);
  for (double& v : y.data) v = to == pb::TensorProto::BOOL ? v != 0 : to == pb::TensorProto::INT64 || to == pb::TensorProto::INT32 ? std::trunc(v) : v;
  return y;
}

Num reshape(const Args& a) {
  Num y = a.in.at(0);
  std::vector<std::int64_t> to = integers(a.in.at(1));
  std::int64_t rest = -1, product = 1;
  for (std::size_t i = 0; i < to.size(); ++i) {
    if (to[i] == 0) to[i] = y.shape.at(i);
    if (to[i] == -1) rest = static_cast<std::int64_t>(i);
    else product *= to[i];
  }
  if (rest >= 0) to[static_cast<std::size_t>(rest)] = product == 0 ? 0 : count(y.shape) / product;
  if (count(to) != count(y.shape)) throw Unknown{};
  y.shape = to;
  return y;
}

Num flatten(const Args& a) {
  Num y = a.in.at(0);
  const auto axis = static_cast<std::size_t>(a.r.i("axis", 1));
  std::int64_t rows = 1;
  for (std::size_t i = 0; i < axis; ++i) rows *= y.shape.at(i);
  y.shape = {rows, rows == 0 ? 0 : count(y.shape) / rows};
  return y;
}

std::vector<std::int64_t> axes_of(const Args& a) { return a.has(1) ? integers(a.in.at(1)) : a.r.ints("axes", {}); }

Num unsqueeze(const Args& a) {
  Num y = a.in.at(0);
  std::vector<std::int64_t> axes = axes_of(a);
  for (std::int64_t& axis : axes) axis = static_cast<std::int64_t>(counted(axis, y.shape.size() + axes.size()));
  std::sort(axes.begin(), axes.end());
  for (const std::int64_t axis : axes) {
    if (axis > static_cast<std::int64_t>(y.shape.size())) throw Unknown{};
    y.shape.insert(y.shape.begin() + axis, 1);
  }
  return y;
}

Num squeeze(const Args& a) {
  Num y = a.in.at(0);
  std::vector<std::int64_t> axes = axes_of(a), left;
  for (std::int64_t& axis : axes) axis = static_cast<std::int64_t>(counted(axis, y.shape.size()));
  for (std::size_t i = 0; i < y.shape.size(); ++i)
    if (y.shape[i] != 1 || (!axes.empty() && std::find(axes.begin(), axes.end(), static_cast<std::int64_t>(i)) == axes.end())) left.push_back(y.shape[i]);
  y.shape = left;
  return y;
}

/// Rows [outer, size, inner] of an axis.
struct Axis {
  std::int64_t outer = 1, size, inner = 1;
};
Axis axis_of(const Num& x, std::size_t axis) {
  Axis found{1, x.shape.at(axis), 1};
  for (std::size_t i = 0; i < x.shape.size(); ++i)
    if (i != axis) (i < axis ? found.outer : found.inner) *= x.shape[i];
  return found;
}

Num concat(const Args& a) {
  Num y = a.in.at(0);
  const std::size_t axis = counted(a.r.i("axis", 0), y.shape.size());
  for (std::size_t k = 1; k < a.in.size(); ++k) {
    const Num& x = a.in[k];
    const Axis left = axis_of(y, axis), right = axis_of(x, axis);
    if (left.outer != right.outer || left.inner != right.inner) throw Unknown{};
    Num joined = y;
    joined.shape[axis] += right.size;
    joined.data.clear();
    for (std::int64_t o = 0; o < left.outer; ++o) {
      joined.data.insert(joined.data.end(), y.data.begin() + o * left.size * left.inner, y.data.begin() + (o + 1) * left.size * left.inner);
      joined.data.insert(joined.data.end(), x.data.begin() + o * right.size * right.inner, x.data.begin() + (o + 1) * right.size * right.inner);
    }
    y = joined;
  }
  return y;
}

/// The rows of an axis that `rows` names, which may count from the end.
Num taken(const Num& x, std::size_t axis, const std::vector<std::int64_t>& rows, const std::vector<std::int64_t>& as) {
  const Axis of = axis_of(x, axis);
  std::vector<std::int64_t> shape = x.shape;
  shape.erase(shape.begin() + static_cast<std::ptrdiff_t>(axis));
  shape.insert(shape.begin() + static_cast<std::ptrdiff_t>(axis), as.begin(), as.end());
  Num y = make(shape);
  std::size_t to = 0;
  for (std::int64_t o = 0; o < of.outer; ++o)
    for (std::int64_t row : rows) {
      if (row < 0) row += of.size;
      if (row < 0 || row >= of.size) throw Unknown{};
      for (std::int64_t i = 0; i < of.inner; ++i) y.data.at(to++) = x.data.at(static_cast<std::size_t>((o * of.size + row) * of.inner + i));
    }
  return y;
}

Num gather(const Args& a) { return taken(a.in.at(0), counted(a.r.i("axis", 0), a.in[0].shape.size()), integers(a.in.at(1)), a.in[1].shape); }

Num gather_elements(const Args& a) {
  const Num &x = a.in.at(0), &index = a.in.at(1);
  const std::size_t axis = counted(a.r.i("axis", 0), x.shape.size());
  if (index.shape.size() != x.shape.size()) throw Unknown{};
  std::vector<std::int64_t> step(x.shape.size(), 1);
  for (std::size_t i = step.size(); i-- > 1;) step[i - 1] = step[i] * x.shape[i];
  const std::int64_t along = step[axis];
  step[axis] = 0;
  Num y = make(index.shape);
  for (std::size_t i = 0; i < y.data.size(); ++i) {
    const auto row = static_cast<std::int64_t>(index.data[i]);
    y.data[i] = x.data.at(place(static_cast<std::int64_t>(i), index.shape, step) + static_cast<std::size_t>((row < 0 ? row + x.shape[axis] : row) * along));
  }
  return y;
}

Num slice(const Args& a) {
  Num y = a.in.at(0);
  if (!a.has(1)) throw Unknown{};
  const auto begins = integers(a.in.at(1)), ends = integers(a.in.at(2));
  std::vector<std::int64_t> axes = a.has(3) ? integers(a.in.at(3)) : std::vector<std::int64_t>{};
  for (std::size_t i = axes.size(); i < begins.size(); ++i) axes.push_back(static_cast<std::int64_t>(i));
  if (a.has(4))
    for (const double step : a.in.at(4).data)
      if (step != 1) throw Unknown{};
  for (std::size_t k = 0; k < begins.size(); ++k) {
    const std::size_t axis = counted(axes[k], y.shape.size());
    const std::int64_t n = y.shape[axis];
    const auto held = [n](std::int64_t at) { return std::clamp<std::int64_t>(at < 0 ? at + n : at, 0, n); };
    std::vector<std::int64_t> rows;
    for (std::int64_t row = held(begins[k]); row < held(ends.at(k)); ++row) rows.push_back(row);
    y = taken(y, axis, rows, {static_cast<std::int64_t>(rows.size())});
  }
  return y;
}

Num where(const Args& a) {
  const auto shape = together(together(a.in.at(0).shape, a.in.at(1).shape), a.in.at(2).shape);
  const Num which = expanded(a.in[0], shape), no = expanded(a.in[2], shape);
  Num y = expanded(a.in[1], shape);
  for (std::size_t i = 0; i < y.data.size(); ++i)
    if (which.data[i] == 0) y.data[i] = no.data[i];
  return y;
}

Num expand(const Args& a) { return expanded(a.in.at(0), together(a.in[0].shape, integers(a.in.at(1)))); }

Num range(const Args& a) {
  const double begin = a.in.at(0).data.at(0), end = a.in.at(1).data.at(0), step = a.in.at(2).data.at(0);
  if (step == 0 || !((end - begin) / step < static_cast<double>(kMostElements))) throw Unknown{};
  Num y = make({std::max<std::int64_t>(0, static_cast<std::int64_t>(std::ceil((end - begin) / step)))});
  for (std::size_t i = 0; i < y.data.size(); ++i) y.data[i] = begin + static_cast<double>(i) * step;
  return y;
}

Num constant_of_shape(const Args& a) {
  Num y = make(integers(a.in.at(0)));
  if (const auto* value = a.r.attribute("value")) {
    const std::string& raw = value->t().raw_data();
    const auto copy = std::make_shared<std::string>(raw);
    const io::Array one = a.r.values(value->t(), raw.empty() ? io::Bytes{} : io::Bytes{reinterpret_cast<std::byte*>(copy->data()), copy->size(), copy});
    if (one.numel() != 1) throw Unknown{};
    std::fill(y.data.begin(), y.data.end(), io::element(one, 0));
  }
  return y;
}

Num transpose(const Args& a) {
  const Num& x = a.in.at(0);
  std::vector<std::int64_t> reverse;
  for (std::size_t i = x.shape.size(); i-- > 0;) reverse.push_back(static_cast<std::int64_t>(i));
  const auto perm = a.r.ints("perm", reverse);
  if (perm.size() != x.shape.size()) throw Unknown{};
  std::vector<std::int64_t> step(x.shape.size(), 1), shape, along;
  for (std::size_t i = step.size(); i-- > 1;) step[i - 1] = step[i] * x.shape[i];
  for (const std::int64_t axis : perm) shape.push_back(x.shape.at(counted(axis, perm.size()))), along.push_back(step[counted(axis, perm.size())]);
  Num y = make(shape);
  for (std::size_t i = 0; i < y.data.size(); ++i) y.data[i] = x.data.at(place(static_cast<std::int64_t>(i), shape, along));
  return y;
}

Num trilu(const Args& a) {
  Num y = a.in.at(0);
  if (y.shape.size() < 2) throw Unknown{};
  const std::int64_t diagonal = a.has(1) ? integers(a.in.at(1)).at(0) : 0, columns = y.shape.back(), rows = y.shape[y.shape.size() - 2];
  const bool upper = a.r.i("upper", 1) != 0;
  for (std::size_t i = 0; i < y.data.size(); ++i) {
    const std::int64_t column = static_cast<std::int64_t>(i) % columns, row = static_cast<std::int64_t>(i) / columns % rows;
    if (upper ? column < row + diagonal : column > row + diagonal) y.data[i] = 0;
  }
  return y;
}

Num cum_sum(const Args& a) {
  Num y = a.in.at(0);
  if (a.r.i("exclusive", 0) != 0 || a.r.i("reverse", 0) != 0) throw Unknown{};
  const Axis of = axis_of(y, counted(integers(a.in.at(1)).at(0), y.shape.size()));
  for (std::int64_t o = 0; o < of.outer; ++o)
    for (std::int64_t k = 1; k < of.size; ++k)
      for (std::int64_t i = 0; i < of.inner; ++i) {
        const auto at = static_cast<std::size_t>((o * of.size + k) * of.inner + i);
        y.data[at] += y.data[at - static_cast<std::size_t>(of.inner)];
      }
  return y;
}

Num pass(const Args& a) { return a.in.at(0); }

const std::map<std::string, Function>& functions() {
  static const std::map<std::string, Function> table = {
      {"Add", two([](double a, double b) { return a + b; })},
      {"Sub", two([](double a, double b) { return a - b; })},
      {"Mul", two([](double a, double b) { return a * b; })},
      {"Div", two([](double a, double b) { return b == 0 ? throw Unknown{} : a == std::trunc(a) && b == std::trunc(b) ? std::trunc(a / b) : a / b; })},
      {"Min", two([](double a, double b) { return std::min(a, b); })},
      {"Max", two([](double a, double b) { return std::max(a, b); })},
      {"Equal", two([](double a, double b) { return double(a == b); })},
      {"Less", two([](double a, double b) { return double(a < b); })},
      {"LessOrEqual", two([](double a, double b) { return double(a <= b); })},
      {"Greater", two([](double a, double b) { return double(a > b); })},
      {"GreaterOrEqual", two([](double a, double b) { return double(a >= b); })},
      {"And", two([](double a, double b) { return double(a != 0 && b != 0); })},
      {"Or", two([](double a, double b) { return double(a != 0 || b != 0); })},
      {"Not", one([](double a) { return double(a == 0); })},
      {"Neg", one([](double a) { return -a; })},
      {"Identity", pass},
      {"Cast", cast},
      {"Reshape", reshape},
      {"Flatten", flatten},
      {"Unsqueeze", unsqueeze},
      {"Squeeze", squeeze},
      {"Concat", concat},
      {"Gather", gather},
      {"GatherElements", gather_elements},
      {"Slice", slice},
      {"Where", where},
      {"Expand", expand},
      {"Range", range},
      {"ConstantOfShape", constant_of_shape},
      {"Transpose", transpose},
      {"Trilu", trilu},
      {"CumSum", cum_sum}};
  return table;
}

/// splitmix64's last step, for masks that look like no pattern.
std::uint64_t mixed(std::uint64_t z) {
  z = (z + 0x9e3779b97f4a7c15) * 0xbf58476d1ce4e5b9;
  return (z ^ z >> 29) * 0x94d049bb133111eb >> 33;
}

/// One setting of the graph's sizes and inputs, in which values are worked out.
class Probe {
 public:
  Probe(Reader& r, std::int64_t rows, std::int64_t length) : r_(r), rows_(rows), length_(length) {
    for (const std::string& name : r.tokens()) {
      const graph::ValueType& type = r.type_of(r.known(name).value);
      for (std::size_t axis = 0; axis < 2; ++axis)
        for (const std::string& symbol : type.dims[axis].symbols()) sizes_.emplace(symbol, axis == 0 ? rows : length);
    }
  }

  std::int64_t rows() const { return rows_; }
  std::int64_t length() const { return length_; }

  /// 0 or 1 a token, in the graph's input of that name; the first of a sequence is 1.
  static double token(std::int64_t n, std::int64_t s) { return s == 0 || mixed(static_cast<std::uint64_t>(97 * n + s)) % 3 != 0 ? 1 : 0; }

  const Num& value(const std::string& name, int depth = 0) {
    if (const auto found = values_.find(name); found != values_.end()) return found->second;
    if (depth > kDeepest || ++nodes_ > kMostNodes) throw Unknown{};
    return values_[name] = work_out(name, depth);
  }

 private:
  Num work_out(const std::string& name, int depth) {
    const Known& known = r_.known(name);
    if (known.kind == Known::kConstant) return constant(known.array);
    if (known.kind == Known::kSizes) {
      std::vector<std::int64_t> sizes;
      for (const graph::Dim& dim : known.sizes) sizes.push_back(size(dim));
      Num y = list(sizes);
      if (known.scalar) y.shape = {};
      return y;
    }
    const auto tokens = r_.tokens();
    if (std::find(tokens.begin(), tokens.end(), name) != tokens.end()) {
      Num y = make(shape_of(known));
      for (std::size_t i = 0; i < y.data.size(); ++i) y.data[i] = token(static_cast<std::int64_t>(i) / y.shape[1], static_cast<std::int64_t>(i) % y.shape[1]);
      return y;
    }
    const pb::NodeProto* node = r_.maker(name);
    if (known.kind == Known::kValue && (node == nullptr || io::is_float(r_.type_of(known.value).dtype))) return {shape_of(known), {}, true};
    if (node == nullptr || node->output_size() < 1 || node->output(0) != name) throw Unknown{};
    return run(*node, depth);
  }

  Num run(const pb::NodeProto& node, int depth) {
    Reader inner(r_.importer(), node);
    if (node.op_type() == "Shape") {
      if (inner.attribute("start") || inner.attribute("end")) throw Unknown{};
      return list(value(node.input(0), depth + 1).shape);
    }
    const auto function = functions().find(node.op_type());
    if (function == functions().end()) throw Unknown{};
    Args args{inner, {}};
    for (const std::string& input : node.input()) {
      args.in.push_back(input.empty() ? Num{} : value(input, depth + 1));
      if (args.in.back().hollow) throw Unknown{};
    }
    try {
      return function->second(args);
    } catch (const std::out_of_range&) {
      throw Unknown{};
    }
  }

  std::int64_t size(const graph::Dim& dim) const {
    try {
      return dim.evaluate(sizes_);
    } catch (const Error&) {
      throw Unknown{};
    }
  }

  std::vector<std::int64_t> shape_of(const Known& known) const {
    std::vector<std::int64_t> shape;
    for (const graph::Dim& dim : r_.type_of(known.value).dims) shape.push_back(size(dim));
    return shape;
  }

  static Num constant(const io::Array& array) {
    if (array.numel() > kMostElements) throw Unknown{};
    Num y = make(array.shape);
    for (std::size_t i = 0; i < y.data.size(); ++i) y.data[i] = io::element(array, static_cast<std::int64_t>(i));
    return y;
  }

  Reader& r_;
  std::int64_t rows_, length_;
  graph::Bindings sizes_;
  std::map<std::string, Num> values_;
  int nodes_ = 0;
};

/// Fits at every probe?
bool everywhere(std::vector<Probe>& probes, const std::function<bool(Probe&)>& fits) {
  return std::all_of(probes.begin(), probes.end(), [&](Probe& probe) { return fits(probe); });
}

std::vector<Probe> probes_of(Reader& r) {
  std::vector<Probe> probes;
  probes.emplace_back(r, 2, 5);
  probes.emplace_back(r, 3, 8);
  return probes;
}

bool is_hidden(double v, bool truths) { return truths ? v == 0 : v <= -9999; }

/// Whether the mask hides from query q of row n the key k just where it should.
bool fits(Probe& probe, const std::string& value, bool truths, bool causal, bool keys) {
  const Num& mask = probe.value(value);
  if (mask.hollow || mask.shape.size() > 4) return false;
  const Num all = expanded(mask, together(mask.shape, {probe.rows(), 1, probe.length(), probe.length()}));
  if (all.shape != std::vector<std::int64_t>{probe.rows(), 1, probe.length(), probe.length()}) return false;
  std::size_t i = 0;
  for (std::int64_t n = 0; n < probe.rows(); ++n)
    for (std::int64_t q = 0; q < probe.length(); ++q)
      for (std::int64_t k = 0; k < probe.length(); ++k, ++i) {
        const bool hidden = is_hidden(all.data[i], truths);
        if (!hidden && !truths && all.data[i] != 0) return false;
        if (hidden != ((causal && k > q) || (keys && Probe::token(n, k) == 0))) return false;
      }
  return true;
}

/// The input of tokens that a value is made of, where it is one alone that is read, not only its size.
std::string only_tokens(Reader& r, const std::string& value) {
  std::set<std::string> seen, found;
  std::vector<std::string> open{value};
  const auto tokens = r.tokens();
  while (!open.empty() && seen.size() < kMostNodes) {
    const std::string name = open.back();
    open.pop_back();
    if (!seen.insert(name).second) continue;
    if (std::find(tokens.begin(), tokens.end(), name) != tokens.end()) found.insert(name);
    const pb::NodeProto* node = r.maker(name);
    if (node == nullptr || node->op_type() == "Shape" || r.known(name).kind == Known::kConstant || r.known(name).kind == Known::kSizes) continue;
    for (const std::string& input : node->input()) open.push_back(input);
  }
  return found.size() == 1 ? *found.begin() : "";
}

}  // namespace probing

Mask probe_mask(Reader& r, const std::string& value, bool truths) {
  using namespace probing;
  try {
    std::vector<Probe> probes = probes_of(r);
    const std::string tokens = only_tokens(r, value);
    for (const bool keys : {true, false})
      for (const bool causal : {false, true}) {
        if (keys && tokens.empty()) continue;
        if (everywhere(probes, [&](Probe& probe) { return fits(probe, value, truths, causal, keys); }))
          return {true, causal, keys ? r.known(tokens).value : ""};
      }
  } catch (const Unknown&) {
  }
  return {};
}

Places probe_places(Reader& r, const std::string& value) {
  using namespace probing;
  const auto tokens = r.tokens();
  if (tokens.empty()) return {};
  const std::string read = only_tokens(r, value);
  Places found;
  found.tokens = r.known(read.empty() ? tokens[0] : read).value;
  try {
    std::vector<Probe> probes = probes_of(r);
    const auto matches = [&](const std::function<double(std::int64_t, std::int64_t)>& expected) {
      return everywhere(probes, [&](Probe& probe) {
        const Num& x = probe.value(value);
        found.rank = x.shape.size();
        if (x.hollow || x.shape.empty() || x.shape.size() > 2 || x.shape.back() != probe.length()) return false;
        for (std::size_t i = 0; i < x.data.size(); ++i)
          if (x.data[i] != expected(static_cast<std::int64_t>(i) / probe.length(), static_cast<std::int64_t>(i) % probe.length())) return false;
        return true;
      });
    };
    found.first = static_cast<std::int64_t>(probes[0].value(value).data.empty() ? 0 : probes[0].value(value).data[0]);
    if (found.first >= 0 && matches([&](std::int64_t, std::int64_t) { return static_cast<double>(found.first); })) found.found = found.same = true;
    else if (matches([](std::int64_t, std::int64_t s) { return static_cast<double>(s); })) found.found = true;
    for (std::int64_t padding = 0; !found.found && padding < 2; ++padding) {
      const auto expected = [padding](std::int64_t n, std::int64_t s) {
        if (Probe::token(n, s) == static_cast<double>(padding)) return static_cast<double>(padding);
        double place = static_cast<double>(padding);
        for (std::int64_t before = 0; before <= s; ++before) place += Probe::token(n, before) != static_cast<double>(padding);
        return place;
      };
      if (!read.empty() && matches(expected)) found.found = true, found.padding = padding;
    }
  } catch (const Unknown&) {
    found.found = false;
  }
  return found;
}

}  // namespace ds::onnx::imports
