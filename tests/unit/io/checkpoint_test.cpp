#include <doctest/doctest.h>

#include <atomic>
#include <cmath>
#include <thread>

#include "base/core/tool.h"
#include "sample.h"

using namespace io_test;
namespace io = ds::io;

TEST_CASE("io: what is saved is loaded, in every dtype") {
  const Folder folder;
  Checkpoint saved = sample();
  io::save(saved, folder / "a.h5");
  CHECK(saved.path == folder / "a.h5");
  const Checkpoint loaded = io::load(folder / "a.h5");
  CHECK(loaded.digest == saved.digest);
  CHECK(loaded.path == saved.path);
  CHECK(loaded.graph == saved.graph);
  CHECK(loaded.preprocessing == saved.preprocessing);
  CHECK(loaded.labels == saved.labels);
  CHECK(loaded.tokenizer.is_null());
  CHECK(loaded.config == saved.config);
  CHECK(loaded.history == saved.history);
  CHECK(loaded.provenance == saved.provenance);
  CHECK(loaded.state.is_null());
  REQUIRE(loaded.tensors.size() == saved.tensors.size());
  for (const auto& [name, array] : saved.tensors) {
    CAPTURE(name);
    const Array& other = loaded.tensors.at(name);
    CHECK(other.dtype == array.dtype);
    CHECK(other.shape == array.shape);
    CHECK(std::memcmp(other.data, array.data, array.bytes()) == 0);
    CHECK(reinterpret_cast<std::uintptr_t>(other.data) % 64 == 0);
  }
  REQUIRE(loaded.state_tensors.count("masters/f32") == 1);
  CHECK(loaded.state_tensors.at("masters/f32").as<float>()[2] == 3.f);
}

TEST_CASE("io: a loaded tensor may be written to, in this process alone, and outlives the file") {
  const Folder folder;
  Checkpoint saved = sample();
  io::save(saved, folder / "a.h5");
  const std::string before = slurp(folder / "a.h5");
  Array array;
  {
    Checkpoint loaded = io::load(folder / "a.h5");
    array = loaded.tensors.at("f32");
  }
  array.as<float>()[0] = 99.f;
  CHECK(slurp(folder / "a.h5") == before);
  std::filesystem::remove(folder / "a.h5");
  CHECK(array.as<float>()[0] == 99.f);
  CHECK(array.as<float>()[1] == -2.25f);
}

TEST_CASE("io: the root digest is what it always was, and depends on what it covers alone") {
  const Folder folder;
  Checkpoint c = sample();
  io::save(c, folder / "a.h5");
  CHECK(c.digest == "f33775005da68bc81e59afd538bae143d164bcfb33dfc0c511b038bf8c36f97b");
  CHECK(io::root_digest(c) == c.digest);
  CHECK(io::verify_file(folder / "a.h5") == c.digest);
  const std::string before = c.digest;
  c.history = nullptr;
  c.config = {{"other", 1}};
  c.provenance.push_back({{"tool", "x"}});
  c.state_tensors.clear();
  CHECK(io::root_digest(c) == before);
  for (int what = 0; what < 5; ++what) {
    CAPTURE(what);
    Checkpoint other = sample();
    if (what == 0) other.graph["pi"] = 3.25;
    if (what == 1) other.labels[0] = "zero";
    if (what == 2) other.tensors["f32"].as<float>()[0] = 1.f;
    if (what == 3) other.tensors["f32"].shape = {1, 3};
    if (what == 4) other.tokenizer = {{"kind", "bpe"}};
    CHECK(io::root_digest(other) != before);
  }
}

TEST_CASE("io: saving the same twice gives the same bytes, and a load and save keeps the digest") {
  const Folder folder;
  Checkpoint a = sample(), b = sample();
  io::save(a, folder / "a.h5");
  io::save(b, folder / "b.h5");
  CHECK(slurp(folder / "a.h5") == slurp(folder / "b.h5"));
  Checkpoint c = io::load(folder / "a.h5");
  io::save(c, folder / "c.h5");
  CHECK(c.digest == a.digest);
  CHECK(slurp(folder / "a.h5") == slurp(folder / "c.h5"));
}

