// Ops that move elements, and sizes: what exporters compute of shapes is worked out here
#include <fmt/format.h>

#include <cstring>
#include <algorithm>

#include "base/io/tensor_file.h"
#include "onnx/import/patterns.h"
#include "onnx/import/probe.h"

namespace ds::onnx::imports::shape {

using graph::Dim, graph::Json;

std::int64_t counted(const Reader& r, std::int64_t axis, std::size_t rank) {
  const std::int64_t found = axis < 0 ? axis + static_cast<std::int64_t>(rank) : axis;
  if (found < 0 || found >= static_cast<std::int64_t>(rank)) r.fail(fmt::format("names axis {} of {}", axis, rank));
  return found;
}

void put_constant(Reader& r, io::Array array, const std::string& name) {
  Known known;
  known.kind = Known::kConstant;
  known.array = std::move(array);
  known.name = name;
  r.put(std::move(known));
}

void constant(Reader& r) {
  const auto* a = r.attribute("value");
  std::map<std::string, io::Bytes> none;
  if (a != nullptr) {
    if (a->t().data_location() == pb::TensorProto::EXTERNAL) r.fail("has its bytes in another file");
    const std::string& raw = a->t().raw_data();
    auto copy = std::make_shared<std::string>(raw);
    const io::Bytes bytes = raw.empty() ? io::Bytes{} : io::Bytes{reinterpret_cast<std::byte*>(copy->data()), copy->size(), copy};
    return put_constant(r, r.values(a->t(), bytes), r.node().output_size() ? r.node().output(0) : "constant");
  }
  io::Array array;
  if (const auto* i = r.attribute("value_int")) {
    array = io::make_array(io::DType::kI64, {});
    *array.as<std::int64_t>() = i->i();
  } else if (const auto* f = r.attribute("value_float")) {
    array = io::make_array(io::DType::kF32, {});
    *array.as<float>() = f->f();
  } else if (r.attribute("value_ints")) {
    const std::vector<std::int64_t> values = r.ints("value_ints", {});
    array = io::make_array(io::DType::kI64, {static_cast<std::int64_t>(values.size())});
    std::memcpy(array.data, values.data(), array.bytes());
  } else {
    r.fail("has no value that is read here");
  }
  put_constant(r, array, r.node().output_size() ? r.node().output(0) : "constant");
}

void shape_of(Reader& r) {
  if (r.in(0).kind == Known::kNothing) return;
  std::vector<Dim> dims;
  if (r.in(0).kind == Known::kSizes) return put_sizes(r, {static_cast<std::int64_t>(r.in(0).sizes.size())});
  if (r.is_constant(0)) dims.assign(r.in(0).array.shape.begin(), r.in(0).array.shape.end());
  else dims = r.type(0).dims;
  const auto rank = static_cast<std::int64_t>(dims.size());
  const auto held = [&](std::int64_t at) { return std::clamp<std::int64_t>(at < 0 ? at + rank : at, 0, rank); };
  const std::int64_t begin = held(r.i("start", 0)), end = held(r.i("end", rank));
  if (begin > end) r.fail("has a start behind its end");
  put_sizes(r, {dims.begin() + begin, dims.begin() + end});
}

void cast(Reader& r) {
  const std::int64_t to = r.i("to", 0);
  const Known& known = r.in(0);
  if (known.kind == Known::kSizes || known.kind == Known::kNothing) {
    if (known.kind == Known::kSizes && to != pb::TensorProto::INT64 && to != pb::TensorProto::INT32) return;
    return r.put(known);
  }
  const io::DType from = known.kind == Known::kConstant ? known.array.dtype : r.type(0).dtype;
  if (known.kind == Known::kConstant && to == pb::TensorProto::FLOAT && !io::is_float(from) && known.array.numel() <= 65536) {
    io::Array array = io::make_array(io::DType::kF32, known.array.shape);
    for (std::int64_t i = 0; i < array.numel(); ++i) array.as<float>()[i] = static_cast<float>(io::element(known.array, i));
    return put_constant(r, array, known.name);
  }
  const bool same = (to == pb::TensorProto::FLOAT && io::is_float(from)) || (to == pb::TensorProto::INT64 && from == io::DType::kI64);
  if (!same) return;  // of a mask: part of what looks back
  r.put(known);
}

/// Axes of the input in another order, as the constant's bytes. Rank at most 8.
io::Array transposed(const io::Array& x, const std::vector<std::int64_t>& perm) {
  std::vector<std::int64_t> shape, strides(x.shape.size(), 1);
  for (std::size_t i = x.shape.size(); i-- > 1;) strides[i - 1] = strides[i] * x.shape[i];
  std::vector<std::int64_t> steps;
  for (const std::int64_t axis : perm) {
    shape.push_back(x.shape[static_cast<std::size_t>(axis)]);
    steps.push_back(strides[static_cast<std::size_t>(axis)]);
  }
  const io::Bytes bytes{x.data, x.bytes(), x.keeper};
  return io::array_of(bytes, x.dtype, shape, steps, 0, "transposed tensor");
}

void transpose(Reader& r) {
  const Known& known = r.in(0);
  if (known.kind == Known::kNothing) return;
  const std::size_t rank = known.kind == Known::kConstant ? known.array.shape.size() : r.type(0).dims.size();
  std::vector<std::int64_t> reverse(rank);
  for (std::size_t i = 0; i < rank; ++i) reverse[i] = static_cast<std::int64_t>(rank - 1 - i);
  std::vector<std::int64_t> perm = r.ints("perm", reverse);
  std::vector<std::int64_t> sorted = perm;
  std::sort(sorted.begin(), sorted.end());
  for (std::size_t i = 0; i < sorted.size(); ++i)
    if (sorted.size() != rank || sorted[i] != static_cast<std::int64_t>(i)) r.fail("has a perm that is no order of the axes");
  if (known.kind == Known::kConstant) return put_constant(r, transposed(known.array, perm), known.name + "/transposed");
  r.set("permute", {r.value(0)}, {{"dims", perm}});
}

/// Our attribute for these sizes: 0 copies an axis, one that is not known is -1.
std::vector<std::int64_t> as_reshape(Reader& r, const std::vector<Dim>& to) {
  const std::vector<Dim>& from = r.type(0).dims;
  std::vector<std::int64_t> shape;
  bool rest = false;
  for (std::size_t i = 0; i < to.size(); ++i) {
    if (to[i].is_known() && to[i].value() == -1) {
      if (rest) r.fail("has two sizes that are not known");
      rest = true;
    }
    if (to[i].is_known()) shape.push_back(to[i].value());
    else if (i < from.size() && from[i] == to[i]) shape.push_back(0);
    else if (!rest) shape.push_back(-1), rest = true;
    else r.fail("has two sizes that are not known");
  }
  return shape;
}

void reshape(Reader& r) {
  if (r.i("allowzero", 0) != 0) r.fail("has allowzero");
  if (attention_before(r) || r.in(0).kind == Known::kNothing) return;
  if (r.in(0).kind == Known::kSizes) return put_sizes(r, r.in(0).sizes);  // to one axis: what else could a list of sizes be
  const auto to = r.sizes(1);
  if (!to) r.fail(fmt::format("has a shape '{}' that is not known before the net runs", r.node().input(1).substr(0, 64)));
  if (r.is_constant(0)) {
    io::Array array = r.in(0).array;
    std::vector<std::int64_t> shape = r.integers(1);
    std::int64_t product = 1, wild = -1;
    for (std::size_t i = 0; i < shape.size(); ++i) {
      if (shape[i] == 0 && i < array.shape.size()) shape[i] = array.shape[i];
      if (shape[i] == -1) wild = static_cast<std::int64_t>(i);
      else if (__builtin_mul_overflow(product, shape[i], &product) || product < 1) r.fail("has a shape of no elements, or of more than there can be");
    }
    if (wild >= 0) shape[static_cast<std::size_t>(wild)] = array.numel() / product, product *= shape[static_cast<std::size_t>(wild)];
    if (product != array.numel()) r.fail("has a shape of another number of elements");
    array.shape = shape;
    return put_constant(r, array, r.in(0).name);
  }
  if (linear_before(r, *to)) return;
  r.set("reshape", {r.value(0)}, {{"shape", as_reshape(r, *to)}});
}

void flatten(Reader& r) {
  if (r.in(0).kind == Known::kNothing) return;
  const std::int64_t rank = static_cast<std::int64_t>(r.type(0).dims.size()), axis = r.i("axis", 1);
  if (rank == 2 && axis == 1) return r.put(r.in(0));
  if (axis == 1 && rank > 1) return r.set("flatten", {r.value(0)}, {{"start", 1}, {"end", -1}});
  r.fail(fmt::format("has axis {} of {}, read is 1", axis, rank));
}

/// Axes of size 1 that come or go.
void change_axes(Reader& r, bool more) {
  const Known& known = r.in(0);
  if (known.kind == Known::kNothing) return;
  std::vector<std::int64_t> axes = r.has(1) ? r.integers(1) : r.ints("axes", {});
  if (known.kind == Known::kSizes) {  // [] and [1] are the same to us
    if (!more && known.sizes.size() != 1) r.fail("takes an axis from several sizes");
    return put_sizes(r, known.sizes, !more);
  }
  std::vector<Dim> dims;
  if (known.kind == Known::kConstant) dims.assign(known.array.shape.begin(), known.array.shape.end());
  else dims = r.type(0).dims;
  const std::size_t rank = dims.size() + (more ? axes.size() : 0);
  if (rank > 8) r.fail("makes more than 8 axes");
  for (std::int64_t& axis : axes) axis = counted(r, axis, rank);
  std::sort(axes.begin(), axes.end());
  if (!more && axes.empty())
    for (std::size_t i = 0; i < dims.size(); ++i)
      if (dims[i] == Dim(1)) axes.push_back(static_cast<std::int64_t>(i));
  if (more)
    for (const std::int64_t axis : axes) dims.insert(dims.begin() + std::min<std::int64_t>(axis, static_cast<std::int64_t>(dims.size())), Dim(1));
  else
    for (std::size_t i = axes.size(); i-- > 0;) {
      if (!(dims[static_cast<std::size_t>(axes[i])] == Dim(1))) r.fail(fmt::format("takes away axis {}, which is not of size 1", axes[i]));
      dims.erase(dims.begin() + axes[i]);
    }
  if (known.kind == Known::kConstant) {
    io::Array array = known.array;
    array.shape.clear();
    for (const Dim& dim : dims) array.shape.push_back(dim.value());
    return put_constant(r, array, known.name);
  }
  r.set("reshape", {r.value(0)}, {{"shape", as_reshape(r, dims)}});
}

void unsqueeze(Reader& r) { change_axes(r, true); }
void squeeze(Reader& r) { change_axes(r, false); }

void concat(Reader& r) {
  std::vector<Dim> sizes;
  bool all = true, values = false;
  for (int i = 0; i < r.node().input_size(); ++i)
    if (r.in(i).kind == Known::kNothing) return;  // part of a mask, and the like
  for (int i = 0; i < r.node().input_size(); ++i) {
    const auto part = r.in(i).kind == Known::kValue ? std::nullopt : r.sizes(i);
    all = all && part;
    values = values || r.in(i).kind == Known::kValue;
    if (part) sizes.insert(sizes.end(), part->begin(), part->end());
    if (sizes.size() > 65536) r.fail("joins more than 65536 sizes");
  }
  if (all && !values) return put_sizes(r, sizes);
  std::vector<std::string> inputs;
  for (int i = 0; i < r.node().input_size(); ++i) inputs.push_back(r.value(i));
  if (inputs.size() == 1) return r.put(r.in(0));
  r.set("concat", inputs, {{"axis", r.i("axis", 0)}});
}

void split(Reader& r) {
  const std::vector<Dim>& dims = r.type(0).dims;
  const std::int64_t axis = counted(r, r.i("axis", 0), dims.size());
  std::vector<std::int64_t> sizes = r.has(1) ? r.integers(1) : r.ints("split", {});
  const int outputs = r.node().output_size();
  if (sizes.empty()) {
    const Dim& size = dims[static_cast<std::size_t>(axis)];
    if (!size.is_known() || outputs < 1 || size.value() % outputs != 0) r.fail("does not state its sizes");
    sizes.assign(static_cast<std::size_t>(outputs), size.value() / outputs);
  }
  if (sizes.size() != static_cast<std::size_t>(outputs) || outputs > 4096) r.fail(fmt::format("has {} sizes and {} outputs", sizes.size(), outputs));
  const std::string value = r.add("split", {r.value(0)}, {{"axis", axis}, {"sizes", sizes}});
  for (int i = 0; i < outputs; ++i) r.put_value(graph::Builder::output_of(value, i), i);
}

struct Range {
  std::int64_t axis, begin, end, step;
};

std::vector<Range> ranges(Reader& r, std::size_t rank) {
  const bool old = !r.has(1);
  const std::vector<std::int64_t> begins = old ? r.ints("starts", {}) : r.integers(1), ends = old ? r.ints("ends", {}) : r.integers(2);
  std::vector<std::int64_t> axes = old ? r.ints("axes", {}) : r.has(3) ? r.integers(3) : std::vector<std::int64_t>{};
  const std::vector<std::int64_t> steps = r.has(4) ? r.integers(4) : std::vector<std::int64_t>(begins.size(), 1);
  if (axes.empty())
    for (std::size_t i = 0; i < begins.size(); ++i) axes.push_back(static_cast<std::int64_t>(i));
  if (begins.size() != ends.size() || axes.size() != begins.size() || steps.size() != begins.size()) r.fail("has begins, ends and axes of different numbers");
  std::vector<Range> found;
  for (std::size_t i = 0; i < axes.size(); ++i) found.push_back({counted(r, axes[i], rank), begins[i], ends[i], steps[i]});
  return found;
}

/// The elements of a constant that the ranges leave, backwards where a step is negative.
io::Array sliced(const io::Array& x, const std::vector<Range>& ranges, const Reader& r) {
  const std::size_t rank = x.shape.size();
  std::vector<std::int64_t> first(rank, 0), step(rank, 1), shape = x.shape, stride(rank, 1);
  for (std::size_t i = rank; i-- > 1;) stride[i - 1] = stride[i] * x.shape[i];
  for (const Range& range : ranges) {
    const auto axis = static_cast<std::size_t>(range.axis);
    const std::int64_t n = x.shape[axis], low = range.step < 0 ? -1 : 0, high = range.step < 0 ? n - 1 : n;
    if (range.step == 0 || range.step < -n || range.step > n) r.fail(fmt::format("has a step of {}", range.step));
    const auto held = [&](std::int64_t at) { return std::clamp<std::int64_t>(at < 0 && at >= -n ? at + n : at, low, high); };
    first[axis] = held(range.begin);
    const std::int64_t end = range.end < -n ? low : held(range.end), span = range.step < 0 ? first[axis] - end : end - first[axis];
    step[axis] = range.step;
    shape[axis] = (span + std::abs(range.step) - 1) / std::abs(range.step);
    if (span <= 0) r.fail("leaves nothing of a constant");
  }
  io::Array y = io::make_array(x.dtype, shape);
  const auto element = static_cast<std::size_t>(io::dtype_bits(x.dtype) / 8);
  for (std::int64_t i = 0, n = y.numel(); i < n; ++i) {
    std::int64_t from = 0, rest = i;
    for (std::size_t axis = rank; axis-- > 0; rest /= shape[axis]) from += (first[axis] + rest % shape[axis] * step[axis]) * stride[axis];
    std::memcpy(y.data + static_cast<std::size_t>(i) * element, x.data + static_cast<std::size_t>(from) * element, element);
  }
  return y;
}

bool bounds_are_known(const Reader& r) {
  for (int i = 1; i < r.node().input_size(); ++i)
    if (r.has(i) && !r.is_constant(i)) return false;
  return true;
}

void slice(Reader& r) {
  const Known& known = r.in(0);
  if (known.kind == Known::kNothing) return;
  if (known.kind == Known::kConstant) {
    if (!io::is_float(known.array.dtype) && !bounds_are_known(r)) return;  // positions up to the length
    const std::vector<Range> wanted = ranges(r, known.array.shape.size());
    return put_constant(r, sliced(known.array, wanted, r), known.name + "/slice" + std::to_string(wanted.empty() ? 0 : wanted[0].begin));
  }
  if (known.kind == Known::kSizes) {
    const auto n = static_cast<std::int64_t>(known.sizes.size());
    const Range one = ranges(r, 1).at(0);
    if (one.step != 1) r.fail("has a step");
    const auto held = [&](std::int64_t at) { return std::clamp<std::int64_t>(at < 0 ? at + n : at, 0, n); };
    const std::int64_t begin = held(one.begin), end = std::max(begin, held(one.end));
    return put_sizes(r, {known.sizes.begin() + begin, known.sizes.begin() + end});
  }
  std::string value = r.value(0);
  for (const Range& range : ranges(r, r.type(0).dims.size())) {
    const Dim& size = r.type_of(value).dims[static_cast<std::size_t>(range.axis)];
    if (range.step != 1) r.fail(fmt::format("has a step of {}", range.step));
    std::int64_t begin = range.begin, end = range.end;
    if (size.is_known()) {
      begin = std::clamp<std::int64_t>(begin < 0 ? begin + size.value() : begin, 0, size.value());
      end = std::clamp<std::int64_t>(end < 0 ? end + size.value() : end, 0, size.value());
      if (begin == 0 && end == size.value()) continue;
    } else if (begin == 0 && end > (std::int64_t{1} << 30)) {
      continue;  // all of it
    }
    if (begin < 0 || end < 0) r.fail("counts from the end of an axis of unknown size");
    value = r.add("slice", {value}, {{"axis", range.axis}, {"begin", begin}, {"end", end}});
  }
  r.put_value(value);
}

/// Rows of a table by positions, or by one number for all tokens.
bool embedded_places(Reader& r) {
  const Known& table = r.in(0);
  const Places places = probe_places(r, r.node().input(1));
  if (!places.found) return false;
  const std::int64_t rows = table.array.shape[0], dim = table.array.shape[1];
  if (places.same) {
    if (places.first >= rows) r.fail(fmt::format("takes row {} of {}", places.first, rows));
    io::Array row = sliced(table.array, {{0, places.first, places.first + 1, 1}}, r);
    if (places.rank == 2) row.shape = {1, 1, dim};
    put_constant(r, row, fmt::format("{}/row{}", table.name, places.first));
    return true;
  }
  Json attrs = Json::object();
  if (places.padding >= 0) attrs["padding_idx"] = places.padding;
  const std::string ids = r.add("position_ids", {places.tokens}, attrs);
  const std::string name = r.name_by_weight(0);
  const std::string found = r.add("embedding", {ids}, {{"num_embeddings", rows}, {"dim", dim}}, {{"weight", r.tensor(0)}}, {}, name);
  r.put_value(places.rank == 2 ? found : r.add("reshape", {found}, {{"shape", {-1, dim}}}));
  return true;
}

void gather(Reader& r) {
  const std::int64_t stated = r.i("axis", 0);
  const Known &data = r.in(0), &index = r.in(1);
  const bool table = data.kind == Known::kConstant && stated == 0 && data.array.shape.size() == 2 && io::is_float(data.array.dtype);
  if (table && index.kind == Known::kNothing && embedded_places(r)) return;
  if (data.kind == Known::kNothing || index.kind == Known::kNothing) return;
  const bool numbers = data.kind == Known::kConstant && data.array.shape.size() == 1 && !io::is_float(data.array.dtype) && index.kind == Known::kConstant;
  if (data.kind == Known::kSizes || (numbers && r.sizes(0))) {
    const std::vector<Dim> sizes = *r.sizes(0);
    const bool scalar = index.kind == Known::kConstant ? index.array.shape.empty() : index.scalar;
    std::vector<Dim> picked;
    for (const std::int64_t at : r.integers(1)) picked.push_back(sizes[static_cast<std::size_t>(counted(r, at, sizes.size()))]);
    return put_sizes(r, picked, scalar);
  }
  if (table && index.kind == Known::kValue)
    return r.set("embedding", {r.value(1)}, {{"num_embeddings", data.array.shape[0]}, {"dim", data.array.shape[1]}}, {{"weight", r.tensor(0)}}, {},
                 r.name_by_weight(0));
  if (index.kind == Known::kValue) return r.set("gather", {r.value(0), r.value(1)}, {{"axis", stated}});
  const std::vector<Dim> dims = r.type(0).dims;
  const std::int64_t axis = counted(r, stated, dims.size());
  const Dim& size = dims[static_cast<std::size_t>(axis)];
  std::vector<std::int64_t> order = r.integers(1);
  for (std::int64_t& at : order) {
    if (at < 0 && size.is_known()) at += size.value();
    if (at < 0 || (size.is_known() && at >= size.value())) r.fail(fmt::format("takes element {} of an axis of {}", at, size.text()));
  }
  if (index.array.shape.empty()) return r.set("select", {r.value(0)}, {{"axis", axis}, {"index", order[0]}});
  std::vector<std::int64_t> sorted = order;
  std::sort(sorted.begin(), sorted.end());
  bool all = size.is_known() && static_cast<std::int64_t>(sorted.size()) == size.value();
  for (std::size_t i = 0; all && i < sorted.size(); ++i) all = sorted[i] == static_cast<std::int64_t>(i);
  if (!all) return;  // heads that are repeated: attention looks back
  r.set("reorder", {r.value(0)}, {{"axis", axis}, {"order", order}});
}

void pad(Reader& r) {
  if (r.s("mode", "constant") != "constant") r.fail("has mode " + r.s("mode", "constant"));
  const std::size_t rank = r.type(0).dims.size();
  const std::vector<std::int64_t> pads = r.has(1) ? r.integers(1) : r.ints("pads", {});
  if (pads.size() != 2 * rank || r.has(3)) r.fail(fmt::format("has {} pads for {} axes", pads.size(), rank));
  std::vector<std::int64_t> axes, before, after;
  for (std::size_t i = 0; i < rank; ++i)
    if (pads[i] != 0 || pads[rank + i] != 0) axes.push_back(static_cast<std::int64_t>(i)), before.push_back(pads[i]), after.push_back(pads[rank + i]);
  if (axes.empty()) return r.put(r.in(0));
  r.set("pad", {r.value(0)}, {{"axes", axes}, {"before", before}, {"after", after}, {"value", r.has(2) ? r.number(2) : r.f("value", 0)}});
}

/// Of sizes: 1 where they are equal, else 0. A size is never negative.
void equal(Reader& r) {
  if (r.in(0).kind != Known::kSizes && r.in(1).kind != Known::kSizes && !(r.is_constant(0) && r.is_constant(1))) return;
  const auto a = r.sizes(0), b = r.sizes(1);
  if (!a || !b || (a->size() != b->size() && b->size() != 1)) return;
  std::vector<Dim> same;
  for (std::size_t i = 0; i < a->size(); ++i) same.emplace_back((*a)[i] == (*b)[b->size() == 1 ? 0 : i] ? 1 : 0);
  put_sizes(r, same);
}

void where(Reader& r) {
  for (int i = 0; i < 3; ++i)
    if (r.in(i).kind == Known::kValue || r.in(i).kind == Known::kNothing) return;
  const auto which = r.sizes(0), a = r.sizes(1), b = r.sizes(2);
  if (!which || !a || !b || a->size() != which->size() || b->size() != which->size()) return;
  std::vector<Dim> chosen;
  for (std::size_t i = 0; i < which->size(); ++i) chosen.push_back((*which)[i] == Dim(0) ? (*b)[i] : (*a)[i]);
  put_sizes(r, chosen);
}

/// A constant along the batch, as exporters write class tokens.
void expand(Reader& r) {
  if (r.in(0).kind == Known::kNothing) return;
  const auto to = r.sizes(1);
  if (!to && r.is_constant(0)) return;  // of a mask or of positions
  if (!to) r.fail("has a shape that is not known before the net runs");
  if (!r.is_constant(0)) {
    const std::vector<Dim>& from = r.type(0).dims;
    bool same = from.size() >= to->size();
    for (std::size_t i = 0; same && i < to->size(); ++i) same = from[from.size() - to->size() + i] == (*to)[i] || (*to)[i] == Dim(1);
    if (same) return r.put(r.in(0));
    r.fail("repeats a value");
  }
  const io::Array& array = r.in(0).array;
  bool batch = array.shape.size() == to->size() && !array.shape.empty() && array.shape[0] == 1 && !(*to)[0].is_known();
  for (std::size_t i = 1; batch && i < to->size(); ++i) batch = (*to)[i] == Dim(array.shape[i]) || (*to)[i] == Dim(1) || (*to)[i] == Dim(-1);
  if (!batch) return;
  const std::string like = r.input_of_size((*to)[0]);
  if (like.empty()) r.fail(fmt::format("repeats a tensor {} times, which is no axis 0 of an input", (*to)[0].text()));
  r.set("tensor", {like}, graph::Json::object(), {{"value", r.tensor(0)}});
}

void constant_of_shape(Reader& r) {
  const auto to = r.sizes(0);
  if (!to) return;
  std::int64_t n = 1;
  std::vector<std::int64_t> shape;
  for (const Dim& dim : *to) {
    if (!dim.is_known() || dim.value() < 1 || __builtin_mul_overflow(n, dim.value(), &n) || n > 65536) return;
    shape.push_back(dim.value());
  }
  double fill = 0;
  io::DType dtype = io::DType::kF32;
  if (const auto* a = r.attribute("value")) {
    auto copy = std::make_shared<std::string>(a->t().raw_data());
    const io::Bytes bytes = copy->empty() ? io::Bytes{} : io::Bytes{reinterpret_cast<std::byte*>(copy->data()), copy->size(), copy};
    const io::Array one = r.values(a->t(), bytes);
    if (one.numel() != 1) r.fail("fills with more than one number");
    fill = io::element(one, 0), dtype = one.dtype;
  }
  io::Array array = io::make_array(dtype, shape);
  if (dtype == io::DType::kF32) std::fill_n(array.as<float>(), n, static_cast<float>(fill));
  else if (dtype == io::DType::kI64) std::fill_n(array.as<std::int64_t>(), n, static_cast<std::int64_t>(fill));
  else return;
  put_constant(r, array, r.node().output(0));
}

const core::Body<ImportOp> bodies[] = {{"onnx-import", "Constant", constant},   {"onnx-import", "Shape", shape_of},
                                       {"onnx-import", "Cast", cast},           {"onnx-import", "Transpose", transpose},
                                       {"onnx-import", "Reshape", reshape},     {"onnx-import", "Flatten", flatten},
                                       {"onnx-import", "Unsqueeze", unsqueeze}, {"onnx-import", "Squeeze", squeeze},
                                       {"onnx-import", "Concat", concat},       {"onnx-import", "Split", split},
                                       {"onnx-import", "Slice", slice},         {"onnx-import", "Gather", gather},
                                       {"onnx-import", "Pad", pad},             {"onnx-import", "Expand", expand},
                                       {"onnx-import", "ConstantOfShape", constant_of_shape},
                                       {"onnx-import", "Equal", equal},         {"onnx-import", "Where", where}};

}  // namespace ds::onnx::imports::shape

namespace ds::onnx::imports {

/// Sizes that are all known are a constant as any other.
void put_sizes(Reader& r, std::vector<graph::Dim> sizes, bool scalar) {
  if (std::all_of(sizes.begin(), sizes.end(), [](const graph::Dim& size) { return size.is_known(); })) {
    io::Array array = io::make_array(io::DType::kI64, scalar ? std::vector<std::int64_t>{} : std::vector{static_cast<std::int64_t>(sizes.size())});
    for (std::size_t i = 0; i < sizes.size(); ++i) array.as<std::int64_t>()[i] = sizes[i].value();
    return shape::put_constant(r, array, r.node().output(0));
  }
  Known known;
  known.kind = Known::kSizes;
  known.sizes = std::move(sizes);
  known.scalar = scalar;
  r.put(std::move(known));
}

}  // namespace ds::onnx::imports
