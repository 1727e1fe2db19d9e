#include "base/models/swin.h"

#include <fmt/format.h>

#include <cmath>

#include "base/core/error.h"
#include "base/models/parts.h"

namespace ds::models::swin {

constexpr std::int64_t kPatch = 4;

void Options::fields(core::Fields& f) {
  ArchOptions::fields(f);
  f.add({.name = "dim", .doc = "features of the first stage, doubled at each other; must be a multiple of heads", .min = 1, .max = 65536}, dim);
  f.add({.name = "heads", .doc = "attention heads of the first stage, doubled at each other", .min = 1, .max = 1024}, heads);
  f.add({.name = "window_size", .doc = "side of the windows that attention is within", .min = 2, .max = 64, .unit = "patches"}, window_size);
}

void Options::check() const {
  if (dim % heads != 0) throw Error(Exit::kUsage, "model.dim", fmt::format("is {}, expected a multiple of model.heads ({})", dim, heads));
}

/// Builds the net part by part; values are [N, H, W, C].
class Net {
 public:
  Net(const Options& options, const Plan& plan) : o_(options), plan_(plan) {}

  graph::Graph build() {
    graph::Value x = b_.conv2d("features.0.0", image(b_, o_), o_.dim, kPatch, kPatch);
    x = b_.layer_norm("features.0.2", b_.node("permute", "features.0.1", {x}, {{"dims", {0, 2, 3, 1}}}));
    int block_id = 0, last = -1;
    for (const int depth : plan_.depths) last += depth;
    for (std::size_t stage = 0; stage < plan_.depths.size(); ++stage) {
      if (stage > 0) x = merge(fmt::format("features.{}", 2 * stage), x);
      for (int i = 0; i < plan_.depths[stage]; ++i, ++block_id)
        x = block(fmt::format("features.{}.{}", 2 * stage + 1, i), x, o_.heads << stage, i % 2 == 1, plan_.drop_path * block_id / last);
    }
    x = b_.node("mean", "avgpool", {b_.layer_norm("norm", x)}, {{"axes", {1, 2}}});
    b_.output("logits", b_.linear("head", dropout(b_, "dropout", x, o_, 0), o_.num_classes));
    graph::Graph graph = b_.finish();
    for (const graph::Node& node : graph.nodes) {
      if (node.op != "linear") continue;
      graph.find_tensor(node.slots.at("weight").tensor)->init = {{"kind", "truncated_normal"}, {"std", 0.02}};
      if (node.slots.count("bias")) graph.find_tensor(node.slots.at("bias").tensor)->init = {{"kind", "zeros"}};
    }
    return graph;
  }

 private:
  std::int64_t size(const graph::Value& x, std::size_t axis) const { return b_.type(x).dims.at(axis).value(); }
  graph::Value reshape(const std::string& name, const graph::Value& x, const std::vector<std::int64_t>& shape) {
    return b_.node("reshape", name, {x}, {{"shape", shape}});
  }
  graph::Value permute(const std::string& name, const graph::Value& x, const std::vector<std::int64_t>& dims) {
    return b_.node("permute", name, {x}, {{"dims", dims}});
  }
  graph::Value free_tensor(const std::string& node, const std::string& tensor) {
    return b_.node("tensor", node, {}, graph::Json::object(), {{"value", {tensor}}});
  }
  graph::Value pad_to_multiple(const std::string& name, const graph::Value& x, std::int64_t of) {
    const std::int64_t rows = (of - size(x, 1) % of) % of, columns = (of - size(x, 2) % of) % of;
    return rows + columns == 0 ? x : b_.node("pad", name, {x}, {{"axes", {1, 2}}, {"before", {0, 0}}, {"after", {rows, columns}}});
  }

  /// 2x2 patches become one of four times the features, of which half are kept.
  graph::Value merge(const std::string& name, const graph::Value& in) {
    graph::Value x = pad_to_multiple(name + ".pad", in, 2);
    const std::int64_t rows = size(x, 1) / 2, columns = size(x, 2) / 2, out = 2 * size(x, 3);
    x = permute(name + ".permute", reshape(name + ".divide", x, {0, rows, 2, columns, 2, -1}), {0, 1, 3, 4, 2, 5});
    x = reshape(name + ".join", x, {0, rows, columns, -1});
    if (plan_.v2) return b_.layer_norm(name + ".norm", b_.linear(name + ".reduction", x, out, /*bias=*/false));
    return b_.linear(name + ".reduction", b_.layer_norm(name + ".norm", x), out, /*bias=*/false);
  }

