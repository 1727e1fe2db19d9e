#include "base/commands/tune_study.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>

#include "base/core/values.h"
#include "base/core/yaml.h"
#include "base/io/files.h"
#include "base/io/holder.h"

namespace ds::commands {
namespace tune_study {

namespace fs = std::filesystem;

[[noreturn]] void fail(const std::string& path, const std::string& what) {
  throw Error(Exit::kResource, path, fmt::format("{}: {}", what, std::strerror(errno)));
}

/// A name beside the real ones that no other process takes.
std::string temporary(const std::string& folder) {
  static std::atomic<int> count{0};
  const io::Holder self = io::this_process();
  return fmt::format("{}/.new-{}-{}-{}", folder, self.host, self.pid, count++);
}

/// Removes a half-made folder, whatever ends its making.
struct Unfinished {
  std::string folder;
  bool done = false;
  ~Unfinished() {
    std::error_code code;
    if (!done) fs::remove_all(folder, code);
  }
};

void sync_folder(const std::string& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  ::fsync(fd);
  ::close(fd);
}

/// Makes a file with its whole content unless there is one: link() is atomic, on NFS too. False where there is one.
bool create_file(const std::string& path, const std::string& text) {
  const std::string folder = fs::path(path).parent_path().string(), own = temporary(folder);
  io::write_file(own, text);
  const bool made = ::link(own.c_str(), path.c_str()) == 0;
  const int error = errno;
  ::unlink(own.c_str());
  errno = error;
  if (!made && error != EEXIST) fail(path, "cannot be written");
  if (made) sync_folder(folder);
  return made;
}

constexpr const char* kDamagedTrial = "the study is damaged; remove this trial's folder";
constexpr const char* kDamagedStudy = "the study is damaged; begin a new one with this space.yaml";

Json read_json(const std::string& path, const char* hint = kDamagedTrial) {
  const std::string text = io::read_file(path, 64 << 20);
  Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) throw Error(Exit::kInput, path, "is no JSON", hint);
  if (!json.is_object()) throw Error(Exit::kInput, path, fmt::format("is {}, expected an object", json.type_name()), hint);
  return json;
}

/// What a sampler goes by: a number or one of the values for each parameter, and the trials that it was made from.
void check_ask(const Json& ask, const TuneSpace& space, const std::string& path) {
  const auto damaged = [&](const std::string& what) { throw Error(Exit::kInput, path, what, kDamagedTrial); };
  const auto parameters = ask.find("parameters");
  if (parameters == ask.end() || !parameters->is_object()) damaged("has no parameters");
  for (const TuneParameter& p : space.parameters) {
    const auto value = parameters->find(p.path);
    if (value == parameters->end()) damaged(fmt::format("has no value of '{}'", p.path));
    const bool fits = p.categorical() ? std::find(p.values.begin(), p.values.end(), *value) != p.values.end() : value->is_number();
    if (!fits) damaged(fmt::format("has {} for '{}', which is not of the space", value->dump(), p.path));
  }
  for (const char* key : {"seen", "pending"}) {
    const Json list = ask.value(key, Json());
    if (!list.is_array() || !std::all_of(list.begin(), list.end(), [](const Json& id) { return id.is_number_integer(); }))
      damaged(fmt::format("has no list of trials '{}'", key));
  }
  if (!ask.value("planned", Json()).is_number_integer()) damaged("has no number 'planned'");
}

bool is_there(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0;
}

std::string claim_text() {
  const io::Holder self = io::this_process();
  return Json{{"host", self.host}, {"pid", self.pid}, {"start", self.start}}.dump() + "\n";
}

/// Of a claim's file: is there still somebody behind it?
bool claim_lives(const std::string& path) {
  const Json claim = read_json(path);
  const io::Holder holder{claim.value("host", ""), claim.value("start", ""), claim.value("pid", 0)};
  if (!io::alive(holder)) return false;
  if (holder.host == io::this_process().host) return true;
  std::error_code code;
  const auto written = fs::last_write_time(path, code);
  return code || std::chrono::duration<double>(fs::file_time_type::clock::now() - written).count() < TuneStudy::kLeaseSeconds;
}

/// Largest N of the files "<stem>N<suffix>".
std::int64_t number_of(const std::string& name, const std::string& stem, const std::string& suffix) {
  if (name.size() <= stem.size() + suffix.size() || name.compare(0, stem.size(), stem) != 0) return 0;
  if (name.compare(name.size() - suffix.size(), suffix.size(), suffix) != 0) return 0;
  const std::string digits = name.substr(stem.size(), name.size() - stem.size() - suffix.size());
  if (digits.find_first_not_of("0123456789") != std::string::npos || digits.size() > 9) return 0;
  return std::stoll(digits);
}

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  DIR* dir = ::opendir(folder.c_str());
  if (dir == nullptr) return names;
  while (const dirent* entry = ::readdir(dir)) names.emplace_back(entry->d_name);
  ::closedir(dir);
  std::sort(names.begin(), names.end());
  return names;
}

