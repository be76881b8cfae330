#include "client/ctl/top.h"

#include <algorithm>
#include <optional>
#include <ostream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "client/ctl/escape.h"
#include "client/ctl/live_screen.h"
#include "client/ctl/output.h"
#include "client/ctl/top_screen.h"

namespace raftkv::ctl {
namespace {

constexpr MonotonicNanos kInterval = kNanosPerSecond;
// Whoever has not answered by then is shown as down, so that the others are shown in time.
constexpr absl::Duration kAnswerTimeMax = absl::Milliseconds(900);

// Asks every member, all at once. `known` are those of earlier, for when nobody tells.
TopSnapshot Look(Client& client, absl::Duration timeout, const std::vector<Member>& known) {
  TopSnapshot snapshot;
  MemberOptions options;
  options.timeout = timeout;
  options.consistency = Consistency::kStale;
  const absl::StatusOr<ListMembersResult> list = client.ListMembers(options);
  snapshot.list_status = list.status();
  for (const Member& member : list.ok() ? list->members : known) {
    snapshot.members.push_back(
        {.member = member,
         .status = absl::FailedPreconditionError("it has not published its client address")});
  }
  std::vector<std::thread> threads;
  for (TopMember& member : snapshot.members) {
    if (!member.member.client_address.empty()) {
      threads.emplace_back([&client, &options, &member] {
        member.status = client.GetStatus(member.member.client_address, options);
      });
    }
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  snapshot.taken = absl::Now();
  return snapshot;
}

// Looks once a second, on a thread of its own, so that keys are heard meanwhile.
class Watch {
 public:
  Watch(Client* client, absl::Duration timeout, LiveScreen* screen)
      : client_(*client), timeout_(timeout), screen_(*screen), thread_([this] { Run(); }) {}
  // Waits for the look that is under way.
  ~Watch() {
    Stop();
    thread_.join();
  }

  // Begins no other look, and waits for nothing.
  void Stop() {
    MutexLock lock(&mutex_);
    stopped_ = true;
    changed_.NotifyOne();
  }
  std::vector<ScreenLine> Draw(const ScreenSize& size) {
    MutexLock lock(&mutex_);
    return latest_.has_value() ? DrawTop(*latest_, size) : std::vector<ScreenLine>();
  }

 private:
  void Run() {
    std::vector<Member> known;
    MonotonicNanos next = clock_.Now();
    while (AwaitUntil(next)) {
      next = std::max(next + kInterval, clock_.Now());
      TopSnapshot snapshot = Look(client_, timeout_, known);
      if (snapshot.list_status.ok()) {
        known.clear();
        for (const TopMember& member : snapshot.members) {
          known.push_back(member.member);
        }
      }
      MutexLock lock(&mutex_);
      latest_ = std::move(snapshot);
      screen_.Wake();
    }
  }
  // False when it is stopped.
  bool AwaitUntil(MonotonicNanos time) {
    MutexLock lock(&mutex_);
    for (MonotonicNanos now = clock_.Now(); !stopped_ && now < time; now = clock_.Now()) {
      changed_.WaitFor(&mutex_, time - now);
    }
    return !stopped_;
  }

  Client& client_;
  const absl::Duration timeout_;
  LiveScreen& screen_;
  const SystemMonotonicClock clock_;
  Mutex mutex_;
  CondVar changed_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  // nullopt until the first look is over.
  std::optional<TopSnapshot> latest_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

ExitCode ShowLive(Client& client, absl::Duration timeout) {
  std::optional<LiveScreen> screen(std::in_place);
  Watch watch(&client, timeout, &*screen);
  while (true) {
    if (!screen->Draw(watch.Draw(screen->size()))) {
      break;
    }
    const LiveScreen::Event event = screen->Await();
    if (event == LiveScreen::Event::kEnd ||
        (event == LiveScreen::Event::kKey && (screen->key() == 'q' || screen->key() == 'Q'))) {
      break;
    }
  }
  watch.Stop();
  // Before the last look is over: who pressed q has a terminal at once.
  screen.reset();
  return ExitCode::kOk;
}

ExitCode ShowOnce(const GlobalOptions& global, Client& client, const Terminal& terminal) {
  const TopSnapshot snapshot = Look(client, global.command_timeout, {});
  ExitCode code = ExitCode::kOk;
  if (!snapshot.list_status.ok()) {
    terminal.err << "Error: "
                 << EscapeControls(DescribeError(snapshot.list_status, global.endpoints),
                                   Newlines::kEscape)
                 << "\n";
    code = ExitCodeFor(snapshot.list_status);
  }
  if (global.format == OutputFormat::kJson) {
    std::vector<EndpointStatus> statuses;
    for (const TopMember& member : snapshot.members) {
      statuses.push_back({member.member.client_address, member.status});
    }
    terminal.out << FormatStatuses(OutputFormat::kJson, statuses);
    return code;
  }
  for (const ScreenLine& line : DrawTop(snapshot, ScreenSize())) {
    terminal.out << line.text << "\n";
  }
  return code;
}

}  // namespace

ExitCode RunTop(const GlobalOptions& global, Client& client, const Terminal& terminal) {
  if (terminal.out_is_terminal && global.format != OutputFormat::kJson) {
    return ShowLive(client, std::min(global.command_timeout, kAnswerTimeMax));
  }
  return ShowOnce(global, client, terminal);
}

}  // namespace raftkv::ctl
