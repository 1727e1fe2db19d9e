// What becomes of a picture before a net sees it, as timm and transformers write it down. timm/data/transforms_factory.py, transforms_imagenet_eval;
// transformers, models/vit/image_processing_vit.py and kin.
#include <fmt/format.h>

#include <cmath>

#include "base/commands/convert_hf.h"
#include "base/core/error.h"
#include "base/io/image.h"

namespace ds::commands {
namespace hf_images {

using io::Json;

[[noreturn]] void fail(const std::string& where, const std::string& what) { throw Error(Exit::kInput, where, what); }

/// `count` numbers, or one for each channel.
Json numbers(const Json& value, std::int64_t count, const char* key, const std::string& where) {
  bool fits = value.is_array() && static_cast<std::int64_t>(value.size()) == count;
  for (std::size_t i = 0; fits && i < value.size(); ++i) fits = value[i].is_number();
  if (!fits) fail(where, fmt::format("'{}' is {}, expected {} numbers", key, value.dump(), count));
  return value;
}

std::int64_t side(const Json& value, const char* key, const std::string& where) {
  if (!value.is_number_integer() || value < 1 || value > 65535) fail(where, fmt::format("'{}' is {}, expected a number of pixels", key, value.dump()));
  return value;
}

/// {"height", "width"}, or one number for both; nothing where it is neither.
bool both_sides(const Json& size, Json& out, const char* key, const std::string& where) {
  if (size.is_number()) out = {side(size, key, where), side(size, key, where)};
  else if (size.is_object() && size.contains("height") && size.contains("width")) out = {side(size["height"], key, where), side(size["width"], key, where)};
  else return false;
  return true;
}

/// The shape that the graph takes.
Json shape_of(const graph::Graph& graph) {
  const auto& dims = graph.inputs.at(0).type.dims;
  return {dims.at(1).value(), dims.at(2).value(), dims.at(3).value()};
}

}  // namespace hf_images

io::Json preprocessing_of_timm(const io::Json& config, const std::string& where) {
  using namespace hf_images;
  const Json shape = numbers(config.value("input_size", Json()), 3, "input_size", where);
  const std::int64_t channels = side(shape[0], "input_size", where), height = side(shape[1], "input_size", where), width = side(shape[2], "input_size", where);
  const Json pct = config.value("crop_pct", Json(0.875)), mode = config.value("crop_mode", Json("center"));
  const Json kind = config.value("interpolation", Json("bilinear"));
  if (!pct.is_number() || !(pct > 0) || pct > 1) fail(where, fmt::format("'crop_pct' is {}, expected more than 0 and at most 1", pct.dump()));
  if (kind != "bilinear" && kind != "bicubic") fail(where, fmt::format("'interpolation' is {}, expected \"bilinear\" or \"bicubic\"", kind.dump()));
  const auto scaled = [&](std::int64_t size) { return static_cast<std::int64_t>(std::floor(static_cast<double>(size) / pct.get<double>())); };
  if (mode != "center" && mode != "squash") fail(where, fmt::format("'crop_mode' is {}, expected \"center\" or \"squash\"", mode.dump()));
  if (mode == "center" && height != width) fail(where, fmt::format("'input_size' is {}, expected a square where the middle is taken", shape.dump()));
  const Json resize = mode == "center" ? Json(scaled(height)) : Json{scaled(height), scaled(width)};
  return {{"kind", "image"},
          {"shape", shape},
          {"scale", 1.0 / 255},
          {"mean", numbers(config.value("mean", Json({0.485, 0.456, 0.406})), channels, "mean", where)},
          {"std", numbers(config.value("std", Json({0.229, 0.224, 0.225})), channels, "std", where)},
          {"resize", resize},
          {"interpolation", kind}};
}

io::Json timm_of_preprocessing(const io::Json& preprocessing) {
  using hf_images::Json;
  const io::Fit fit = io::fit_of(preprocessing);
  Json config = {{"input_size", {fit.channels, fit.height, fit.width}},
                 {"mean", preprocessing.at("mean")},
                 {"std", preprocessing.at("std")},
                 {"interpolation", fit.filter == io::Filter::kBicubic ? "bicubic" : "bilinear"},
                 {"crop_mode", fit.resize_height > 0 ? "squash" : "center"}};
  const std::int64_t from = fit.resize_height > 0 ? fit.resize_height : std::max(fit.shorter, fit.height);
  double pct = static_cast<double>(fit.height) / static_cast<double>(from);
  // timm rounds size / crop_pct down: it must not fall below what it stands for
  while (std::floor(static_cast<double>(fit.height) / pct) < static_cast<double>(from)) pct = std::nextafter(pct, 0.0);
  config["crop_pct"] = pct;
  return config;
}

io::Json preprocessing_of_transformers(const io::Json& config, const graph::Graph& graph, const std::string& where) {
  using namespace hf_images;
  if (config.is_null()) return nullptr;
  if (!config.is_object()) fail(where, "is no JSON object");
  const Json shape = shape_of(graph);
  const std::int64_t channels = shape[0];
  Json out = {{"kind", "image"}, {"shape", shape}, {"scale", 1.0}, {"mean", std::vector<double>(static_cast<std::size_t>(channels), 0.0)},
              {"std", std::vector<double>(static_cast<std::size_t>(channels), 1.0)}};
  if (config.value("do_rescale", true)) out["scale"] = config.value("rescale_factor", 1.0 / 255);
  if (config.value("do_normalize", true)) {
    out["mean"] = numbers(config.value("image_mean", Json()), channels, "image_mean", where);
    out["std"] = numbers(config.value("image_std", Json()), channels, "image_std", where);
  }
  const Json size = config.value("size", Json()), resample = config.value("resample", Json(2));
  const bool crop = config.value("do_center_crop", false);
  Json sides;
  if (config.value("do_resize", true)) {
    if (resample != 2 && resample != 3) fail(where, fmt::format("'resample' is {}, expected 2 (bilinear) or 3 (bicubic)", resample.dump()));
    out["interpolation"] = resample == 3 ? "bicubic" : "bilinear";
    if (both_sides(size, sides, "size", where)) out["resize"] = sides;
    else if (size.is_object() && size.contains("shortest_edge")) out["resize"] = side(size["shortest_edge"], "size", where);
    else fail(where, fmt::format("'size' is {}, expected height and width, or the shortest edge", size.dump()));
  }
  if (crop && !both_sides(config.value("crop_size", Json()), sides, "crop_size", where)) fail(where, "'crop_size' says no height and width");
  if (sides.is_array() && (sides[0] != shape[1] || sides[1] != shape[2]))
    fail(where, fmt::format("pictures become {}x{}, the net takes {}x{}", sides[0].dump(), sides[1].dump(), shape[1].dump(), shape[2].dump()));
  (void)io::fit_of(out, where);
  return out;
}

io::Json transformers_of_preprocessing(const io::Json& preprocessing) {
  using hf_images::Json;
  const io::Fit fit = io::fit_of(preprocessing);
  const std::int64_t height = fit.resize_height > 0 ? fit.resize_height : fit.height, width = fit.resize_width > 0 ? fit.resize_width : fit.width;
  Json config = {{"image_processor_type", "ViTImageProcessor"},
                 {"do_resize", true},
                 {"resample", fit.filter == io::Filter::kBicubic ? 3 : 2},
                 {"do_rescale", true},
                 {"rescale_factor", preprocessing.value("scale", 1.0 / 255)},
                 {"do_normalize", true},
                 {"image_mean", preprocessing.at("mean")},
                 {"image_std", preprocessing.at("std")}};
  if (fit.resize_height > 0) {
    config["size"] = {{"height", height}, {"width", width}};
    config["do_center_crop"] = false;
  } else {
    config["size"] = {{"shortest_edge", std::max(fit.shorter, std::min(fit.height, fit.width))}};
    config["do_center_crop"] = true;
    config["crop_size"] = {{"height", fit.height}, {"width", fit.width}};
  }
  return config;
}

}  // namespace ds::commands