/// Half-made trials of processes that died. What another host is making may be a minute old, not an hour.
void sweep(const std::string& folder) {
  for (const std::string& name : names_in(folder)) {
    if (name.compare(0, 5, ".new-") != 0) continue;
    std::error_code code;
    const auto written = fs::last_write_time(folder + "/" + name, code);
    if (!code && std::chrono::duration<double>(fs::file_time_type::clock::now() - written).count() > 3600) fs::remove_all(folder + "/" + name, code);
  }
}

}  // namespace tune_study

const char* state_name(TuneTrial::State state) {
  static const char* const names[] = {"waiting", "running", "asked", "done", "failed", "lost"};
  return names[static_cast<int>(state)];
}

bool TuneStudy::exists(const std::string& folder) { return tune_study::is_there(folder + "/study.json"); }

TuneStudy TuneStudy::create(const std::string& folder, const std::string& space_file, const Json& sampler, std::int64_t seed) {
  const TuneSpace space = TuneSpace::read(space_file);
  const std::string text = io::read_file(space_file, core::kMaxYamlBytes);
  std::error_code code;
  if (std::filesystem::exists(folder, code) && !std::filesystem::is_directory(folder, code))
    throw Error(Exit::kUsage, folder, "is a file, expected a folder for the study");
  for (const std::string& name : tune_study::names_in(folder))
    if (name != "." && name != ".." && name != "space.yaml" && name != "trials" && name[0] != '.')
      throw Error(Exit::kUsage, folder, fmt::format("is no study, and has '{}' in it", name), "give a new or an empty folder");
  std::filesystem::create_directories(folder + "/trials", code);
  if (code) throw Error(Exit::kResource, folder, fmt::format("cannot be made: {}", code.message()));
  io::write_file(folder + "/space.yaml", text);
  const Json study{{"schema", "ds-study/1"}, {"seed", seed}, {"sampler", sampler}, {"space", space.to_json()}};
  tune_study::create_file(folder + "/study.json", study.dump(2) + "\n");  // another process may have been first: then its study holds
  tune_study::sync_folder(folder);
  return open(folder);
}

TuneStudy TuneStudy::open(const std::string& folder) {
  const std::string path = folder + "/study.json";
  if (!tune_study::is_there(path))
    throw Error(Exit::kInput, folder, tune_study::is_there(folder) ? "is no study: it has no study.json" : "no such folder",
                "ds-tune init or run begins one");
  const Json json = tune_study::read_json(path, tune_study::kDamagedStudy);
  if (const Json schema = json.value("schema", Json()); schema != "ds-study/1")
    throw Error(Exit::kInput, path, fmt::format("has schema {}, expected ds-study/1", schema.dump()));
  TuneStudy study;
  study.folder_ = folder;
  try {
    study.space_ = TuneSpace::from_json(json.at("space"));
    study.sampler_ = json.at("sampler").get<Json::object_t>();
    study.seed_ = json.at("seed").get<std::int64_t>();
  } catch (const Json::exception& e) {
    throw Error(Exit::kInput, path, "does not fit: " + core::json_problem(e), tune_study::kDamagedStudy);
  }
  tune_study::sweep(folder + "/trials");
  return study;
}

