// A model's bytes taken apart before protobuf sees them: what it would copy stays in the mapping, and what it would make of few bytes many is
// counted first.
#pragma once
#include <cstddef>
#include <string>
#include <vector>

#include "base/io/files.h"
#include "onnx/proto.h"

namespace ds::onnx {

struct Parsed {
  pb::ModelProto proto;  ///< initializers without raw_data; nodes without subgraphs; no functions, no training
  struct Raw {
    bool there = false;
    std::size_t offset = 0, size = 0;  ///< in the file
  };
  std::vector<Raw> raw;  ///< of each initializer
};

/// Throws ds::Error(kInput, where): not a message of protobuf, more entries or larger texts than a model has.
Parsed parse_model(const io::Bytes& bytes, const std::string& where);

}  // namespace ds::onnx
