// The one door into libds.so. LibTorch's exceptions end here: what leaves is ds::Error.
#include <ATen/Parallel.h>
#include <c10/util/Exception.h>
#include <malloc.h>
#include <torch/version.h>

#include "base/core/error.h"
#include "base/core/host.h"
#include "base/core/registry.h"
#include "base/core/tool.h"
#include "engine/device.h"
#include "engine/exec/memory.h"

namespace {

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

void enter(const ds::core::CommandOptions& options, ds::core::Record& record) {
  // Keep freed tensors: by default glibc hands large blocks back to the kernel, which clears each page when they return.
  mallopt(M_MMAP_THRESHOLD, 32 << 20);  // the most that glibc takes
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  record["device"] = ds::engine::select_device(options.common.device);
  record["versions"]["torch"] = TORCH_VERSION;
  ds::exec::install_allocator();
  ds::exec::set_limit(ds::core::memory_limit_bytes(options.common.memory_limit));
  at::set_num_threads(ds::core::thread_count(options.common.threads));
}

}  // namespace

/// Runs the engine command of that name; called by run_tool through dlsym.
/// Throws ds::Error: kResource out of memory or no such device, kFailure what LibTorch threw, and the command's own.
extern "C" void ds_engine_run(const char* name, const ds::core::CommandOptions& options, ds::core::Record& record) try {
  auto* command = ds::core::body<ds::core::Command>("command", name);
  enter(options, record);
  command(options, record);
} catch (const c10::OutOfMemoryError& e) {
  throw ds::Error(ds::Exit::kResource, "", "out of memory: " + first_line(e.what_without_backtrace()),
                  "lower the batch size or raise --memory-limit");
} catch (const c10::Error& e) {
  throw ds::Error(ds::Exit::kFailure, name, first_line(e.what_without_backtrace()));
}
