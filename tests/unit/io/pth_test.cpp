#include "base/io/pth.h"

#include "base/io/pickle.h"
#include "base/io/zip.h"
#include "formats.h"

using namespace io_test;
namespace io = ds::io;

namespace {

/// An archive as torch writes it, with this pickle and one storage of four floats.
std::string archive(const std::string& pickle) {
  const Folder folder;
  const float values[] = {1, 2, 3, 4};
  io::write_zip(folder / "a.pth",
                {{"a/data.pkl", pickle, nullptr, 0},
                 {"a/byteorder", "little", nullptr, 0},
                 {"a/data/0", "", values, sizeof values},
                 {"a/version", "3\n", nullptr, 0}},
                false);
  return slurp(folder / "a.pth");
}

std::string text(const std::string& value) { return std::string("\x8c") + static_cast<char>(value.size()) + value; }
std::string number(int value) { return std::string("K") + static_cast<char>(value); }
std::string global(const std::string& module, const std::string& name) { return "c" + module + "\n" + name + "\n"; }
const std::string kProto = "\x80\2";

std::string tensor(const std::string& offset, const std::string& shape, const std::string& strides, const std::string& numel = number(4)) {
  return global("torch._utils", "_rebuild_tensor_v2") + "((" + text("storage") + global("torch", "FloatStorage") + text("0") + text("cpu") + numel +
         "tQ" + offset + shape + strides + "\x89" + global("collections", "OrderedDict") + ")RtR";
}
std::string state(const std::string& value) { return kProto + "}" + text("w") + value + "s."; }

void refused(const std::string& pickle, const std::string& part) {
  CAPTURE(part);
  std::string message;
  CHECK(code_of([&] { io::parse_pth(in_memory(archive(pickle)), "f"); }, &message) == Exit::kInput);
  CAPTURE(message);
  CHECK(message.find(part) != std::string::npos);
}

}  // namespace

TEST_CASE("pth: state dicts of torch, in the ZIP form and the older one") {
  check_dtypes(io::read_tensors(golden("dtypes.pth")));
  check_dtypes(io::read_tensors(golden("dtypes_legacy.pth")));
  const auto expected = io::read_tensors(golden("cnn.safetensors")).tensors;
  same_tensors(io::read_tensors(golden("cnn.pth")).tensors, expected);
  const auto nested = io::read_tensors(golden("checkpoint.pth")).tensors;
  REQUIRE(nested.size() == expected.size());
  for (const auto& [name, array] : expected) CHECK(nested.count("module." + name) == 1);
}

TEST_CASE("pth: strides and offsets are applied") {
  for (const char* name : {"views.pth", "views_legacy.pth"}) {
    CAPTURE(name);
    const auto t = io::read_tensors(golden(name)).tensors;
    REQUIRE(t.size() == 6);
    const auto check = [&](const char* which, const std::vector<std::int64_t>& shape, const std::vector<float>& values) {
      CAPTURE(which);
      REQUIRE(t.count(which) == 1);
      CHECK(t.at(which).shape == shape);
      for (std::size_t i = 0; i < values.size(); ++i) CHECK(t.at(which).as<float>()[i] == values[i]);
    };
    check("whole", {4, 6}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23});
    check("turned", {6, 4}, {0, 6, 12, 18, 1, 7, 13, 19, 2, 8, 14, 20, 3, 9, 15, 21, 4, 10, 16, 22, 5, 11, 17, 23});
    check("part", {2, 3}, {8, 9, 10, 14, 15, 16});
    check("column", {4}, {4, 10, 16, 22});
    check("spread", {3}, {0, 0, 0});
    check("parameter", {6}, {12, 13, 14, 15, 16, 17});
  }
}

