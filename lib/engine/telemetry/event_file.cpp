#include "engine/telemetry/event_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>

#include "base/core/error.h"
#include "base/io/files.h"

namespace ds::telemetry {
namespace {

constexpr std::array<std::uint32_t, 256> make_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = value >> 1 ^ (value & 1 ? 0x82F63B78u : 0u);
    table[i] = value;
  }
  return table;
}

/// A checksum of data that hold checksums themselves: rotated and shifted (TFRecord).
std::uint32_t masked(std::uint32_t crc) { return (crc >> 15 | crc << 17) + 0xA282EAD8u; }

void append(std::string& to, const void* data, std::size_t bytes) { to.append(static_cast<const char*>(data), bytes); }

std::string record(const std::string& message) {
  static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);
  const std::uint64_t length = message.size();
  const std::uint32_t of_length = masked(crc32c(&length, sizeof length)), of_message = masked(crc32c(message.data(), message.size()));
  std::string out;
  append(out, &length, sizeof length);
  append(out, &of_length, sizeof of_length);
  out += message;
  append(out, &of_message, sizeof of_message);
  return out;
}

// The few messages, by the numbers that event.proto and summary.proto of TensorBoard give their fields. Not by libprotobuf: LibTorch exports
// symbols of another version of it, and one process takes either.
enum Wire { kVarint = 0, kDouble = 1, kBytes = 2, kFloat = 5 };

void put_varint(std::string& to, std::uint64_t value) {
  for (; value >= 128; value >>= 7) to += static_cast<char>((value & 127) | 128);
  to += static_cast<char>(value);
}

void put_key(std::string& to, unsigned field, Wire wire) { put_varint(to, field << 3 | wire); }

void put_bytes(std::string& to, unsigned field, const std::string& bytes) {
  put_key(to, field, kBytes);
  put_varint(to, bytes.size());
  to += bytes;
}

std::string event(double wall_time, std::int64_t step, unsigned field, const std::string& what) {
  std::string out;
  put_key(out, 1, kDouble);
  append(out, &wall_time, sizeof wall_time);
  put_key(out, 2, kVarint);
  put_varint(out, static_cast<std::uint64_t>(step));
  put_bytes(out, field, what);
  return out;
}

constexpr unsigned kFileVersion = 3, kSummary = 5, kSessionLog = 7;  // of Event

std::string scalar(const std::string& tag, float value) {
  std::string of_value, out;
  put_bytes(of_value, 1, tag);
  put_key(of_value, 2, kFloat);
  append(of_value, &value, sizeof value);
  put_bytes(out, 1, of_value);
  return out;
}

/// What an earlier file has from this step on is void: SessionLog{status: START}.
std::string session_start() {
  std::string out;
  put_key(out, 1, kVarint);
  put_varint(out, 1);
  return out;
}

void remove_event_files(const std::string& folder) {
  std::vector<std::filesystem::path> old;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().filename().string().starts_with("events.out.tfevents.")) old.push_back(entry.path());
  for (const auto& path : old) std::filesystem::remove(path);
}

double now() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

std::string host() {
  char name[256] = "localhost";
  ::gethostname(name, sizeof name - 1);
  return name;
}

}  // namespace

std::uint32_t crc32c(const void* data, std::size_t bytes) {
  static constexpr std::array<std::uint32_t, 256> table = make_table();
  std::uint32_t crc = ~0u;
  for (const auto* p = static_cast<const unsigned char*>(data); bytes > 0; --bytes, ++p) crc = crc >> 8 ^ table[(crc ^ *p) & 255];
  return ~crc;
}

EventFile::EventFile(const std::string& folder, std::int64_t steps) {
  if (steps == 0) remove_event_files(folder);
  const double time = now();
  for (int n = 0; fd_ < 0; ++n) {
    path_ = fmt::format("{}/events.out.tfevents.{:010d}.{}.{}.{}", folder, static_cast<std::int64_t>(time), host(), ::getpid(), n);
    fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0666);
    if (fd_ < 0 && errno != EEXIST) throw Error(Exit::kResource, path_, std::string("cannot be made: ") + std::strerror(errno));
  }
  std::string begin = record(event(time, 0, kFileVersion, "brain.Event:2"));
  if (steps > 0) begin += record(event(time, steps + 1, kSessionLog, session_start()));
  write(begin);
}

EventFile::~EventFile() { ::close(fd_); }

void EventFile::scalars(std::int64_t step, const std::vector<std::pair<std::string, double>>& values) {
  std::string summary;
  for (const auto& [tag, value] : values) summary += scalar(tag, static_cast<float>(value));
  write(record(event(now(), step, kSummary, summary)));
}

void EventFile::write(const std::string& bytes) {
  io::Sink sink(fd_, path_);
  sink.write(bytes.data(), bytes.size());
  sink.flush();
}

}  // namespace ds::telemetry
