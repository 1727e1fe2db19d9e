#include "base/core/module.h"

#include <dlfcn.h>

#include "base/core/error.h"

namespace ds::core {

void* load_module(const std::string& file, const std::string& hint) {
  void* handle = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (handle == nullptr) {
    const char* reason = dlerror();
    throw Error(Exit::kResource, file, std::string("cannot be loaded: ") + (reason ? reason : "no reason is given"), hint);
  }
  return handle;
}

}  // namespace ds::core
