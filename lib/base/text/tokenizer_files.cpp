// Documents of the files that tokenizers come in.
#include <fmt/format.h>

#include "base/core/error.h"
#include "base/io/files.h"
#include "base/io/hf_folder.h"
#include "base/text/tokenizer.h"
#include "base/text/unicode.h"
#include "base/text/vocabulary.h"

namespace ds::text {
namespace {

constexpr const char* kNamed[] = {"pad_token", "unk_token", "bos_token", "eos_token", "cls_token", "sep_token", "mask_token"};

/// The content of a token: a string, or an object as AddedToken writes it.
std::string content(const Json& token) {
  if (token.is_string()) return token.get<std::string>();
  if (token.is_object() && token.contains("content") && token["content"].is_string()) return token["content"].get<std::string>();
  return "";
}

std::string named(const Json& config, const char* key, const char* otherwise) {
  const std::string found = config.is_object() && config.contains(key) ? content(config[key]) : "";
  return found.empty() ? otherwise : found;
}

bool flag(const Json& config, const char* key, bool otherwise) {
  return config.is_object() && config.contains(key) && config[key].is_boolean() ? config[key].get<bool>() : otherwise;
}

/// "ds" of a document: what of its configuration counts.
Json settings(const Json& config) {
  Json ours = Json::object();
  if (!config.is_object()) return ours;
  // Hugging Face writes 1e30 where there is no limit.
  if (config.contains("model_max_length") && config["model_max_length"].is_number()) {
    const double length = config["model_max_length"].get<double>();
    if (length >= 1 && length < 2147483648.0) ours["max_length"] = static_cast<std::int64_t>(length);
  }
  for (const char* key : kNamed) {
    const std::string token = named(config, key, "");
    if (!token.empty()) ours[key] = token;
  }
  ours["config"] = config;
  return ours;
}

Json added_token(std::int64_t id, const std::string& text, bool special, bool lstrip = false) {
  return {{"id", id},        {"content", text},        {"single_word", false}, {"lstrip", lstrip},
          {"rstrip", false}, {"normalized", !special}, {"special", special}};
}

std::int64_t required(const Json& vocab, const std::string& token, const std::string& where) {
  const auto found = vocab.find(token);
  if (found == vocab.end() || natural(*found) < 0)
    throw Error(Exit::kInput, where,
                fmt::format("the vocabulary lacks the token {}", Json(token).dump(-1, ' ', false, Json::error_handler_t::replace)));
  return found->get<std::int64_t>();
}

/// The lines of a text file, ended as Python takes them: LF, CRLF or CR.
std::vector<std::string> lines_of(std::string_view text, const std::string& where) {
  const std::size_t bad = find_invalid_utf8(text);
  if (bad != std::string_view::npos)
    throw Error(Exit::kInput, where, fmt::format("is no UTF-8: byte {} is 0x{:02x}", bad, static_cast<unsigned char>(text[bad])));
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find_first_of("\r\n", begin), text.size());
    lines.emplace_back(text.substr(begin, end - begin));
    begin = end + (end + 1 < text.size() && text[end] == '\r' && text[end + 1] == '\n' ? 2 : 1);
  }
  return lines;
}

Json read(const std::string& path) {
  Json json = io::read_json(path, kMostFile);
  check_depth(json, path);
  return json;
}

Json read_optional(const std::string& path) { return io::exists(path) ? read(path) : Json(); }

/// What special_tokens_map.json and added_tokens.json say and tokenizer_config.json does not.
Json configuration(const std::string& folder) {
  Json config = read_optional(folder + "/tokenizer_config.json");
  if (config.is_null()) config = Json::object();
  if (!config.is_object())
    throw Error(Exit::kInput, folder + "/tokenizer_config.json", fmt::format("is a JSON {}, expected an object", config.type_name()));
  const Json map = read_optional(folder + "/special_tokens_map.json");
  for (const char* key : kNamed)
    if (map.is_object() && map.contains(key) && (!config.contains(key) || config[key].is_null())) config[key] = map[key];
  return config;
}

