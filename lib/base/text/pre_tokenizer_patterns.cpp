// Split (by a string or a regular expression) and Metaspace (spaces are a character of their own that begins a word).
#include <fmt/format.h>

#include "base/text/component.h"
#include "base/text/regex.h"
#include "base/text/unicode.h"

namespace ds::text {
namespace {

class Split : public PreTokenizer {
 public:
  explicit Split(const Spec& spec)
      : pattern_(spec, "pattern"), behavior_(parse_behavior(spec, spec.text("behavior"))), invert_(spec.flag("invert", false)) {}

  void apply(Pieces& pieces) const override {
    split(pieces, behavior_, [&](std::string_view text, std::vector<Match>& matches) {
      pattern_.find(text, matches);
      if (invert_)
        for (Match& match : matches) match.is_match = !match.is_match;
    });
  }

 private:
  Pattern pattern_;
  Behavior behavior_;
  bool invert_;
};

class Metaspace : public PreTokenizer {
 public:
  explicit Metaspace(const Spec& spec) : split_(spec.flag("split", true)) {
    append(replacement_, spec.character("replacement"));
    const std::string scheme = spec.text("prepend_scheme", spec.flag("add_prefix_space", true) ? "always" : "never");
    if (scheme != "always" && scheme != "first" && scheme != "never")
      spec.fail(fmt::format("unknown prepend_scheme \"{}\", expected always, first or never", scheme));
    if (!spec.flag("add_prefix_space", true) && scheme != "never")
      spec.fail(fmt::format("add_prefix_space is false, but prepend_scheme is \"{}\"", scheme));
    always_ = scheme == "always";
    first_ = scheme == "first";
  }

  void apply(Pieces& pieces) const override {
    rewrite(pieces, [&](std::string_view text, bool begins, std::string& out) {
      if ((always_ || (first_ && begins)) && !text.starts_with(' ') && !text.starts_with(replacement_)) out += replacement_;
      for (const char byte : text) {
        if (byte == ' ')
          out += replacement_;
        else
          out += byte;
      }
    });
    if (!split_) return;
    split(pieces, Behavior::kMergedWithNext, [&](std::string_view text, std::vector<Match>& matches) {
      std::size_t done = 0;
      for (std::size_t found = text.find(replacement_); found != std::string_view::npos; found = text.find(replacement_, done)) {
        if (done < found) matches.push_back({done, found, false});
        done = found + replacement_.size();
        matches.push_back({found, done, true});
      }
      if (done < text.size()) matches.push_back({done, text.size(), false});
    });
  }

 private:
  std::string replacement_;
  bool split_, always_ = false, first_ = false;
};

const Component<PreTokenizer> split_component("Split",
                                              [](const Spec& spec) -> std::unique_ptr<PreTokenizer> { return std::make_unique<Split>(spec); });
const Component<PreTokenizer> metaspace("Metaspace",
                                        [](const Spec& spec) -> std::unique_ptr<PreTokenizer> { return std::make_unique<Metaspace>(spec); });

}  // namespace
}  // namespace ds::text
