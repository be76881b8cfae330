// How the calls of one method went, whichever front-end they came by.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "base/clock.h"
#include "base/histogram.h"

namespace raftkv::server {

// A copy is what was counted so far. Confined to the loop.
class CallCounts {
 public:
  // Of canonical codes, OK the first.
  static constexpr size_t kCodes = 17;

  // The request is there, of so many bytes, and is handled now; or it was given up.
  void OnStarted(uint64_t request_bytes) {
    ++started_;
    request_bytes_ += request_bytes;
  }
  // The call, which took so long, is answered with this. OK comes with an answer of so many bytes.
  void OnHandled(absl::StatusCode code, MonotonicNanos took, uint64_t answer_bytes = 0) {
    ++handled_[static_cast<size_t>(code) % kCodes];
    took_.Observe(took);
    answer_bytes_ += answer_bytes;
  }

  uint64_t started() const { return started_; }
  uint64_t handled(absl::StatusCode code) const { return handled_[static_cast<size_t>(code)]; }
  const Histogram& took() const { return took_; }
  uint64_t request_bytes() const { return request_bytes_; }
  uint64_t answer_bytes() const { return answer_bytes_; }

 private:
  uint64_t started_ = 0;
  std::array<uint64_t, kCodes> handled_ = {};
  Histogram took_ = Histogram::OfDurations();
  uint64_t request_bytes_ = 0;
  uint64_t answer_bytes_ = 0;
};

}  // namespace raftkv::server