/// added_tokens.json ({"token": id}) and "added_tokens_decoder" of the configuration ({"id": {...}}) go behind what the document has.
void add_tokens(Json& document, const Json& config, const Json& file, const std::string& where) {
  std::map<std::int64_t, Json> tokens;
  for (const Json& token : document["added_tokens"]) tokens[token["id"].get<std::int64_t>()] = token;
  if (file.is_object()) {
    for (const auto& [text, id] : file.items()) {
      if (natural(id) < 0)
        throw Error(Exit::kInput, where + "/added_tokens.json", fmt::format("id {} is no integer from 0 on", id.dump().substr(0, 80)));
      if (!tokens.contains(id.get<std::int64_t>())) tokens[id.get<std::int64_t>()] = added_token(id.get<std::int64_t>(), text, false);
    }
  }
  if (config.contains("added_tokens_decoder") && config["added_tokens_decoder"].is_object()) {
    for (const auto& [id, token] : config["added_tokens_decoder"].items()) {
      if (id.empty() || id.size() > 9 || id.find_first_not_of("0123456789") != std::string::npos || !token.is_object())
        throw Error(Exit::kInput, where + "/tokenizer_config.json",
                    fmt::format("added_tokens_decoder has the key \"{}\", expected an id", id.substr(0, 40)));
      Json copy = token;
      copy["id"] = std::stoll(id);
      tokens[std::stoll(id)] = copy;
    }
  }
  Json list = Json::array();
  for (const auto& [id, token] : tokens) list.push_back(token);
  document["added_tokens"] = list;
}

}  // namespace

Json from_vocab(std::string_view vocab, const Json& config, const std::string& where) {
  Json ids = Json::object();
  std::int64_t id = 0;
  for (std::string& line : lines_of(vocab, where)) {
    const auto [found, is_new] = ids.emplace(std::move(line), id);
    if (!is_new)
      throw Error(Exit::kInput, where,
                  fmt::format("token {} is there twice, in lines {} and {}", Json(found.key()).dump(), found->get<std::int64_t>() + 1, id + 1));
    ++id;
  }
  const std::string unknown = named(config, "unk_token", "[UNK]"), cls = named(config, "cls_token", "[CLS]"),
                    sep = named(config, "sep_token", "[SEP]");
  const bool lower = flag(config, "do_lower_case", true);
  Json added = Json::array();
  for (const std::string& token : {named(config, "pad_token", "[PAD]"), unknown, cls, sep, named(config, "mask_token", "[MASK]")})
    if (ids.contains(token)) added.push_back(added_token(ids[token].get<std::int64_t>(), token, true));
  std::sort(added.begin(), added.end(), [](const Json& a, const Json& b) { return a["id"] < b["id"]; });
  const std::int64_t cls_id = required(ids, cls, where), sep_id = required(ids, sep, where);
  Json ours = settings(config);
  for (const auto& [key, token] : std::initializer_list<std::pair<const char*, std::string>>{{"pad_token", named(config, "pad_token", "[PAD]")},
                                                                                             {"unk_token", unknown},
                                                                                             {"cls_token", cls},
                                                                                             {"sep_token", sep},
                                                                                             {"mask_token", named(config, "mask_token", "[MASK]")}})
    ours[key] = token;
  const Json strip =
      config.is_object() && config.contains("strip_accents") && config["strip_accents"].is_boolean() ? config["strip_accents"] : Json();
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", added},
          {"normalizer",
           {{"type", "BertNormalizer"},
            {"clean_text", true},
            {"handle_chinese_chars", flag(config, "tokenize_chinese_chars", true)},
            {"strip_accents", strip},
            {"lowercase", lower}}},
          {"pre_tokenizer", {{"type", "BertPreTokenizer"}}},
          {"post_processor", {{"type", "BertProcessing"}, {"sep", {sep, sep_id}}, {"cls", {cls, cls_id}}}},
          {"decoder", {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}}},
          {"model",
           {{"type", "WordPiece"},
            {"unk_token", unknown},
            {"continuing_subword_prefix", "##"},
            {"max_input_chars_per_word", 100},
            {"vocab", std::move(ids)}}},
          {"ds", ours}};
}

namespace {

/// merges.txt: a pair a line, below a line with its version.
Json read_merges(std::string_view merges, const std::string& where) {
  Json pairs = Json::array();
  std::int64_t number = 0;
  for (const std::string& line : lines_of(merges, where)) {
    ++number;
    if (line.starts_with("#version") || line.empty()) continue;
    const std::size_t space = line.find(' ');
    if (space == std::string::npos || line.find(' ', space + 1) != std::string::npos)
      throw Error(Exit::kInput, where + ":" + std::to_string(number),
                  fmt::format("has {} spaces, expected two tokens with one between them", std::count(line.begin(), line.end(), ' ')));
    pairs.push_back(Json::array({line.substr(0, space), line.substr(space + 1)}));
  }
  return pairs;
}

using Names = std::initializer_list<std::pair<const char*, const char*>>;  ///< keys of the configuration and the usual tokens
constexpr Names kRoberta = {{"bos_token", "<s>"},   {"pad_token", "<pad>"}, {"eos_token", "</s>"},  {"unk_token", "<unk>"},
                            {"cls_token", "<s>"}, {"sep_token", "</s>"},  {"mask_token", "<mask>"}};
constexpr Names kGpt2 = {{"unk_token", "<|endoftext|>"}, {"bos_token", "<|endoftext|>"}, {"eos_token", "<|endoftext|>"}, {"pad_token", ""}};

/// The tokens of these names that the vocabulary has, each once, by id; their names go to `ours`. A mask takes the space before it.
Json special_tokens(const Json& vocab, const Json& config, Names names, Json& ours, const std::string& where) {
  std::map<std::int64_t, Json> found;
  for (const auto& [key, usual] : names) {
    const std::string token = named(config, key, usual);
    if (token.empty() || !vocab.contains(token)) continue;
    ours[key] = token;
    const std::int64_t id = required(vocab, token, where);
    found.emplace(id, added_token(id, token, true, std::string_view(key) == "mask_token"));
  }
  Json added = Json::array();
  for (auto& [id, token] : found) added.push_back(std::move(token));
  return added;
}

}  // namespace

