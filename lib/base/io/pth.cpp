#include "base/io/pth.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "base/core/error.h"
#include "base/io/checkpoint_format.h"
#include "base/io/pickle.h"
#include "base/io/zip.h"

namespace ds::io {
namespace {

using Json = nlohmann::json;
using Value = PickleValue;
using Kind = PickleValue::Kind;

constexpr const char* kRebuildTensor = "torch._utils._rebuild_tensor_v2";
constexpr const char* kRebuildParameter = "torch._utils._rebuild_parameter";
constexpr const char* kRebuildWithState = "torch._utils._rebuild_parameter_with_state";
constexpr const char* kRebuildFromType = "torch._tensor._rebuild_from_type_v2";
constexpr const char* kScriptModules = "__torch__.";  ///< classes of TorchScript
constexpr const char* kScriptValues = "torch.jit._pickle.";
constexpr const char* kModelLibraries[] = {"timm.", "torchvision.", "transformers."};  ///< their models hold members of enumerations, which are calls
constexpr const char* kMetadata = "ds.json";
constexpr std::size_t kMaxPickle = std::size_t{1} << 28;      ///< bytes of data.pkl
constexpr int kMaxNesting = 100;                              ///< of modules and dicts
constexpr std::size_t kMaxVisits = 1 << 22;                   ///< a value that holds another twice, and that again, has endless paths
constexpr const char* kMagic = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";  ///< 0x1950a86a20f9469cfc6c, before the older form's pickles
constexpr std::int64_t kProtocol = 1001;

struct StorageType {
  const char* name;
  DType dtype;
};
constexpr StorageType kStorages[] = {{"DoubleStorage", DType::kF64},    {"FloatStorage", DType::kF32}, {"HalfStorage", DType::kF16},
                                     {"BFloat16Storage", DType::kBF16}, {"LongStorage", DType::kI64},  {"IntStorage", DType::kI32},
                                     {"ShortStorage", DType::kI16},     {"CharStorage", DType::kI8},   {"ByteStorage", DType::kU8},
                                     {"BoolStorage", DType::kBool}};

/// What state dicts, models and training's notes beside them ask Python to call. None of it ever is.
bool allowed(const std::string& global) {
  static const std::set<std::string> names = {
      kRebuildTensor,    kRebuildParameter, kRebuildWithState, kRebuildFromType, "collections.OrderedDict",      "collections.defaultdict",
      "torch.Size",      "torch.device",    "__builtin__.set", "builtins.set",   "builtins.frozenset",           "functools.partial",
      "_codecs.encode",  "numpy.dtype",     "numpy.core.multiarray.scalar",      "numpy._core.multiarray.scalar"};
  return names.count(global) || global.starts_with(kScriptValues) ||
         std::any_of(std::begin(kModelLibraries), std::end(kModelLibraries), [&](const char* library) { return global.starts_with(library); });
}

[[noreturn]] void fail(const std::string& where, const std::string& what, const std::string& hint = "") { throw Error(Exit::kInput, where, what, hint); }

struct Storage {
  DType dtype;
  Bytes bytes;
};

/// The storage of a persistent id, by its key: ("storage", torch.FloatStorage, key, location, elements[, view]).
struct StorageId {
  DType dtype = DType::kF32;
  std::string key;
  std::int64_t numel = 0;
};

/// ("module", class, file, source text), as a persistent id.
bool is_class(const Value& value) {
  const Value& id = *value.items[0];
  return id.is(Kind::kTuple) && id.items.size() == 4 && id.items[0]->text == "module";
}

StorageId storage_id(const Value& value, const std::string& where) {
  const Value* id = value.is(Kind::kPersistent) ? value.items[0] : nullptr;
  const bool shaped = id && id->is(Kind::kTuple) && (id->items.size() == 5 || id->items.size() == 6) && id->items[0]->text == "storage" &&
                      id->items[1]->is(Kind::kGlobal) && id->items[2]->is(Kind::kText) && id->items[4]->is(Kind::kInt);
  if (!shaped) fail(where, "a tensor without a storage that torch would write");
  if (id->items.size() == 6 && !id->items[5]->is(Kind::kNone))
    fail(where, "a storage that is a view of another, as torch wrote before 0.4", "load and save it with a newer torch");
  for (const StorageType& type : kStorages) {
    if (id->items[1]->text != std::string("torch.") + type.name) continue;
    const std::int64_t numel = id->items[4]->number;
    if (numel < 0 || numel > std::int64_t{1} << 50) fail(where, fmt::format("a storage of {} elements", numel));
    return {type.dtype, id->items[2]->text, numel};
  }
  fail(where, fmt::format("a storage of type '{}'", id->items[1]->text));
}

/// Walks the values of a pickle and collects the tensors under the names that state_dict() gives them.
class Collector {
 public:
  using Storages = std::function<Bytes(const StorageId&)>;
  Collector(std::string where, Storages storages) : where_(std::move(where)), storages_(std::move(storages)) {}

