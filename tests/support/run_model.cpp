// run_model make ARCH FILE [--side N] [KEY=VALUE ...]: a checkpoint of an architecture with weights by a formula of their names (BatchNorm's variances
// in 0.5 to 2), so that outputs tell nets apart. run_model run MODEL IN.npz OUT.npz: the outputs of the graph for its inputs by name.
#include <ATen/Parallel.h>

#include <cmath>
#include <cstdio>

#include "base/core/error.h"
#include "base/core/tool.h"
#include "base/io/numpy.h"
#include "base/models/models.h"
#include "engine/exec/executor.h"

using namespace ds;

namespace {

/// Uniform in -1..1, by the name and the place alone.
double number(const std::string& name, std::uint64_t i) {
  std::uint64_t z = 0xcbf29ce484222325;
  for (const char c : name) z = (z ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  z += i + 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  z ^= z >> 31;
  return 2.0 * static_cast<double>(z >> 11) / 9007199254740992.0 - 1.0;
}

io::Array weights(const graph::TensorSpec& spec) {
  io::Array array = io::make_array(io::DType::kF32, spec.shape);
  const double scale = spec.shape.empty() ? 1 : std::sqrt(3.0 / (static_cast<double>(array.numel()) / static_cast<double>(spec.shape[0])));
  for (std::int64_t i = 0; i < array.numel(); ++i) {
    const double u = number(spec.name, static_cast<std::uint64_t>(i));
    const bool row = spec.shape.size() == 1;
    array.as<float>()[i] = static_cast<float>(spec.name.ends_with("running_var") ? 1.25 + 0.75 * u
                                              : row && spec.name.ends_with("weight") ? 1 + 0.5 * u
                                              : row                                  ? 0.1 * u
                                                                                     : scale * u);
  }
  return array;
}

models::DataSizes data_for(const std::string& arch, std::int64_t side) {
  if (models::takes(arch, models::InputKind::kTokens)) return {.kind = models::InputKind::kTokens, .num_classes = 5, .vocab_size = 50, .length = 16};
  return {.num_classes = 5, .channels = 3, .height = side, .width = side};
}

int make(const std::string& arch, const std::string& path, const std::vector<std::string>& rest) {
  core::Choice choice("architecture", arch, "arch");
  choice.select(arch);
  io::Json options = io::Json::object();
  std::int64_t side = 64;
  for (std::size_t i = 0; i < rest.size(); ++i) {
    const std::size_t equal = rest[i].find('=');
    if (rest[i] == "--side") side = std::stoll(rest.at(++i));
    else options[rest[i].substr(0, equal)] = io::Json::parse(rest[i].substr(equal + 1));
  }
  core::from_json(*choice.options, options, "run_model");
  const graph::Graph graph = models::build(choice, data_for(arch, side));
  io::Checkpoint checkpoint;
  checkpoint.graph = graph::to_json(graph);
  const exec::Model fresh = exec::make_model(graph, 1);  // indices are what their initialiser says
  for (const graph::TensorSpec& spec : graph.tensors)
    checkpoint.tensors[spec.name] = io::is_float(spec.dtype) ? weights(spec) : exec::to_array(fresh.tensors.at(spec.name));
  io::save(checkpoint, path, {.overwrite = true, .reproducible = true});
  return 0;
}

int run(const std::string& path, const std::string& in, const std::string& out) {
  at::set_num_threads(1);
  exec::Model model = exec::model_from(io::load(path));
  const io::TensorFile given = io::read_tensors(in);
  std::vector<at::Tensor> inputs;
  for (const graph::Input& input : model.graph.inputs) inputs.push_back(exec::to_tensor(given.tensors.at(input.name)));
  exec::Executor executor(model);
  const std::vector<at::Tensor> outputs = executor.run(inputs, {});
  io::TensorFile file;
  for (std::size_t i = 0; i < outputs.size(); ++i) file.tensors[model.graph.outputs[i].name] = exec::to_array(outputs[i].contiguous());
  io::write_tensors(out, file, true);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  try {
    if (words.size() >= 3 && words[0] == "make") return make(words[1], words[2], {words.begin() + 3, words.end()});
    if (words.size() == 4 && words[0] == "run") return run(words[1], words[2], words[3]);
    return 2;
  } catch (const Error& error) {
    std::fprintf(stderr, "run_model: %s\n", error.what());
    return int(error.code());
  }
}
