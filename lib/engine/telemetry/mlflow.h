// MLflow's tracking server over its REST API 2.0.
#pragma once
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/io/endpoint.h"

namespace ds::telemetry {

using Json = nlohmann::json;

struct MlflowRun {
  io::Endpoint server;
  std::string experiment = "Default";
  std::string name;    ///< of the run
  std::string id;      ///< of a run that is there and goes on; "" = a new one
  std::string spool;   ///< file for what could not be sent, "" = it is lost
  bool resumed = false;  ///< goes on where a spool that is there ends
};

struct MlflowPoint {
  std::string key;
  double value = 0;
  std::int64_t step = 0, time_ms = 0;
};

/// Milliseconds since 1970.
std::int64_t mlflow_now();

/// A run on a server. All of it is sent by a thread of its own. Where the server fails, one warning is given, and from then on all goes to the
/// spool, which replay_mlflow sends later. Tokens come from MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD.
class Mlflow {
 public:
  /// `params`: texts by name, written once.
  Mlflow(MlflowRun run, const Json& params);
  /// A run that was not ended is "FAILED". Waits some seconds for what is left, then spools it.
  ~Mlflow();
  /// Points of steps that the server has already, of a run that goes on, are left out.
  void log(std::vector<MlflowPoint> points);
  /// `status`: FINISHED, FAILED or KILLED.
  void end(const std::string& status);
  /// The run's id as far as the server has told it.
  std::string id() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Sends a spool. What was sent already is not sent twice; done, the file becomes `<file>.sent`. `server` "": the one that the spool names.
/// Returns {"run_id", "points", "server"}. Throws ds::Error: kInput for a file that is no spool, kFailure where the server fails.
Json replay_mlflow(const std::string& file, const std::string& server);

}  // namespace ds::telemetry
