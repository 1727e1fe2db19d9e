#include <doctest/doctest.h>
#include <signal.h>
#include <sys/stat.h>

#include <memory>

#include "sample.h"

using namespace io_test;
namespace io = ds::io;

TEST_CASE("io: a folder's lock is held by one, and the other learns host and pid") {
  const Folder folder;
  {
    const io::FolderLock lock(folder.path);
    std::string message;
    CHECK(code_of([&] { io::FolderLock again(folder.path); }, &message) == Exit::kUsage);
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    CHECK(message.find("in use by process " + std::to_string(getpid()) + " on " + host) != std::string::npos);
    // Nor may a child that inherits the object and ends give the lock up.
    const pid_t child = fork();
    if (child == 0) {
      const_cast<io::FolderLock&>(lock).~FolderLock();
      _exit(0);
    }
    waitpid(child, nullptr, 0);
    CHECK(code_of([&] { io::FolderLock again(folder.path); }) == Exit::kUsage);
    CHECK(folder.files().size() == 1);
  }
  CHECK(folder.files().empty());
  const io::FolderLock lock(folder.path);
}

TEST_CASE("io: the lock of a dead process is taken over, by one of many that try") {
  const Folder folder;
  const pid_t holder = fork();
  if (holder == 0) {
    new io::FolderLock(folder.path);
    kill(getpid(), SIGKILL);
  }
  waitpid(holder, nullptr, 0);
  REQUIRE(folder.files() == std::vector<std::string>{"lock"});
  std::vector<pid_t> children;
  for (int i = 0; i < 8; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      int code = 1;
      if (code_of([&] {
            const io::FolderLock lock(folder.path);
            usleep(500000);
            code = 0;
          }) == Exit::kUsage)
        code = 2;
      _exit(code);
    }
    children.push_back(child);
  }
  int won = 0, lost = 0;
  for (const pid_t child : children) {
    int status = 0;
    waitpid(child, &status, 0);
    won += WEXITSTATUS(status) == 0;
    lost += WEXITSTATUS(status) == 2;
  }
  CHECK(won == 1);
  CHECK(lost == 7);
  CHECK(folder.files().empty());
}

TEST_CASE("io: a FIFO in the place of a lock holds nobody up") {
  const Folder folder;
  mkfifo((folder / "lock").c_str(), 0600);
  std::string message;
  CHECK(code_of([&] { io::FolderLock lock(folder.path); }, &message) == Exit::kUsage);
  CHECK(message == folder / "lock" + ": is not a regular file, expected the lock of a run; remove it");
  CHECK(folder.files() == std::vector<std::string>{"lock"});
}

TEST_CASE("io: a lock whose pid went to another process, of another host, or that says nothing") {
  const Folder folder;
  char host[256] = "";
  gethostname(host, sizeof host - 1);
  spill(folder / "lock", std::string(host) + " " + std::to_string(getpid()) + " 1\n");  // this pid, but started at tick 1
  { const io::FolderLock lock(folder.path); }
  spill(folder / "lock", "elsewhere.example 1 1\n");
  std::string message;
  CHECK(code_of([&] { io::FolderLock lock(folder.path); }, &message) == Exit::kUsage);
  CHECK(message.find("elsewhere.example") != std::string::npos);
  CHECK(code_of([&] { io::FolderLock lock(folder / "none"); }) == Exit::kResource);
}
