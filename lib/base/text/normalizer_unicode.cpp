// Normalizers that look at one character at a time, or at the whole: normal forms, lower case, accents, spaces at the ends.
#include "base/text/bytes.h"
#include "base/text/component.h"
#include "base/text/unicode.h"

namespace ds::text {
namespace {

/// For what looks at each character alone: `change(c, out)` appends what becomes of it.
template <class Change>
void change_each(Normalized& text, Change&& change) {
  std::string out;
  out.reserve(text.text.size());
  std::size_t lead = 0;
  for (std::size_t at = 0; at < text.text.size();) {
    change(next(text.text, at), out);
    if (at <= text.lead) lead = out.size();
  }
  text.lead = lead;
  text.text = std::move(out);
}

template <Form form>
class NormalForm : public Normalizer {
 public:
  void apply(Normalized& text) const override {
    text.lead = normal_form(std::string_view(text.text).substr(0, text.lead), form).size();
    text.text = normal_form(text.text, form);
  }
};

class Lowercase : public Normalizer {
 public:
  void apply(Normalized& text) const override {
    change_each(text, [](char32_t c, std::string& out) { append_lower(out, c); });
  }
};

class StripAccents : public Normalizer {
 public:
  void apply(Normalized& text) const override {
    if (is_ascii(text.text)) return;
    change_each(text, [](char32_t c, std::string& out) {
      if (!is_mark(c)) append(out, c);
    });
  }
};

class Strip : public Normalizer {
 public:
  explicit Strip(const Spec& spec) : left_(spec.flag("strip_left", true)), right_(spec.flag("strip_right", true)) {}
  void apply(Normalized& text) const override {
    std::size_t begin = 0, end = text.text.size();
    for (std::size_t at = 0; left_ && at < end && is_space(next(text.text, at));) begin = at;
    for (std::size_t at = end; right_ && at > begin && is_space(previous(text.text, at));) end = at;
    text.lead -= std::min(text.lead, begin);
    text.text = text.text.substr(begin, end - begin);
  }

 private:
  bool left_, right_;
};

/// What the models of Google's neural machine translation do to controls and odd spaces.
class Nmt : public Normalizer {
 public:
  void apply(Normalized& text) const override {
    change_each(text, [](char32_t c, std::string& out) {
      if ((c >= 1 && c <= 8) || c == 0xB || (c >= 0xE && c <= 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F) return;
      const bool space = c == 9 || c == 0xA || c == 0xC || c == 0xD || c == 0x1680 || (c >= 0x200B && c <= 0x200F) || c == 0x2028 || c == 0x2029 ||
                         c == 0x2581 || c == 0xFEFF || c == 0xFFFD;
      append(out, space ? U' ' : c);
    });
  }
};

class Prepend : public Normalizer {
 public:
  explicit Prepend(const Spec& spec) : prefix_(spec.text("prepend")) {}
  void apply(Normalized& text) const override {
    if (text.text.empty()) return;
    text.text.insert(0, prefix_);
    if (text.lead > 0) text.lead += prefix_.size();
  }

 private:
  std::string prefix_;
};

class ByteLevel : public Normalizer {
 public:
  void apply(Normalized& text) const override {
    std::string out;
    append_byte_characters(out, std::string_view(text.text).substr(0, text.lead));
    const std::size_t lead = out.size();
    append_byte_characters(out, std::string_view(text.text).substr(text.lead));
    text.text = std::move(out);
    text.lead = lead;
  }
};

class Sequence : public Normalizer {
 public:
  explicit Sequence(const Spec& spec) {
    for (const Spec& part : spec.list("normalizers")) parts_.push_back(make<Normalizer>(part));
  }
  void apply(Normalized& text) const override {
    const std::size_t before = text.text.size();
    for (const auto& part : parts_) {
      part->apply(text);
      check_growth(before, text.text.size());
    }
  }

 private:
  std::vector<std::unique_ptr<Normalizer>> parts_;
};

using Made = std::unique_ptr<Normalizer>;
const Component<Normalizer> nfc("NFC", [](const Spec&) -> Made { return std::make_unique<NormalForm<Form::kNFC>>(); });
const Component<Normalizer> nfd("NFD", [](const Spec&) -> Made { return std::make_unique<NormalForm<Form::kNFD>>(); });
const Component<Normalizer> nfkc("NFKC", [](const Spec&) -> Made { return std::make_unique<NormalForm<Form::kNFKC>>(); });
const Component<Normalizer> nfkd("NFKD", [](const Spec&) -> Made { return std::make_unique<NormalForm<Form::kNFKD>>(); });
const Component<Normalizer> lowercase("Lowercase", [](const Spec&) -> Made { return std::make_unique<Lowercase>(); });
const Component<Normalizer> accents("StripAccents", [](const Spec&) -> Made { return std::make_unique<StripAccents>(); });
const Component<Normalizer> strip("Strip", [](const Spec& spec) -> Made { return std::make_unique<Strip>(spec); });
const Component<Normalizer> nmt("Nmt", [](const Spec&) -> Made { return std::make_unique<Nmt>(); });
const Component<Normalizer> prepend("Prepend", [](const Spec& spec) -> Made { return std::make_unique<Prepend>(spec); });
const Component<Normalizer> byte_level("ByteLevel", [](const Spec&) -> Made { return std::make_unique<ByteLevel>(); });
const Component<Normalizer> sequence("Sequence", [](const Spec& spec) -> Made { return std::make_unique<Sequence>(spec); });

}  // namespace
}  // namespace ds::text
