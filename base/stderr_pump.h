// Standard error that never keeps the process waiting. What reads it (a journal, a container's log
// driver, a terminal, a file on a slow disk) may stop for as long as it likes.
//
// Everything that is written to file descriptor 2 goes through it, whoever writes: our log lines,
// and the last words of libraries before they abort.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "base/clock.h"
#include "base/mutex.h"

namespace raftkv {

// Carries bytes from a pipe to a file descriptor that may block, by two threads: one takes what
// comes at once, the other writes it. What waits is bounded; beyond it whole lines are dropped, and
// "N lines lost" stands where they would have been. Lines that the file descriptor refuses (a full
// disk) count as well.
//
// Thread-safe. Never destroyed: its threads may hang in the system for good.
class StderrPump final {
 public:
  // Lines are dropped while so much waits to be written; one line more may take it beyond.
  static constexpr size_t kQueueBytesMax = 1 << 20;
  // A line that is longer may be torn.
  static constexpr size_t kLineBytesMax = 1 << 16;

  // Writes to `out`, which stays open for good. Ends the process when there is no pipe or thread to
  // be had.
  static StderrPump* Start(int out);

  // The end of the pipe to write to. A write waits for no more than the taking thread's turn.
  int input() const { return input_; }

  // Waits until all that was written to input() before has left, at most `limit`; returns whether
  // it has. Async-signal-safe.
  bool Drain(MonotonicNanos limit) const;

 private:
  explicit StderrPump(int out);

  void TakeForever();
  void Take(absl::string_view bytes);
  void WriteForever();
  // Writes what it can and returns how many lines it could not.
  uint64_t Write(absl::string_view bytes);
  void WriteLoss();
  bool HasLeft() const;

  // Constant after construction.
  const int out_;
  int taken_from_ = -1;
  int input_ = -1;

  // Whether the taking thread may hold bytes that are neither in the pipe nor in the queue.
  std::atomic<bool> taking_{false};
  // Whether the queue is empty, and all that was ever in it is written. Set with mutex_ held.
  std::atomic<bool> written_{true};

  // Confined to the taking thread.
  bool at_line_start_ = true;
  bool dropping_ = false;

  // Confined to the writing thread: lines lost that are not said yet, and how the output ends.
  uint64_t unsaid_ = 0;
  char last_written_ = '\n';

  Mutex mutex_;
  CondVar filled_;
  std::string queue_ ABSL_GUARDED_BY(mutex_);
  // Lines dropped after those in the queue.
  uint64_t dropped_ ABSL_GUARDED_BY(mutex_) = 0;
};

// How long the end of the process waits for its last words to leave.
inline constexpr MonotonicNanos kLastWordsNanos = kNanosPerSecond;

// Puts a StderrPump behind file descriptor 2. exit() and the signals that end the process in an
// error (SIGABRT, SIGSEGV, ...) wait for its last words as FlushStderr does. Sanitizers go on
// writing to where they did. REQUIRES: called at most once; file descriptor 2 is open.
void TakeStderr();
// Waits at most kLastWordsNanos until what was written to standard error has left. Does nothing
// before TakeStderr. Async-signal-safe.
void FlushStderr();
// _exit after FlushStderr. Async-signal-safe.
[[noreturn]] void ExitAtOnce(int code);

}  // namespace raftkv
