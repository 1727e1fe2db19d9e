// A tokenizer document, a zero byte and a text: read and used, or refused. Ids and texts that come out are sound.
#include "base/text/tokenizer.h"

#include "base/io/checkpoint_format.h"
#include "base/text/unicode.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 1 << 16) return 0;
  return ds_fuzz::refused_or_done(data, size, {ds::Exit::kInput}, [](const ds::io::Bytes& bytes) {
    using namespace ds;
    const std::string_view all(reinterpret_cast<const char*>(bytes.data), bytes.size);
    const std::size_t end = std::min(all.find('\0'), all.size());
    const std::string_view text = end < all.size() ? all.substr(end + 1) : "A text, \xE6\x9D\xB1\xE4\xBA\xAC 123.";
    const text::Tokenizer tokenizer(io::format::parse_document(all.data(), end, "input"), "input");
    const text::Encoding found = tokenizer.encode(text, text.substr(text.size() / 2));
    if (found.ids.size() != found.type_ids.size() || found.ids.size() != found.special.size()) std::abort();
    if (tokenizer.encode(text, text.substr(text.size() / 2)).ids != found.ids) std::abort();
    if (text::find_invalid_utf8(tokenizer.decode(found.ids)) != std::string::npos) std::abort();
    (void)tokenizer.encode_batch({{std::string(text)}, {"a"}}, 8, {true, 16});
  });
}
