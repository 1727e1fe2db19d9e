#include "base/core/signals.h"

#include <unistd.h>
#include <csignal>

#include <initializer_list>

#include "base/core/error.h"

namespace ds::core {
namespace {

// Handlers run between any two instructions: they touch only these.
volatile std::sig_atomic_t stop = 0, save = 0, interrupts = 0, on_terminal = 0;

void on_stop(int signal) {
  if (signal == SIGINT && interrupts > 0) {
    static const char line[] = "\ninterrupted a second time: stopped at once, nothing more was saved\n";
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line, sizeof line - 1);
    std::signal(SIGINT, SIG_DFL);
    ::_exit(130);
  }
  if (signal == SIGINT) {
    interrupts = interrupts + 1;
    static const char line[] = "\nstopping after this step; interrupt again to stop at once\n";
    if (on_terminal != 0 && ::write(STDERR_FILENO, line, sizeof line - 1) < 0) on_terminal = 0;
  }
  stop = 1;
}

void on_save(int) { save = 1; }

void handle(int signal, void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  sigaction(signal, &action, nullptr);
}

}  // namespace

void install_signals() {
  on_terminal = ::isatty(STDERR_FILENO);
  for (const int signal : {SIGINT, SIGTERM}) handle(signal, on_stop);
  // nohup has SIGHUP ignored: leave it so.
  struct sigaction old = {};
  sigaction(SIGHUP, nullptr, &old);
  if (old.sa_handler != SIG_IGN) handle(SIGHUP, on_stop);
  handle(SIGUSR1, on_save);
  // A reader that went away must not kill a training run: writes report EPIPE instead.
  handle(SIGPIPE, SIG_IGN);
  // Nor a limit on the size of files: writes report EFBIG.
  handle(SIGXFSZ, SIG_IGN);
}

bool stop_requested() { return stop != 0; }

void stop_if_requested() {
  if (stop != 0) throw Error(Exit::kInterrupted, "", "stopped by a signal");
}

bool take_save_request() {
  if (save == 0) return false;
  save = 0;
  return true;
}

void request_stop() { stop = 1; }

void reset_signals() {
  stop = 0;
  save = 0;
  interrupts = 0;
}

}  // namespace ds::core
