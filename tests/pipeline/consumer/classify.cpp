// classify MODEL.h5 PICTURE: the model's outputs, by the executor.
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <base/core/error.h>
#include <base/io/checkpoint.h>
#include <base/io/image.h>
#include <engine/data/pixels.h>
#include <engine/exec/executor.h>

#include <cstdio>

int main(int argc, char** argv) try {
  if (argc != 3) throw ds::Error(ds::Exit::kUsage, "classify", "two arguments are expected: a checkpoint and a picture");
  const ds::io::Checkpoint checkpoint = ds::io::load(argv[1], {});
  ds::exec::Model model = ds::exec::model_from(checkpoint);
  const ds::data::Pixels pixels(checkpoint.preprocessing);
  const ds::io::Fit fit = ds::io::fit_of(checkpoint.preprocessing);
  const ds::io::Image picture = ds::io::fit_image(ds::io::read_image(argv[2], static_cast<int>(fit.channels)), fit);

  std::vector<std::uint8_t> planes;  // [H, W, C] to [C, H, W]
  for (std::int64_t c = 0; c < fit.channels; ++c)
    for (std::int64_t i = 0; i < fit.height * fit.width; ++i) planes.push_back(picture.pixels[static_cast<std::size_t>(i * fit.channels + c)]);
  const at::Tensor input = at::empty({1, fit.height, fit.width, fit.channels});
  pixels.convert(planes.data(), input.mutable_data_ptr<float>());

  ds::exec::Executor executor(model);
  const at::Tensor output = executor.run({input.permute({0, 3, 1, 2})}, {}).at(0).contiguous();
  for (std::int64_t i = 0; i < output.numel(); ++i) std::printf("%.9g\n", static_cast<double>(output.const_data_ptr<float>()[i]));
  return 0;
} catch (const ds::Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return static_cast<int>(error.code());
}