TEST_CASE("io: names with a meaning for HDF5 are kept whole") {
  const Folder folder;
  Checkpoint c;
  for (const char* name : {"a/b", "a%2Fb", ".", "..", "a b", "%", "caf\u00e9"}) c.tensors[name] = array_of<float>(DType::kF32, {1}, {float(c.tensors.size())});
  io::save(c, folder / "a.h5");
  const Checkpoint d = io::load(folder / "a.h5");
  REQUIRE(d.tensors.size() == c.tensors.size());
  for (const auto& [name, array] : c.tensors) CHECK(d.tensors.at(name).as<float>()[0] == array.as<float>()[0]);
}

TEST_CASE("io: many tensors") {
  const Folder folder;
  Checkpoint c;
  for (int i = 0; i < 3000; ++i) c.tensors["blocks." + std::to_string(i) + ".weight"] = array_of<std::int32_t>(DType::kI32, {1}, {i});
  io::save(c, folder / "a.h5");
  const Checkpoint d = io::load(folder / "a.h5");
  REQUIRE(d.tensors.size() == 3000);
  CHECK(d.tensors.at("blocks.2999.weight").as<std::int32_t>()[0] == 2999);
  CHECK(d.digest == c.digest);
}

TEST_CASE("io: a load without tensors gives names and shapes") {
  const Folder folder;
  Checkpoint c = sample();
  io::save(c, folder / "a.h5");
  for (const bool verify : {false, true}) {
    const Checkpoint d = io::load(folder / "a.h5", {.verify = verify, .tensors = false});
    CHECK(d.digest == c.digest);
    CHECK(d.tensors.at("i4").shape == std::vector<std::int64_t>{3, 1});
    CHECK(d.tensors.at("i4").data == nullptr);
    CHECK(d.graph == c.graph);
  }
}

TEST_CASE("io: bytes in memory load as a file does") {
  const Folder folder;
  Checkpoint c = sample();
  io::save(c, folder / "a.h5");
  const Checkpoint d = io::load_bytes(to_bytes(slurp(folder / "a.h5")), "memory");
  CHECK(d.digest == c.digest);
  CHECK(d.path == "memory");
  for (const auto& [name, array] : d.tensors) CHECK(reinterpret_cast<std::uintptr_t>(array.data) % 64 == 0);
}

TEST_CASE("io: a checkpoint that could not be loaded is not saved") {
  const Folder folder;
  const auto refused = [&](const std::string& name, Array array) {
    Checkpoint c;
    c.tensors[name] = std::move(array);
    std::string message;
    CHECK(code_of([&] { io::save(c, folder / "a.h5"); }, &message) == Exit::kFailure);
    CHECK(folder.files().empty());
    return message;
  };
  CHECK(refused("w", io::make_array(DType::kF32, {3, 0})) == "tensor 'w': shape [3,0] has no elements");
  CHECK(refused("w", array_of<float>(DType::kF32, {2}, {1.f, NAN})) == "tensor 'w': value at index 1 is not finite");
  CHECK(refused("w", array_of<std::uint16_t>(DType::kBF16, {2}, {0x7f80, 0})) == "tensor 'w': value at index 0 is not finite");
  refused("", array_of<float>(DType::kF32, {1}, {1.f}));
  refused(std::string(2000, 'n'), array_of<float>(DType::kF32, {1}, {1.f}));
  refused("w", array_of<float>(DType::kF32, {1, 1, 1, 1, 1, 1, 1, 1, 1}, {1.f}));
  Checkpoint c;
  c.labels = {"\xff"};
  CHECK(code_of([&] { io::save(c, folder / "a.h5"); }) == Exit::kFailure);
}

