// SHA-256.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>

namespace ds::core {

/// SHA-256 of the bytes, 64 lower-case hex digits.
std::string sha256_hex(const void* data, std::size_t bytes);
std::string sha256_hex(std::string_view text);

}  // namespace ds::core
