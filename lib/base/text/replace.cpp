// Replace: what matches a pattern becomes another text; as a normalizer and as a decoder.
#include "base/text/component.h"
#include "base/text/regex.h"

namespace ds::text {
namespace {

class Replacement {
 public:
  explicit Replacement(const Spec& spec) : pattern_(spec, "pattern"), content_(spec.text("content")) {}

  /// @param lead bytes at the beginning    @return what becomes of them; what is put down for a match belongs to its last byte
  std::size_t apply(std::string& text, std::size_t lead = 0) const {
    std::vector<Match> matches;
    pattern_.find(text, matches);
    std::string out;
    out.reserve(text.size());
    std::size_t left = 0;
    for (const Match& match : matches) {
      const std::size_t before = out.size();
      if (match.is_match)
        out += content_;
      else
        out.append(text, match.begin, match.end - match.begin);
      if (match.end <= lead)
        left = out.size();
      else if (!match.is_match && match.begin < lead)
        left = before + lead - match.begin;
      check_growth(text.size(), out.size());
    }
    text = std::move(out);
    return left;
  }

 private:
  Pattern pattern_;
  std::string content_;
};

class ReplaceNormalizer : public Normalizer {
 public:
  explicit ReplaceNormalizer(const Spec& spec) : replacement_(spec) {}
  void apply(Normalized& text) const override { text.lead = replacement_.apply(text.text, text.lead); }

 private:
  Replacement replacement_;
};

class ReplaceDecoder : public Decoder {
 public:
  explicit ReplaceDecoder(const Spec& spec) : replacement_(spec) {}
  void apply(std::vector<std::string>& tokens) const override {
    for (std::string& token : tokens) replacement_.apply(token);
  }

 private:
  Replacement replacement_;
};

const Component<Normalizer> normalizer("Replace",
                                       [](const Spec& spec) -> std::unique_ptr<Normalizer> { return std::make_unique<ReplaceNormalizer>(spec); });
const Component<Decoder> decoder("Replace", [](const Spec& spec) -> std::unique_ptr<Decoder> { return std::make_unique<ReplaceDecoder>(spec); });

}  // namespace
}  // namespace ds::text
