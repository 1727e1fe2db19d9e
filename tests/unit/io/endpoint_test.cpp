#include "base/io/endpoint.h"

#include <doctest/doctest.h>

#include <cstdlib>

#include "base/core/error.h"
#include "base/io/files.h"

using namespace ds;

TEST_CASE("an endpoint is an origin and a path") {
  const auto parts = [](const char* text) {
    const io::Endpoint e = io::endpoint(text, "o");
    return e.origin + " " + e.path;
  };
  CHECK(parts("http://127.0.0.1:9091") == "http://127.0.0.1:9091 ");
  CHECK(parts("http://127.0.0.1:9091/") == "http://127.0.0.1:9091 ");
  CHECK(parts("https://host/a/b/?k=v#part") == "https://host /a/b/?k=v");
  CHECK(parts("http://[::1]:80/x") == "http://[::1]:80 /x");
  CHECK(io::endpoint("http://h:1/x", "o").text() == "http://h:1/x");
}

TEST_CASE("what is no endpoint is refused with the option's name") {
  for (const char* text : {"", "host", "ftp://host", "http://", "http:///x", "http://h:", "http://h:0", "http://h:65536", "http://h:8o", "http://a b", "http://h/\n"})
    CHECK_THROWS_WITH_AS(io::endpoint(text, "watch.x"), doctest::Contains("watch.x: "), Error);
  CHECK_THROWS_WITH_AS(io::check_endpoint("http://user:secret@h/", "o"), doctest::Contains("@FILE"), Error);
  CHECK_NOTHROW(io::check_endpoint("@some/file", "o"));
  CHECK_NOTHROW(io::check_endpoint("env:X", "o"));
  CHECK_THROWS_AS(io::check_endpoint("@", "o"), Error);
  CHECK_THROWS_AS(io::check_endpoint("env:", "o"), Error);
}

TEST_CASE("an URL from a file or the environment is never shown") {
  char name[] = "/tmp/ds-url-XXXXXX";
  const int fd = mkstemp(name);
  REQUIRE(fd >= 0);
  io::write_file(name, "https://hooks/secret\nmore\n");
  CHECK(io::endpoint(std::string("@") + name, "o").text() == "https://hooks/secret");
  io::write_file(name, "secret\n");
  try {
    io::endpoint(std::string("@") + name, "o");
    FAIL("it was taken");
  } catch (const Error& e) {
    CHECK(std::string(e.what()).find("secret") == std::string::npos);
  }
  std::remove(name);
  CHECK_THROWS_WITH_AS(io::endpoint(std::string("@") + name, "o"), doctest::Contains(name), Error);
  setenv("DS_TEST_URL", "http://h/x", 1);
  CHECK(io::endpoint("env:DS_TEST_URL", "o").text() == "http://h/x");
  unsetenv("DS_TEST_URL");
  CHECK_THROWS_WITH_AS(io::endpoint("env:DS_TEST_URL", "o"), doctest::Contains("DS_TEST_URL"), Error);
}
