#include "engine/telemetry/run_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/core/error.h"
#include "base/io/files.h"

namespace ds::telemetry {
namespace {

bool is_done(const Json& line, std::int64_t steps, std::int64_t epochs) {
  if (!line.is_object() || !line.contains("step") || !line["step"].is_number_integer()) return false;
  if (line["step"].get<std::int64_t>() > steps) return false;
  return line.value("kind", "") != "epoch" || line.value("epoch", std::int64_t{0}) <= epochs;
}

/// The lines that stay.
std::string kept(const std::string& text, std::int64_t steps, std::int64_t epochs) {
  std::string out;
  for (std::size_t begin = 0, end; begin < text.size(); begin = end + 1) {
    end = text.find('\n', begin);
    if (end == std::string::npos) break;
    const Json line = Json::parse(text.begin() + static_cast<std::ptrdiff_t>(begin), text.begin() + static_cast<std::ptrdiff_t>(end), nullptr, false);
    if (is_done(line, steps, epochs)) out.append(text, begin, end + 1 - begin);
  }
  return out;
}

}  // namespace

RunLog::RunLog(const std::string& path, std::int64_t steps, std::int64_t epochs) : path_(path) {
  if (io::exists(path)) {
    const std::string text = steps > 0 ? io::read_file(path) : "";
    const std::string stays = kept(text, steps, epochs);
    if (steps == 0 || stays.size() != text.size()) io::write_file(path, stays);
  }
  fd_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (fd_ < 0) throw Error(Exit::kResource, path, std::string("cannot be written: ") + std::strerror(errno));
}

RunLog::~RunLog() { ::close(fd_); }

void RunLog::line(const Json& line) {
  const std::string text = line.dump(-1, ' ', false, Json::error_handler_t::replace) + '\n';
  io::Sink sink(fd_, path_);
  sink.write(text.data(), text.size());
  sink.flush();
}

}  // namespace ds::telemetry
