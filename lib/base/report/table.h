// Tables of text: aligned for a terminal, Markdown, or CSV.
#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace ds::report {

struct Column {
  std::string title;
  bool right = true;  ///< numbers go to the right
};

/// Rows of cells, one string a column.
struct Table {
  std::vector<Column> columns;
  std::vector<std::vector<std::string>> rows;
  std::string text() const;  ///< aligned, a rule under the head
  std::string markdown() const;
  std::string csv() const;  ///< RFC 4180: quoted where needed
};

/// Objects as CSV: a line with the keys, then one a row, with numbers in full; nothing where a key is missing or null.
std::string csv(const std::vector<std::string>& keys, const nlohmann::json& rows);

/// "1.23 MB", "45.6 kB", "789 B": three significant digits.
std::string bytes_text(double bytes);
/// "1.23 G", "4.5 M", "678": three significant digits.
std::string count_text(double count);
/// "12.3 ms", "456 us", "1.2 s".
std::string seconds_text(double seconds);

}  // namespace ds::report