TEST_CASE("pth: a model of torch.nn's modules gives the names of its state dict") {
  const auto t = io::read_tensors(golden("modules.pth")).tensors;
  std::vector<std::string> names;
  for (const auto& [name, array] : t) names.push_back(name);
  CHECK(names == std::vector<std::string>{"0.bias", "0.weight", "2.bias", "2.num_batches_tracked", "2.running_mean", "2.running_var", "2.weight"});
  CHECK(t.at("0.weight").as<float>()[5] == 5.f);
  CHECK(t.at("0.bias").as<float>()[1] == 11.f);
  CHECK(t.at("2.running_var").as<float>()[0] == 1.f);
}

TEST_CASE("pth: what is written is read, storages shared and in place") {
  const Folder folder;
  io::TensorFile file = io::read_tensors(golden("dtypes.safetensors"));
  file.tensors["tied"] = file.tensors["f32"];
  file.metadata = {{"ds.graph", "{}"}};
  io::write_tensors(folder / "a.pth", file, false);
  const io::TensorFile back = io::read_tensors(folder / "a.pth");
  same_tensors(back.tensors, file.tensors);
  CHECK(back.metadata == file.metadata);
  CHECK(back.tensors.at("tied").data == back.tensors.at("f32").data);
  for (const auto& [name, array] : back.tensors) CHECK(reinterpret_cast<std::uintptr_t>(array.data) % 64 == 0);
  file.tensors["four"] = array_of<std::uint8_t>(DType::kI4, {2}, {0x12});
  CHECK(code_of([&] { io::write_tensors(folder / "b.pth", file, false); }) == Exit::kUsage);
}

TEST_CASE("pth: the pickle of a state dict is this to the byte") {
  const Folder folder;
  io::TensorFile file;
  file.tensors["w"] = array_of<float>(DType::kF32, {2, 1}, {1, 2});
  io::write_tensors(folder / "a.pth", file, false);
  const io::Bytes bytes = io::map_file(folder / "a.pth");
  const auto entries = io::zip_entries(bytes, "a");
  REQUIRE(entries.size() == 4);
  CHECK(entries[0].name == "archive/data.pkl");
  CHECK(entries[1].name == "archive/byteorder");
  CHECK(entries[2].name == "archive/data/0");
  CHECK(entries[3].name == "archive/version");
  const io::Bytes data = io::zip_data(bytes, entries[0], "a");
  using namespace std::string_literals;
  CHECK(std::string(reinterpret_cast<char*>(data.data), data.size) ==
        "\x80\2ccollections\nOrderedDict\n)R(X\1\0\0\0wctorch._utils\n_rebuild_tensor_v2\n((X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0"s
        "0X\3\0\0\0cpuJ\2\0\0\0tQJ\0\0\0\0(J\2\0\0\0J\1\0\0\0t(J\1\0\0\0J\1\0\0\0t\x89"s
        "ccollections\nOrderedDict\n)RtRu."s);
}

TEST_CASE("pth: a pickle that asks for anything else is refused by that name, and nothing is called") {
  const Folder folder;
  const std::string mark = folder / "called";
  refused(kProto + global("os", "system") + text("touch " + mark) + "\x85R.", "'os.system'");
  refused(kProto + global("posix", "system") + text("touch " + mark) + "\x85R.", "'posix.system'");
  refused(kProto + text("os") + text("system") + "\x93" + text("touch " + mark) + "\x85R.", "'os.system'");
  refused(kProto + global("builtins", "eval") + text("1") + "\x85R.", "'builtins.eval'");
  refused(kProto + global("torch.storage", "_load_from_bytes") + "C\1a\x85R.", "'torch.storage._load_from_bytes'");
  refused(kProto + global("torch.nn.modules.x\x01y", "z") + ".", "neither a state dict nor a model");
  refused(kProto + global("torch", "load") + ")R.", "'torch.load'");
  refused(kProto + "(S'a'\ni__main__\nX\n.", "opcode 0x53");
  refused(kProto + "(i__main__\nX\n.", "opcode 0x69");
  refused(kProto + "\x82\1.", "opcode 0x82");
  refused(kProto + "P1\n.", "opcode 0x50");
  CHECK(folder.files().empty());
}