TEST_CASE("io: non-finite values are found wherever they are, in every float dtype") {
  for (const std::int64_t n : {1, 7, 64, 1000}) {
    for (std::int64_t at = 0; at < n; at += 1 + n / 7) {
      for (const float bad : {INFINITY, -INFINITY, std::nanf("")}) {
        Array array = io::make_array(DType::kF32, {n});
        for (std::int64_t i = 0; i < n; ++i) array.as<float>()[i] = i % 2 ? -3.4e38f : 1e-45f;
        CHECK(io::first_nonfinite(array) == -1);
        array.as<float>()[at] = bad;
        CHECK(io::first_nonfinite(array) == at);
      }
    }
  }
  CHECK(io::first_nonfinite(array_of<double>(DType::kF64, {2}, {1e308, -INFINITY})) == 1);
  CHECK(io::first_nonfinite(array_of<std::uint16_t>(DType::kF16, {3}, {0x7bff, 0xfbff, 0x7c00})) == 2);
  CHECK(io::first_nonfinite(array_of<std::uint16_t>(DType::kBF16, {2}, {0x7f7f, 0xffc0})) == 1);
  CHECK(io::first_nonfinite(array_of<std::uint8_t>(DType::kU8, {1}, {255})) == -1);
}

TEST_CASE("io: elements of every dtype as numbers") {
  const Checkpoint c = sample();
  const auto at = [&](const char* name, std::int64_t i) { return io::element(c.tensors.at(name), i); };
  CHECK(at("f64", 3) == 1e300);
  CHECK(at("f16", 0) == 1);
  CHECK(at("f16", 1) == -2);
  CHECK(at("f16", 2) == 65504);
  CHECK(at("f16", 3) == std::ldexp(1, -24));
  CHECK(at("bf16", 1) == -0.5);
  CHECK(at("i64", 0) == -9223372036854775808.0);
  CHECK(at("i16", 0) == -300);
  CHECK(at("u8", 2) == 255);
  CHECK(at("bool", 1) == 1);
  CHECK(at("i4", 0) == -1);
  CHECK(at("i4", 1) == -8);
  CHECK(at("i4", 2) == 7);
  CHECK(at("u4", 0) == 9);
}

TEST_CASE("io: digests of known texts") {
  // FIPS 180-2, and XXH3's own: xxhsum -H2 of an empty file and of "abc".
  CHECK(io::sha256("abc", 3) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(io::xxh3_128("", 0) == "99aa06d3014798d86001c324468d497f");
  CHECK(io::xxh3_128("abc", 3) == "06b05ab6733a618578af5f94892f3950");
}

TEST_CASE("io: provenance says how a step was called, and no more than it may when runs are to be reproducible") {
  ds::core::set_invocation({"ds-train", {"/usr/bin/ds-train", "-c", "/home/me/a.yaml", "--data=idx:/data/x", "-o", "b.h5"}, {{"seed", 7}}, "abc"});
  Checkpoint c;
  io::add_provenance(c, {{"parents", {"0123"}}, {"seed", 8}}, true);
  const io::Json& step = c.provenance.at(0);
  CHECK(step["tool"] == "ds-train");
  CHECK(step["config_digest"] == "abc");
  CHECK(step["seed"] == 8);
  CHECK(step["parents"] == io::Json{"0123"});
  CHECK(step["argv"] == io::Json{"ds-train", "-c", "a.yaml", "--data=idx:x", "-o", "b.h5"});
  CHECK(!step.contains("time"));
  CHECK(!step.contains("host"));
  io::add_provenance(c, io::Json::object(), false);
  CHECK(c.provenance.size() == 2);
  CHECK(c.provenance[1].contains("time"));
  CHECK(c.provenance[1].contains("host"));
  CHECK(c.provenance[1]["argv"][2] == "/home/me/a.yaml");
  CHECK(c.provenance[1]["seed"] == 7);
}

TEST_CASE("io: threads load and save at the same time") {
  const Folder folder;
  Checkpoint c = sample();
  io::save(c, folder / "a.h5");
  std::vector<std::thread> threads;
  std::atomic<int> good{0};
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i) {
        Checkpoint own = io::load(folder / "a.h5");
        io::save(own, folder / (std::to_string(t) + ".h5"), {.overwrite = true});
        good += own.digest == c.digest;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(good == 160);
}
