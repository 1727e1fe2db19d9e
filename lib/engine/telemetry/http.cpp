#include "engine/telemetry/http.h"

#include <fmt/format.h>
#include <httplib.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <thread>

#include "base/core/error.h"

namespace ds::telemetry {
namespace {

const char* problem_text(httplib::Error error) {
  switch (error) {
    case httplib::Error::Connection: return "no connection";
    case httplib::Error::ConnectionTimeout: return "no connection in time";
    case httplib::Error::Read: return "no answer";
    case httplib::Error::Write: return "the connection broke";
    case httplib::Error::SSLConnection: return "no TLS connection";
    case httplib::Error::SSLLoadingCerts:
    case httplib::Error::SSLServerVerification: return "its certificate is not trusted";
    default: return "no answer that can be read";
  }
}

/// Requests are answered where they are accepted. (The library's ThreadPool is in LibTorch too, of another version.)
struct Inline : httplib::TaskQueue {
  void enqueue(std::function<void()> task) override { task(); }
  void shutdown() override {}
};

}  // namespace

std::string basic_credentials(const std::string& user, const std::string& password) {
  return httplib::make_basic_authentication_header(user, password).second;
}

// --- client -----------------------------------------------------------------------------------------------------

struct Client::State {
  explicit State(const std::string& origin) : client(origin) {}
  httplib::Client client;
};

Client::Client(io::Endpoint to, double seconds) : to_(std::move(to)), state_(std::make_unique<State>(to_.origin)) {
  const auto limit = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::duration<double>(seconds));
  httplib::Client& client = state_->client;
  client.set_connection_timeout(limit);
  client.set_read_timeout(limit);
  client.set_write_timeout(limit);
  client.set_keep_alive(true);
  client.set_tcp_nodelay(true);
  client.set_follow_location(false);
}

Client::~Client() = default;

Response Client::send(const Request& request) {
  if (!state_->client.is_valid()) return {0, "", "no such host"};
  httplib::Request out;
  out.method = request.method;
  out.path = to_.path + request.path;
  if (out.path.empty()) out.path = "/";
  out.body = request.body;
  if (request.method != "GET") out.set_header("Content-Type", request.type);
  for (const auto& [name, value] : request.headers) out.set_header(name, value);
  const httplib::Result result = state_->client.send(out);
  if (!result) return {0, "", problem_text(result.error())};
  Response response{result->status, result->body, ""};
  if (!response.ok()) response.problem = fmt::format("answers {}", response.status);
  return response;
}

// --- server -----------------------------------------------------------------------------------------------------

struct Server::State {
  httplib::Server server;
  std::thread thread;
  int socket = -1, port = 0;
};

Server::Server(const std::string& host, int port, const std::string& path, const std::string& type, std::function<std::string()> page,
               const std::string& where)
    : state_(std::make_unique<State>()) {
  httplib::Server& server = state_->server;
  // The library's own options would let a second process take the same port without a word.
  server.set_socket_options([this](socket_t socket) {
    state_->socket = socket;
    const int yes = 1;
    ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  });
  server.new_task_queue = [] { return new Inline; };
  server.set_keep_alive_max_count(1);  // who stays connected would keep others out
  server.set_read_timeout(1);
  server.set_write_timeout(1);
  server.set_payload_max_length(4096);
  server.set_tcp_nodelay(true);
  server.Get(path, [page = std::move(page), type](const httplib::Request&, httplib::Response& response) { response.set_content(page(), type); });
  const bool bound = port == 0 ? (state_->port = server.bind_to_any_port(host)) > 0 : server.bind_to_port(host, port);
  if (!bound)
    throw Error(Exit::kResource, where, fmt::format("{}:{} cannot be listened on: {}", host, port, std::strerror(errno ? errno : EADDRNOTAVAIL)),
                "another port, or 0 for one that is free");
  if (port != 0) state_->port = port;
  ::listen(state_->socket, 128);  // the library asks for 5
  state_->thread = std::thread([this] { state_->server.listen_after_bind(); });
}

Server::~Server() {
  for (int i = 0; i < 2000 && !state_->server.is_running(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));  // an earlier stop() is lost
  state_->server.stop();
  state_->thread.join();
}

int Server::port() const { return state_->port; }

}  // namespace ds::telemetry
