// EventLoop is the one thread that everything of a node runs on: gRPC events of clients and peers,
// the raft step, applying and replying. What would block (the disk, mostly) runs elsewhere and
// comes back by Post.
#pragma once

#include <grpcpp/alarm.h>
#include <grpcpp/completion_queue.h>

#include <atomic>
#include <functional>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/waker.h"

namespace raftkv::server {

// What a completion queue hands back. Lives until its last event.
class EventTag {
 public:
  virtual ~EventTag() = default;
  // Runs on the loop. `ok` is gRPC's: false means that the operation did not happen.
  virtual void OnEvent(bool ok) = 0;
  // Comes instead of OnEvent once the loop has ended and its member is gone: frees what the event
  // kept alive. Must begin no operation, which gRPC ends the process for by then.
  virtual void OnLeftOver(bool ok) = 0;
};

// Confined to its own thread but for Wake and Post, which are thread-safe.
class EventLoop final : public Waker {
 public:
  struct Hooks {
    // Called every tick, however long the loop was busy: missed ticks are not made up for, so that
    // a process that was stopped does not take its own sleep for its peers' silence.
    std::function<void()> on_tick;
    // Called at the end of every turn; returns whether more work is there at once.
    std::function<bool()> on_turn;
  };
  static constexpr MonotonicNanos kTick = 10 * kNanosPerMilli;

  // `queue` takes every event; `announcements` only brings rare new calls and is looked at once a
  // tick, since a second polling thread would take half of the events of `queue` and hand them
  // over, which costs more than the wait.
  EventLoop(std::unique_ptr<grpc::ServerCompletionQueue> queue,
            std::unique_ptr<grpc::ServerCompletionQueue> announcements,
            const MonotonicClock* clock);

  grpc::ServerCompletionQueue* queue() { return queue_.get(); }
  grpc::ServerCompletionQueue* announcements() { return announcements_.get(); }

  // Runs until Stop.
  void Run(Hooks hooks);
  // Makes Run return after this turn. Called on the loop.
  void Stop() { stopped_ = true; }
  // Shuts both queues down and delivers what is left, by OnLeftOver. REQUIRES: Run has returned and
  // the servers are shut down.
  void DrainQueues();

  void Wake() override;
  // Runs `task` on the loop, in the order of the calls. Whoever posts bounds how much.
  void Post(std::function<void()> task);

 private:
  class WakeTag final : public EventTag {
   public:
    explicit WakeTag(EventLoop* loop) : loop_(loop) {}
    void OnEvent(bool ok) override;
    void OnLeftOver(bool /*ok*/) override {}

   private:
    EventLoop* const loop_;
  };

  // Each returns how many events it took.
  int TakeEvents(bool wait);
  int TakeAnnouncements();
  void RunPosted();

  const std::unique_ptr<grpc::ServerCompletionQueue> queue_;
  const std::unique_ptr<grpc::ServerCompletionQueue> announcements_;
  const MonotonicClock* const clock_;

  // Confined to the loop.
  bool stopped_ = false;
  MonotonicNanos next_tick_ = 0;

  // Set while `alarm_` is on its way through the queue, so that it is armed once at a time.
  std::atomic<bool> wake_pending_{false};
  WakeTag wake_tag_{this};
  grpc::Alarm alarm_;

  Mutex mutex_;
  // The queues take nothing new: the alarm must not be armed.
  bool shut_down_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::function<void()>> posted_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace raftkv::server
