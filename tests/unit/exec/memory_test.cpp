// Memory accounting: exact figures, and a limit that is an error and not a kill.
#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <c10/core/CPUAllocator.h>
#include <doctest/doctest.h>

#include <cstdint>

#include "base/core/error.h"
#include "base/core/host.h"
#include "base/graph/builder.h"
#include "engine/exec/executor.h"
#include "engine/exec/memory.h"

using namespace ds;

namespace {

constexpr std::int64_t kMiB = 1 << 20;

at::Tensor mebibytes(std::int64_t n) { return at::empty({n * kMiB}, at::kByte); }

struct Limit {
  explicit Limit(std::int64_t more) {
    exec::install_allocator();
    exec::set_limit(exec::memory_use().live + more);
  }
  ~Limit() { exec::set_limit(0); }
};

}  // namespace

TEST_CASE("memory: live and peak count every byte of every tensor") {
  exec::install_allocator();
  exec::reset_peak();
  const exec::MemoryUse before = exec::memory_use();
  {
    const at::Tensor a = mebibytes(3);
    CHECK(exec::memory_use().live - before.live == 3 * kMiB);
    CHECK(exec::memory_use().allocations == before.allocations + 1);
    { const at::Tensor b = mebibytes(2); }
    const at::Tensor view = a.narrow(0, 5, 100);  // no memory of its own
    CHECK(exec::memory_use().live - before.live == 3 * kMiB);
    CHECK(exec::memory_use().peak - before.live == 5 * kMiB);
    CHECK(reinterpret_cast<std::uintptr_t>(a.data_ptr()) % 64 == 0);
    const at::Tensor odd = at::empty({7}, at::kByte), none = at::empty({0}, at::kByte);
    CHECK(exec::memory_use().live - before.live == 3 * kMiB + 7);
  }
  CHECK(exec::memory_use().live == before.live);
  exec::reset_peak();
  CHECK(exec::memory_use().peak == before.live);
  CHECK(exec::resident_bytes() > 10 * kMiB);
}

TEST_CASE("memory: beyond the limit an allocation is a resource error that says what was asked for, and nothing is lost") {
  const Limit limit(4 * kMiB);
  const std::int64_t before = exec::memory_use().live;
  const at::Tensor a = mebibytes(3);
  try {
    mebibytes(2);
    FAIL("no error");
  } catch (const Error& e) {
    CHECK(e.code() == Exit::kResource);
    CHECK(e.message().find("a tensor of 2 MiB was asked for") != std::string::npos);
    CHECK(e.hint().find("--memory-limit") != std::string::npos);
  }
  CHECK(exec::memory_use().live == before + 3 * kMiB);
  CHECK_NOTHROW(mebibytes(1));  // what fits still does
}

TEST_CASE("memory: a step that needs too much is a resource error too, forward and backward, and the executor goes on") {
  graph::Builder b;
  graph::Value x = b.input("x", graph::DType::kF32, {graph::Dim::symbol("N"), 64});
  for (int i = 0; i < 8; ++i) x = b.node("sigmoid", "layer" + std::to_string(i), {x});
  b.output("y", x);
  exec::Model model = exec::make_model(b.finish(), 1);
  exec::Executor executor(model);
  const at::Tensor small = at::ones({4, 64}), large = at::ones({4 * kMiB / 256, 64}).requires_grad_(true);
  const auto code = [&](auto&& work) {
    try {
      work();
    } catch (const Error& e) {
      return e.code();
    }
    return Exit::kDone;
  };
  const Limit limit(36 * kMiB);  // eight values of 4 MiB, and next to nothing for gradients
  at::Tensor y;
  {
    const Limit little(20 * kMiB);
    CHECK((code([&] { executor.run({large}, {}, {.training = true}); }) == Exit::kResource));
  }
  exec::set_limit(exec::memory_use().live + 36 * kMiB);
  CHECK((code([&] { y = executor.run({large}, {}, {.training = true})[0]; }) == Exit::kDone));
  CHECK((code([&] { y.sum().backward(); }) == Exit::kResource));
  y.reset();
  CHECK((code([&] { executor.run({small}, {}); }) == Exit::kDone));
}

TEST_CASE("memory: what a limit may be") {
  CHECK(core::memory_limit_bytes("auto") > 0);
  CHECK(core::memory_limit_bytes("64KiB") == 64 << 10);
}
