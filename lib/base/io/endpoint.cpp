#include "base/io/endpoint.h"

#include <fmt/format.h>

#include <cstdlib>

#include "base/core/error.h"
#include "base/io/files.h"

namespace ds::io {
namespace {

constexpr std::int64_t kMostBytes = 1 << 16;

Endpoint parsed(const std::string& url, const std::string& where, bool tell) {
  const std::string shown = tell ? " '" + url + "'" : "";  // what came from a file or a variable may be a secret
  const std::size_t scheme = url.find("://");
  const std::string kind = scheme == std::string::npos ? "" : url.substr(0, scheme);
  if (kind != "http" && kind != "https")
    throw Error(Exit::kUsage, where, fmt::format("expected an URL of http or https, not{}", tell ? shown : " that"), "such as http://127.0.0.1:9091");
  const std::size_t begin = scheme + 3, slash = url.find_first_of("/?#", begin);
  const std::string authority = url.substr(begin, slash == std::string::npos ? slash : slash - begin);
  if (authority.find('@') != std::string::npos)
    throw Error(Exit::kUsage, where, "an URL with a user or a password in it would be kept in the checkpoint",
                "name a file that has the URL as @FILE, or env:NAME");
  for (const char c : url)
    if (static_cast<unsigned char>(c) <= ' ' || c == 127) throw Error(Exit::kUsage, where, fmt::format("the URL{} has a space or a control character", shown));
  const std::size_t bracket = authority.find(']'), colon = authority.find(':', bracket == std::string::npos ? 0 : bracket);
  const std::string host = authority.substr(0, colon), port = colon == std::string::npos ? "" : authority.substr(colon + 1);
  if (host.empty()) throw Error(Exit::kUsage, where, fmt::format("the URL{} names no host", shown));
  if (colon != std::string::npos &&
      (port.empty() || port.size() > 5 || port.find_first_not_of("0123456789") != std::string::npos || std::stoi(port) < 1 || std::stoi(port) > 65535))
    throw Error(Exit::kUsage, where, fmt::format("the URL{} has no port from 1 to 65535 behind the colon", shown));
  std::string path = slash == std::string::npos ? "" : url.substr(slash, url.find('#', slash) - slash);
  while (path.ends_with('/')) path.pop_back();
  return {kind + "://" + authority, path};
}

}  // namespace

Endpoint endpoint(const std::string& text, const std::string& where) {
  if (text.starts_with('@')) {
    std::string line = read_file(text.substr(1), kMostBytes);
    line = line.substr(0, line.find_first_of("\r\n"));
    return parsed(line, where, false);
  }
  if (!text.starts_with("env:")) return parsed(text, where, true);
  const char* value = std::getenv(text.c_str() + 4);
  if (value == nullptr || !*value) throw Error(Exit::kUsage, where, fmt::format("the environment has no variable {}", text.substr(4)));
  return parsed(value, where, false);
}

void check_endpoint(const std::string& text, const std::string& where) {
  if (text.size() > 1 && text.starts_with('@')) return;
  if (text.size() > 4 && text.starts_with("env:")) return;
  parsed(text, where, true);
}

}  // namespace ds::io