  graph::Value block(const std::string& name, const graph::Value& in, std::int64_t heads, bool shifted, double p) {
    const auto norm = [&](int i, const graph::Value& x) { return b_.layer_norm(fmt::format("{}.norm{}", name, i), x); };
    const auto sum = [&](int i, const graph::Value& x, const graph::Value& f) {
      return b_.add(fmt::format("{}.add{}", name, i), x, p > 0 ? b_.node("drop_path", fmt::format("{}.stochastic_depth{}", name, i), {f}, {{"p", p}}) : f);
    };
    const graph::Value a = plan_.v2 ? norm(1, attention(name + ".attn", in, heads, shifted)) : attention(name + ".attn", norm(1, in), heads, shifted);
    const graph::Value middle = sum(1, in, a);
    return sum(2, middle, plan_.v2 ? norm(2, mlp(name + ".mlp", middle)) : mlp(name + ".mlp", norm(2, middle)));
  }

  graph::Value mlp(const std::string& name, const graph::Value& x) {
    const std::int64_t n = size(x, 3);
    const graph::Value h = dropout(b_, name + ".2", b_.gelu(name + ".1", b_.linear(name + ".0", x, 4 * n)), o_, 0);
    return dropout(b_, name + ".4", b_.linear(name + ".3", h, n), o_, 0);
  }

  /// Attention within windows. The windows of an image are further heads, [N, P, windows * C] for P patches a window: so that one batch has one
  /// mask, whatever N is.
  graph::Value attention(const std::string& name, const graph::Value& in, std::int64_t heads, bool shifted) {
    const std::int64_t w = o_.window_size, patches = w * w;
    graph::Value x = pad_to_multiple(name + ".pad", in, w);
    const std::int64_t height = size(x, 1), width = size(x, 2), rows = height / w, columns = width / w, windows = rows * columns;
    // A side of one window needs no shift.
    const std::vector<std::int64_t> shift{shifted && w < height ? w / 2 : 0, shifted && w < width ? w / 2 : 0};
    const bool moves = shift[0] + shift[1] > 0;
    if (moves) x = b_.node("roll", name + ".shift", {x}, {{"axes", {1, 2}}, {"shifts", {-shift[0], -shift[1]}}});
    x = permute(name + ".to_windows", reshape(name + ".divide", x, {0, rows, w, columns, w, -1}), {0, 2, 4, 1, 3, 5});
    x = reshape(name + ".windows", x, {0, patches, windows, -1});
    std::vector<graph::Value> inputs = projections(name, x, heads);
    for (std::size_t i = 0; i < 3; ++i) inputs[i] = reshape(fmt::format("{}.{}_heads", name, "qkv"[i]), inputs[i], {0, patches, -1});
    inputs.push_back(bias(name, heads, {height, width}, shift));
    graph::Json attrs = {{"heads", windows * heads}};
    if (plan_.v2) attrs["scale"] = 1.0;
    x = reshape(name + ".per_window", b_.node("attention", name + ".attention", inputs, std::move(attrs)), {0, patches, windows, -1});
    x = dropout(b_, name + ".dropout", b_.linear(name + ".proj", x, size(in, 3)), o_, 0);
    x = permute(name + ".from_windows", reshape(name + ".rows", x, {0, w, w, rows, columns, -1}), {0, 3, 1, 4, 2, 5});
    x = reshape(name + ".image", x, {0, height, width, -1});
    if (moves) x = b_.node("roll", name + ".shift_back", {x}, {{"axes", {1, 2}}, {"shifts", shift}});
    for (const std::size_t axis : {1, 2})
      if (size(x, axis) != size(in, axis)) x = b_.node("slice", fmt::format("{}.crop{}", name, axis), {x}, {{"axis", axis}, {"end", size(in, axis)}});
    return x;
  }

  /// q, k and v of [N, P, windows, C]; with cosine attention q and k of length 1 a head, q times a learned scale.
  std::vector<graph::Value> projections(const std::string& name, const graph::Value& x, std::int64_t heads) {
    const std::int64_t n = size(x, 3);
    const std::string weight = name + ".qkv.weight", bias = name + ".qkv.bias";
    b_.tensor({.name = weight, .shape = {3 * n, n}, .init = {}});
    b_.tensor({.name = bias, .shape = {3 * n}, .init = {}});
    if (!plan_.v2) return packed_qkv(b_, name + ".", x, n, weight, bias);
    const auto project = [&](const char* what, std::int64_t i, std::map<std::string, graph::Slot> slots) {
      slots["weight"] = {weight, 0, i * n, (i + 1) * n};
      const std::set<std::string> without = slots.count("bias") ? std::set<std::string>{} : std::set<std::string>{"bias"};
      return b_.node("linear", name + what, {x}, {{"out_features", n}}, std::move(slots), without);
    };
    graph::Value q = project(".q", 0, {{"bias", {bias, 0, 0, n}}}), k = project(".k", 1, {});
    const graph::Value v = project(".v", 2, {{"bias", {bias, 0, 2 * n, 3 * n}}});
    // Keys have no bias. Its rows are in the tensor all the same, count as zeros, and go with their heads.
    const graph::Value rows = b_.node("tensor", name + ".k_bias", {}, graph::Json::object(), {{"value", {bias, 0, n, 2 * n}}});
    k = b_.add(name + ".k_plus", k, b_.node("scale", name + ".k_zero", {rows}, {{"factor", 0.0}}));
    const auto unit = [&](const char* what, const graph::Value& y) {
      return b_.node("l2_normalize", name + what + std::string("_unit"), {reshape(name + what + std::string("_by_head"), y, {0, 0, 0, heads, -1})});
    };
    b_.tensor({.name = name + ".logit_scale", .shape = {heads, 1, 1}, .init = {{"kind", "constant"}, {"value", std::log(10.0)}}});
    graph::Value scale = b_.node("clamp", name + ".logit_clamp", {free_tensor(name + ".logit_scale", name + ".logit_scale")}, {{"max", std::log(100.0)}});
    scale = reshape(name + ".logit_column", b_.node("exp", name + ".logit_exp", {scale}), {-1, 1});
    return {b_.node("mul", name + ".q_scaled", {unit(".q", q), scale}), unit(".k", k), v};
  }