  std::map<std::string, Array> collect(const Value& root) {
    start(root, 0);
    if (tensors_.empty()) fail(where_, "a pickle without tensors", "save a state dict, torch.save(model.state_dict(), ...)");
    return std::move(tensors_);
  }

 private:
  static bool is_tensor(const Value& v) {
    return v.made_by(kRebuildTensor) || v.made_by(kRebuildParameter) || v.made_by(kRebuildWithState) || v.made_by(kRebuildFromType);
  }
  static bool is_script(const Value& v) { return v.is(Kind::kObject) && v.items[0]->text.starts_with(kScriptModules); }
  /// An object of any class that has what torch.nn.Module keeps.
  static bool is_module(const Value& v) {
    if (!v.is(Kind::kObject) || !v.state || !v.state->is(Kind::kDict)) return false;
    return v.state->find("_modules") || v.state->find("_parameters");
  }

  void visit(int depth) {
    if (depth > kMaxNesting) fail(where_, fmt::format("values nested deeper than {}", kMaxNesting), "the file is made to do harm");
    if (++visits_ > kMaxVisits) fail(where_, fmt::format("more than {} values to look at", kMaxVisits), "the file is made to do harm");
  }

  void start(const Value& value, int depth) {
    visit(depth);
    if (is_module(value)) return module(value, "", depth);
    if (is_script(value)) return script(value, "", depth);
    if (!value.is(Kind::kDict))
      fail(where_, "neither a state dict nor a model", "save a state dict, torch.save(model.state_dict(), ...)");
    dict(value, "");
    if (!tensors_.empty()) return;
    for (const char* key : {"state_dict", "model_state_dict", "model"})
      if (const Value* inner = value.find(key); inner && (inner->is(Kind::kDict) || is_module(*inner))) return start(*inner, depth + 1);
  }

  /// The tensors that are values of a dict. What else is in it is left alone.
  void dict(const Value& value, const std::string& prefix, const std::set<std::string>& without = {}) {
    for (std::size_t i = 0; i + 1 < value.items.size(); i += 2) {
      visit(0);
      const Value &key = *value.items[i], &item = *value.items[i + 1];
      if (is_tensor(item) && key.is(Kind::kText) && !without.count(key.text)) add(prefix + key.text, item);
    }
  }

  void module(const Value& value, const std::string& prefix, int depth) {
    visit(depth);
    const Value* state = value.state;
    std::set<std::string> passing;
    if (const Value* names = state->find("_non_persistent_buffers_set")) passing = texts(*names);
    if (const Value* parameters = state->find("_parameters")) dict(*parameters, prefix);
    if (const Value* buffers = state->find("_buffers")) dict(*buffers, prefix, passing);
    const Value* modules = state->find("_modules");
    for (std::size_t i = 0; modules && modules->is(Kind::kDict) && i + 1 < modules->items.size(); i += 2) {
      const Value &key = *modules->items[i], &inner = *modules->items[i + 1];
      if (key.is(Kind::kText) && is_module(inner)) module(inner, prefix + key.text + ".", depth + 1);
    }
  }

  /// A module of TorchScript: its attributes are tensors, modules and plain values.
  void script(const Value& value, const std::string& prefix, int depth) {
    visit(depth);
    const Value* state = value.state;
    if (!state || !state->is(Kind::kDict)) return;
    dict(*state, prefix);
    for (std::size_t i = 0; i + 1 < state->items.size(); i += 2) {
      const Value &key = *state->items[i], &inner = *state->items[i + 1];
      if (key.is(Kind::kText) && is_script(inner)) script(inner, prefix + key.text + ".", depth + 1);
    }
  }

  /// The texts of set([...]).
  std::set<std::string> texts(const Value& value) {
    const Value* list = value.is(Kind::kObject) && value.items[1]->items.size() == 1 ? value.items[1]->items[0] : &value;
    std::set<std::string> found;
    for (std::size_t i = 0; list->is(Kind::kList) && i < list->items.size(); ++i) {
      visit(0);
      if (list->items[i]->is(Kind::kText)) found.insert(list->items[i]->text);
    }
    return found;
  }

