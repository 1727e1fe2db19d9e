// What is put around the tokens of a text or a pair of texts.
#include <fmt/format.h>

#include "base/core/error.h"
#include "base/text/component.h"

namespace ds::text {
namespace {

constexpr std::int64_t kMostId = (std::int64_t{1} << 31) - 1;

void put(Encoding& encoding, std::int64_t id, std::int64_t type) {
  encoding.ids.push_back(id);
  encoding.type_ids.push_back(type);
  encoding.special.push_back(1);
}

void put(Encoding& encoding, const Encoding& part) {
  const auto add = [](auto& to, const auto& from) { to.insert(to.end(), from.begin(), from.end()); };
  add(encoding.ids, part.ids);
  add(encoding.type_ids, part.type_ids);
  add(encoding.special, part.special);
}

/// ["[SEP]", 102]
std::int64_t token_and_id(const Spec& spec, const char* key) {
  const Json& value = spec.at(key);
  if (!value.is_array() || value.size() != 2 || !value[0].is_string() || natural(value[1]) < 0 || natural(value[1]) > kMostId)
    spec.fail(fmt::format("{} is {}, expected [token, id]", key, value.dump(-1, ' ', false, Json::error_handler_t::replace).substr(0, 80)));
  return value[1].get<std::int64_t>();
}

/// [CLS] a [SEP], [CLS] a [SEP] b [SEP]; as RoBERTa has it <s> a </s></s> b </s>, all of type 0.
class Surrounded : public PostProcessor {
 public:
  Surrounded(const Spec& spec, bool roberta) : begin_(token_and_id(spec, "cls")), end_(token_and_id(spec, "sep")), roberta_(roberta) {}

  std::int64_t added(bool pair) const override { return pair ? (roberta_ ? 4 : 3) : 2; }

  std::vector<Encoding> process(std::vector<Encoding> encodings, bool special) const override {
    for (std::size_t i = 0; i < encodings.size(); ++i) {
      Encoding& part = encodings[i];
      if (roberta_) std::fill(part.type_ids.begin(), part.type_ids.end(), 0);
      if (!special) continue;
      const std::int64_t type = i == 0 || roberta_ ? 0 : 1;
      Encoding whole;
      if (i == 0 || roberta_) put(whole, i == 0 ? begin_ : end_, type);
      put(whole, part);
      put(whole, end_, type);
      part = std::move(whole);
    }
    return encodings;
  }

 private:
  std::int64_t begin_, end_;
  bool roberta_;
};

class Template : public PostProcessor {
 public:
  explicit Template(const Spec& spec) : single_(read(spec, "single", false)), pair_(read(spec, "pair", true)) {}

  std::int64_t added(bool pair) const override {
    std::int64_t n = 0;
    for (const Part& part : pair ? pair_ : single_) n += static_cast<std::int64_t>(part.ids.size());
    return n;
  }

  std::vector<Encoding> process(std::vector<Encoding> encodings, bool special) const override {
    if (encodings.empty() || encodings.size() > 2)
      throw Error(Exit::kInput, "",
                  fmt::format("a template is for one or two texts, but the post-processor before it gives {} parts", encodings.size()));
    std::vector<Encoding> whole;
    for (const Part& part : encodings.size() == 2 ? pair_ : single_) {
      Encoding next;
      if (part.sequence >= 0) {
        next = encodings.at(static_cast<std::size_t>(part.sequence));
        std::fill(next.type_ids.begin(), next.type_ids.end(), part.type);
      } else if (special) {
        for (const std::int64_t id : part.ids) put(next, id, part.type);
      } else {
        continue;
      }
      whole.push_back(std::move(next));
    }
    if (whole.empty()) whole.emplace_back();
    return whole;
  }

 private:
  struct Part {
    int sequence = -1;              ///< 0: the text, 1: its pair, -1: special tokens
    std::vector<std::int64_t> ids;  ///< of the special tokens
    std::int64_t type = 0;
  };

  static std::vector<Part> read(const Spec& spec, const char* key, bool pair) {
    std::vector<Part> parts;
    for (const Spec& piece : spec.list(key)) {
      Part part;
      const bool sequence = piece.has("Sequence");
      const Spec inner(piece.at(sequence ? "Sequence" : "SpecialToken"), piece.where(), piece.depth() + 1);
      part.type = inner.integer("type_id", 0, kMostId);
      const std::string id = inner.text("id");
      if (sequence) {
        if (id != "A" && id != "B") inner.fail(fmt::format("unknown sequence \"{}\", expected A or B", id));
        if (id == "B" && !pair) inner.fail("names sequence B, but there is one text");
        part.sequence = id == "A" ? 0 : 1;
      } else {
        const Spec known(spec.at("special_tokens"), spec.where() + ".special_tokens");
        const Spec token(known.at(id.c_str()), known.where() + "." + id);
        const Json& ids = token.at("ids");
        if (!ids.is_array() || ids.size() > 256) token.fail("ids is no list of at most 256 ids");
        for (const Json& value : ids) {
          if (natural(value) < 0 || natural(value) > kMostId)
            token.fail(fmt::format("ids has {}, expected an integer in 0..{}",
                                   value.dump(-1, ' ', false, Json::error_handler_t::replace).substr(0, 80), kMostId));
          part.ids.push_back(value.get<std::int64_t>());
        }
      }
      parts.push_back(std::move(part));
    }
    return parts;
  }

  std::vector<Part> single_, pair_;
};

/// It moves offsets alone, of which there are none here.
class Unchanged : public PostProcessor {
 public:
  std::int64_t added(bool) const override { return 0; }
  std::vector<Encoding> process(std::vector<Encoding> encodings, bool) const override { return encodings; }
};

class Sequence : public PostProcessor {
 public:
  explicit Sequence(const Spec& spec) {
    for (const Spec& part : spec.list("processors")) parts_.push_back(make<PostProcessor>(part));
  }
  std::int64_t added(bool pair) const override {
    std::int64_t n = 0;
    for (const auto& part : parts_) n += part->added(pair);
    return n;
  }
  std::vector<Encoding> process(std::vector<Encoding> encodings, bool special) const override {
    for (const auto& part : parts_) encodings = part->process(std::move(encodings), special);
    return encodings;
  }

 private:
  std::vector<std::unique_ptr<PostProcessor>> parts_;
};

using Made = std::unique_ptr<PostProcessor>;
const Component<PostProcessor> bert("BertProcessing", [](const Spec& spec) -> Made { return std::make_unique<Surrounded>(spec, false); });
const Component<PostProcessor> roberta("RobertaProcessing", [](const Spec& spec) -> Made { return std::make_unique<Surrounded>(spec, true); });
const Component<PostProcessor> templates("TemplateProcessing", [](const Spec& spec) -> Made { return std::make_unique<Template>(spec); });
const Component<PostProcessor> byte_level("ByteLevel", [](const Spec&) -> Made { return std::make_unique<Unchanged>(); });
const Component<PostProcessor> sequence("Sequence", [](const Spec& spec) -> Made { return std::make_unique<Sequence>(spec); });

}  // namespace
}  // namespace ds::text
