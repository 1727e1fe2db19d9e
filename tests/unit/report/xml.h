// A check that a page is well-formed: elements nest, attributes are quoted, references are known.
#pragma once
#include <cctype>
#include <set>
#include <string>
#include <vector>

namespace report_test {

/// What is wrong first, or "".
inline std::string problem_of(const std::string& page) {
  static const std::set<std::string> references = {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"};
  std::vector<std::string> open;
  const auto near = [&](std::size_t at) { return " near: " + page.substr(at, 60); };
  for (std::size_t i = 0; i < page.size(); ++i) {
    if (page[i] == '&') {
      const std::size_t end = page.find(';', i);
      if (end == std::string::npos || references.count(page.substr(i, end - i + 1)) == 0) return "unknown reference" + near(i);
    }
    if (page[i] == '>') return "stray >" + near(i);
    if (page[i] != '<') continue;
    if (page.compare(i, 9, "<!DOCTYPE") == 0) {
      i = page.find('>', i);
      continue;
    }
    std::size_t at = i + 1;
    const bool closes = page[at] == '/';
    if (closes) ++at;
    std::string name;
    while (at < page.size() && (std::isalnum(static_cast<unsigned char>(page[at])) != 0)) name += page[at++];
    if (name.empty()) return "stray <" + near(i);
    if (closes) {
      if (page[at] != '>' || open.empty() || open.back() != name) return "</" + name + "> closes nothing" + near(i);
      open.pop_back();
      i = at;
      continue;
    }
    std::set<std::string> attributes;
    while (at < page.size() && page[at] != '>' && page[at] != '/') {
      if (page[at] == ' ' || page[at] == '\n') {
        ++at;
        continue;
      }
      const std::size_t equals = page.find('=', at);
      if (equals == std::string::npos || page[equals + 1] != '"') return "attribute without quotes" + near(at);
      if (!attributes.insert(page.substr(at, equals - at)).second) return "attribute twice" + near(at);
      const std::size_t end = page.find('"', equals + 2);
      if (end == std::string::npos) return "attribute without end" + near(at);
      const std::string value = page.substr(equals + 2, end - equals - 2);
      if (value.find('<') != std::string::npos) return "< in an attribute" + near(at);
      for (std::size_t amp = value.find('&'); amp != std::string::npos; amp = value.find('&', amp + 1))
        if (references.count(value.substr(amp, value.find(';', amp) - amp + 1)) == 0) return "unknown reference" + near(at);
      at = end + 1;
    }
    if (page[at] == '/') {
      if (page[at + 1] != '>') return "stray /" + near(at);
      ++at;
    } else {
      open.push_back(name);
    }
    i = at;
    if (name == "style" && page[i - 1] != '/') i = page.find("</style>", i) - 1;
  }
  return open.empty() ? "" : "<" + open.back() + "> is not closed";
}

inline std::size_t count(const std::string& text, const std::string& part) {
  std::size_t n = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++n;
  return n;
}

inline bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace report_test
