// dump_tensors FILE: the tensors of a checkpoint as one line of JSON, {name: {"dtype", "shape", "values" (row-major)}}, for tests of the tools
// from the outside.
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/core/error.h"
#include "base/io/checkpoint.h"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  try {
    nlohmann::json tensors = nlohmann::json::object();
    for (const auto& [name, array] : ds::io::load(argv[1]).tensors) {
      auto values = nlohmann::json::array();
      for (std::int64_t i = 0; i < array.numel(); ++i) values.push_back(ds::io::element(array, i));
      tensors[name] = {{"dtype", ds::io::dtype_name(array.dtype)}, {"shape", array.shape}, {"values", values}};
    }
    std::printf("%s\n", tensors.dump().c_str());
    return 0;
  } catch (const ds::Error& error) {
    std::fprintf(stderr, "dump_tensors: %s\n", error.what());
    return int(error.code());
  }
}