TEST_CASE("pth: whole models of any class are read, in both forms, without what is not persistent") {
  for (const char* name : {"own_class.pth", "own_class_legacy.pth"}) {
    CAPTURE(name);
    const auto t = io::read_tensors(golden(name)).tensors;
    std::vector<std::string> names;
    for (const auto& [tensor, array] : t) names.push_back(tensor);
    CHECK(names == std::vector<std::string>{"body.0.bias", "body.0.weight", "body.2.bias", "body.2.num_batches_tracked", "body.2.running_mean",
                                            "body.2.running_var", "body.2.weight", "head.weight", "step"});
    CHECK(t.at("head.weight").as<float>()[3] == 43.f);
    CHECK(t.at("step").as<std::int64_t>()[0] == 7);
  }
  same_tensors(io::read_tensors(golden("vit.pth")).tensors, io::read_tensors(golden("vit.safetensors")).tensors);
  same_tensors(io::read_tensors(golden("timm.pth")).tensors, io::read_tensors(golden("timm.safetensors")).tensors);
  const auto training = io::read_tensors(golden("training.pth")).tensors;  // a model beside NumPy's numbers, a namespace, a partial
  CHECK(training.size() == 2);
  CHECK(training.at("weight").shape == std::vector<std::int64_t>{1, 2});
}

TEST_CASE("pth: TorchScript's tensors by the names of their attributes, its code unread") {
  same_tensors(io::read_tensors(golden("cnn_traced.pt")).tensors, io::read_tensors(golden("cnn.safetensors")).tensors);
  same_tensors(io::read_tensors(golden("modules_scripted.pt")).tensors, io::read_tensors(golden("modules.pth")).tensors);
}

TEST_CASE("pth: an object of any class is a name, and only a call is refused") {
  const std::string weights = tensor(number(0), number(4) + "\x85", number(1) + "\x85");
  const auto module = [&](const std::string& parameters) {
    return kProto + global("os", "anything") + ")\x81}(" + text("_parameters") + "}" + text("w") + parameters + "s" + text("_modules") + "}ub.";
  };
  CHECK(io::parse_pth(in_memory(archive(module(weights))), "f").tensors.count("w") == 1);
  refused(module(global("subprocess", "Popen") + text("ls") + "\x85R"), "would call 'subprocess.Popen'");
  refused(kProto + "}" + text("w") + weights + "s" + text("x") + global("runpy", "_run_code") + ")Rs.", "would call 'runpy._run_code'");
  refused(kProto + "}" + text("w") + weights + "s" + text("x") + global("functools", "partial") + global("os", "system") + "\x85R)Rs.",
          "a corrupt pickle: REDUCE without a name");
  refused(kProto + global("os", "anything") + ")\x81.", "neither a state dict nor a model");
}

TEST_CASE("pth: corrupt pickles") {
  const std::string one = number(1) + "\x85";
  CHECK(io::parse_pth(in_memory(archive(state(tensor(number(0), number(4) + "\x85", one)))), "f").tensors.at("w").as<float>()[3] == 4.f);
  refused("", "a truncated pickle");
  refused(kProto, "a truncated pickle");
  refused(kProto + ".", "nothing on the stack");
  refused("\x80\1.", "protocol 1");
  refused(kProto + "X\xff\xff\xff\xff" "a.", "a text of 4294967295 bytes");
  refused(kProto + "\x8d" + std::string(8, '\xff') + "a.", "a truncated pickle");
  refused(kProto + "h\1.", "nothing was stored as 1");
  refused(kProto + "t.", "no mark");
  refused(kProto + "]}s.", "nothing on the stack");
  refused(kProto + "N(Nu.", "SETITEMS on a value of another kind");
  refused(kProto + "}(Nu.", "a key without a value");
  refused(kProto + "NNR.", "without a name and a tuple");
  refused(kProto + "}.x", "a pickle without tensors");
  refused(kProto + "].", "neither a state dict nor a model");
  refused(kProto + "}.", "a pickle without tensors");
  refused(state(tensor(number(0), number(4) + "\x85", one)) + "x", "1 bytes after the pickle");
}

