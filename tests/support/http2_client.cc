#include "tests/support/http2_client.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"

namespace raftkv::integration {
namespace {

constexpr uint8_t kData = 0;
constexpr uint8_t kHeaders = 1;
constexpr uint8_t kReset = 3;
constexpr uint8_t kSettings = 4;
constexpr uint8_t kPing = 6;
constexpr uint8_t kGoAway = 7;
constexpr uint8_t kWindowUpdate = 8;
constexpr uint8_t kContinuation = 9;
constexpr uint8_t kEndStream = 1;
constexpr uint8_t kAck = 1;
constexpr uint8_t kEndHeaders = 4;
constexpr uint16_t kInitialWindowSize = 4;
constexpr size_t kFrameBytesMax = 16384;
constexpr size_t kFrameHeaderBytes = 9;

std::string BigEndian(uint64_t number, int bytes) {
  std::string text;
  for (int i = bytes - 1; i >= 0; --i) {
    text.push_back(static_cast<char>(number >> (8 * i) & 0xFF));
  }
  return text;
}

uint32_t ReadBigEndian(const std::string& text, size_t at, size_t bytes) {
  uint32_t number = 0;
  for (size_t i = 0; i < bytes; ++i) {
    number = number << 8 | static_cast<unsigned char>(text.at(at + i));
  }
  return number;
}

// A header that enters no table (RFC 7541 §6.2.2). REQUIRES: both are shorter than 127 bytes.
std::string Header(const std::string& name, const std::string& value) {
  return BigEndian(0, 1) + BigEndian(name.size(), 1) + name + BigEndian(value.size(), 1) + value;
}

}  // namespace

int ConnectTcp(const std::string& address) {
  const std::vector<std::string> parts = absl::StrSplit(address, ':');
  sockaddr_in to = {};
  to.sin_family = AF_INET;
  int port = 0;
  EXPECT_TRUE(absl::SimpleAtoi(parts.at(1), &port));
  to.sin_port = htons(static_cast<uint16_t>(port));
  EXPECT_EQ(inet_pton(AF_INET, parts[0].c_str(), &to.sin_addr), 1);
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof(to)), 0);
  return fd;
}

