// A command as a child process.
#pragma once
#include <string>
#include <vector>

namespace ds::tune {

/// How a child ended.
struct Ending {
  int code = 0;    ///< exit code where it ended by itself
  int signal = 0;  ///< that ended it; a shell's 128 + n counts as n
  bool ended = false;
};

/// Starts `command` in a process group of its own, with stdin from /dev/null, stdout into the file `out` (made anew) and stderr appended to
/// `err`. It gets SIGTERM when this process dies. Throws ds::Error(kUsage) where the command cannot be run; kResource.
int start_child(const std::vector<std::string>& command, const std::string& out, const std::string& err);
/// Looks whether the child has ended, without waiting.
Ending poll_child(int pid);
/// Tells the child's whole group.
void signal_child(int pid, int signal);

}  // namespace ds::tune
