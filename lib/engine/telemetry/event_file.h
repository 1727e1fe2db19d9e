// Event files for TensorBoard: records of protobuf messages with checksums.
// Format: tensorflow/core/lib/io/record_writer.h (TFRecord) and TensorBoard's event.proto.
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace ds::telemetry {

/// CRC-32C (Castagnoli, RFC 3720 appendix B.4).
std::uint32_t crc32c(const void* data, std::size_t bytes);

/// One file, `events.out.tfevents.<seconds>.<host>.<pid>.<n>`. Each call is one write: what was said before a kill is there.
class EventFile {
 public:
  /// Makes the file in `folder` for a run of which `steps` steps are done. What earlier event files of the folder have of later steps is void
  /// for TensorBoard; where no step is done, they go away. Throws ds::Error(kResource).
  EventFile(const std::string& folder, std::int64_t steps);
  ~EventFile();
  EventFile(const EventFile&) = delete;
  EventFile& operator=(const EventFile&) = delete;
  /// Throws ds::Error(kResource).
  void scalars(std::int64_t step, const std::vector<std::pair<std::string, double>>& values);
  const std::string& path() const { return path_; }

 private:
  void write(const std::string& message);
  std::string path_;
  int fd_ = -1;
};

}  // namespace ds::telemetry