Json from_merges(const Json& vocab, std::string_view merges, const Json& config, bool roberta, const std::string& where) {
  if (!vocab.is_object())
    throw Error(Exit::kInput, where, fmt::format("the vocabulary is a JSON {}, expected an object of tokens and ids", vocab.type_name()));
  const bool prefix = flag(config, "add_prefix_space", false);
  const auto bytes = [](bool prefix_space, bool trim) {
    return Json{{"type", "ByteLevel"}, {"add_prefix_space", prefix_space}, {"trim_offsets", trim}, {"use_regex", true}};
  };
  Json ours = settings(config);
  const Json added = special_tokens(vocab, config, roberta ? kRoberta : kGpt2, ours, where);
  Json processor = bytes(true, false);
  if (roberta) {
    const auto token = [&](const char* key, const char* usual) {
      const std::string text = named(config, key, usual);
      return Json::array({text, required(vocab, text, where)});
    };
    processor = {{"type", "RobertaProcessing"},
                 {"sep", token("sep_token", "</s>")},
                 {"cls", token("cls_token", "<s>")},
                 {"trim_offsets", true},
                 {"add_prefix_space", prefix}};
  }
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", added},
          {"normalizer", nullptr},
          {"pre_tokenizer", bytes(prefix, true)},
          {"post_processor", processor},
          {"decoder", bytes(true, true)},
          {"model",
           {{"type", "BPE"},
            {"dropout", nullptr},
            {"unk_token", nullptr},
            {"continuing_subword_prefix", ""},
            {"end_of_word_suffix", ""},
            {"fuse_unk", false},
            {"byte_fallback", false},
            {"ignore_merges", false},
            {"vocab", vocab},
            {"merges", read_merges(merges, where)}}},
          {"ds", ours}};
}

Json read_folder(const std::string& folder) {
  const auto path = [&](const char* name) { return folder + "/" + name; };
  const bool whole = io::exists(path("tokenizer.json")), words = io::exists(path("vocab.txt"));
  const bool pairs = io::exists(path("vocab.json")) && io::exists(path("merges.txt"));
  if (!whole && !words && !pairs) return {};
  const Json config = configuration(folder);
  Json document;
  if (whole) {
    document = read(path("tokenizer.json"));
    if (!document.is_object())
      throw Error(Exit::kInput, path("tokenizer.json"), fmt::format("is a JSON {}, expected an object", document.type_name()));
    document["ds"] = settings(config);
    return document;
  }
  if (words) {
    document = from_vocab(io::read_file(path("vocab.txt"), kMostFile), config, path("vocab.txt"));
  } else {
    const std::string kind = config.value("tokenizer_class", "");
    const Json vocab = read(path("vocab.json"));
    const bool roberta =
        kind.empty() ? vocab.is_object() && vocab.contains("<s>") && vocab.contains("</s>") : kind.find("Roberta") != std::string::npos;
    document = from_merges(vocab, io::read_file(path("merges.txt"), kMostFile), config, roberta, path("merges.txt"));
  }
  add_tokens(document, config, read_optional(path("added_tokens.json")), folder);
  return document;
}

Json tokenizer_json(const Json& document) {
  Json copy = document;
  if (copy.is_object()) copy.erase("ds");
  return copy;
}

Json tokenizer_config(const Json& document) {
  const Json ours = document.is_object() && document.contains("ds") && document["ds"].is_object() ? document["ds"] : Json::object();
  Json config = ours.contains("config") && ours["config"].is_object() ? ours["config"] : Json::object();
  for (const char* key : kNamed)
    if (ours.contains(key) && !config.contains(key)) config[key] = ours[key];
  if (ours.contains("max_length") && ours["max_length"].is_number_integer() && ours["max_length"] > 0)
    config["model_max_length"] = ours["max_length"];
  if (!config.contains("tokenizer_class")) config["tokenizer_class"] = "PreTrainedTokenizerFast";
  return config;
}

}  // namespace ds::text
