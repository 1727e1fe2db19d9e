// metrics.jsonl: one JSON object a line, whole at any moment.
#pragma once
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace ds::telemetry {

using Json = nlohmann::json;

/// Lines have "kind": "step" (with "step", of 1 for the first), "epoch" (with "epoch" and "step") or "alarm" (with "step").
class RunLog {
 public:
  /// Opens `path` for a run of which `steps` steps and `epochs` epochs are done: lines of what is yet to come, which a run that was killed left
  /// behind its last saved state, are cut, and so is one that is not whole. Throws ds::Error(kResource).
  RunLog(const std::string& path, std::int64_t steps, std::int64_t epochs);
  ~RunLog();
  RunLog(const RunLog&) = delete;
  RunLog& operator=(const RunLog&) = delete;
  /// One write: a kill leaves all of it or nothing. Throws ds::Error(kResource).
  void line(const Json& line);

 private:
  std::string path_;
  int fd_ = -1;
};

}  // namespace ds::telemetry
