#include "base/io/pickle.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/core/error.h"

namespace ds::io {
namespace {

/// Opcodes, by their names in pickletools.
enum Opcode : unsigned char {
  kMark = '(', kStop = '.', kPop = '0', kPopMark = '1', kDup = '2', kNone = 'N', kBinint = 'J', kBinint1 = 'K', kBinint2 = 'M', kBinfloat = 'G',
  kBinstring = 'T', kShortBinstring = 'U', kBinunicode = 'X', kBinbytes = 'B', kShortBinbytes = 'C', kEmptyTuple = ')', kTuple = 't', kEmptyList = ']',
  kAppend = 'a', kAppends = 'e', kEmptyDict = '}', kSetitem = 's', kSetitems = 'u', kGlobal = 'c', kReduce = 'R', kBuild = 'b', kBinput = 'q',
  kLongBinput = 'r', kBinget = 'h', kLongBinget = 'j', kBinpersid = 'Q', kProto = 0x80, kNewobj = 0x81, kTuple1 = 0x85, kTuple2 = 0x86, kTuple3 = 0x87,
  kNewtrue = 0x88, kNewfalse = 0x89, kLong1 = 0x8a, kLong4 = 0x8b, kShortBinunicode = 0x8c, kBinunicode8 = 0x8d, kBinbytes8 = 0x8e, kEmptySet = 0x8f,
  kAdditems = 0x90, kStackGlobal = 0x93, kMemoize = 0x94, kFrame = 0x95
};

constexpr const char* kOrderedDict = "collections.OrderedDict";
constexpr const char* kDefaultDict = "collections.defaultdict";

}  // namespace

bool PickleValue::made_by(const std::string& global) const { return kind == Kind::kObject && items[0]->text == global; }

const PickleValue* PickleValue::find(const std::string& key) const {
  for (std::size_t i = items.size(); kind == Kind::kDict && i >= 2; i -= 2)
    if (items[i - 2]->kind == Kind::kText && items[i - 2]->text == key) return items[i - 1];
  return nullptr;
}

PickleReader::PickleReader(std::string where, std::function<bool(const std::string&)> allowed) : where_(std::move(where)), allowed_(std::move(allowed)) {}

void PickleReader::fail(const std::string& what, const std::string& hint) const { throw Error(Exit::kInput, where_, what, hint); }

std::uint64_t PickleReader::number(const Bytes& bytes, std::size_t& at, int size) const {
  if (bytes.size - at < static_cast<std::size_t>(size)) fail("a truncated pickle");
  std::uint64_t value = 0;
  for (int i = size - 1; i >= 0; --i) value = value << 8 | std::to_integer<std::uint64_t>(bytes.data[at + static_cast<std::size_t>(i)]);
  at += static_cast<std::size_t>(size);
  return value;
}

std::string PickleReader::text(const Bytes& bytes, std::size_t& at, std::uint64_t size) const {
  if (size > bytes.size - at) fail(fmt::format("a truncated pickle: a text of {} bytes, {} are left", size, bytes.size - at));
  const char* start = reinterpret_cast<const char*>(bytes.data + at);
  at += size;
  return {start, static_cast<std::size_t>(size)};
}

std::string PickleReader::line(const Bytes& bytes, std::size_t& at) const {
  const void* end = at < bytes.size ? std::memchr(bytes.data + at, '\n', std::min<std::size_t>(bytes.size - at, 1024)) : nullptr;
  if (!end) fail("a pickle with a global that has no name");
  const std::string word = text(bytes, at, static_cast<std::uint64_t>(static_cast<const std::byte*>(end) - (bytes.data + at)));
  ++at;
  return word;
}

PickleValue* PickleReader::make(Kind kind) {
  if (values_.size() == kMaxValues) fail(fmt::format("a pickle of more than {} values", kMaxValues), "the file is made to do harm");
  values_.emplace_back();
  values_.back().kind = kind;
  return &values_.back();
}

PickleValue* PickleReader::push(Kind kind) {
  if (stack_.size() == kMaxStack) fail(fmt::format("a pickle that needs a stack of more than {} values", kMaxStack), "the file is made to do harm");
  stack_.push_back(make(kind));
  return stack_.back();
}

void PickleReader::push_integer(const std::string& little_endian) {
  if (little_endian.size() > 8) {
    push(Kind::kBytes)->text = little_endian;
    return;
  }
  std::uint64_t value = !little_endian.empty() && (little_endian.back() & 0x80) ? ~std::uint64_t{0} : 0;  // two's complement
  for (std::size_t i = little_endian.size(); i-- > 0;) value = value << 8 | static_cast<unsigned char>(little_endian[i]);
  push(Kind::kInt)->number = static_cast<std::int64_t>(value);
}

void PickleReader::push_global(const std::string& name) { push(Kind::kGlobal)->text = name; }

const PickleValue* PickleReader::pop() {
  if (stack_.empty() || (!marks_.empty() && stack_.size() == marks_.back())) fail("a corrupt pickle: nothing on the stack");
  const PickleValue* value = stack_.back();
  stack_.pop_back();
  return value;
}

PickleValue* PickleReader::top(Kind kind, const char* opcode) {
  if (stack_.empty() || (!marks_.empty() && stack_.size() == marks_.back())) fail("a corrupt pickle: nothing on the stack");
  if (!stack_.back()->is(kind)) fail(fmt::format("a corrupt pickle: {} on a value of another kind", opcode));
  return stack_.back();
}

std::vector<const PickleValue*> PickleReader::pop_to_mark() {
  if (marks_.empty()) fail("a corrupt pickle: no mark on the stack");
  std::vector<const PickleValue*> values(stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back()), stack_.end());
  stack_.resize(marks_.back());
  marks_.pop_back();
  return values;
}

