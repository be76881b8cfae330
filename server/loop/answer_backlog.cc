#include "server/loop/answer_backlog.h"

#include <glog/logging.h>

#include <utility>

#include "server/limits.h"

namespace raftkv::server {

bool AnswerBacklog::HasRoomFor(uint64_t bytes) const {
  return bytes < kSmallAnswerBytes || bytes <= bytes_max_ - bytes_;
}

AnswerBacklog::Ticket AnswerBacklog::Add(uint64_t bytes, MonotonicNanos give_up_at,
                                         std::function<void()> give_up) {
  CHECK_GE(bytes, kSmallAnswerBytes);
  CHECK_LE(bytes, bytes_max_ - bytes_);
  bytes_ += bytes;
  return answers_.emplace(give_up_at, Answer{.bytes = bytes, .give_up = std::move(give_up)});
}

void AnswerBacklog::Remove(Ticket ticket) {
  bytes_ -= ticket->second.bytes;
  answers_.erase(ticket);
}

void AnswerBacklog::Tick(MonotonicNanos now) {
  for (auto answer = answers_.begin(); answer != answers_.end() && answer->first <= now; ++answer) {
    answer->second.give_up();
  }
}

}  // namespace raftkv::server
