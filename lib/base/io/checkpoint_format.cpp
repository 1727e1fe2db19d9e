#include "base/io/checkpoint_format.h"

#include <fmt/format.h>

#include "base/core/error.h"
#include "base/core/values.h"
#include "base/io/files.h"

namespace ds::io::format {

std::string manifest_digest(const std::map<std::string, std::string>& documents, const std::map<std::string, TensorEntry>& tensors) {
  // Built as text: a Json object of 100,000 tensors is slow, and this is the canonical form to the byte (keys sorted by byte).
  std::string text = R"({"documents":{)";
  const char* comma = "";
  for (const Document& document : kDocuments) {
    const auto found = documents.find(document.name);
    if (!document.in_digest || found == documents.end()) continue;
    text += fmt::format(R"({}"{}":"{}")", comma, document.name, found->second);
    comma = ",";
  }
  text += R"(},"tensors":{)";
  comma = "";
  for (const auto& [name, tensor] : tensors) {
    text += fmt::format(R"({}{}:{{"dtype":"{}","sha256":"{}","shape":{}}})", comma, document_text(name, "tensor name"), dtype_name(tensor.dtype),
                        tensor.sha256, shape_text(tensor.shape));
    comma = ",";
  }
  text += "}}";
  return sha256(text.data(), text.size());
}

std::string document_text(const Json& document, const std::string& name, bool lenient) {
  try {
    return document.dump(-1, ' ', false, lenient ? Json::error_handler_t::replace : Json::error_handler_t::strict);
  } catch (const Json::exception&) {
    throw Error(Exit::kFailure, name, "text that is not UTF-8");
  }
}

bool too_deep(const char* text, std::size_t bytes) {
  int depth = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < bytes; ++i) {
    const char c = text[i];
    if (quoted && c == '\\') ++i;
    else if (c == '"') quoted = !quoted;
    else if (!quoted && (c == '{' || c == '[') && ++depth > kMaxDepth) return true;
    else if (!quoted && (c == '}' || c == ']')) --depth;
  }
  return false;
}

std::string kind_problem(const std::string& name, const Json& document) {
  if (document.is_null() || name == "graph" || name == "tokenizer") return "";
  const bool list = name == "history" || name == "labels" || name == "provenance";
  if (document.type() != (list ? Json::value_t::array : Json::value_t::object))
    return fmt::format("is {}, expected {}", document.type_name(), list ? "a list" : "an object");
  if (!list) return "";
  const Json::value_t kind = name == "labels" ? Json::value_t::string : Json::value_t::object;
  for (std::size_t i = 0; i < document.size(); ++i)
    if (document[i].type() != kind) return fmt::format("entry {} is {}, expected {}", i, document[i].type_name(), name == "labels" ? "a text" : "an object");
  return "";
}

Json parse_document(const char* text, std::size_t bytes, const std::string& where) {
  if (too_deep(text, bytes)) throw Error(Exit::kInput, where, fmt::format("JSON nested deeper than {}", kMaxDepth));
  try {
    return Json::parse(text, text + bytes);
  } catch (const Json::exception& error) {
    throw Error(Exit::kInput, where, "is not JSON: " + core::json_problem(error));
  }
}

std::string escape(const std::string& name) {
  if (name == ".") return "%2E";
  std::string link;
  for (char c : name) {
    if (c == '/') link += "%2F";
    else if (c == '%') link += "%25";
    else link += c;
  }
  return link;
}

std::string unescape(const std::string& link, const std::string& where) {
  std::string name;
  for (std::size_t i = 0; i < link.size(); ++i) {
    if (link[i] != '%') {
      name += link[i];
      continue;
    }
    const std::string code = link.substr(i + 1, 2);
    if (code == "2F") name += '/';
    else if (code == "25") name += '%';
    else if (code == "2E") name += '.';
    else throw Error(Exit::kInput, where, "'%' that is not followed by 2F, 25 or 2E in a tensor's name");
    i += 2;
  }
  if (escape(name) != link) throw Error(Exit::kInput, where, "a tensor's name in an unusual spelling");
  return name;
}

}  // namespace ds::io::format