  std::vector<std::int64_t> numbers(const Value& value, const std::string& name) {
    const Value* tuple = value.made_by("torch.Size") && value.items[1]->items.size() == 1 ? value.items[1]->items[0] : &value;
    if (!tuple->is(Kind::kTuple) || tuple->items.size() > static_cast<std::size_t>(format::kMaxRank))
      fail(where_, fmt::format("tensor '{}' has no shape of rank up to {}", name, format::kMaxRank));
    std::vector<std::int64_t> list;
    for (const Value* item : tuple->items) {
      if (!item->is(Kind::kInt)) fail(where_, fmt::format("tensor '{}' has a shape that is no number", name));
      list.push_back(item->number);
    }
    return list;
  }

  /// The arguments of torch._utils._rebuild_tensor_v2, whatever is around it.
  const std::vector<const Value*>& tensor_arguments(const std::string& name, const Value& value) {
    const Value* tensor = &value;
    if (value.made_by(kRebuildParameter) || value.made_by(kRebuildWithState)) {
      if (value.items[1]->items.empty()) fail(where_, fmt::format("parameter '{}' without a tensor", name));
      tensor = value.items[1]->items[0];
    }
    const Value* arguments = tensor->is(Kind::kObject) ? tensor->items[1] : nullptr;
    bool known = tensor->made_by(kRebuildTensor);
    if (tensor->made_by(kRebuildFromType) && arguments->items.size() >= 3) {  // function, class, its arguments, what else the object holds
      known = arguments->items[0]->is(Kind::kGlobal) && arguments->items[0]->text == kRebuildTensor && arguments->items[2]->is(Kind::kTuple);
      arguments = arguments->items[2];
    }
    if (!known || arguments->items.size() < 4) fail(where_, fmt::format("tensor '{}' is not what torch would write", name));
    return arguments->items;
  }

  void add(const std::string& name, const Value& value) {
    const std::vector<const Value*>& arguments = tensor_arguments(name, value);
    if (!arguments[1]->is(Kind::kInt)) fail(where_, fmt::format("tensor '{}' has an offset that is no number", name));
    const StorageId id = storage_id(*arguments[0], where_);
    const std::vector<std::int64_t> shape = numbers(*arguments[2], name), strides = numbers(*arguments[3], name);
    const std::size_t bytes = check_foreign(name, id.dtype, shape, where_);
    const Bytes storage = storages_(id);
    if (bytes > storage.size) check_spread(name, bytes, storage.size);
    tensors_[name] = array_of(storage, id.dtype, shape, strides, arguments[1]->number, where_ + ": tensor '" + name + "'");
  }

  /// A view may repeat elements (expand), and then unpacks to more than the file has.
  void check_spread(const std::string& name, std::size_t bytes, std::size_t storage) {
    spread_ += bytes;
    if (spread_ > (std::size_t{1} << 26))
      fail(where_, fmt::format("tensor '{}': a view of {} bytes on a storage of {}", name, bytes, storage), "the file is made to do harm");
  }

