// From tokens back to text: each takes a list of strings and gives one; the text is what is left, joined.
#include <fmt/format.h>

#include "base/core/error.h"
#include "base/text/bytes.h"
#include "base/text/component.h"
#include "base/text/unicode.h"

namespace ds::text {
namespace {

void replace_all(std::string& text, std::string_view old, std::string_view with) {
  if (old.empty()) return;
  std::string out;
  std::size_t done = 0;
  for (std::size_t found = text.find(old); found != std::string::npos; found = text.find(old, done)) {
    out.append(text, done, found - done);
    out += with;
    done = found + old.size();
  }
  if (done == 0) return;
  out.append(text, done);
  text = std::move(out);
}

/// Takes out the spaces that English has not before punctuation and short forms.
void clean_up(std::string& text) {
  static constexpr std::pair<std::string_view, std::string_view> kPairs[] = {{" .", "."},   {" ?", "?"},     {" !", "!"},    {" ,", ","},
                                                                             {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},  {" do not", " don't"},
                                                                             {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  for (const auto& [old, with] : kPairs) replace_all(text, old, with);
}

class WordPiece : public Decoder {
 public:
  explicit WordPiece(const Spec& spec) : prefix_(spec.text("prefix", "##")), cleanup_(spec.flag("cleanup", true)) {}
  void apply(std::vector<std::string>& tokens) const override {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      std::string& token = tokens[i];
      if (i > 0) token = token.starts_with(prefix_) ? token.substr(prefix_.size()) : " " + token;
      if (cleanup_) clean_up(token);
    }
  }

 private:
  std::string prefix_;
  bool cleanup_;
};

class ByteLevel : public Decoder {
 public:
  void apply(std::vector<std::string>& tokens) const override {
    std::string bytes;
    for (const std::string& token : tokens) {
      const std::size_t before = bytes.size();
      for (std::size_t at = 0; at < token.size();) {
        const int byte = byte_of(next(token, at));
        if (byte < 0) {  // no token of the alphabet: it is taken as it is
          bytes.resize(before);
          bytes += token;
          break;
        }
        bytes += static_cast<char>(byte);
      }
    }
    tokens = {replace_invalid(bytes)};
  }
};

class Metaspace : public Decoder {
 public:
  explicit Metaspace(const Spec& spec)
      : replacement_(spec.character("replacement")),
        prepends_(spec.has("prepend_scheme") ? spec.text("prepend_scheme") != "never" : spec.flag("add_prefix_space", true)) {}
  void apply(std::vector<std::string>& tokens) const override {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      std::string out;
      for (std::size_t at = 0; at < tokens[i].size();) {
        const char32_t c = next(tokens[i], at);
        if (c != replacement_)
          append(out, c);
        else if (i > 0 || !prepends_)
          out += ' ';
      }
      tokens[i] = std::move(out);
    }
  }

 private:
  char32_t replacement_;
  bool prepends_;
};

class Bpe : public Decoder {
 public:
  explicit Bpe(const Spec& spec) : suffix_(spec.text("suffix", "</w>")) {}
  void apply(std::vector<std::string>& tokens) const override {
    for (std::size_t i = 0; i < tokens.size(); ++i) replace_all(tokens[i], suffix_, i + 1 == tokens.size() ? "" : " ");
  }

 private:
  std::string suffix_;
};

/// <0xE2> and the like are bytes; a run that is no UTF-8 becomes as many U+FFFD.
class ByteFallback : public Decoder {
 public:
  void apply(std::vector<std::string>& tokens) const override {
    std::vector<std::string> out;
    std::string bytes;
    const auto flush = [&] {
      if (bytes.empty()) return;
      if (find_invalid_utf8(bytes) == std::string::npos)
        out.push_back(bytes);
      else
        out.insert(out.end(), bytes.size(), "\xEF\xBF\xBD");
      bytes.clear();
    };
    for (std::string& token : tokens) {
      const int byte = value(token);
      if (byte >= 0) {
        bytes += static_cast<char>(byte);
        continue;
      }
      flush();
      out.push_back(std::move(token));
    }
    flush();
    tokens = std::move(out);
  }

