#include "engine/tune/child.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/core/error.h"

namespace ds::tune {
namespace {

int open_or_throw(const std::string& path, int flags) {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC, 0666);
  if (fd < 0) throw Error(Exit::kResource, path, fmt::format("cannot be written: {}", std::strerror(errno)));
  return fd;
}

/// What the child does before it becomes the command: calls that are safe after a fork of a program with threads, and no others.
[[noreturn]] void become(char* const* argv, pid_t parent, int in, int out, int err, int report) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != parent) ::_exit(75);  // it died before that was asked for
  struct sigaction standard = {};
  standard.sa_handler = SIG_DFL;
  for (const int ignored : {SIGPIPE, SIGXFSZ}) ::sigaction(ignored, &standard, nullptr);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  if (::dup2(in, 0) >= 0 && ::dup2(out, 1) >= 0 && ::dup2(err, 2) >= 0) ::execvp(argv[0], argv);
  const int error = errno;
  [[maybe_unused]] const auto written = ::write(report, &error, sizeof error);
  ::_exit(127);
}

}  // namespace

int start_child(const std::vector<std::string>& command, const std::string& out, const std::string& err) {
  const int in_fd = open_or_throw("/dev/null", O_RDONLY), out_fd = open_or_throw(out, O_WRONLY | O_CREAT | O_TRUNC),
            err_fd = open_or_throw(err, O_WRONLY | O_CREAT | O_APPEND);
  int report[2];
  if (::pipe2(report, O_CLOEXEC) != 0) throw Error(Exit::kResource, command[0], fmt::format("no pipe: {}", std::strerror(errno)));
  std::vector<char*> argv;
  for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  const pid_t parent = ::getpid(), pid = ::fork();
  if (pid == 0) become(argv.data(), parent, in_fd, out_fd, err_fd, report[1]);
  const int fork_error = errno;
  for (const int fd : {in_fd, out_fd, err_fd, report[1]}) ::close(fd);
  if (pid < 0) {
    ::close(report[0]);
    throw Error(Exit::kResource, command[0], fmt::format("cannot be started: {}", std::strerror(fork_error)));
  }
  int error = 0;
  ssize_t got = 0;
  do got = ::read(report[0], &error, sizeof error);
  while (got < 0 && errno == EINTR);
  ::close(report[0]);
  if (got == sizeof error) {
    ::waitpid(pid, nullptr, 0);
    throw Error(Exit::kUsage, command[0], fmt::format("cannot be run: {}", std::strerror(error)), "is it on the PATH?");
  }
  return pid;
}

Ending poll_child(int pid) {
  int status = 0;
  const pid_t got = ::waitpid(pid, &status, WNOHANG);
  Ending ending;
  if (got == 0 || (got < 0 && errno == EINTR)) return ending;
  ending.ended = true;
  if (got < 0) {
    ending.signal = SIGKILL;  // reaped by somebody else: nothing is known of it
  } else if (WIFSIGNALED(status)) {
    ending.signal = WTERMSIG(status);
  } else {
    ending.code = WEXITSTATUS(status);
    if (ending.code > 128 && ending.code <= 128 + 64) ending.signal = ending.code - 128;
  }
  return ending;
}

void signal_child(int pid, int signal) {
  if (::kill(-pid, signal) != 0) ::kill(pid, signal);
}

}  // namespace ds::tune
