// Who holds a lock or a claim in a folder.
#pragma once
#include <string>

namespace ds::io {

/// A process: host, pid, and the clock tick at which it began, since a pid is given again.
struct Holder {
  std::string host, start;
  int pid = 0;
};
Holder this_process();
/// False where that process is known to have ended. One of another host counts as alive.
bool alive(const Holder& holder);

}  // namespace ds::io
