// A file is the old one or the new one, whatever fails or kills while it is written.
#include <doctest/doctest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>

#include <random>

#include "sample.h"

using namespace io_test;
namespace io = ds::io;

namespace {

/// Some hundred kilobytes, so that a save is several writes; `value` makes the digest.
Checkpoint model(float value, int tensors = 4) {
  Checkpoint c = sample();
  for (int i = 0; i < tensors; ++i) {
    Array array = io::make_array(DType::kF32, {300, 1000});  // over the Sink's buffer: written on its own
    std::fill_n(array.as<float>(), array.numel(), value + float(i));
    c.tensors["big" + std::to_string(i)] = array;
  }
  return c;
}

struct Ended {
  int code = -1;  ///< exit code, -1 where killed
  bool killed = false;
};

/// Saves over `path` in a child that the fault shim watches: this program again, at the test case below.
Ended save_in_child(const std::string& path, const std::string& fault, const std::string& part) {
  const std::string shim = std::string(DS_BUILD_DIR) + "/lib/libds_fault.so";
  std::vector<std::string> variables = {"LD_PRELOAD=" + shim, "DS_FAULT=" + fault, "DS_FAULT_PATH=" + part, "DS_TEST_SAVE=" + path};
  std::vector<char*> environment;
  for (std::string& variable : variables) environment.push_back(variable.data());
  for (char** inherited = environ; *inherited; ++inherited) environment.push_back(*inherited);
  environment.push_back(nullptr);
  std::string program = "/proc/self/exe", what = "-tc=io: (child) saves", skip = "-ns", out = "-o=/dev/null";
  char* arguments[] = {program.data(), what.data(), skip.data(), out.data(), nullptr};
  pid_t child = 0;
  REQUIRE(posix_spawn(&child, "/proc/self/exe", nullptr, nullptr, arguments, environment.data()) == 0);
  int status = 0;
  waitpid(child, &status, 0);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL};
}

std::string digest_of(const std::string& path) { return io::load(path).digest; }

}  // namespace

TEST_CASE("io: (child) saves" * doctest::skip()) {
  const char* path = std::getenv("DS_TEST_SAVE");
  if (!path) return;
  Checkpoint c = model(2);
  _exit(int(code_of([&] { io::save(c, path, {.overwrite = true}); })));
}

TEST_CASE("io: a failed or killed save leaves the old file or the new one, and no other") {
  Checkpoint before = model(1), after = model(2);
  const std::string fresh = io::root_digest(after);
  for (const std::string kind : {"write", "fsync", "rename", "link", "open"}) {
    for (const std::string how : {"enospc", "eio", "kill", "short"}) {
      if (how == "short" && kind != "write") continue;
      for (int k = 1; k < 40; ++k) {
        CAPTURE(kind);
        CAPTURE(how);
        CAPTURE(k);
        const Folder folder;
        io::save(before, folder / "model.h5");
        const Ended end = save_in_child(folder / "model.h5", kind + ":" + std::to_string(k) + ":" + how, folder.path);
        const std::string now = digest_of(folder / "model.h5");
        CHECK((now == before.digest || now == fresh));
        CHECK(end.killed == (end.code < 0));
        if (end.code == 0) CHECK(now == fresh);
        // The last fsync, of the folder, comes when the new file is in place already.
        if (end.code > 0) CHECK((end.code == int(Exit::kResource) && (now == before.digest || kind == "fsync")));
        if (!end.killed) CHECK(folder.files().size() == 1);
        if (end.code == 0 && how != "short" && kind != "open" && kind != "link") break;  // fewer than k such calls: done
        if (end.code == 0 && k >= 4 && how != "short") break;
        if (end.code == 0 && k > 12) break;
      }
    }
  }
}

TEST_CASE("io: a disk that is full from some write on, for a file that was not there") {
  for (int k = 1; k < 8; ++k) {
    const Folder folder;
    const Ended end = save_in_child(folder / "model.h5", "write:" + std::to_string(k) + "+:enospc", folder.path);
    CAPTURE(k);
    if (end.code == 0) {
      CHECK(k > 4);
      break;
    }
    CHECK(end.code == int(Exit::kResource));
    CHECK(folder.files().empty());
  }
}

TEST_CASE("io: where unnamed files are not to be had, a named one does") {
  const Folder folder;
  // The first open for writing is the unnamed one.
  CHECK(save_in_child(folder / "model.h5", "open:1:eio", folder.path).code == 0);
  CHECK(folder.files() == std::vector<std::string>{"model.h5"});
  Checkpoint after = model(2);
  CHECK(digest_of(folder / "model.h5") == io::root_digest(after));
}

