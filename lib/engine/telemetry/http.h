// HTTP, both ends of it. The only file that knows the library.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/io/endpoint.h"

namespace ds::telemetry {

struct Response {
  int status = 0;       ///< 0: there was no answer, `problem` says why
  std::string body;
  std::string problem;  ///< "" where the status is 2xx; one line, without what may be secret
  bool ok() const { return status >= 200 && status < 300; }
};

struct Request {
  std::string method = "POST";  ///< GET, POST or PUT
  std::string path = {};        ///< behind the endpoint's own
  std::string body = {}, type = "application/json";
  std::map<std::string, std::string> headers = {};
};

/// Value of an Authorization header (RFC 7617).
std::string basic_credentials(const std::string& user, const std::string& password);

/// Talks to one server, one request at a time, over a connection that is kept. Not for several threads at once.
class Client {
 public:
  /// Gives up after `seconds` without a connection, or without an answer. Nothing is sent yet.
  Client(io::Endpoint to, double seconds);
  ~Client();
  /// Never throws. Redirects are not followed: they would carry tokens elsewhere.
  Response send(const Request& request);
  const io::Endpoint& to() const { return to_; }

 private:
  struct State;
  io::Endpoint to_;
  std::unique_ptr<State> state_;
};

/// Answers GET of one path on a thread of its own, one after another, until it is destroyed.
class Server {
 public:
  /// `page` is called for each request, on the server's thread. Port 0: one that is free.
  /// Throws ds::Error(kResource, where) where the port cannot be had.
  Server(const std::string& host, int port, const std::string& path, const std::string& type, std::function<std::string()> page,
         const std::string& where);
  ~Server();
  int port() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ds::telemetry
