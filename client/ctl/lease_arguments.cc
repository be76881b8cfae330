#include "client/ctl/lease_arguments.h"

#include <limits>

#include "base/duration.h"

namespace raftkv::ctl {
namespace {

constexpr char kLeaseGroup[] = "Leases";

void AddLockCommands(CLI::App& app, LeaseWords& words) {
  const auto add_common = [&words](CLI::App* command) {
    command
        ->add_option("--ttl", words.lock_ttl,
                     "For how long a holder that is gone keeps others out, at least 1s")
        ->check(IsDuration(/*positive=*/false))
        ->option_text("DURATION [10s]");
    command->add_option("--wait", words.lock_wait, "Give up after this time")
        ->check(IsDuration(/*positive=*/false))
        ->option_text("DURATION");
    command
        ->add_option("command", words.lock.command,
                     "What to run while it is held, after --; without it, it is held until a "
                     "signal comes")
        ->option_text("COMMAND...");
  };
  CLI::App* lock =
      app.add_subcommand("lock",
                         "Run a command while a lock is held, with RAFTKV_FENCING_TOKEN and "
                         "RAFTKV_LOCK_KEY in its environment; exits as the command does")
          ->group(kLeaseGroup);
  lock->add_option("name", words.lock.name, "The lock")->required();
  add_common(lock);
  CLI::App* elect = app.add_subcommand("elect",
                                       "The same once an election is won, in which others can "
                                       "read the winner's value")
                        ->group(kLeaseGroup);
  elect->add_option("name", words.lock.name, "The election")->required();
  elect->add_option("value", words.lock.value, "What others read")->required();
  add_common(elect);
}

Command ChosenOfLease(const CLI::App& lease, LeaseWords& words) {
  if (lease.got_subcommand("grant")) {
    words.grant.ttl = *ParseDuration(words.grant_ttl);
    return words.grant;
  }
  if (lease.got_subcommand("renew")) {
    if (!words.renew_ttl.empty()) {
      words.renew.ttl = *ParseDuration(words.renew_ttl);
    }
    return words.renew;
  }
  if (lease.got_subcommand("revoke")) {
    return words.revoke;
  }
  if (lease.got_subcommand("get")) {
    return words.lease_get;
  }
  if (lease.got_subcommand("keep-alive")) {
    return words.keep_alive;
  }
  return LeaseListCommand{};
}

}  // namespace

CLI::Validator IsDuration(bool positive) {
  return CLI::Validator(
      [positive](std::string& text) -> std::string {
        const absl::StatusOr<absl::Duration> duration = ParseDuration(text);
        if (!duration.ok()) {
          return std::string(duration.status().message());
        }
        if (positive && (*duration <= absl::ZeroDuration() || *duration > absl::Hours(24))) {
          return "\"" + text + "\" must be more than 0 and at most 24h";
        }
        return "";
      },
      "DURATION");
}

CLI::Range IsLeaseId() { return CLI::Range(int64_t{1}, std::numeric_limits<int64_t>::max()); }

void AddLeaseCommands(CLI::App& app, LeaseWords& words) {
  const auto add_id = [](CLI::App* command, int64_t* id) {
    command->add_option("id", *id, "The lease")->required()->check(IsLeaseId())->option_text("ID");
  };
  CLI::App* lease = app.add_subcommand("lease", "Lives on which keys hang: who renews one is there")
                        ->group(kLeaseGroup);
  lease->require_subcommand(1);
  CLI::App* grant = lease->add_subcommand("grant", "Make a lease; keys hang on it by put --lease");
  grant->add_option("ttl", words.grant_ttl, "How long it lives without a renewal, at least 1s")
      ->required()
      ->check(IsDuration(/*positive=*/false))
      ->option_text("DURATION");
  grant->add_option("--id", words.grant.id, "Its id; without it the store chooses one")
      ->check(IsLeaseId())
      ->option_text("ID");
  CLI::App* renew = lease->add_subcommand("renew", "Give a lease its time again");
  add_id(renew, &words.renew.id);
  renew->add_option("--ttl", words.renew_ttl, "For how long; without it as it was granted")
      ->check(IsDuration(/*positive=*/false))
      ->option_text("DURATION");
  add_id(lease->add_subcommand("revoke", "End a lease, and remove its keys at one revision"),
         &words.revoke.id);
  CLI::App* get = lease->add_subcommand("get", "Print what a lease has left");
  add_id(get, &words.lease_get.id);
  get->add_flag("--keys", words.lease_get.keys, "Print its keys, too");
  lease->add_subcommand("list", "List all leases");
  CLI::App* keep = lease->add_subcommand(
      "keep-alive", "Renew a lease again and again, until it has ended, which is an error");
  add_id(keep, &words.keep_alive.id);
  keep->add_flag("--once", words.keep_alive.once, "Renew it once");
  AddLockCommands(app, words);
}

std::optional<Command> ChosenLeaseCommand(const CLI::App& app, LeaseWords& words) {
  if (app.got_subcommand("lease")) {
    return ChosenOfLease(*app.get_subcommand("lease"), words);
  }
  if (app.got_subcommand("lock") || app.got_subcommand("elect")) {
    words.lock.ttl = *ParseDuration(words.lock_ttl);
    if (!words.lock_wait.empty()) {
      words.lock.wait = *ParseDuration(words.lock_wait);
    }
    return words.lock;
  }
  return std::nullopt;
}

}  // namespace raftkv::ctl
