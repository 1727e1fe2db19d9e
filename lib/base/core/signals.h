// Signals become flags that loops ask at step boundaries. A second SIGINT stops at once.
#pragma once

namespace ds::core {

void install_signals();
/// SIGINT or SIGTERM (or SIGHUP) arrived: finish the step, save, exit 75.
bool stop_requested();
/// Throws ds::Error(kInterrupted) where a stop was requested: for work that has nothing worth saving yet.
void stop_if_requested();
/// SIGUSR1 arrived since the last call: save and go on. Clears the flag.
bool take_save_request();
/// For tests.
void request_stop();
void reset_signals();

}  // namespace ds::core
