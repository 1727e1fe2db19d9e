// What a tokenizer is made of. Each component of tokenizer.json registers its maker under the name of its "type"; a file that is added is enough.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/text/tokenizer.h"
#include "base/text/vocabulary.h"

namespace ds::text {

/// A text, or a part of one, on its way through the normalizers.
struct Normalized {
  std::string text;
  /// Bytes at the beginning that came of the very first character of the original: 0 where it was taken out, or where this is no first part.
  std::size_t lead = 0;
};

class Normalizer {
 public:
  virtual ~Normalizer() = default;
  virtual void apply(Normalized& text) const = 0;
};

/// A range of Pieces::text. `token` >= 0: an added token of that id, which nothing changes any more.
struct Piece {
  std::size_t begin, end;
  std::int32_t token = -1;
  std::size_t lead = 0;  ///< bytes of it that came of the very first character of the original: it begins the text where there are some
};

struct Pieces {
  std::string text;
  std::vector<Piece> list;
};

class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  /// Splits or rewrites the pieces that are no tokens; none is left empty.
  virtual void apply(Pieces& pieces) const = 0;
};

class Model {
 public:
  virtual ~Model() = default;
  /// Appends the ids of one piece. Throws ds::Error(kInput) where no token, not even the unknown one, stands for it.
  virtual void tokenize(std::string_view piece, std::vector<std::int32_t>& ids) const = 0;
  virtual const Vocabulary& vocabulary() const = 0;
};

class PostProcessor {
 public:
  virtual ~PostProcessor() = default;
  /// How many tokens it adds.
  virtual std::int64_t added(bool pair) const = 0;
  /// Takes the encodings of the texts, gives those that follow each other in the result.
  virtual std::vector<Encoding> process(std::vector<Encoding> encodings, bool special) const = 0;
};

class Decoder {
 public:
  virtual ~Decoder() = default;
  virtual void apply(std::vector<std::string>& tokens) const = 0;
};

/// Reads the keys of a component and says what is wrong with them.
class Spec {
 public:
  Spec(const Json& json, std::string where, int depth = 0);

  const std::string& where() const { return where_; }
  const Json& json() const { return json_; }
  int depth() const { return depth_; }
  bool has(const char* key) const;  ///< there and not null
  const Json& at(const char* key) const;
  std::string text(const char* key) const;
  std::string text(const char* key, const std::string& otherwise) const;
  bool flag(const char* key) const;
  bool flag(const char* key, bool otherwise) const;
  std::int64_t integer(const char* key, std::int64_t low, std::int64_t high) const;
  /// One character. Throws ds::Error(kInput) for none or several.
  char32_t character(const char* key) const;
  /// The elements of a list, each an object. Throws ds::Error(kInput) beyond a depth of 16.
  std::vector<Spec> list(const char* key) const;
  /// Throws ds::Error(kInput, where, message).
  [[noreturn]] void fail(const std::string& message) const;

 private:
  const Json& json_;
  std::string where_;
  int depth_;
};

template <class T>
using Maker = std::unique_ptr<T> (*)(const Spec&);
/// The makers of a kind (T: Normalizer, PreTokenizer, Model, PostProcessor, Decoder) by type.
template <class T>
std::map<std::string, Maker<T>>& makers();
template <class T>
struct Component {
  Component(const char* type, Maker<T> maker) { makers<T>()[type] = maker; }
};
/// Makes what json["type"] names; null for null. Throws ds::Error(kInput) for a type that is not known, with those that are.
template <class T>
std::unique_ptr<T> make(const Spec& spec);

extern template std::unique_ptr<Normalizer> make<Normalizer>(const Spec&);
extern template std::unique_ptr<PreTokenizer> make<PreTokenizer>(const Spec&);
extern template std::unique_ptr<Model> make<Model>(const Spec&);
extern template std::unique_ptr<PostProcessor> make<PostProcessor>(const Spec&);
extern template std::unique_ptr<Decoder> make<Decoder>(const Spec&);

/// Throws ds::Error(kInput) where a text became far longer than normal forms or byte characters make one: a chain of replacements could double it
/// again and again.
void check_growth(std::size_t before, std::size_t after);

/// How a match and what is between matches become pieces.
enum class Behavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };
Behavior parse_behavior(const Spec& spec, const std::string& name);
struct Match {
  std::size_t begin, end;
  bool is_match;
};
/// Splits every piece that is no token: `find` gives the matches of a text and what lies between, in order, without gaps.
void split(Pieces& pieces, Behavior behavior, const std::function<void(std::string_view, std::vector<Match>&)>& find);
/// Gives every piece that is no token another text: `rewrite(text, begins, out)` appends it to `out`.
void rewrite(Pieces& pieces, const std::function<void(std::string_view, bool, std::string&)>& rewrite);

}  // namespace ds::text