 private:
  static int value(const std::string& token) {
    if (token.size() != 6 || !token.starts_with("<0x") || token.back() != '>') return -1;
    const auto digit = [](char c) {
      return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
    };
    const int high = digit(token[3]), low = digit(token[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
  }
};

class Fuse : public Decoder {
 public:
  void apply(std::vector<std::string>& tokens) const override {
    std::string whole;
    for (const std::string& token : tokens) whole += token;
    tokens = {std::move(whole)};
  }
};

class Strip : public Decoder {
 public:
  explicit Strip(const Spec& spec)
      : content_(spec.character("content")), start_(spec.integer("start", 0, 1 << 20)), stop_(spec.integer("stop", 0, 1 << 20)) {}
  void apply(std::vector<std::string>& tokens) const override {
    for (std::string& token : tokens) {
      std::size_t begin = 0, end = token.size();
      for (std::int64_t i = 0; i < start_ && begin < end; ++i) {
        std::size_t at = begin;
        if (next(token, at) != content_) break;
        begin = at;
      }
      for (std::int64_t i = 0; i < stop_ && end > begin; ++i) {
        std::size_t at = end;
        if (previous(token, at) != content_) break;
        end = at;
      }
      token = token.substr(begin, end - begin);
    }
  }

 private:
  char32_t content_;
  std::int64_t start_, stop_;
};

/// Of connectionist temporal classification: repeated tokens once, no padding.
class Ctc : public Decoder {
 public:
  explicit Ctc(const Spec& spec)
      : padding_(spec.text("pad_token", "<pad>")), delimiter_(spec.text("word_delimiter_token", "|")), cleanup_(spec.flag("cleanup", true)) {}
  void apply(std::vector<std::string>& tokens) const override {
    tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
    for (std::string& token : tokens) {
      replace_all(token, padding_, "");
      if (!cleanup_) continue;
      clean_up(token);
      replace_all(token, delimiter_, " ");
    }
    std::erase(tokens, "");
  }

 private:
  std::string padding_, delimiter_;
  bool cleanup_;
};

class Sequence : public Decoder {
 public:
  explicit Sequence(const Spec& spec) {
    for (const Spec& part : spec.list("decoders")) parts_.push_back(make<Decoder>(part));
  }
  void apply(std::vector<std::string>& tokens) const override {
    for (const auto& part : parts_) part->apply(tokens);
  }

 private:
  std::vector<std::unique_ptr<Decoder>> parts_;
};

using Made = std::unique_ptr<Decoder>;
const Component<Decoder> wordpiece("WordPiece", [](const Spec& spec) -> Made { return std::make_unique<WordPiece>(spec); });
const Component<Decoder> byte_level("ByteLevel", [](const Spec&) -> Made { return std::make_unique<ByteLevel>(); });
const Component<Decoder> metaspace("Metaspace", [](const Spec& spec) -> Made { return std::make_unique<Metaspace>(spec); });
const Component<Decoder> bpe("BPEDecoder", [](const Spec& spec) -> Made { return std::make_unique<Bpe>(spec); });
const Component<Decoder> fallback("ByteFallback", [](const Spec&) -> Made { return std::make_unique<ByteFallback>(); });
const Component<Decoder> fuse("Fuse", [](const Spec&) -> Made { return std::make_unique<Fuse>(); });
const Component<Decoder> strip("Strip", [](const Spec& spec) -> Made { return std::make_unique<Strip>(spec); });
const Component<Decoder> ctc("CTC", [](const Spec& spec) -> Made { return std::make_unique<Ctc>(spec); });
const Component<Decoder> sequence("Sequence", [](const Spec& spec) -> Made { return std::make_unique<Sequence>(spec); });

}  // namespace
}  // namespace ds::text
