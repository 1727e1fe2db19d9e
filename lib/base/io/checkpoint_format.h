// What writing and reading a checkpoint share: names in the file, caps, and the manifest (man/ds-checkpoint.5).
#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "base/io/checkpoint.h"

namespace ds::io::format {

inline constexpr const char* kFormat = "ds-checkpoint";
inline constexpr const char* kFormatAttribute = "ds_format";
inline constexpr const char* kVersionAttribute = "ds_version";
inline constexpr const char* kRootAttribute = "ds_root_digest";
inline constexpr const char* kDtypeAttribute = "ds_dtype";
inline constexpr const char* kShapeAttribute = "ds_shape";  ///< of packed dtypes, whose dataset is bytes: "[3,5]"
inline constexpr const char* kHashAttribute = "xxh3_128";
inline constexpr const char* kShaAttribute = "sha256";
inline constexpr const char* kJson = "json";                ///< ds_dtype of a document

inline constexpr std::int64_t kMaxDatasets = 1000000;
inline constexpr int kMaxRank = 8;
inline constexpr std::size_t kMaxName = 1024;               ///< bytes of a link's name
inline constexpr std::size_t kMaxDocument = std::size_t{1} << 28;
inline constexpr int kMaxDepth = 200;                       ///< of nested JSON
inline constexpr std::uint64_t kAlignment = 64;

struct Document {
  const char* name;
  Json Checkpoint::*member;
  bool in_digest;
};
inline constexpr std::array<Document, 9> kDocuments = {{{"config", &Checkpoint::config, false},
                                                        {"evaluation", &Checkpoint::evaluation, false},
                                                        {"graph", &Checkpoint::graph, true},
                                                        {"history", &Checkpoint::history, false},
                                                        {"labels", &Checkpoint::labels, true},
                                                        {"preprocessing", &Checkpoint::preprocessing, true},
                                                        {"provenance", &Checkpoint::provenance, false},
                                                        {"state", &Checkpoint::state, false},
                                                        {"tokenizer", &Checkpoint::tokenizer, true}}};

/// What identifies a tensor in the manifest.
struct TensorEntry {
  DType dtype;
  std::vector<std::int64_t> shape;
  std::string sha256;
};

/// Root digest: SHA-256 of the canonical JSON {"documents": {name: SHA-256 of its text}, "tensors": {name: {"dtype","sha256","shape"}}}.
/// `documents` may hold more than those that count.
std::string manifest_digest(const std::map<std::string, std::string>& documents, const std::map<std::string, TensorEntry>& tensors);

/// Canonical text of a document: sorted keys, no spaces, UTF-8. Where text in it is not UTF-8, as the name of a file on a command line may be:
/// `lenient` puts U+FFFD for each such byte, else ds::Error(kFailure).
std::string document_text(const Json& document, const std::string& name, bool lenient = false);
/// Whether JSON text is nested deeper than kMaxDepth.
bool too_deep(const char* text, std::size_t bytes);
/// "" or what is wrong with a document's kind: tools take labels for a list of texts, a config for an object and so on. The graph's is left
/// to those who read it.
std::string kind_problem(const std::string& name, const Json& document);
/// Throws ds::Error(kInput, where) for bad JSON, and before it parses for one that is nested too deep (recursion would end the stack).
Json parse_document(const char* text, std::size_t bytes, const std::string& where);

/// A tensor's name as a link's: '/', '%' and a lone '.' as %2F, %25 and %2E, since HDF5 gives '/' and '.' a meaning.
std::string escape(const std::string& name);
/// Throws ds::Error(kInput, where) where `link` is not what escape gives.
std::string unescape(const std::string& link, const std::string& where);

inline bool packed(DType dtype) { return dtype_bits(dtype) < 8; }

}  // namespace ds::io::format