  /// What is added to the scores, [1, windows * heads, P, P]: a bias by how far two patches are apart, and the mask of the windows.
  graph::Value bias(const std::string& name, std::int64_t heads, const std::vector<std::int64_t>& sides, const std::vector<std::int64_t>& shift) {
    const std::int64_t w = o_.window_size, patches = w * w, apart = (2 * w - 1) * (2 * w - 1);
    graph::Value table;
    if (plan_.v2) {
      const std::string coords = name + ".relative_coords_table";
      b_.tensor({.name = coords, .shape = {1, 2 * w - 1, 2 * w - 1, 2}, .role = graph::Role::kConstant, .init = {{"kind", "relative_coords"}}});
      const graph::Value hidden = b_.relu(name + ".cpb_mlp.1", b_.linear(name + ".cpb_mlp.0", free_tensor(coords, coords), 512));
      table = reshape(name + ".bias_table", b_.linear(name + ".cpb_mlp.2", hidden, heads, /*bias=*/false), {apart, -1});
      table = b_.node("scale", name + ".bias_scaled", {b_.node("sigmoid", name + ".bias_sigmoid", {table})}, {{"factor", 16.0}});
    } else {
      const std::string learned = name + ".relative_position_bias_table";
      b_.tensor({.name = learned, .shape = {apart, heads}, .init = {{"kind", "truncated_normal"}, {"std", 0.02}}});
      table = free_tensor(learned, learned);
    }
    const std::string index = name + ".relative_position_index";
    b_.tensor({.name = index, .dtype = graph::DType::kI64, .shape = {patches * patches}, .role = graph::Role::kConstant,
               .init = {{"kind", "relative_index"}}});
    graph::Value x = b_.node("gather", name + ".bias", {table, free_tensor(index, index)});
    x = reshape(name + ".bias_by_head", permute(name + ".bias_turned", x, {1, 0}), {1, -1, patches, patches});
    const std::vector<std::int64_t> window{w, w};
    const graph::Value mask = b_.node("window_mask", name + ".window_mask", {}, {{"size", sides}, {"window", window}, {"shift", shift}});
    return reshape(name + ".mask", b_.add(name + ".bias_masked", x, mask), {1, -1, patches, patches});
  }

  const Options& o_;
  const Plan& plan_;
  graph::Builder b_;
};

graph::Graph make(const Options& options, const Plan& plan) { return Net(options, plan).build(); }

template <int features, int first_heads>
struct Sized : Options {
  Sized() { dim = features, heads = first_heads; }
};

template <Plan plan>
graph::Graph build(const core::Options& options) {
  return make(static_cast<const Options&>(options), plan);
}

constexpr const char* kSource = "Liu et al. 2021, arXiv:2103.14030, section 3.3";

[[maybe_unused]] const Architecture entries[] = {
    Architecture::make<Sized<96, 3>>("swin_t", "transformer of shifted windows, 12 blocks: 28.3 million parameters for 1,000 classes", kSource,
                                     build<Plan{{2, 2, 6, 2}, 0.2, false}>),
    Architecture::make<Sized<96, 3>>("swin_s", "transformer of shifted windows, 24 blocks: 49.6 million parameters for 1,000 classes", kSource,
                                     build<Plan{{2, 2, 18, 2}, 0.3, false}>),
    Architecture::make<Sized<128, 4>>("swin_b", "transformer of shifted windows, 24 wide blocks: 87.8 million parameters for 1,000 classes", kSource,
                                      build<Plan{{2, 2, 18, 2}, 0.5, false}>),
};

}  // namespace ds::models::swin
