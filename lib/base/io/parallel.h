// Independent pieces of work on a few threads; for hashing, which has no other pool below it.
#pragma once
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace ds::io {

/// Processors that this process may use.
inline int processors() {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof set, &set) == 0 ? std::max(1, CPU_COUNT(&set)) : 1;
}

/// Calls work(i) for i in 0..count-1, in that order of start, on at most 16 threads. `bytes` is the size of the whole: little is done
/// here and now. The first exception is thrown again after all have ended.
template <class Work>
void parallel(std::size_t count, std::size_t bytes, Work&& work) {
  const std::size_t threads = bytes < (std::size_t{1} << 21) ? 1 : std::min<std::size_t>({count, 16, static_cast<std::size_t>(processors())});
  std::atomic<std::size_t> next{0};
  std::exception_ptr error;
  std::mutex mutex;
  const auto run = [&] {
    for (std::size_t i; (i = next++) < count;) {
      try {
        work(i);
      } catch (...) {
        const std::lock_guard<std::mutex> held(mutex);
        if (!error) error = std::current_exception();
      }
    }
  };
  std::vector<std::thread> others;
  try {
    for (std::size_t i = 1; i < threads; ++i) others.emplace_back(run);
  } catch (const std::system_error&) {  // no thread to be had: this one does the work
  }
  run();
  for (std::thread& thread : others) thread.join();
  if (error) std::rethrow_exception(error);
}

}  // namespace ds::io
