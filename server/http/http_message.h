// A request and an answer of HTTP, as the routes see them: no sockets, no library.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace raftkv::server {

struct HttpRequest {
  std::string method;
  // As they came, percent-encoded: what stands before the question mark, and behind it.
  std::string path;
  std::string query;
  // Empty where the request does not have them.
  std::string host;
  std::string origin;
  std::string content_type;
  std::string connect_timeout_ms;
  std::string if_none_match;
  std::string body;
};

struct HttpAnswer {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
  // Room that the answer takes until it is sent: given back when the last copy goes.
  std::shared_ptr<void> room;
};

}  // namespace raftkv::server
