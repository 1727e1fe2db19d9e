#include <unistd.h>

#include <chrono>
#include <ctime>
#include <filesystem>

#include "base/core/host.h"
#include "base/core/tool.h"
#include "base/io/checkpoint.h"

namespace ds::io {
namespace {

/// An argument without the folders of an absolute path: "/a/b.h5" is "b.h5", "--data=idx:/a/b" is "--data=idx:b".
std::string without_folders(const std::string& argument) {
  const std::size_t start = argument.find_first_of('/');
  const bool whole = start == 0, after = start != std::string::npos && start > 0 && (argument[start - 1] == '=' || argument[start - 1] == ':');
  if (!whole && !after) return argument;
  return argument.substr(0, start) + std::filesystem::path(argument.substr(start)).filename().string();
}

std::string utc_now() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

}  // namespace

void add_provenance(Checkpoint& checkpoint, Json step, bool reproducible) {
  const core::Invocation& call = core::invocation();
  Json record = {{"tool", call.tool}, {"version", core::version()}, {"isa", core::cpu_isa()}, {"config_digest", call.config_digest}, {"argv", Json::array()}};
  for (std::size_t i = 0; i < call.argv.size(); ++i) {
    const std::string& argument = call.argv[i];
    record["argv"].push_back(i == 0 ? std::filesystem::path(argument).filename().string() : reproducible ? without_folders(argument) : argument);
  }
  if (call.config.is_object() && call.config.contains("seed")) record["seed"] = call.config["seed"];
  if (!reproducible) {
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    record["host"] = host;
    record["time"] = utc_now();
  }
  if (step.is_object()) record.update(step);  // the caller knows better
  if (!checkpoint.provenance.is_array()) checkpoint.provenance = Json::array();
  checkpoint.provenance.push_back(std::move(record));
}

}  // namespace ds::io