TEST_CASE("pth: tensors beyond their storage") {
  const std::string one = number(1) + "\x85";
  refused(state(tensor(number(1), number(4) + "\x85", one)), "lies beyond the 4 elements");
  refused(state(tensor("J\xff\xff\xff\xff", number(4) + "\x85", one)), "lies beyond the 4 elements");
  refused(state(tensor(number(0), number(4) + "\x85", "J\xff\xff\xff\xff\x85")), "lies beyond the 4 elements");
  refused(state(tensor(number(0), number(2) + "\x85", "\x8a\x8\xff\xff\xff\xff\xff\xff\xff\x7f\x85")), "lies beyond the 4 elements");
  refused(state(tensor(number(0), number(3) + number(3) + "\x86", "\x8a\x8\xff\xff\xff\xff\xff\xff\xff\x3f" + number(1) + "\x86")),
          "lies beyond the 4 elements");
  refused(state(tensor(number(0), number(4) + "\x85", ")")), "lies beyond the 4 elements");
  refused(state(tensor(number(0), number(0) + "\x85", one)), "has no elements");
  refused(state(tensor(number(0), "J\xff\xff\xff\xff\x85", one)), "has no elements");
  refused(state(tensor(number(0), number(4) + "\x85", one, number(5))), "storage '0' has 16 bytes, expected 5 elements");
  refused(state(tensor(number(0), number(4) + "\x85", one, "J\xff\xff\xff\xff")), "a storage of -1 elements");
  refused(state(tensor(number(0), "\x8a\x8\xff\xff\xff\xff\xff\xff\xff\x7f\x85", number(0) + "\x85")), "larger than any file");
  refused(state(tensor(number(0), "J\xff\xff\xff\x7f\x85", number(0) + "\x85")), "a view of 8589934588 bytes on a storage of 16");
}

TEST_CASE("pth: bombs of the memo, of nesting and of the stack end in bounded memory") {
  std::string doubling = kProto + "]q" + std::string(1, '\0');  // each list holds the one before twice: 2^200 paths
  for (int i = 0; i < 200; ++i) doubling += std::string("](h") + static_cast<char>(i) + "h" + static_cast<char>(i) + "eq" + static_cast<char>(i + 1);
  refused(doubling + ".", "neither a state dict nor a model");
  std::string module = kProto + ")q" + std::string(1, '\0') + "0";
  const std::string container = global("torch.nn.modules.container", "Sequential") + ")\x81}" + text("_modules");
  std::string inner = container + "}sb";
  for (int i = 0; i < 60; ++i)
    inner += std::string("q") + static_cast<char>(i) + "0" + container + "}(" + text("a") + "h" + static_cast<char>(i) + text("b") + "h" +
             static_cast<char>(i) + "usb";
  refused(kProto + inner + ".", "more than 4194304 values to look at");
  refused(kProto + std::string(3 << 20, ']') + ".", "a stack of more than");
  refused(kProto + std::string(3 << 20, '(') + ".", "marks");
  refused(kProto + "]" + std::string(3 << 20, '2') + ".", "DUP of nothing, or once too often");
  std::string pushes;
  for (int i = 0; i < 1 << 20; ++i) pushes += "]0]0]0";
  refused(kProto + pushes + "].", "more than 2097152 values");
  std::string nested = kProto + "]";  // a chain: values end without recursion
  for (int i = 0; i < 1 << 19; ++i) nested += "\x85";
  refused(nested + ".", "neither a state dict nor a model");
  refused(kProto + "}q" + std::string(1, '\0') + text("state_dict") + "h" + std::string(1, '\0') + "s.", "values nested deeper than 100");
}

TEST_CASE("pth: no turned bit and no cut makes the reader fail otherwise than by refusing") {
  const auto read = [](const io::Bytes& bytes) { io::parse_pth(bytes, "f"); };
  for (const char* name : {"views.pth", "views_legacy.pth", "modules.pth", "dtypes_legacy.pth"}) {
    CAPTURE(name);
    CHECK(first_crash(slurp(golden(name)), read) == -1);
  }
}
