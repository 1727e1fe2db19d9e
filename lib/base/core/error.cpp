#include "base/core/error.h"

namespace ds {
namespace {

std::string all_lines(const std::vector<Error>& errors) {
  std::string lines;
  for (const Error& error : errors) lines += (lines.empty() ? "" : "\n") + std::string(error.what());
  return lines;
}

}  // namespace

Error::Error(Exit code, std::string where, std::string what, std::string hint)
    : code_(code), where_(std::move(where)), what_(std::move(what)), hint_(std::move(hint)) {
  line_ = where_.empty() ? what_ : where_ + ": " + what_;
  if (!hint_.empty()) line_ += "; " + hint_;
}

Error::~Error() = default;

ErrorList::ErrorList(std::vector<Error> errors) : Error(errors.front().code(), "", all_lines(errors)), errors_(std::move(errors)) {}

ErrorList::~ErrorList() = default;

void throw_errors(const std::vector<Error>& errors) {
  if (errors.empty()) return;
  if (errors.size() == 1) throw errors.front();
  throw ErrorList(errors);
}

}  // namespace ds
