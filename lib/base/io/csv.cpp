#include "base/io/csv.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/core/error.h"

namespace ds::io {

std::optional<double> csv_number(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t+"), end = text.find_last_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  double value = 0;
  const auto [stop, error] = std::from_chars(text.data() + begin, text.data() + end + 1, value);
  if (error != std::errc() || stop != text.data() + end + 1 || !std::isfinite(static_cast<float>(value))) return {};
  return value;
}

CsvReader::CsvReader(std::string_view text, std::string name) : text_(text), name_(std::move(name)) {
  if (text_.starts_with("\xef\xbb\xbf")) at_ = 3;
}

std::string CsvReader::quoted() {
  std::string value;
  for (++at_; at_ < text_.size(); ++at_) {
    if (text_[at_] == '\n') ++next_line_;
    if (text_[at_] != '"') {
      value += text_[at_];
    } else if (at_ + 1 < text_.size() && text_[at_ + 1] == '"') {
      value += text_[at_++];
    } else {
      ++at_;
      if (at_ < text_.size() && text_[at_] != ',' && text_[at_] != '\n' && text_[at_] != '\r')
        throw Error(Exit::kInput, where(), "has something behind a closing quote, expected a comma or the end of the line");
      return value;
    }
  }
  throw Error(Exit::kInput, where(), "has a quote that is not closed");
}

std::string CsvReader::field() {
  if (at_ < text_.size() && text_[at_] == '"') return quoted();
  const std::size_t end = std::min(text_.find_first_of(",\n", at_), text_.size());
  std::string value(text_.substr(at_, end - at_));
  at_ = end;
  const bool last = end == text_.size() || text_[end] == '\n';
  if (last && !value.empty() && value.back() == '\r') value.pop_back();
  if (value.find('"') != std::string::npos) throw Error(Exit::kInput, where(), "has a quote inside a field that does not begin with one");
  return value;
}

bool CsvReader::next(std::vector<std::string>& fields) {
  while (at_ < text_.size() && (text_[at_] == '\n' || text_.substr(at_, 2) == "\r\n")) {
    at_ += text_[at_] == '\n' ? 1 : 2;
    ++next_line_;
  }
  if (at_ >= text_.size()) return false;
  line_ = next_line_;
  fields.clear();
  for (;;) {
    fields.push_back(field());
    if (at_ < text_.size() && text_[at_] == ',') {
      ++at_;
      continue;
    }
    if (at_ < text_.size() && text_[at_] == '\r') ++at_;
    if (at_ < text_.size() && text_[at_] == '\n') ++at_;
    ++next_line_;
    return true;
  }
}

}  // namespace ds::io
