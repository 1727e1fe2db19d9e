#include "engine/telemetry/mlflow_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>

#include "base/report/svg.h"

namespace ds::telemetry {
namespace {

// Limits of log-batch; of what a parameter may say, that of older servers.
constexpr std::size_t kMostPoints = 1000, kMostParams = 100, kMostText = 500, kMostKey = 250;
constexpr double kSeconds = 10;  // a server that has just begun takes some for its first answers
constexpr const char* kRoot = "/api/2.0/mlflow/";

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string in_query(const std::string& text) {
  std::string out;
  for (const unsigned char c : text) out += std::isalnum(c) ? std::string(1, static_cast<char>(c)) : fmt::format("%{:02X}", c);
  return out;
}

/// Names may have letters, digits and _-./ and blanks alone.
std::string key_of(std::string name) {
  for (char& c : name)
    if (!std::isalnum(static_cast<unsigned char>(c)) && std::string("_-./ ").find(c) == std::string::npos) c = '_';
  return name.substr(0, kMostKey);
}

std::string text_of(const Json& value) { return report::shortened(value.is_string() ? value.get<std::string>() : value.dump(), kMostText); }

}  // namespace

MlflowSession::MlflowSession(const io::Endpoint& server) : client_(server, kSeconds) {
  const std::string token = variable("MLFLOW_TRACKING_TOKEN"), user = variable("MLFLOW_TRACKING_USERNAME");
  if (!token.empty())
    headers_["Authorization"] = "Bearer " + token;
  else if (!user.empty())
    headers_["Authorization"] = basic_credentials(user, variable("MLFLOW_TRACKING_PASSWORD"));
}

std::string MlflowSession::call(const std::string& method, const std::string& path, const Json& body, Json& answer) {
  const Response response =
      client_.send({method, kRoot + path, body.is_null() ? "" : body.dump(-1, ' ', false, Json::error_handler_t::replace), "application/json", headers_});
  may_pass_ = response.status == 0 || response.status == 429 || response.status >= 500;
  answer = Json::parse(response.body, nullptr, false);
  if (answer.is_discarded()) answer = Json::object();
  code_ = answer.is_object() ? answer.value("error_code", "") : "";
  if (response.ok()) return answer.is_object() ? "" : "answers something else than MLflow does";
  const std::string message = answer.is_object() && answer.contains("message") ? ": " + text_of(answer["message"]) : "";
  return fmt::format("{} {}{}", path.substr(0, path.find('?')), response.problem, message);
}

std::string MlflowSession::find_experiment(const std::string& name, std::string& experiment) {
  Json answer;
  std::string problem = call("GET", "experiments/get-by-name?experiment_name=" + in_query(name), nullptr, answer);
  if (problem.empty()) return experiment = answer.value("/experiment/experiment_id"_json_pointer, ""), "";
  if (code_ != "RESOURCE_DOES_NOT_EXIST") return problem;
  problem = call("POST", "experiments/create", {{"name", name}}, answer);
  if (problem.empty()) experiment = answer.value("experiment_id", "");
  return problem;
}

/// The run is there: from where it goes on.
std::string MlflowSession::go_on() {
  Json answer;
  if (const std::string problem = call("GET", "runs/get?run_id=" + in_query(id_), nullptr, answer); !problem.empty()) return problem;
  for (const Json& metric : answer.value("/run/data/metrics"_json_pointer, Json::array())) {
    const Json& step = metric.contains("step") ? metric["step"] : Json(0);  // int64 may come as a text
    last_[metric.value("key", "")] = step.is_string() ? std::atoll(step.get<std::string>().c_str()) : step.get<std::int64_t>();
  }
  return call("POST", "runs/update", {{"run_id", id_}, {"status", "RUNNING"}}, answer);
}

std::string MlflowSession::begin(const Json& entry) {
  const std::int64_t time = entry.at("start_time").get<std::int64_t>();
  if (time != begun_) id_ = "", last_.clear();  // else it was begun, and what follows was not done
  begun_ = time;
  if (const std::string given = entry.value("run_id", ""); !given.empty()) id_ = given;
  if (!id_.empty()) {
    const std::string problem = go_on();
    return problem.empty() ? send_params(entry.value("params", Json::object())) : problem;
  }
  std::string experiment;
  if (const std::string problem = find_experiment(entry.value("experiment", "Default"), experiment); !problem.empty()) return problem;
  Json answer;
  const Json tags = {{{"key", "mlflow.source.name"}, {"value", "ds"}}, {{"key", "mlflow.source.type"}, {"value", "LOCAL"}}};
  const std::string problem = call("POST", "runs/create",
                                   {{"experiment_id", experiment}, {"run_name", entry.value("run_name", "")}, {"start_time", time}, {"tags", tags}},
                                   answer);
  if (!problem.empty()) return problem;
  id_ = answer.value("/run/info/run_id"_json_pointer, "");
  if (id_.empty()) return "runs/create answers without a run_id";
  return send_params(entry.value("params", Json::object()));
}

std::string MlflowSession::send_params(const Json& params) {
  Json batch = Json::array(), answer;
  const auto flush = [&] {
    const std::string problem = batch.empty() ? "" : call("POST", "runs/log-batch", {{"run_id", id_}, {"params", batch}}, answer);
    batch = Json::array();
    // A resume may have other options where they do not matter (paths, threads): a parameter cannot be changed, and the first one stays.
    return code_ == "INVALID_PARAMETER_VALUE" ? "" : problem;
  };
  for (const auto& [name, value] : params.items()) {
    batch.push_back({{"key", key_of(name)}, {"value", text_of(value)}});
    if (batch.size() < kMostParams) continue;
    if (const std::string problem = flush(); !problem.empty()) return problem;
  }
  return flush();
}

std::string MlflowSession::send_points(const Json& points) {
  Json batch = Json::array(), answer;
  std::map<std::string, std::int64_t> last = last_;
  const auto flush = [&] {
    const std::string problem = batch.empty() ? "" : call("POST", "runs/log-batch", {{"run_id", id_}, {"metrics", batch}}, answer);
    if (problem.empty()) points_ += static_cast<std::int64_t>(batch.size()), last_ = last;
    batch = Json::array();
    return problem;
  };
  for (const Json& point : points) {
    const std::string key = key_of(point.at(0).get<std::string>());
    const std::int64_t step = point.at(2).get<std::int64_t>();
    if (const auto seen = last.find(key); seen != last.end() && step <= seen->second) continue;
    if (!point.at(1).is_number()) continue;  // not finite
    last[key] = step;
    batch.push_back({{"key", key}, {"value", point.at(1)}, {"timestamp", point.at(3)}, {"step", step}});
    if (batch.size() < kMostPoints) continue;
    if (const std::string problem = flush(); !problem.empty()) return problem;
  }
  return flush();
}

std::string MlflowSession::send(const Json& entry) {
  try {
    const std::string kind = entry.value("kind", "");
    if (kind == "run") return begin(entry);
    if (kind == "metrics") return send_points(entry.at("points"));
    Json answer;
    if (kind == "end") return call("POST", "runs/update", {{"run_id", id_}, {"status", entry.at("status")}, {"end_time", entry.at("end_time")}}, answer);
    return "unknown kind of entry '" + kind + "'";
  } catch (const Json::exception& e) {
    return std::string("answers something else than MLflow does: ") + e.what();
  }
}

}  // namespace ds::telemetry