void PickleReader::pop_tuple(std::size_t size) {
  std::vector<const PickleValue*> items(size);
  for (std::size_t i = size; i-- > 0;) items[i] = pop();
  push(Kind::kTuple)->items = std::move(items);
}

void PickleReader::store(std::uint64_t key) {
  if (stack_.empty()) fail("a corrupt pickle: nothing on the stack");
  memo_[key] = stack_.back();
}

void PickleReader::fetch(std::uint64_t key) {
  const auto found = memo_.find(key);
  if (found == memo_.end()) fail(fmt::format("a corrupt pickle: nothing was stored as {}", key));
  if (stack_.size() == kMaxStack) fail(fmt::format("a pickle that needs a stack of more than {} values", kMaxStack), "the file is made to do harm");
  stack_.push_back(found->second);
}

void PickleReader::refuse(const std::string& name) const {
  std::string shown = name.substr(0, 100);
  for (char& c : shown)
    if (c < ' ' || c > '~') c = '?';
  fail(fmt::format("a pickle that would call '{}', which no file of weights needs: it is not read", shown),
       "save the state dict alone, torch.save(model.state_dict(), ...); do not load this file with a tool that would run it");
}

/// REDUCE calls, NEWOBJ makes an empty object of a class.
void PickleReader::call(const char* opcode, bool runs) {
  const PickleValue* arguments = pop();
  const PickleValue* callable = pop();
  // Before torch 1.6 a class came with its source: ("module", class, file, text), as the id of something outside.
  if (callable->is(Kind::kPersistent) && callable->items[0]->is(Kind::kTuple) && callable->items[0]->items.size() >= 2 &&
      callable->items[0]->items[0]->text == "module")
    callable = callable->items[0]->items[1];
  if (!callable->is(Kind::kGlobal) || !arguments->is(Kind::kTuple)) fail(fmt::format("a corrupt pickle: {} without a name and a tuple", opcode));
  if (runs && !allowed_(callable->text)) refuse(callable->text);
  if ((callable->text == kOrderedDict && arguments->items.empty()) || callable->text == kDefaultDict) {
    push(Kind::kDict);
    return;
  }
  push(Kind::kObject)->items = {callable, arguments};
}

void PickleReader::build() {
  const PickleValue* state = pop();
  if (stack_.empty() || (!stack_.back()->is(Kind::kObject) && !stack_.back()->is(Kind::kDict))) fail("a corrupt pickle: BUILD on a value of another kind");
  stack_.back()->state = state;
}

void PickleReader::append(std::vector<const PickleValue*> values, Kind kind, const char* opcode) {
  if (!stack_.empty() && stack_.back()->is(Kind::kObject)) return;  // of a class of lists or dicts: what it holds is none of ours
  PickleValue* to = top(kind, opcode);
  if (kind == Kind::kDict && values.size() % 2 != 0) fail("a corrupt pickle: a key without a value");
  to->items.insert(to->items.end(), values.begin(), values.end());
}

/// Opcodes that push one value of their own.
bool PickleReader::scalar_opcode(unsigned char opcode, const Bytes& bytes, std::size_t& at) {
  switch (opcode) {
    case kNone: push(Kind::kNone); return true;
    case kNewtrue: push(Kind::kBool)->number = 1; return true;
    case kNewfalse: push(Kind::kBool); return true;
    case kBinint: push(Kind::kInt)->number = static_cast<std::int32_t>(number(bytes, at, 4)); return true;
    case kBinint1: push(Kind::kInt)->number = static_cast<std::int64_t>(number(bytes, at, 1)); return true;
    case kBinint2: push(Kind::kInt)->number = static_cast<std::int64_t>(number(bytes, at, 2)); return true;
    case kLong1: push_integer(text(bytes, at, number(bytes, at, 1))); return true;
    case kLong4: push_integer(text(bytes, at, number(bytes, at, 4))); return true;
    case kBinfloat: {
      const std::uint64_t bits = __builtin_bswap64(number(bytes, at, 8));
      std::memcpy(&push(Kind::kFloat)->real, &bits, sizeof bits);
      return true;
    }
    case kBinstring:
    case kBinunicode: push(Kind::kText)->text = text(bytes, at, number(bytes, at, 4)); return true;
    case kShortBinstring:
    case kShortBinunicode: push(Kind::kText)->text = text(bytes, at, number(bytes, at, 1)); return true;
    case kBinunicode8: push(Kind::kText)->text = text(bytes, at, number(bytes, at, 8)); return true;
    case kBinbytes: push(Kind::kBytes)->text = text(bytes, at, number(bytes, at, 4)); return true;
    case kShortBinbytes: push(Kind::kBytes)->text = text(bytes, at, number(bytes, at, 1)); return true;
    case kBinbytes8: push(Kind::kBytes)->text = text(bytes, at, number(bytes, at, 8)); return true;
    case kEmptyTuple: push(Kind::kTuple); return true;
    case kEmptyList:
    case kEmptySet: push(Kind::kList); return true;
    case kEmptyDict: push(Kind::kDict); return true;
    case kGlobal: {
      const std::string module = line(bytes, at);
      push_global(module + "." + line(bytes, at));
      return true;
    }
    default: return false;
  }
}