std::string TuneStudy::trial_folder(std::int64_t id) const { return fmt::format("{}/trials/{:06}", folder_, id); }

Json TuneStudy::ask(std::int64_t id) const {
  const std::string path = trial_folder(id) + "/ask.json";
  Json json = tune_study::read_json(path);
  tune_study::check_ask(json, space_, path);
  return json;
}

std::vector<TuneTrial> TuneStudy::trials() const {
  std::vector<TuneTrial> all;
  for (const std::string& name : tune_study::names_in(folder_ + "/trials"))
    if (const std::int64_t id = tune_study::number_of(name, "", ""); id > 0) all.push_back(read(id));
  std::sort(all.begin(), all.end(), [](const TuneTrial& a, const TuneTrial& b) { return a.id < b.id; });
  return all;
}

TuneTrial TuneStudy::read(std::int64_t id) const try {
  const std::string folder = trial_folder(id);
  TuneTrial trial;
  trial.id = id;
  const Json asked = ask(id);
  trial.parameters = asked.at("parameters");
  std::int64_t last_end = 0;
  bool result = false;
  for (const std::string& name : tune_study::names_in(folder)) {
    trial.attempts = std::max(trial.attempts, tune_study::number_of(name, "claim.", ""));
    const std::int64_t end = tune_study::number_of(name, "end.", ".json");
    last_end = std::max(last_end, end);
    result = result || name == "result.json";
    if (end == 0) continue;
    const Json json = tune_study::read_json(folder + "/" + name);
    if (json.value("kind", "") == "lost") {
      ++trial.lost;
      trial.reason = json.value("reason", "");
    }
  }
  if (result) {
    const Json json = tune_study::read_json(folder + "/result.json");
    const std::string status = json.at("status").get<std::string>();
    if (status != "done" && status != "failed")
      throw Error(Exit::kInput, folder + "/result.json", fmt::format("has status '{}', expected done or failed", status), tune_study::kDamagedTrial);
    trial.state = status == "done" ? TuneTrial::State::kDone : TuneTrial::State::kFailed;
    trial.value = status == "done" ? json.at("value").get<double>() : std::nan("");
    trial.reason = json.value("reason", "");
    trial.elapsed_s = json.value("elapsed_s", 0.0);
  } else if (trial.lost > kRequeues) {
    trial.state = TuneTrial::State::kLost;
  } else if (asked.value("handed_out", false)) {
    trial.state = TuneTrial::State::kAsked;
  } else if (trial.attempts > last_end && tune_study::claim_lives(fmt::format("{}/claim.{}", folder, trial.attempts))) {
    trial.state = TuneTrial::State::kRunning;
  }
  return trial;
} catch (const Json::exception& e) {
  throw Error(Exit::kInput, trial_folder(id), "does not fit: " + core::json_problem(e), tune_study::kDamagedTrial);
}

const TuneTrial* TuneStudy::best(const std::vector<TuneTrial>& trials) const {
  const TuneTrial* best = nullptr;
  for (const TuneTrial& trial : trials)
    if (trial.state == TuneTrial::State::kDone && (best == nullptr || (space_.maximize ? trial.value > best->value : trial.value < best->value))) best = &trial;
  return best;
}

