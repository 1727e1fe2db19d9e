// What is registered: cards and bodies match one to one, ops and kernels too, and engine code runs on several threads.
#include <ATen/Parallel.h>
#include <doctest/doctest.h>

#include <filesystem>
#include <mutex>
#include <regex>
#include <set>
#include <thread>

#include "base/core/registry.h"
#include "base/graph/schema.h"

using namespace ds;
namespace fs = std::filesystem;

namespace {

std::set<std::string> card_names(const std::string& kind) {
  std::set<std::string> names;
  for (const core::Card& card : core::cards(kind)) names.insert(card.name);
  return names;
}

std::set<std::string> body_names(const std::string& kind) {
  const std::vector<std::string> names = core::bodies(kind);
  return {names.begin(), names.end()};
}

std::string joined(const std::set<std::string>& names) {
  std::string all;
  for (const std::string& name : names) all += name + " ";
  return all;
}

}  // namespace

TEST_CASE("registry: each card has a body and each body a card") {
  REQUIRE(core::kinds().size() >= 10);
  for (const std::string& kind : core::kinds()) {
    CAPTURE(kind);
    const std::string of_bodies = kind == "op" ? "kernel" : kind;
    CHECK(joined(card_names(kind)) == joined(body_names(of_bodies)));
  }
}

TEST_CASE("registry: each header of the catalogue is a card of its folder and name") {
  std::map<std::string, std::set<std::string>> files;
  for (const auto& entry : fs::recursive_directory_iterator(DS_SOURCE_DIR "/lib/base/catalog"))
    if (entry.path().extension() == ".h" && entry.path().parent_path().filename() != "catalog")  // what several cards share lies above them
      files[entry.path().parent_path().filename().string()].insert(entry.path().stem().string());
  CHECK(files.size() >= 8);
  for (const auto& [kind, names] : files) {
    CAPTURE(kind);
    CHECK(joined(names) == joined(card_names(kind)));
  }
}

TEST_CASE("registry: names are kebab-case, summaries one line, options make sense") {
  // Architectures and ops are called as torchvision and ONNX people know them: with underscores.
  const std::regex kebab("[a-z][a-z0-9]*(-[a-z0-9]+)*"), snake("[a-z][a-z0-9]*(_[a-z0-9]+)*");
  for (const std::string& kind : core::kinds())
    for (const core::Card& card : core::cards(kind)) {
      CAPTURE(kind);
      CAPTURE(card.name);
      CHECK(std::regex_match(card.name, kind == "architecture" || kind == "op" ? snake : kebab));
      REQUIRE(!card.summary.empty());
      CHECK(card.summary.back() != '.');
      CHECK(card.summary.find('\n') == std::string::npos);
      const auto options = card.make_options();
      REQUIRE(options != nullptr);
      const core::Fields fields = core::walk(*options);
      for (const core::Entry& entry : fields.entries()) {
        CAPTURE(entry.path);
        CHECK(!entry.field.doc.empty());
      }
      CHECK_NOTHROW(options->check());
    }
}

TEST_CASE("registry: an option that members of a kind share has one type: help, schema and flags know it by its name alone") {
  for (const std::string& kind : core::kinds()) {
    std::map<std::string, std::pair<std::size_t, std::string>> types;  // option -> type, the first member that has it
    for (const core::Card& card : core::cards(kind)) {
      const auto options = card.make_options();
      const core::Fields fields = core::walk(*options);
      for (const core::Entry& entry : fields.entries()) {
        const auto [known, fresh] = types.try_emplace(entry.path, entry.target.index(), card.name);
        CHECK_MESSAGE(known->second.first == entry.target.index(), kind << " " << card.name << " and " << known->second.second << ": " << entry.path);
      }
    }
  }
}

TEST_CASE("registry: an unknown name is an error that suggests") {
  CHECK_THROWS_WITH(core::card("optimizer", "adamm"), doctest::Contains("did you mean 'adamw'"));
  CHECK_THROWS_WITH(core::body<void()>("optimizer", "adamm"), doctest::Contains("has no code in this build"));
}

TEST_CASE("threads: parallel_for runs on two threads, each with its own part") {
  const int before = at::get_num_threads();
  at::set_num_threads(2);
  std::mutex mutex;
  std::set<std::thread::id> threads;
  std::vector<int> visits(1000);
  at::parallel_for(0, 1000, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) ++visits[std::size_t(i)];
    const std::lock_guard lock(mutex);
    threads.insert(std::this_thread::get_id());
  });
  at::set_num_threads(before);
  CHECK(threads.size() == 2);
  CHECK(visits == std::vector<int>(1000, 1));
}
