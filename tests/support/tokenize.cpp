// tokenize DOCUMENT: a line of JSON an input, {"text": ..., "pair": ..., "special": false, "max_length": n} or {"ids": [...]}; a line of JSON
// an output, {"ids", "type_ids"} or {"text"} or {"error"}. For comparison with other tokenizers.
// tokenize DOCUMENT --time FILE REPEATS: seconds that it takes to encode the lines of a text file, the least of REPEATS, and a checksum of the ids.
#include <chrono>
#include <cstdio>
#include <iostream>

#include "base/core/error.h"
#include "base/io/files.h"
#include "base/text/tokenizer.h"

namespace {

using ds::text::Json;

Json answer(const ds::text::Tokenizer& tokenizer, const Json& line) {
  try {
    if (line.contains("ids")) return {{"text", tokenizer.decode(line["ids"].get<std::vector<std::int64_t>>(), line.value("skip", true))}};
    const ds::text::EncodeOptions options{line.value("special", true), line.value("max_length", std::int64_t{-1})};
    const auto text = line["text"].get<std::string>();
    const auto found = line.contains("pair") ? tokenizer.encode(text, line["pair"].get<std::string>(), options) : tokenizer.encode(text, options);
    return {{"ids", found.ids}, {"type_ids", found.type_ids}};
  } catch (const ds::Error& error) {
    return {{"error", error.what()}};
  }
}

int time(const ds::text::Tokenizer& tokenizer, const std::string& path, int repeats) {
  const std::string text = ds::io::read_file(path);
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  double least = 1e30;
  std::uint64_t sum = 0, tokens = 0;
  for (int i = 0; i < repeats; ++i) {
    const auto start = std::chrono::steady_clock::now();
    sum = tokens = 0;
    for (const std::string& line : lines) {
      for (const std::int64_t id : tokenizer.encode(line).ids) {
        sum = sum * 31 + static_cast<std::uint64_t>(id);
        ++tokens;
      }
    }
    least = std::min(least, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  std::cout << Json({{"seconds", least}, {"tokens", tokens}, {"checksum", sum}}).dump() << "\n";
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const std::string path = argc > 1 ? argv[1] : "";
    const ds::text::Tokenizer tokenizer(Json::parse(ds::io::read_file(path)), path);
    if (argc == 5 && std::string(argv[2]) == "--time") return time(tokenizer, argv[3], std::stoi(argv[4]));
    std::ios::sync_with_stdio(false);
    for (std::string line; std::getline(std::cin, line);) std::cout << answer(tokenizer, Json::parse(line)).dump() << "\n";
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 3;
  }
}