bool TuneStudy::add(std::int64_t id, const Json& ask, bool handed_out) const {
  const std::string trials = folder_ + "/trials", own = tune_study::temporary(trials);
  if (::mkdir(own.c_str(), 0777) != 0) tune_study::fail(trials, "cannot be written");
  tune_study::Unfinished unfinished{own};
  Json text = ask;
  if (handed_out) text["handed_out"] = true;
  io::write_file(own + "/ask.json", text.dump(1) + "\n");
  io::write_file(own + "/config.yaml", fmt::format("# trial {} of {}\n", id, folder_) + core::yaml_text(space_.nested(ask.at("parameters"), true)));
  if (!handed_out) io::write_file(own + "/claim.1", tune_study::claim_text());
  // A folder is renamed onto nothing or an empty folder, never onto a trial.
  const bool made = ::rename(own.c_str(), trial_folder(id).c_str()) == 0;
  if (!made && errno != EEXIST && errno != ENOTEMPTY) tune_study::fail(trial_folder(id), "cannot be made");
  unfinished.done = made;
  tune_study::sync_folder(trials);
  return made;
}

bool TuneStudy::claim(const TuneTrial& trial) const {
  return tune_study::create_file(fmt::format("{}/claim.{}", trial_folder(trial.id), trial.attempts + 1), tune_study::claim_text());
}

void TuneStudy::renew(std::int64_t id, std::int64_t attempt) const {
  ::utimensat(AT_FDCWD, fmt::format("{}/claim.{}", trial_folder(id), attempt).c_str(), nullptr, 0);
}

void TuneStudy::end_attempt(std::int64_t id, std::int64_t attempt, const std::string& kind, const std::string& reason) const {
  tune_study::create_file(fmt::format("{}/end.{}.json", trial_folder(id), attempt), Json{{"kind", kind}, {"reason", reason}}.dump() + "\n");
}

bool TuneStudy::finish(std::int64_t id, const Json& result) const { return tune_study::create_file(trial_folder(id) + "/result.json", result.dump(1) + "\n"); }

TuneMetric read_metric(const std::string& record_file, const std::string& metric) {
  std::vector<Error> errors;
  const core::Value root = core::read_yaml(record_file, errors);
  if (!errors.empty()) return {{}, fmt::format("what it printed is no record: {}", errors.front().what())};
  Json record;
  try {
    record = core::yaml_json(root, record_file);
  } catch (const Error& e) {
    return {{}, fmt::format("what it printed is no record: {}", e.what())};
  }
  const Json metrics = record.is_object() && record.contains("metrics") ? record["metrics"] : Json();
  if (!metrics.is_object()) return {{}, "it printed no record with a map 'metrics'"};
  const Json* found = metrics.contains(metric) ? &metrics[metric] : nullptr;
  if (found == nullptr) {
    const Json::json_pointer place("/" + fmt::format("{}", fmt::join([&] {
      std::vector<std::string> parts;
      for (std::size_t start = 0, dot = 0; dot != std::string::npos; start = dot + 1) {
        dot = metric.find('.', start);
        parts.push_back(metric.substr(start, dot == std::string::npos ? dot : dot - start));
      }
      return parts;
    }(), "/")));
    if (metrics.contains(place)) found = &metrics[place];
  }
  if (found == nullptr) {
    std::vector<std::string> names;
    for (const auto& [name, value] : metrics.items()) names.push_back(name);
    return {{}, fmt::format("no metric '{}' in its record, which has {}", metric, names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", ")))};
  }
  if (found->is_number()) return {found->get<double>(), ""};
  if (found->is_null() || (found->is_string() && (*found == ".nan" || *found == "nan" || *found == ".inf" || *found == "-.inf"))) return {std::nan(""), ""};
  return {{}, fmt::format("metric '{}' is {}, expected a number", metric, found->dump())};
}

std::string configuration_text(const TuneSpace& space, const Json& parameters) {
  std::string text;
  for (const TuneParameter& p : space.parameters) {
    const Json value = parameters.value(p.path, Json());
    text += fmt::format("{}{}={}", text.empty() ? "" : " ", p.path,
                        value.is_string() ? value.get<std::string>() : value.is_number_float() ? core::yaml_number(value.get<double>()) : value.dump());
  }
  return text;
}

}  // namespace ds::commands
