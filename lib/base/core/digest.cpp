#include "base/core/digest.h"

#include <openssl/evp.h>

#include "base/core/error.h"

namespace ds::core {

std::string sha256_hex(const void* data, std::size_t bytes) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  if (EVP_Digest(data, bytes, digest, &size, EVP_sha256(), nullptr) != 1) throw Error(Exit::kFailure, "", "OpenSSL refuses SHA-256");
  static const char hex[] = "0123456789abcdef";
  std::string text;
  for (unsigned int i = 0; i < size; ++i) {
    text += hex[digest[i] >> 4];
    text += hex[digest[i] & 15];
  }
  return text;
}

std::string sha256_hex(std::string_view text) { return sha256_hex(text.data(), text.size()); }

}  // namespace ds::core
