#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include "base/core/error.h"
#include "engine/commands/predict.h"
#include "engine/data/pixels.h"

namespace ds::commands::predict {
namespace {

class Pictures : public Kind {
 public:
  Pictures(const Opened& opened, const PredictCommand& options) : preprocessing_(opened.checkpoint.preprocessing), top_(options.top) {
    const std::string file = file_of(opened), where = file + ":/documents/preprocessing";
    const data::Pixels pixels(preprocessing_, where);
    fit_ = io::fit_of(preprocessing_, where);
    const graph::Graph& graph = opened.model.graph;
    const auto& dims = graph.inputs.at(0).type.dims;
    const std::int64_t sizes[] = {pixels.channels, pixels.height, pixels.width};
    bool fits = graph.inputs.size() == 1 && dims.size() == 4;
    for (std::size_t i = 1; fits && i < 4; ++i) fits = !dims[i].is_known() || dims[i].value() == sizes[i - 1];
    if (!fits)
      throw Error(Exit::kInput, file,
                  fmt::format("the model takes {}, its preprocessing gives pictures of {}x{}x{}", graph::type_text(graph.inputs[0].type), sizes[0],
                              sizes[1], sizes[2]));
    if (!options.raw) labels_ = read_labels(opened, train::output_classes(graph));
  }

  bool reads_lines() const override { return false; }
  bool take(const std::string&, std::int64_t, Item&) override { return true; }

  void read(Item& item) const override {
    if (item.name.empty()) throw Error(Exit::kInput, "", "is an empty line, expected the path of a picture");
    if (item.name.find('\0') != std::string::npos) throw Error(Exit::kInput, "", "is no path: it has a zero byte");
    item.picture = io::fit_image(io::read_image(item.name, static_cast<int>(fit_.channels)), fit_);
  }

  std::vector<at::Tensor> batch(const std::vector<const Item*>& items) const override {
    const std::int64_t size = fit_.height * fit_.width;
    at::Tensor images =
        at::empty({static_cast<std::int64_t>(items.size()), fit_.channels, fit_.height, fit_.width}, at::TensorOptions().dtype(at::kByte));
    auto* to = images.mutable_data_ptr<std::uint8_t>();
    for (const Item* item : items)
      for (std::int64_t c = 0; c < fit_.channels; ++c)
        for (std::int64_t p = 0; p < size; ++p) *to++ = item->picture.pixels[static_cast<std::size_t>(p * fit_.channels + c)];
    return {data::preprocess(images, preprocessing_)};
  }

  std::string values(const Item&, const at::Tensor& scores) const override {
    if (scores.dim() != 1) throw Error(Exit::kInput, "", "the model's output is no row of scores for each picture", "--raw prints any output");
    return labels_and_scores(scores.const_data_ptr<float>(), labels_, top_);
  }

 private:
  const Json& preprocessing_;
  std::int64_t top_;
  io::Fit fit_;
  std::vector<std::string> labels_;
};

}  // namespace

std::unique_ptr<Kind> pictures(const Opened& opened, const PredictCommand& options) { return std::make_unique<Pictures>(opened, options); }

}  // namespace ds::commands::predict
