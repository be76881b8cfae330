#include "server/loop/event_loop.h"

#include <grpc/support/time.h>

#include <algorithm>
#include <utility>

#include "server/limits.h"

namespace raftkv::server {

EventLoop::EventLoop(std::unique_ptr<grpc::ServerCompletionQueue> queue,
                     std::unique_ptr<grpc::ServerCompletionQueue> announcements,
                     const MonotonicClock* clock)
    : queue_(std::move(queue)), announcements_(std::move(announcements)), clock_(clock) {}

void EventLoop::Run(Hooks hooks) {
  next_tick_ = clock_->Now() + kTick;
  bool more = false;
  while (!stopped_) {
    TakeEvents(/*wait=*/!more);
    RunPosted();
    if (const MonotonicNanos now = clock_->Now(); now >= next_tick_) {
      next_tick_ = std::max(next_tick_ + kTick, now + kTick / 2);
      TakeAnnouncements();
      hooks.on_tick();
    }
    more = hooks.on_turn();
  }
  // What is in the queues by now was meant for a node that still stands.
  while (TakeAnnouncements() + TakeEvents(/*wait=*/false) > 0) {
    RunPosted();
  }
}

int EventLoop::TakeAnnouncements() {
  void* tag = nullptr;
  bool ok = false;
  int taken = 0;
  while (announcements_->AsyncNext(&tag, &ok, gpr_inf_past(GPR_CLOCK_MONOTONIC)) ==
         grpc::CompletionQueue::GOT_EVENT) {
    static_cast<EventTag*>(tag)->OnEvent(ok);
    ++taken;
  }
  return taken;
}

int EventLoop::TakeEvents(bool wait) {
  // A deadline in the past still looks at the sockets once, without waiting.
  gpr_timespec deadline = gpr_inf_past(GPR_CLOCK_MONOTONIC);
  if (wait) {
    const MonotonicNanos left = std::max<MonotonicNanos>(0, next_tick_ - clock_->Now());
    deadline = gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_nanos(left, GPR_TIMESPAN));
  }
  void* tag = nullptr;
  bool ok = false;
  int taken = 0;
  while (taken < kEventsPerTurnMax &&
         queue_->AsyncNext(&tag, &ok, deadline) == grpc::CompletionQueue::GOT_EVENT) {
    static_cast<EventTag*>(tag)->OnEvent(ok);
    ++taken;
    deadline = gpr_inf_past(GPR_CLOCK_MONOTONIC);
  }
  return taken;
}

void EventLoop::RunPosted() {
  std::vector<std::function<void()>> tasks;
  {
    MutexLock lock(&mutex_);
    tasks.swap(posted_);
  }
  for (const std::function<void()>& task : tasks) {
    task();
  }
}

void EventLoop::Wake() {
  if (wake_pending_.exchange(true)) {
    return;
  }
  MutexLock lock(&mutex_);
  if (!shut_down_) {
    alarm_.Set(queue_.get(), gpr_inf_past(GPR_CLOCK_MONOTONIC), &wake_tag_);
  }
}

// Cleared before the turn's work is looked at: a Wake that finds the flag still set is covered by
// this turn.
void EventLoop::WakeTag::OnEvent(bool /*ok*/) { loop_->wake_pending_.store(false); }

void EventLoop::Post(std::function<void()> task) {
  {
    MutexLock lock(&mutex_);
    posted_.push_back(std::move(task));
  }
  Wake();
}

void EventLoop::DrainQueues() {
  {
    MutexLock lock(&mutex_);
    shut_down_ = true;
  }
  queue_->Shutdown();
  announcements_->Shutdown();
  void* tag = nullptr;
  bool ok = false;
  // The announced calls of `announcements_` hold `queue_` open, so it comes last.
  for (grpc::ServerCompletionQueue* queue : {announcements_.get(), queue_.get()}) {
    while (queue->Next(&tag, &ok)) {
      static_cast<EventTag*>(tag)->OnLeftOver(ok);
    }
  }
}

}  // namespace raftkv::server