TEST_CASE("io: kill -9 at 200 random moments of saving") {
  const Folder folder;
  Checkpoint a = model(1, 2), b = model(2, 2);
  const std::string path = folder / "model.h5";
  io::save(a, path);
  io::root_digest(b);
  std::mt19937 random(7);
  const std::string of_a = io::root_digest(a), of_b = io::root_digest(b);
  std::size_t seen_a = 0, seen_b = 0;
  for (int i = 0; i < 200; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      for (int k = 0;; ++k) io::save(k % 2 ? a : b, path, {.overwrite = true});
    }
    usleep(1000 + random() % 50000);
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    std::string now;
    const Exit code = code_of([&] { now = digest_of(path); });
    REQUIRE(code == Exit::kDone);
    REQUIRE((now == of_a || now == of_b));
    (now == of_a ? seen_a : seen_b) += 1;
  }
  CHECK(seen_a > 0);
  CHECK(seen_b > 0);
  CHECK(folder.files().size() < 20);  // a killed writer leaves a name only between its link and its rename
}

TEST_CASE("io: an output that exists, is no file or has no folder") {
  const Folder folder;
  Checkpoint c = sample();
  std::string message;
  io::save(c, folder / "a.h5");
  const std::string before = slurp(folder / "a.h5");
  CHECK(code_of([&] { io::save(c, folder / "a.h5"); }, &message) == Exit::kUsage);
  CHECK(message == folder / "a.h5" + ": exists; -f overwrites it");
  CHECK(slurp(folder / "a.h5") == before);
  CHECK(code_of([&] { io::save(c, folder.path, {.overwrite = true}); }) == Exit::kUsage);
  CHECK(code_of([&] { io::save(c, "/dev/null", {.overwrite = true}); }) == Exit::kUsage);
  CHECK(code_of([&] { io::save(c, folder / "none/a.h5"); }, &message) == Exit::kResource);
  CHECK(message.find("does not exist") != std::string::npos);
  CHECK(folder.files().size() == 1);
}

TEST_CASE("io: overwriting keeps a file's mode, and a symbolic link to it") {
  const Folder folder;
  Checkpoint c = sample();
  io::save(c, folder / "a.h5");
  chmod((folder / "a.h5").c_str(), 0600);
  std::filesystem::create_symlink("a.h5", folder / "link.h5");
  c.labels = {"x"};
  io::save(c, folder / "link.h5", {.overwrite = true});
  CHECK(std::filesystem::is_symlink(folder / "link.h5"));
  CHECK(digest_of(folder / "a.h5") == c.digest);
  struct stat status {};
  stat((folder / "a.h5").c_str(), &status);
  CHECK((status.st_mode & 0777) == 0600);
  CHECK(folder.files().size() == 2);
}

TEST_CASE("io: check_output finds what save would, before any work") {
  const Folder folder;
  Checkpoint c = sample();
  io::save(c, folder / "a.h5");
  std::filesystem::create_hard_link(folder / "a.h5", folder / "b.h5");
  const auto code = [&](const std::string& path, const std::vector<std::string>& inputs, bool force) {
    return code_of([&] { io::check_output(path, inputs, force); });
  };
  CHECK(code(folder / "new.h5", {folder / "a.h5"}, false) == Exit::kDone);
  CHECK(code(folder / "a.h5", {}, false) == Exit::kUsage);
  CHECK(code(folder / "a.h5", {}, true) == Exit::kDone);
  CHECK(code(folder / "a.h5", {folder / "a.h5"}, true) == Exit::kUsage);
  CHECK(code(folder / "b.h5", {"-", folder / "a.h5"}, true) == Exit::kUsage);
  CHECK(code(folder / "./x/../a.h5", {folder / "a.h5"}, true) == Exit::kUsage);
  CHECK(code(folder.path, {}, true) == Exit::kUsage);
  CHECK(code("", {}, true) == Exit::kUsage);
  CHECK(code("/dev/null", {}, true) == Exit::kUsage);
  CHECK(code(folder / "none/a.h5", {}, true) == Exit::kResource);
  CHECK(code(folder / "a.h5/a.h5", {}, true) == Exit::kResource);
  CHECK(code("/proc/a.h5", {}, true) == Exit::kResource);
}

TEST_CASE("io: write_file and write_atomically replace whole files") {
  const Folder folder;
  io::write_file(folder / "a", "one");
  io::write_file(folder / "a", std::string(3 << 20, 'x'));
  CHECK(io::read_file(folder / "a") == std::string(3 << 20, 'x'));
  CHECK(code_of([&] { io::read_file(folder / "a", 100); }) == Exit::kInput);
  io::write_atomically(folder / "b", [](const std::string& name) { spill(name, "two"); });
  CHECK(io::read_file(folder / "b") == "two");
  CHECK_THROWS(io::write_atomically(folder / "b", [](const std::string& name) {
    spill(name, "three");
    throw 1;
  }));
  CHECK(io::read_file(folder / "b") == "two");
  CHECK(folder.files().size() == 2);
}

TEST_CASE("io: a file that another process makes meanwhile is replaced where that is asked for, else kept") {
  const Folder folder;
  const auto write = [&](const std::string& path) {
    return [path](io::Sink& sink) {
      spill(path, "other");
      sink.write("mine", 4);
    };
  };
  io::replace_file(folder / "a", true, write(folder / "a"));
  CHECK(io::read_file(folder / "a") == "mine");
  CHECK(code_of([&] { io::replace_file(folder / "b", false, write(folder / "b")); }) == Exit::kUsage);
  CHECK(io::read_file(folder / "b") == "other");
  CHECK(folder.files().size() == 2);
}
