// HTTP/2 by hand (RFC 9113), for what no gRPC client would send: requests that never end, headers
// that lie.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/wait.h"

namespace raftkv::integration {

// A plain TCP connection to an IPv4 address:port; a failure of gtest when there is none.
int ConnectTcp(const std::string& address);

// One connection that has said hello and heard the server's settings. Sends frames as told, within
// the server's windows. Confined to one thread.
class Http2Client {
 public:
  // What came back on a stream.
  struct Answer {
    bool has_message = false;
    // Closed by the server, in whatever way.
    bool ended = false;
    // The encoded header blocks; gRPC's server writes texts into them as they are.
    std::string headers;
  };

  explicit Http2Client(const std::string& address);
  ~Http2Client();
  Http2Client(const Http2Client&) = delete;
  Http2Client& operator=(const Http2Client&) = delete;

  // Opens stream 1, 3, 5, ... for a gRPC method, "/package.Service/Method", with more headers.
  uint32_t Open(const std::string& method,
                const std::vector<std::pair<std::string, std::string>>& headers = {});
  // Sends bytes of the body, as many as the windows allow by then; returns how many.
  size_t SendBody(uint32_t stream, const std::string& bytes, bool end);
  // A message with its prefix of five bytes, as gRPC frames it.
  static std::string Message(const std::string& bytes, bool compressed = false);

  // Takes what the server sent until `stream` has ended. False when it has not after `timeout`, or
  // when the connection is closed.
  bool AwaitEnd(uint32_t stream, Millis timeout);
  // Takes what the server has sent by now.
  void TakeFrames(Millis wait = Millis(0));
  const Answer& answer(uint32_t stream) { return answers_[stream]; }
  size_t ended() const;
  bool closed() const { return closed_; }

 private:
  void SendFrame(uint8_t type, uint8_t flags, uint32_t stream, const std::string& payload);
  void OnFrame(uint8_t type, uint8_t flags, uint32_t stream, const std::string& payload);

  int fd_ = -1;
  bool closed_ = false;
  bool settled_ = false;
  uint32_t next_stream_ = 1;
  std::string received_;
  int64_t stream_window_ = 65535;
  int64_t window_ = 65535;
  std::map<uint32_t, int64_t> windows_;
  std::map<uint32_t, Answer> answers_;
};

}  // namespace raftkv::integration
