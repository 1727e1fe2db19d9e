#include "base/commands/onnx_module.h"

#include <dlfcn.h>

#include <filesystem>

#include "base/core/error.h"
#include "base/core/module.h"

namespace ds::commands {

bool is_onnx_name(const std::string& path) { return std::filesystem::path(path).extension() == ".onnx"; }

const OnnxModule& onnx_module() {
  static const OnnxModule& module = [&]() -> const OnnxModule& {
    void* handle = core::load_module("libds_onnx.so", "install libonnx-dev and libprotobuf-dev (Debian), then build again");
    auto* offer = reinterpret_cast<const OnnxModule& (*)()>(dlsym(handle, "ds_onnx_module"));
    if (offer == nullptr) throw Error(Exit::kFailure, "libds_onnx.so", "has no ds_onnx_module", "build again: libds_onnx.so and libds_base.so differ");
    return offer();
  }();
  return module;
}

}  // namespace ds::commands
