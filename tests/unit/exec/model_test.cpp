// Between checkpoints and tensors: nothing is copied, nothing that does not fit is taken.
#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>

#include "base/core/error.h"
#include "base/graph/builder.h"
#include "engine/exec/model.h"

using namespace ds;

namespace {

exec::Model net() {
  graph::Builder b;
  graph::Value x = b.input("image", graph::DType::kF32, {graph::Dim::symbol("N"), 3, 4, 4});
  x = b.batch_norm2d("bn", b.conv2d("conv", x, 8, 3, 1, 1));
  b.output("logits", b.linear("fc", b.flatten("flat", x), 2));
  return exec::make_model(b.finish(), 1);
}

std::string message(const io::Checkpoint& checkpoint) {
  try {
    exec::model_from(checkpoint);
  } catch (const Error& e) {
    CHECK((e.code() == Exit::kInput));
    return e.where() + ": " + e.message();
  }
  return "no error";
}

}  // namespace

TEST_CASE("model: what is loaded computes on the file's own mapping") {
  const std::string path = (std::filesystem::temp_directory_path() / ("ds-model-" + std::to_string(getpid()) + ".h5")).string();
  io::Checkpoint saved;
  exec::Model model = net();
  exec::store(model, saved);
  io::save(saved, path, {.overwrite = true});
  exec::Model loaded;
  {
    const io::Checkpoint checkpoint = io::load(path);
    loaded = exec::model_from(checkpoint);
    for (const auto& [name, tensor] : loaded.tensors) CHECK(static_cast<const void*>(tensor.data_ptr()) == checkpoint.tensors.at(name).data);
  }
  std::filesystem::remove(path);
  for (const auto& [name, tensor] : model.tensors) CHECK(tensor.equal(loaded.tensors.at(name)));  // the mapping outlives checkpoint and file
  exec::Model copy = loaded.clone();
  copy.tensors.at("fc.bias").fill_(7);
  CHECK(model.tensors.at("fc.bias").equal(loaded.tensors.at("fc.bias")));
}

TEST_CASE("model: memory format and gradients leave the digest alone") {
  exec::Model model = net();
  io::Checkpoint plain, other;
  exec::store(model, plain);
  model.require_grad(true);
  model.to_channels_last();
  CHECK(model.tensors.at("conv.weight").is_contiguous(at::MemoryFormat::ChannelsLast));
  CHECK(model.tensors.at("conv.weight").requires_grad());
  CHECK_FALSE(model.tensors.at("bn.running_mean").requires_grad());
  exec::store(model, other);
  CHECK(io::root_digest(other) == io::root_digest(plain));
}

TEST_CASE("model: a file whose tensors are not the graph's is refused by name") {
  io::Checkpoint good;
  exec::store(net(), good);
  good.path = "net.h5";
  CHECK(message(good) == "no error");
  io::Checkpoint bad = good;
  bad.tensors.erase("fc.bias");
  CHECK(message(bad) == "net.h5:/tensors/fc.bias: the graph names this tensor, the file lacks it");
  bad = good;
  bad.tensors["fc.bias"] = io::make_array(io::DType::kF32, {3});
  CHECK(message(bad) == "net.h5:/tensors/fc.bias: float32[3], the graph says float32[2]");
  bad = good;
  bad.tensors["fc.bias"] = io::make_array(io::DType::kI32, {2});
  CHECK(message(bad) == "net.h5:/tensors/fc.bias: int32[2], the graph says float32[2]");
  bad = good;
  bad.graph["nodes"][0]["op"] = "conv3d";
  CHECK(message(bad).find("net.h5") == 0);
}
