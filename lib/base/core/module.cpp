#include "base/core/module.h"

#include <dlfcn.h>

#include <cstdlib>

#include "base/core/error.h"
#include "base/core/tool.h"

namespace ds::core {

void* load_module(const std::string& file, const std::string& hint) {
  void* handle = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (handle == nullptr) {
    const char* reason = dlerror();
    throw Error(Exit::kResource, file, std::string("cannot be loaded: ") + (reason ? reason : "no reason is given"), hint);
  }
  return handle;
}

void run_engine(const std::string& command, const CommandOptions& options, Record& record) {
  // libgomp's threads spin for 300,000 turns at each barrier before they sleep: on a machine that does anything else (a data loader's
  // thread is enough) that takes the processor from who should run. A short spin costs nothing where it is idle.
  setenv("GOMP_SPINCOUNT", "1000", /*overwrite=*/0);
  void* engine = load_module("libds.so", "run scripts/setup.sh, then build again");
  auto* run = reinterpret_cast<void (*)(const char*, const CommandOptions&, Record&)>(dlsym(engine, "ds_engine_run"));
  if (run == nullptr) throw Error(Exit::kFailure, "libds.so", "has no ds_engine_run", "build again: libds.so and libds_base.so differ");
  run(command.c_str(), options, record);
}

}  // namespace ds::core
