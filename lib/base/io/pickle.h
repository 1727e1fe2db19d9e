// Python pickles as plain data. Nothing is imported, called or built: a class stays its name, an object its class with its state, a call the
// name with its arguments.
// Python's Lib/pickletools.py describes the opcodes; those that torch.save writes are read, protocols 2 to 4.
#pragma once
#include <deque>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/io/files.h"

namespace ds::io {

struct PickleValue {
  enum class Kind { kNone, kBool, kInt, kFloat, kText, kBytes, kTuple, kList, kDict, kGlobal, kObject, kPersistent };
  Kind kind = Kind::kNone;
  std::int64_t number = 0;                ///< of kBool and kInt
  double real = 0;                        ///< of kFloat
  std::string text;                       ///< of kText and kBytes; kGlobal: "module.name"; an integer of over 64 bits is kBytes, little-endian
  /// kTuple, kList: the elements. kDict: key, value, key, value. kObject: the class or function, the tuple of its arguments. kPersistent: the id.
  std::vector<const PickleValue*> items;
  const PickleValue* state = nullptr;     ///< what an object or dict was given by BUILD

  bool is(Kind other) const { return kind == other; }
  /// Whether this is a call or an object of that global.
  bool made_by(const std::string& global) const;
  /// The value of a text key of a dict, the last one that was set; nullptr where there is none.
  const PickleValue* find(const std::string& key) const;
};

/// Reads pickles of one file and owns their values, which may be shared and may hold themselves: who walks them must count.
class PickleReader {
 public:
  /// `allowed` is asked for every global that the pickle would have called, by "module.name". A class of which it makes an object without
  /// calling its initialiser, as torch.save(model) writes, is not asked for: the object is a name and a state here.
  PickleReader(std::string where, std::function<bool(const std::string&)> allowed);
  /// The pickle that begins at `at`, which moves past it. Throws ds::Error(kInput): truncated, an opcode that no file of tensors has, a call
  /// that is not allowed (it is named), more opcodes, values or depth of stack than any honest file (caps below, over all pickles of the file).
  const PickleValue* read(const Bytes& bytes, std::size_t& at);

  /// Every value of the pickles read so far, in the order in which they came.
  const std::deque<PickleValue>& values() const { return values_; }

  static constexpr std::size_t kMaxOpcodes = 1 << 24, kMaxValues = 1 << 21, kMaxStack = 1 << 20;

 private:
  using Kind = PickleValue::Kind;
  [[noreturn]] void fail(const std::string& what, const std::string& hint = "") const;
  std::uint64_t number(const Bytes& bytes, std::size_t& at, int size) const;
  std::string text(const Bytes& bytes, std::size_t& at, std::uint64_t size) const;
  std::string line(const Bytes& bytes, std::size_t& at) const;

  PickleValue* make(Kind kind);
  PickleValue* push(Kind kind);
  void push_integer(const std::string& little_endian);
  void push_global(const std::string& name);
  [[noreturn]] void refuse(const std::string& name) const;
  const PickleValue* pop();
  PickleValue* top(Kind kind, const char* opcode);
  std::vector<const PickleValue*> pop_to_mark();
  void pop_tuple(std::size_t size);
  void store(std::uint64_t key);
  void fetch(std::uint64_t key);
  void call(const char* opcode, bool runs);
  void build();
  void append(std::vector<const PickleValue*> values, Kind kind, const char* opcode);
  bool scalar_opcode(unsigned char opcode, const Bytes& bytes, std::size_t& at);
  bool memo_opcode(unsigned char opcode, const Bytes& bytes, std::size_t& at);
  bool container_opcode(unsigned char opcode);
  void other_opcode(unsigned char opcode, const Bytes& bytes, std::size_t& at);

  std::string where_;
  std::function<bool(const std::string&)> allowed_;
  std::deque<PickleValue> values_;  // an arena: values that hold each other to any depth end without recursion
  std::vector<PickleValue*> stack_;
  std::vector<std::size_t> marks_;
  std::unordered_map<std::uint64_t, PickleValue*> memo_;
  std::size_t opcodes_ = 0;
};

}  // namespace ds::io
