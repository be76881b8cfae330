#include "client/ctl/watch.h"

#include <sys/wait.h>

#include <optional>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "client/ctl/output.h"
#include "client/ctl/spawn.h"

namespace raftkv::ctl {
namespace {

// A history is at its end when this has passed and a member said so.
constexpr absl::Duration kHistoryHeartbeat = absl::Milliseconds(100);

// Runs a command in a shell that finds the event in its environment. INTERNAL when it cannot be
// run, or says that it failed.
absl::Status Execute(const std::string& command, const Event& event) {
  RAFTKV_ASSIGN_OR_RETURN(const pid_t pid,
                          Spawn({"/bin/sh", "-c", command},
                                {absl::StrCat("RAFTKV_EVENT_TYPE=", EventTypeName(event.type)),
                                 absl::StrCat("RAFTKV_EVENT_KEY=", event.kv.key),
                                 absl::StrCat("RAFTKV_EVENT_VALUE=", event.kv.value),
                                 absl::StrCat("RAFTKV_EVENT_REVISION=", event.kv.mod_revision)}));
  const int status = AwaitExit(pid);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    return absl::InternalError(absl::StrCat(
        "--exec: the command failed at revision ", event.kv.mod_revision,
        WIFEXITED(status) ? absl::StrCat(" with exit code ", WEXITSTATUS(status)) : " by a signal",
        "; go on with --from ", event.kv.mod_revision));
  }
  return absl::OkStatus();
}

// Where the history begins, as an error tells that says it does not reach back far enough.
std::optional<int64_t> CompactedAt(const absl::Status& status) {
  const std::optional<ErrorDetails> details = GetErrorDetails(status);
  int64_t revision = 0;
  if (!details.has_value() || details->reason != "REVISION_COMPACTED" ||
      !absl::SimpleAtoi(details->metadata.at("compact_revision"), &revision)) {
    return std::nullopt;
  }
  return revision;
}

}  // namespace

absl::Status RunWatch(const WatchCommand& command, OutputFormat format, Client& client,
                      const Terminal& terminal) {
  const KeyView view{.for_terminal = terminal.out_is_terminal};
  WatchOptions options;
  options.start_revision = command.from;
  options.return_previous = command.prev_kv;
  const KeyRange range =
      command.prefix ? KeyRange(Prefix{command.key}) : KeyRange(SingleKey{command.key});
  absl::Status failed;
  RAFTKV_RETURN_IF_ERROR(client.Watch({range}, options, [&](const WatchUpdate& update) {
    for (const Event& event : update.events) {
      if (!command.exec.empty()) {
        failed = Execute(command.exec, event);
        if (!failed.ok()) {
          return false;
        }
        continue;
      }
      terminal.out << FormatEvent(format, event, view);
    }
    terminal.out.flush();
    return static_cast<bool>(terminal.out);
  }));
  return failed;
}

absl::Status RunHistory(const HistoryCommand& command, OutputFormat format, Client& client,
                        const Terminal& terminal) {
  const KeyView view{.for_terminal = terminal.out_is_terminal};
  RAFTKV_ASSIGN_OR_RETURN(const GetResult now, client.Get(command.key));
  const int64_t last = now.header.revision;
  WatchOptions options;
  options.start_revision = 1;
  options.heartbeat_interval = kHistoryHeartbeat;
  const auto print = [&](const WatchUpdate& update) {
    for (const Event& event : update.events) {
      if (event.kv.mod_revision <= last) {
        terminal.out << FormatEvent(format, event, view);
      }
    }
    return update.progress_revision < last;
  };
  if (last == 0) {
    return absl::OkStatus();
  }
  // Retention may go on between the question and the watch.
  for (int tries = 0;; ++tries) {
    constexpr int kTriesMax = 5;
    const absl::Status status = client.Watch({SingleKey{command.key}}, options, print);
    const std::optional<int64_t> compacted = CompactedAt(status);
    if (!compacted.has_value() || tries == kTriesMax) {
      return status;
    }
    if (*compacted >= last) {
      return absl::OkStatus();
    }
    options.start_revision = *compacted + 1;
  }
}

}  // namespace raftkv::ctl
