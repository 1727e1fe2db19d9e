// What BERT does to a text: control characters out, every space a plain one, Chinese characters apart, accents off, lower case.
#include "base/text/component.h"
#include "base/text/unicode.h"

namespace ds::text {
namespace {

class Bert : public Normalizer {
 public:
  explicit Bert(const Spec& spec)
      : clean_(spec.flag("clean_text", true)),
        chinese_(spec.flag("handle_chinese_chars", true)),
        lower_(spec.flag("lowercase", true)),
        strip_(spec.flag("strip_accents", lower_)) {}

  void apply(Normalized& text) const override {
    std::string out;
    out.reserve(text.text.size() + text.text.size() / 8);
    bool ascii = true;
    std::size_t lead = 0;
    for (std::size_t at = 0; at < text.text.size();) {
      if (at <= text.lead) lead = out.size();
      char32_t c = next(text.text, at);
      if (clean_) {
        const bool space = is_space(c);
        if (c == 0 || c == 0xFFFD || (is_other(c) && c != '\t' && c != '\n' && c != '\r')) continue;
        if (space) c = ' ';
      }
      if (c < 0x80) {
        out += static_cast<char>(lower_ && c >= 'A' && c <= 'Z' ? c + 32 : c);
        continue;
      }
      ascii = false;
      if (chinese_ && is_chinese(c)) {
        out += ' ';
        append(out, c);
        out += ' ';
      } else if (lower_ && !strip_) {
        append_lower(out, c);
      } else {
        append(out, c);
      }
    }
    if (text.lead == text.text.size()) lead = out.size();
    text.lead = lead;
    if (!ascii && strip_) {
      text.lead = without_accents(out.substr(0, lead)).size();
      out = without_accents(out);
    }
    text.text = std::move(out);
  }

 private:
  std::string without_accents(const std::string& from) const {
    const std::string decomposed = normal_form(from, Form::kNFD);
    std::string out;
    out.reserve(decomposed.size());
    for (std::size_t at = 0; at < decomposed.size();) {
      const char32_t c = next(decomposed, at);
      if (is_nonspacing_mark(c)) continue;
      if (lower_)
        append_lower(out, c);
      else
        append(out, c);
    }
    return out;
  }

  bool clean_, chinese_, lower_, strip_;
};

const Component<Normalizer> component("BertNormalizer", [](const Spec& spec) -> std::unique_ptr<Normalizer> { return std::make_unique<Bert>(spec); });

}  // namespace
}  // namespace ds::text
