// make_sample FILE SCALE: a small checkpoint for tests of the tools from the outside; `SCALE` makes its weights and so its digest.
#include <cstdio>
#include <cstdlib>

#include "base/core/error.h"
#include "base/io/checkpoint.h"

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  try {
    ds::io::Checkpoint c;
    const auto add = [](std::map<std::string, ds::io::Array>& to, const char* name, std::vector<std::int64_t> shape, float scale) {
      ds::io::Array array = ds::io::make_array(ds::io::DType::kF32, std::move(shape));
      for (std::int64_t i = 0; i < array.numel(); ++i) array.as<float>()[i] = scale * float(i + 1);
      to[name] = array;
    };
    add(c.tensors, "fc.weight", {2, 3}, float(std::atof(argv[2])));
    add(c.tensors, "fc.bias", {2}, 0.5f);
    add(c.state_tensors, "moment/fc.weight", {2, 3}, 0.1f);
    c.labels = {"zero", "one"};
    c.history = {{{"epoch", 1}, {"val_loss", 0.5}}, {{"epoch", 2}, {"val_loss", 0.25}}};
    c.provenance = {{{"tool", "ds-train"}, {"version", "0.1.0"}, {"argv", {"ds-train", "-o", "a.h5"}}}};
    ds::io::save(c, argv[1], {.overwrite = true});
    return 0;
  } catch (const ds::Error& error) {
    std::fprintf(stderr, "make_sample: %s\n", error.what());
    return int(error.code());
  }
}
