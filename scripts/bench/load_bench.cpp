// bench_load make FILE [N] writes a checkpoint of N float32 tensors of 3.1 MB (160: 500 MB)
// bench_load time FILE N   loads it N times each way and prints the medians in milliseconds as JSON
// Called by load.py, which puts the figures beside those of safetensors, and by start.py.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>

#include "base/core/error.h"
#include "base/io/checkpoint.h"

namespace {

double median_ms(int n, const std::function<void()>& work) {
  std::vector<double> times;
  for (int i = 0; i < n; ++i) {
    const auto start = std::chrono::steady_clock::now();
    work();
    times.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

void make(const char* path, int tensors) {
  ds::io::Checkpoint c;
  for (int i = 0; i < tensors; ++i) {
    ds::io::Array array = ds::io::make_array(ds::io::DType::kF32, {763, 1024});
    for (std::int64_t k = 0; k < array.numel(); ++k) array.as<float>()[k] = float(k % 1000) * 1e-3f + float(i);
    char name[32];
    std::snprintf(name, sizeof name, "layer%d.weight", i);
    c.tensors[name] = array;
  }
  const auto start = std::chrono::steady_clock::now();
  ds::io::save(c, path, {.overwrite = true});
  std::printf("{\"save_ms\": %.1f}\n", std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
}

void time(const char* path, int n) {
  ds::io::load(path);  // warm cache
  std::size_t bytes = 0;
  for (const auto& [name, array] : ds::io::load(path).tensors) bytes += array.bytes();
  const double bare = median_ms(n, [&] { ds::io::load(path, {.verify = false}); });
  const double verified = median_ms(n, [&] { ds::io::load(path); });
  std::printf("{\"bytes\": %zu, \"unverified_ms\": %.3f, \"verified_ms\": %.3f}\n", bytes, bare, verified);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if ((argc == 3 || argc == 4) && std::strcmp(argv[1], "make") == 0) make(argv[2], argc == 4 ? std::atoi(argv[3]) : 160);
    else if (argc == 4 && std::strcmp(argv[1], "time") == 0) time(argv[2], std::atoi(argv[3]));
    else return 2;
  } catch (const ds::Error& error) {
    std::fprintf(stderr, "bench_load: %s\n", error.what());
    return int(error.code());
  }
}
