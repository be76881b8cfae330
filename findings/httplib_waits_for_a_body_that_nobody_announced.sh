#!/usr/bin/env bash
# cpp-httplib 0.11.4 (Debian 12: libcpp-httplib-dev 0.11.4+ds-1+deb12u1): a POST or PUT with neither Content-Length nor
# Transfer-Encoding has no body (RFC 9112, 6.3), but httplib's server waits for one until its read timeout, and then
# refuses the request without asking the handler. `curl -X POST` sends such requests.
#
# Seen:     the answer is "HTTP/1.1 400 Bad Request", after 2.0 s, which is the read timeout that the program sets
# Expected: "HTTP/1.1 200 OK" at once.
# Needs apt-get, g++ and the headers of libssl-dev. Exit 0: behaves so; 1: it changed; 2: could not be tried.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
readonly VERSION=0.11.4+ds-1+deb12u1
if ! apt-get download -q "libcpp-httplib-dev=$VERSION" "libcpp-httplib0.11=$VERSION" >/dev/null 2>&1; then
  echo "the packages are not to be had"
  exit 2
fi
for package in ./*.deb; do dpkg -x "$package" root; done
cat >post.cc <<'CC'
#include <httplib.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>
#include <thread>

int main() {
  httplib::Server server;
  server.set_read_timeout(2);
  server.Post("/", [](const httplib::Request&, httplib::Response& response) {
    response.set_content("done", "text/plain");
  });
  const int port = server.bind_to_any_port("127.0.0.1");
  std::thread listening([&] { server.listen_after_bind(); });
  const int client = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(client, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) return 2;
  const std::string request = "POST / HTTP/1.1\r\nHost: localhost\r\n\r\n";
  const auto start = std::chrono::steady_clock::now();
  send(client, request.data(), request.size(), 0);
  char answer[64] = {};
  recv(client, answer, sizeof(answer) - 1, 0);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  *strchrnul(answer, '\r') = '\0';
  std::printf("the answer is \"%s\", after %.1f s\n", answer, took.count());
  close(client);
  server.stop();
  listening.join();
  return std::string(answer) == "HTTP/1.1 400 Bad Request" && took.count() > 1.5 ? 0 : 1;
}
CC
libraries=root/usr/lib/$(dpkg-architecture -qDEB_HOST_MULTIARCH 2>/dev/null || echo x86_64-linux-gnu)
# The library's own definitions: the classes have other members without them.
if ! g++ -std=c++17 -D_GNU_SOURCE -DCPPHTTPLIB_OPENSSL_SUPPORT -DCPPHTTPLIB_ZLIB_SUPPORT \
  -DCPPHTTPLIB_BROTLI_SUPPORT -isystem root/usr/include post.cc -o post -L "$libraries" -lcpp-httplib -pthread; then
  echo "the program cannot be built"
  exit 2
fi
LD_LIBRARY_PATH=$libraries ./post
