// Comma-separated values as RFC 4180 has them.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ds::io {

/// A decimal number that is finite in float32. Unlike in YAML, leading zeros, a plus and spaces about it are common in tables, and "nan" is a hole.
std::optional<double> csv_number(std::string_view text);

/// Reads record after record. Fields may be quoted ("a, ""b"""), lines end in LF or CR LF, blank lines and a byte order mark are skipped.
class CsvReader {
 public:
  /// `text` must outlive the reader; `name` is what errors call it.
  CsvReader(std::string_view text, std::string name);
  /// The fields of the next record, false at the end. Throws ds::Error(kInput, "name:line") for a quote that is not closed or out of place.
  bool next(std::vector<std::string>& fields);
  std::int64_t line() const { return line_; }               ///< where the last record began, from 1
  std::string where() const { return name_ + ":" + std::to_string(line_); }

 private:
  std::string field();
  std::string quoted();
  std::string_view text_;
  std::string name_;
  std::size_t at_ = 0;
  std::int64_t line_ = 0, next_line_ = 1;
};

}  // namespace ds::io