  std::string where_;
  Storages storages_;
  std::map<std::string, Array> tensors_;
  std::size_t visits_ = 0, spread_ = 0;
};

std::map<std::string, std::string> parse_metadata(const Bytes& data, const std::string& where) {
  const Json json = format::parse_document(reinterpret_cast<const char*>(data.data), data.size, where);
  if (!json.is_object()) fail(where, "is no object");
  std::map<std::string, std::string> metadata;
  for (const auto& [key, value] : json.items()) {
    if (!value.is_string()) fail(where, fmt::format("'{}' is {}, expected a text", key, value.type_name()));
    metadata[key] = value.get<std::string>();
  }
  return metadata;
}

/// One folder at the top, in it data.pkl, byteorder, version and a file a storage, data/KEY.
TensorFile parse_zip(const Bytes& bytes, const std::string& name, bool sums) {
  std::map<std::string, ZipEntry> entries;
  std::string prefix;
  for (ZipEntry& entry : zip_entries(bytes, name)) {
    if (entry.name.ends_with("/data.pkl") && std::count(entry.name.begin(), entry.name.end(), '/') == 1) prefix = entry.name.substr(0, entry.name.size() - 8);
    entries.emplace(entry.name, std::move(entry));
  }
  if (prefix.empty()) fail(name, "a ZIP archive without a data.pkl: not a file of torch");
  if (const auto order = entries.find(prefix + "byteorder"); order != entries.end()) {
    const Bytes text = zip_data(bytes, order->second, name);
    if (std::string(reinterpret_cast<const char*>(text.data), std::min<std::size_t>(text.size, 16)) != "little") fail(name, "tensors of a big-endian machine");
  }
  const ZipEntry& main = entries.at(prefix + "data.pkl");
  if (main.size > kMaxPickle) fail(name, fmt::format("a pickle of {} bytes, at most {} are read", main.size, kMaxPickle));
  const Bytes pickle = zip_data(bytes, main, name);
  std::map<std::string, Bytes> storages;
  const auto storage = [&](const StorageId& id) {
    const auto entry = entries.find(prefix + "data/" + id.key);
    if (entry == entries.end()) fail(name, fmt::format("no storage '{}' in the archive", id.key));
    auto known = storages.find(id.key);
    if (known == storages.end()) known = storages.emplace(id.key, zip_data(bytes, entry->second, name, sums)).first;
    const auto element = static_cast<std::uint64_t>(dtype_bits(id.dtype) / 8);
    if (known->second.size != static_cast<std::uint64_t>(id.numel) * element)
      fail(name, fmt::format("storage '{}' has {} bytes, expected {} elements of {}", id.key, known->second.size, id.numel, dtype_name(id.dtype)));
    return known->second;
  };
  PickleReader reader(name, allowed);
  std::size_t at = 0;
  TensorFile file;
  file.tensors = Collector(name, storage).collect(*reader.read(pickle, at));
  if (at != pickle.size) fail(name, fmt::format("{} bytes after the pickle", pickle.size - at));
  const auto script_own = entries.find(prefix + "extra/" + kMetadata);  // where torch.jit.save puts what goes along
  if (const auto own = script_own == entries.end() ? entries.find(prefix + kMetadata) : script_own; own != entries.end())
    file.metadata = parse_metadata(zip_data(bytes, own->second, name), name + ":" + own->first);
  return file;
}

/// The older form: pickles of a magic number, the protocol, facts of the machine, the value, and the storages' keys in the order of their
/// data, each of which begins with its number of elements.
TensorFile parse_legacy(const Bytes& bytes, const std::string& name) {
  PickleReader reader(name, allowed);
  std::size_t at = 0;
  const Value* magic = reader.read(bytes, at);
  if (!magic->is(Kind::kBytes) || magic->text != kMagic) fail(name, "a pickle, and not one of torch");
  if (const Value* protocol = reader.read(bytes, at); protocol->number != kProtocol)
    fail(name, fmt::format("protocol {} of torch, expected {}", protocol->number, kProtocol));
  const Value* little = reader.read(bytes, at)->find("little_endian");
  if (!little || little->number != 1) fail(name, "tensors of a big-endian machine");
  const Value* root = reader.read(bytes, at);
  const Value* keys = reader.read(bytes, at);
  if (!keys->is(Kind::kList)) fail(name, "no list of storages");
  std::map<std::string, std::size_t> order;
  for (const Value* key : keys->items)
    if (!key->is(Kind::kText) || !order.emplace(key->text, order.size()).second) fail(name, "a list of storages that names one twice");

  std::map<std::string, StorageId> ids;  // the size of an element is in them alone
  for (const Value& value : reader.values())
    if (value.is(Kind::kPersistent) && !is_class(value)) {
      const StorageId id = storage_id(value, name);
      ids.emplace(id.key, id);
    }
  std::map<std::string, Bytes> storages;
  for (const Value* key : keys->items) {
    const auto id = ids.find(key->text);
    if (id == ids.end()) fail(name, fmt::format("storage '{}' belongs to no tensor", key->text));
    if (bytes.size - at < 8) fail(name, "truncated: a storage is missing");
    std::uint64_t numel = 0;
    std::memcpy(&numel, bytes.data + at, sizeof numel);
    at += 8;
    const auto element = static_cast<std::uint64_t>(dtype_bits(id->second.dtype) / 8);
    if (numel != static_cast<std::uint64_t>(id->second.numel))
      fail(name, fmt::format("storage '{}' has {} elements, expected {}", key->text, numel, id->second.numel));
    if (numel > (bytes.size - at) / element)
      fail(name, fmt::format("truncated: storage '{}' has {} bytes, expected {}", key->text, bytes.size - at, numel * element));
    storages[key->text] = {bytes.data + at, static_cast<std::size_t>(numel * element), bytes.keeper};
    at += static_cast<std::size_t>(numel * element);
  }
  if (at != bytes.size) fail(name, fmt::format("{} bytes after the last storage", bytes.size - at));
  const auto storage = [&](const StorageId& id) {
    const auto found = storages.find(id.key);
    if (found == storages.end() || ids.at(id.key).dtype != id.dtype) fail(name, fmt::format("no storage '{}' of {}", id.key, dtype_name(id.dtype)));
    return found->second;
  };
  TensorFile file;
  file.tensors = Collector(name, storage).collect(*root);
  return file;
}

}  // namespace

TensorFile parse_pth(const Bytes& bytes, const std::string& name, bool sums) {
  if (bytes.size >= 4 && std::memcmp(bytes.data, "PK\3\4", 4) == 0) return parse_zip(bytes, name, sums);
  if (bytes.size >= 2 && bytes.data[0] == std::byte{0x80}) return parse_legacy(bytes, name);
  fail(name, "neither a ZIP archive nor a pickle: not a file of torch");
}

namespace {

/// A pickle of protocol 2, as far as a state dict needs one.
class PickleWriter {
 public:
  std::string text = "\x80\2";