bool PickleReader::memo_opcode(unsigned char opcode, const Bytes& bytes, std::size_t& at) {
  switch (opcode) {
    case kBinput: store(number(bytes, at, 1)); return true;
    case kLongBinput: store(number(bytes, at, 4)); return true;
    case kMemoize: store(memo_.size()); return true;
    case kBinget: fetch(number(bytes, at, 1)); return true;
    case kLongBinget: fetch(number(bytes, at, 4)); return true;
    default: return false;
  }
}

/// Opcodes that fill tuples, lists and dicts.
bool PickleReader::container_opcode(unsigned char opcode) {
  switch (opcode) {
    case kTuple: {
      std::vector<const PickleValue*> items = pop_to_mark();
      push(Kind::kTuple)->items = std::move(items);
      return true;
    }
    case kTuple1: pop_tuple(1); return true;
    case kTuple2: pop_tuple(2); return true;
    case kTuple3: pop_tuple(3); return true;
    case kAppend: {
      const PickleValue* value = pop();
      append({value}, Kind::kList, "APPEND");
      return true;
    }
    case kAppends:
    case kAdditems: append(pop_to_mark(), Kind::kList, "APPENDS"); return true;
    case kSetitem: {
      const PickleValue* value = pop();
      const PickleValue* key = pop();
      append({key, value}, Kind::kDict, "SETITEM");
      return true;
    }
    case kSetitems: append(pop_to_mark(), Kind::kDict, "SETITEMS"); return true;
    default: return false;
  }
}

void PickleReader::other_opcode(unsigned char opcode, const Bytes& bytes, std::size_t& at) {
  switch (opcode) {
    case kProto:
      if (const std::uint64_t version = number(bytes, at, 1); version < 2 || version > 5) fail(fmt::format("pickle protocol {}, expected 2 to 5", version));
      return;
    case kFrame: number(bytes, at, 8); return;
    case kMark:
      if (marks_.size() == kMaxStack) fail(fmt::format("a pickle with more than {} marks", kMaxStack), "the file is made to do harm");
      marks_.push_back(stack_.size());
      return;
    case kPop:
      if (!marks_.empty() && stack_.size() == marks_.back()) marks_.pop_back();
      else pop();
      return;
    case kPopMark: pop_to_mark(); return;
    case kDup:
      if (stack_.empty() || stack_.size() == kMaxStack) fail("a corrupt pickle: DUP of nothing, or once too often");
      stack_.push_back(stack_.back());
      return;
    case kStackGlobal: {
      const PickleValue* name = pop();
      const PickleValue* module = pop();
      if (!name->is(Kind::kText) || !module->is(Kind::kText)) fail("a corrupt pickle: a global whose name is no text");
      push_global(module->text + "." + name->text);
      return;
    }
    case kReduce: call("REDUCE", true); return;
    case kNewobj: call("NEWOBJ", false); return;
    case kBuild: build(); return;
    case kBinpersid: {
      const PickleValue* id = pop();
      push(Kind::kPersistent)->items = {id};
      return;
    }
    default: fail(fmt::format("a pickle with the opcode 0x{:02x} at byte {}, which no file of weights needs: it is not read", opcode, at - 1));
  }
}

const PickleValue* PickleReader::read(const Bytes& bytes, std::size_t& at) {
  stack_.clear();
  marks_.clear();
  memo_.clear();
  for (;;) {
    if (at >= bytes.size) fail("a truncated pickle");
    if (++opcodes_ > kMaxOpcodes) fail(fmt::format("a pickle of more than {} opcodes", kMaxOpcodes), "the file is made to do harm");
    const auto opcode = std::to_integer<unsigned char>(bytes.data[at++]);
    if (opcode == kStop) return pop();
    if (!scalar_opcode(opcode, bytes, at) && !memo_opcode(opcode, bytes, at) && !container_opcode(opcode)) other_opcode(opcode, bytes, at);
  }
}

}  // namespace ds::io