Http2Client::Http2Client(const std::string& address) : fd_(ConnectTcp(address)) {
  const std::string preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  EXPECT_EQ(send(fd_, preface.data(), preface.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(preface.size()));
  SendFrame(kSettings, 0, 0, "");
  // The server holds to its own settings once they are acknowledged.
  const Clock::time_point start = Clock::now();
  while (!settled_ && !closed_ && Since(start) < Millis(10000)) {
    TakeFrames(Millis(20));
  }
  EXPECT_TRUE(settled_) << "no settings";
}

Http2Client::~Http2Client() { close(fd_); }

uint32_t Http2Client::Open(const std::string& method,
                           const std::vector<std::pair<std::string, std::string>>& headers) {
  const uint32_t stream = next_stream_;
  next_stream_ += 2;
  std::string block = Header(":method", "POST") + Header(":scheme", "http") +
                      Header(":path", method) + Header(":authority", "test") +
                      Header("content-type", "application/grpc") + Header("te", "trailers");
  for (const auto& [name, value] : headers) {
    block += Header(name, value);
  }
  SendFrame(kHeaders, kEndHeaders, stream, block);
  return stream;
}

size_t Http2Client::SendBody(uint32_t stream, const std::string& bytes, bool end) {
  TakeFrames();
  windows_.emplace(stream, stream_window_);
  size_t sent = 0;
  while (sent < bytes.size() && !closed_) {
    const int64_t window = std::min(window_, windows_[stream]);
    if (window <= 0) {
      break;
    }
    const size_t size =
        std::min({bytes.size() - sent, kFrameBytesMax, static_cast<size_t>(window)});
    const bool last = end && sent + size == bytes.size();
    SendFrame(kData, last ? kEndStream : 0, stream, bytes.substr(sent, size));
    window_ -= static_cast<int64_t>(size);
    windows_[stream] -= static_cast<int64_t>(size);
    sent += size;
  }
  return sent;
}

std::string Http2Client::Message(const std::string& bytes, bool compressed) {
  return BigEndian(compressed ? 1 : 0, 1) + BigEndian(bytes.size(), 4) + bytes;
}

bool Http2Client::AwaitEnd(uint32_t stream, Millis timeout) {
  const Clock::time_point start = Clock::now();
  while (!answers_[stream].ended && !closed_ && Since(start) < timeout) {
    TakeFrames(Millis(20));
  }
  return answers_[stream].ended;
}

void Http2Client::TakeFrames(Millis wait) {
  pollfd ready = {.fd = fd_, .events = POLLIN, .revents = 0};
  while (!closed_ && poll(&ready, 1, static_cast<int>(wait.count())) == 1) {
    wait = Millis(0);
    char bytes[65536];
    const ssize_t size = read(fd_, bytes, sizeof(bytes));
    if (size <= 0) {
      closed_ = true;
      return;
    }
    received_.append(bytes, static_cast<size_t>(size));
    while (received_.size() >= kFrameHeaderBytes) {
      const size_t length = ReadBigEndian(received_, 0, 3);
      if (received_.size() < kFrameHeaderBytes + length) {
        break;
      }
      OnFrame(static_cast<uint8_t>(received_[3]), static_cast<uint8_t>(received_[4]),
              ReadBigEndian(received_, 5, 4), received_.substr(kFrameHeaderBytes, length));
      received_.erase(0, kFrameHeaderBytes + length);
    }
  }
}

size_t Http2Client::ended() const {
  return static_cast<size_t>(std::count_if(answers_.begin(), answers_.end(),
                                           [](const auto& item) { return item.second.ended; }));
}

void Http2Client::SendFrame(uint8_t type, uint8_t flags, uint32_t stream,
                            const std::string& payload) {
  const std::string frame = BigEndian(payload.size(), 3) + BigEndian(type, 1) +
                            BigEndian(flags, 1) + BigEndian(stream, 4) + payload;
  size_t sent = 0;
  while (sent < frame.size()) {
    const ssize_t size = send(fd_, frame.data() + sent, frame.size() - sent, MSG_NOSIGNAL);
    if (size <= 0) {
      closed_ = true;
      return;
    }
    sent += static_cast<size_t>(size);
  }
}

void Http2Client::OnFrame(uint8_t type, uint8_t flags, uint32_t stream,
                          const std::string& payload) {
  switch (type) {
    case kData:
      answers_[stream].has_message = true;
      break;
    case kHeaders:
    case kContinuation:
      answers_[stream].headers += payload;
      break;
    case kReset:
      answers_[stream].ended = true;
      break;
    case kGoAway:
      closed_ = true;
      break;
    case kPing:
      if ((flags & kAck) == 0) {
        SendFrame(kPing, kAck, 0, payload);
      }
      break;
    case kWindowUpdate:
      if (stream == 0) {
        window_ += ReadBigEndian(payload, 0, 4);
      } else {
        windows_.emplace(stream, stream_window_);
        windows_[stream] += ReadBigEndian(payload, 0, 4);
      }
      break;
    case kSettings:
      if ((flags & kAck) != 0) {
        break;
      }
      for (size_t at = 0; at + 6 <= payload.size(); at += 6) {
        if (ReadBigEndian(payload, at, 2) == kInitialWindowSize) {
          const int64_t size = ReadBigEndian(payload, at + 2, 4);
          for (auto& [known, window] : windows_) {
            window += size - stream_window_;
          }
          stream_window_ = size;
        }
      }
      SendFrame(kSettings, kAck, 0, "");
      settled_ = true;
      break;
  }
  if ((type == kData || type == kHeaders) && (flags & kEndStream) != 0) {
    answers_[stream].ended = true;
  }
}

}  // namespace raftkv::integration
