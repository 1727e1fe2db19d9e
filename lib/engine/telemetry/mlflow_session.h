// One run on an MLflow server, as requests and answers. What is sent are entries, lines of a spool:
//   {"kind": "run", "server", "experiment", "run_name", "run_id": "" or one, "start_time", "params": {}}
//   {"kind": "metrics", "points": [[key, value, step, time]]}
//   {"kind": "end", "status", "end_time"}
#pragma once
#include <map>
#include <string>

#include "engine/telemetry/http.h"
#include "engine/telemetry/mlflow.h"

namespace ds::telemetry {

class MlflowSession {
 public:
  explicit MlflowSession(const io::Endpoint& server);
  /// "" or what went wrong.
  std::string send(const Json& entry);
  const std::string& id() const { return id_; }
  std::int64_t points() const { return points_; }  ///< that were sent
  bool may_pass() const { return may_pass_; }      ///< what went wrong last may be another way soon

 private:
  std::string call(const std::string& method, const std::string& path, const Json& body, Json& answer);
  std::string begin(const Json& entry);
  std::string find_experiment(const std::string& name, std::string& experiment);
  std::string go_on();
  std::string send_params(const Json& params);
  std::string send_points(const Json& points);
  Client client_;
  std::map<std::string, std::string> headers_;
  std::string id_, code_;
  std::map<std::string, std::int64_t> last_;  ///< step of each key's last point
  std::int64_t points_ = 0, begun_ = 0;
  bool may_pass_ = false;
};

}  // namespace ds::telemetry