  void global(const std::string& module, const std::string& name) { text += "c" + module + "\n" + name + "\n"; }
  void string(const std::string& value) {
    text += 'X';
    number(value.size(), 4);
    text += value;
  }
  void integer(std::int64_t value) {
    if (value >= INT32_MIN && value <= INT32_MAX) {
      text += 'J';
      number(static_cast<std::uint64_t>(value), 4);
    } else {
      text += "\x8a\x8";
      number(static_cast<std::uint64_t>(value), 8);
    }
  }
  void tuple(const std::vector<std::int64_t>& values) {
    text += '(';
    for (std::int64_t value : values) integer(value);
    text += 't';
  }
  void ordered_dict() {
    global("collections", "OrderedDict");
    text += ")R";
  }
  void tensor(const Array& array, const char* type, const std::string& key) {
    global("torch._utils", "_rebuild_tensor_v2");
    text += "((";
    string("storage");
    global("torch", type);
    string(key);
    string("cpu");
    integer(array.numel());
    text += "tQ";
    integer(0);
    tuple(array.shape);
    std::vector<std::int64_t> strides(array.shape.size(), 1);
    for (std::size_t d = strides.size(); d-- > 1;) strides[d - 1] = strides[d] * array.shape[d];
    tuple(strides);
    text += '\x89';
    ordered_dict();
    text += "tR";
  }

 private:
  void number(std::uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> (8 * i) & 255);
  }
};

const char* storage_type(const Array& array, const std::string& name) {
  for (const StorageType& type : kStorages)
    if (type.dtype == array.dtype) return type.name;
  throw Error(Exit::kUsage, "tensor '" + name + "'", fmt::format("{} has no place in a state dict", dtype_name(array.dtype)), "write a checkpoint (.h5)");
}

}  // namespace

void write_pth(const std::string& path, const TensorFile& file, bool overwrite) {
  const std::string prefix = "archive/";
  std::vector<ZipItem> storages;
  std::map<std::tuple<const std::byte*, DType, std::size_t>, std::string> keys;
  PickleWriter pickle;
  pickle.ordered_dict();
  pickle.text += '(';
  for (const auto& [name, array] : file.tensors) {
    const char* type = storage_type(array, name);
    const auto [key, fresh] = keys.emplace(std::tuple{array.data, array.dtype, array.bytes()}, std::to_string(keys.size()));
    if (fresh) storages.push_back({prefix + "data/" + key->second, "", array.data, array.bytes()});
    pickle.string(name);
    pickle.tensor(array, type, key->second);
  }
  pickle.text += "u.";
  std::vector<ZipItem> items = {{prefix + "data.pkl", pickle.text, nullptr, 0}, {prefix + "byteorder", "little", nullptr, 0}};
  if (!file.metadata.empty()) items.push_back({prefix + kMetadata, Json(file.metadata).dump(), nullptr, 0});
  items.insert(items.end(), storages.begin(), storages.end());
  items.push_back({prefix + "version", "3\n", nullptr, 0});
  write_zip(path, items, overwrite);
}

}  // namespace ds::io
