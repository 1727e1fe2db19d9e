// Where something is sent: an URL of http or https, without secrets in it.
#pragma once
#include <string>

namespace ds::io {

struct Endpoint {
  std::string origin;  ///< "http://127.0.0.1:9091"
  std::string path;    ///< "/a/b" without a last slash, or ""; with the query, if there is one
  std::string text() const { return origin + path; }
};

/// The endpoint that `text` names: an URL, "@FILE" with one in its first line, or "env:NAME" with one in that variable, since an URL may be a
/// secret of its own and options are kept in checkpoints. `where` names the option.
/// Throws ds::Error(kUsage, where) for what is no URL, has a user or a password in it, or names a variable that is not set;
/// ds::Error(kInput) for a file that cannot be read.
Endpoint endpoint(const std::string& text, const std::string& where);
/// The form alone: does not look at files or variables. Throws as endpoint.
void check_endpoint(const std::string& text, const std::string& where);

}  // namespace ds::io
