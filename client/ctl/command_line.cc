#include "client/ctl/command_line.h"

#include <CLI/CLI.hpp>
#include <limits>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/duration.h"
#include "base/version.h"
#include "client/ctl/completed_app.h"
#include "client/ctl/lease_arguments.h"
#include "client/ctl/words.h"

namespace raftkv::ctl {
namespace {

constexpr char kFooter[] =
    "Global options, which may stand anywhere: raftkvctl --help.\n"
    "Data goes to stdout, everything else to stderr. A key or value that starts with '-' comes "
    "after '--'.\n"
    "Exit: 0 ok, 1 error or (with --fail-missing) no key, 2 cannot connect, 4 the server answered "
    "with an error, also\n"
    "one about an argument, 5 cluster unhealthy, endpoints of two clusters or with different keys, "
    "128 bad arguments, "
    "no server asked.";

void AddGlobalOptions(CLI::App& app, Words& words) {
  constexpr char kGroup[] = "Global options";
  app.set_help_flag("-h,--help", "Print this help and exit")->group(kGroup);
  app.set_version_flag("--version", std::string("raftkvctl version: ") + kVersion,
                       "Print the version and exit")
      ->group(kGroup);
  app.add_option("--endpoints", words.endpoints, "Client addresses of members, comma separated")
      ->envname("RAFTKVCTL_ENDPOINTS")
      ->option_text("HOST:PORT,... [127.0.0.1:2379] (env RAFTKVCTL_ENDPOINTS)")
      ->group(kGroup);
  app.add_option("-w,--write-out", words.format, "Output format")
      ->envname("RAFTKVCTL_WRITE_OUT")
      ->check(CLI::IsMember({"simple", "json", "table"}))
      ->option_text("simple|json|table [simple] (env RAFTKVCTL_WRITE_OUT)")
      ->group(kGroup);
  app.add_option("--command-timeout", words.command_timeout,
                 "Time limit of each request, such as 5s or 300ms; of a listing, between its parts")
      ->envname("RAFTKVCTL_COMMAND_TIMEOUT")
      ->check(IsDuration(/*positive=*/true))
      ->option_text("DURATION [5s] (env RAFTKVCTL_COMMAND_TIMEOUT)")
      ->group(kGroup);
  app.add_option("--cacert", words.tls.ca_file,
                 "Speak TLS, with servers whose certificate is of these CAs (PEM)")
      ->envname("RAFTKVCTL_CACERT")
      ->option_text("FILE (env RAFTKVCTL_CACERT)")
      ->group(kGroup);
  CLI::Option* cert = app.add_option("--cert", words.tls.cert_file,
                                     "Certificate to show to servers that ask for one (PEM)")
                          ->envname("RAFTKVCTL_CERT")
                          ->option_text("FILE (env RAFTKVCTL_CERT)")
                          ->group(kGroup);
  CLI::Option* key = app.add_option("--key", words.tls.key_file, "Private key of --cert (PEM)")
                         ->envname("RAFTKVCTL_KEY")
                         ->option_text("FILE (env RAFTKVCTL_KEY)")
                         ->group(kGroup);
  cert->needs(key);
  key->needs(cert);
}

void AddKeyCommands(CLI::App& app, Words& words) {
  constexpr char kGroup[] = "Keys";
  CLI::App* put = app.add_subcommand("put", "Write a key")->group(kGroup);
  put->add_option("key", words.put.key, "The key")->required();
  put->add_option("value", words.put.value, "The value; - reads it from stdin")->required();
  CLI::Option* ttl = put->add_option("--ttl", words.ttl, "Let the key expire after this time")
                         ->check(IsDuration(/*positive=*/false))
                         ->option_text("DURATION");
  CLI::Option* keep =
      put->add_flag("--keep-ttl", words.put.keep_ttl, "Keep the expiry that the key has")
          ->excludes(ttl);
  put->add_option("--lease", words.put.lease_id, "Let the key hang on this lease, and go with it")
      ->check(IsLeaseId())
      ->excludes(ttl)
      ->excludes(keep)
      ->option_text("ID");

  CLI::App* get = app.add_subcommand("get", "Read a key, or all keys with a prefix")->group(kGroup);
  get->add_option("key", words.get.key, "The key or, with --prefix, the prefix")->required();
  get->add_flag("--prefix", words.get.prefix, "Read all keys that start with the given one");
  get->add_flag("--keys-only", words.get.keys_only, "Print keys without values");
  get->add_option("--limit", words.get.limit, "Most keys to print; 0: all")
      ->check(CLI::Range(int64_t{0}, std::numeric_limits<int64_t>::max()))
      ->option_text("N [0]");
  CLI::Option* consistency =
      get->add_option("--consistency", words.consistency,
                      "l: linearizable; s: stale, whatever the endpoint has, also without a quorum")
          ->check(CLI::IsMember({"l", "s", "linearizable", "stale"}))
          ->option_text("l|s|linearizable|stale [l]");
  CLI::Option* max_staleness =
      get->add_option("--max-staleness", words.max_staleness,
                      "Whatever the endpoint has, when it lacks nothing that is older than this")
          ->check(IsDuration(/*positive=*/true))
          ->option_text("DURATION")
          ->excludes(consistency);
  get->add_option("--rev", words.get.revision, "As it was at this revision; without it, as it is")
      ->check(CLI::Range(int64_t{1}, std::numeric_limits<int64_t>::max()))
      ->option_text("REVISION")
      ->excludes(max_staleness);
  get->add_flag("--print-value-only", words.get.print_value_only, "Print values without keys")
      ->excludes("--keys-only");
  get->add_flag("--fail-missing", words.get.fail_missing, "Exit 1 when there is no such key");

  CLI::App* del =
      app.add_subcommand("del", "Remove a key, or all keys with a prefix; prints how many")
          ->group(kGroup);
  del->add_option("key", words.del.key, "The key or, with --prefix, the prefix")->required();
  del->add_flag("--prefix", words.del.prefix,
                "Remove all keys that start with the given one: at once, or in steps when they are "
                "too many for one request");
}

void AddMemberCommands(CLI::App& member, Words& words) {
  constexpr char kTarget[] = "Its name, or its id";
  constexpr char kPeer[] = "Where other members reach it";
  member.require_subcommand(1);
  member.add_subcommand("list", "List the members");

  CLI::App* add = member.add_subcommand(
      "add",
      "Add a node that runs with --wait_for_invite: it gets the data, and votes once it has caught "
      "up");
  add->add_option("name", words.add.name, "Its --name")->required()->option_text("NAME");
  add->add_option("peer-address", words.add.peer_address, kPeer)
      ->required()
      ->option_text("HOST:PORT");
  add->add_flag("--stay-learner", words.add.stay_learner,
                "Do not let it vote before member promote says so");

  member
      .add_subcommand("remove",
                      "Take a member out for good; it stops by itself, and a leader hands over "
                      "first")
      ->add_option("member", words.remove.target, kTarget)
      ->required()
      ->option_text("NAME|ID");
  member.add_subcommand("promote", "Let a learner vote")
      ->add_option("member", words.promote.target, kTarget)
      ->required()
      ->option_text("NAME|ID");

  CLI::App* update = member.add_subcommand(
      "update", "Say where a member is that cannot say so itself, since it reaches nobody");
  update->add_option("member", words.update.target, kTarget)->required()->option_text("NAME|ID");
  update->add_option("peer-address", words.update.peer_address, kPeer)
      ->required()
      ->option_text("HOST:PORT");

  CLI::App* replace = member.add_subcommand(
      "replace",
      "Put a node with an empty directory, which runs with --wait_for_invite, in the place of a "
      "member whose data is lost: remove and add in one");
  replace->add_option("name", words.replace.name, "The name of both")
      ->required()
      ->option_text("NAME");
  replace
      ->add_option("--peer-address", words.replace.peer_address,
                   "Where the new one is reached; by default where the old one was")
      ->option_text("HOST:PORT");
}

void AddTxnCommands(CLI::App& app, Words& words) {
  constexpr char kGroup[] = "Keys";
  CLI::App* touch = app.add_subcommand("touch", "Change when a key expires, and nothing else of it")
                        ->group(kGroup);
  touch->add_option("key", words.touch.key, "The key")->required();
  CLI::Option* touch_ttl =
      touch->add_option("--ttl", words.touch_ttl, "Let the key expire after this time")
          ->check(IsDuration(/*positive=*/false))
          ->option_text("DURATION");
  CLI::Option* never =
      touch->add_flag("--persist", words.persist, "Let the key not expire any more")
          ->excludes(touch_ttl);
  touch->callback([touch_ttl, never] {
    if (touch_ttl->count() + never->count() == 0) {
      throw CLI::RequiredError("--ttl or --persist");
    }
  });

  CLI::App* increment =
      app.add_subcommand("incr", "Add to a key that holds a number; prints the sum")->group(kGroup);
  increment->add_option("key", words.increment.key, "The key")->required();
  increment->add_option("delta", words.increment.delta, "What to add; a negative one after --")
      ->option_text("N [1]");
  increment->add_option("--initial", words.increment.initial, "What an absent key counts from")
      ->option_text("N [0]");
  increment->add_option("--ttl", words.increment_ttl, "Let the key expire after this time")
      ->check(IsDuration(/*positive=*/false))
      ->option_text("DURATION");

  app.add_subcommand(
         "txn",
         "Do one of two lists of operations, by whether guards hold; reads from stdin, in three "
         "parts with an empty line after each:\n"
         "guards such as  mod(\"k\") > \"0\"  or  value(\"k\") = \"v\"  (also create, version, "
         "exists),\n"
         "what to do when they hold, such as  put k v --ttl 5s, get k, del k --prefix, incr n 5, "
         "touch k 5s,\n"
         "and what to do otherwise")
      ->group(kGroup);
}

void AddHistoryCommands(CLI::App& app, Words& words) {
  constexpr char kGroup[] = "History";
  const CLI::Range revisions(int64_t{1}, std::numeric_limits<int64_t>::max());
  CLI::App* watch =
      app.add_subcommand("watch", "Print what happens to a key, or to all keys with a prefix")
          ->group(kGroup);
  watch->add_option("key", words.watch.key, "The key or, with --prefix, the prefix")->required();
  watch->add_flag("--prefix", words.watch.prefix, "Watch all keys that start with the given one");
  watch->add_option("--from", words.watch.from, "First revision to tell; without it, from now on")
      ->check(revisions)
      ->option_text("REVISION");
  watch->add_flag("--prev-kv", words.watch.prev_kv, "Print also what the key held before");
  watch
      ->add_option("--exec", words.watch.exec,
                   "Run this in a shell for each event instead of printing it, with "
                   "RAFTKV_EVENT_TYPE, _KEY, _VALUE and _REVISION in its environment")
      ->option_text("COMMAND");
  CLI::App* history =
      app.add_subcommand("history", "Print what happened to a key, as far as it is kept")
          ->group(kGroup);
  history->add_option("key", words.history.key, "The key")->required();
  CLI::App* diff =
      app.add_subcommand("diff", "Print the keys that differ between two revisions")->group(kGroup);
  diff->add_option("from", words.diff.from, "The one revision")
      ->required()
      ->check(revisions)
      ->option_text("REVISION");
  diff->add_option("to", words.diff.to, "The other one")
      ->required()
      ->check(revisions)
      ->option_text("REVISION");
  diff->add_option("--prefix", words.diff.prefix, "Only keys that start with this")
      ->option_text("PREFIX");
  diff->add_flag("--keys-only", words.diff.keys_only, "Print keys without values");
  CLI::App* compact =
      app.add_subcommand("compact", "End the history up to a revision")->group(kGroup);
  compact->add_option("revision", words.compact.revision, "The revision")
      ->required()
      ->check(revisions);
}

void AddClusterCommands(CLI::App& app, Words& words) {
  constexpr char kGroup[] = "Cluster";
  constexpr char kCluster[] = "All members' endpoints instead of --endpoints";
  AddMemberCommands(*app.add_subcommand("member", "List and change the members")->group(kGroup),
                    words);

  CLI::App* move_leader =
      app.add_subcommand("move-leader", "Have the leader hand over; nothing fails meanwhile")
          ->group(kGroup);
  move_leader
      ->add_option("name", words.move_leader.name,
                   "The member that is to lead; without it whichever can take over soonest")
      ->option_text("NAME");

  CLI::App* endpoint = app.add_subcommand("endpoint", "Ask single endpoints")->group(kGroup);
  endpoint->require_subcommand(1);
  endpoint->add_subcommand("status", "Print each endpoint's own state")
      ->add_flag("--cluster", words.status.cluster, kCluster);
  endpoint
      ->add_subcommand("health",
                       "Check each endpoint by a read index, never by a write; exit 5 if one fails")
      ->add_flag("--cluster", words.health.cluster, kCluster);
  CLI::App* hash = endpoint
                       ->add_subcommand("hashkv",
                                        "Compare what endpoints hold by a hash, all at one index; "
                                        "exit 5 if they differ")
                       ->alias("hash");
  hash->add_flag("--cluster", words.hash.cluster, kCluster);
  hash->add_flag(
      "--scan", words.hash.scan,
      "Also have each endpoint read all its keys and compare them with its hash; give it "
      "time by --command-timeout");

  app.add_subcommand("top",
                     "Show all members with load and latency, anew each second; q quits. Once "
                     "when stdout is no terminal")
      ->group(kGroup);
}

void AddConsistency(CLI::App* command, Words& words) {
  command
      ->add_option("--consistency", words.consistency,
                   "l: linearizable; s: stale, whatever the endpoint has, also without a quorum")
      ->check(CLI::IsMember({"l", "s", "linearizable", "stale"}))
      ->option_text("l|s|linearizable|stale [l]");
}

void AddKeyFormat(CLI::App* command, std::string& format) {
  command->add_option("--format", format, "Lines of JSON, or CSV")
      ->check(CLI::IsMember({"json", "csv"}))
      ->option_text("json|csv");
}

// For commands that raftkvd does.
void AddRaftkvd(CLI::App* command, Words& words) {
  command
      ->add_option("--raftkvd", words.raftkvd,
                   "The raftkvd that does it; without it the one beside raftkvctl, or in PATH")
      ->envname("RAFTKVCTL_RAFTKVD")
      ->option_text("FILE (env RAFTKVCTL_RAFTKVD)");
}

void AddBackupCommands(CLI::App& app, Words& words) {
  constexpr char kGroup[] = "Backup and recovery";
  CLI::App* snapshot =
      app.add_subcommand("snapshot", "Save all keys as a file, look into it, restore it")
          ->group(kGroup);
  snapshot->require_subcommand(1);
  CLI::App* save = snapshot->add_subcommand(
      "save", "Have an endpoint send all that the cluster holds as of one revision");
  save->add_option("file", words.save.file, "Where it goes; replaced once it is complete")
      ->required()
      ->option_text("FILE");
  AddConsistency(save, words);
  CLI::App* status =
      snapshot->add_subcommand("status", "Prove a file whole and print what it holds; offline");
  status->add_option("file", words.file, "The file")->required()->option_text("FILE");
  status->add_flag("--hash", words.only_hash,
                   "Print the hash alone, which endpoint hashkv has at that index");
  AddRaftkvd(status, words);
  CLI::App* restore = snapshot->add_subcommand(
      "restore", "Make the data directory of a member of a new cluster from a file; offline");
  restore->add_option("file", words.file, "The file; the same for all members")
      ->required()
      ->option_text("FILE");
  restore->add_option("--data_dir,--data-dir", words.data_dir, "A directory, new or empty")
      ->required()
      ->option_text("DIR");
  restore->add_option("--name", words.name, "The member's name")->required()->option_text("NAME");
  restore
      ->add_option("--initial_cluster,--initial-cluster", words.initial_cluster,
                   "All founding members; without it the member is alone")
      ->option_text("NAME=HOST:PORT,...");
  AddRaftkvd(restore, words);

  CLI::App* recover =
      app.add_subcommand("recover",
                         "Make a stopped member the only one of a new cluster, when most others "
                         "are lost; without --force only say what that would keep")
          ->group(kGroup);
  recover->add_option("dir", words.data_dir, "Its data directory")->required()->option_text("DIR");
  recover->add_flag("--force", words.force, "Do it");
  AddRaftkvd(recover, words);
  CLI::App* inspect = app.add_subcommand("inspect",
                                         "Print what a data directory holds, changing nothing; "
                                         "also of a running member, or a damaged one")
                          ->group(kGroup);
  inspect->add_option("dir", words.data_dir, "The data directory")->required()->option_text("DIR");
  AddRaftkvd(inspect, words);

  CLI::App* dump = app.add_subcommand("dump", "Print all keys as of one revision")->group(kGroup);
  dump->alias("export");
  dump->add_option("--prefix", words.exported.prefix, "Only keys that start with this")
      ->option_text("PREFIX");
  AddKeyFormat(dump, words.exported.format);
  AddConsistency(dump, words);
  CLI::App* load =
      app.add_subcommand("load", "Write the keys of a file, as dump prints them")->group(kGroup);
  load->alias("import");
  load->add_option("file", words.import.file, "The file, CSV if it is called so; - reads stdin")
      ->required()
      ->option_text("FILE");
  AddKeyFormat(load, words.import.format);
}

void AddOtherCommands(CLI::App& app, Words& words) {
  constexpr char kGroup[] = "Other";
  app.add_subcommand("version", "Print raftkvctl's version")->group(kGroup);
  app.add_subcommand("completion", "Print a script that completes raftkvctl's words in a shell")
      ->group(kGroup)
      ->add_option("shell", words.shell, "The shell; the script says where to put it")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}))
      ->option_text("bash|zsh|fish");
}

Command ChosenMemberCommand(const CLI::App& member, const Words& words) {
  if (member.got_subcommand("add")) {
    return words.add;
  }
  if (member.got_subcommand("remove")) {
    return words.remove;
  }
  if (member.got_subcommand("promote")) {
    return words.promote;
  }
  if (member.got_subcommand("update")) {
    return words.update;
  }
  if (member.got_subcommand("replace")) {
    return words.replace;
  }
  return MemberListCommand{};
}

Consistency ConsistencyOf(const Words& words) {
  return words.consistency[0] == 's' ? Consistency::kStale : Consistency::kLinearizable;
}

// nullopt: it is none of those.
std::optional<Command> ChosenBackupCommand(const CLI::App& app, Words& words) {
  if (app.got_subcommand("dump")) {
    words.exported.consistency = ConsistencyOf(words);
    return words.exported;
  }
  if (app.got_subcommand("load")) {
    return words.import;
  }
  OfflineCommand offline{.raftkvd = words.raftkvd};
  if (app.got_subcommand("recover")) {
    offline.arguments = {"recover", words.data_dir};
    if (words.force) {
      offline.arguments.push_back("force");
    }
    return offline;
  }
  if (app.got_subcommand("inspect")) {
    offline.arguments = {"inspect", words.data_dir};
    return offline;
  }
  if (!app.got_subcommand("snapshot")) {
    return std::nullopt;
  }
  const CLI::App* snapshot = app.get_subcommand("snapshot");
  if (snapshot->got_subcommand("save")) {
    words.save.consistency = ConsistencyOf(words);
    return words.save;
  }
  if (snapshot->got_subcommand("status")) {
    offline.arguments = {"status", words.file};
    if (words.only_hash) {
      offline.arguments.push_back("hash");
    }
    return offline;
  }
  offline.arguments = {"restore", words.file, words.data_dir, words.name};
  if (!words.initial_cluster.empty()) {
    offline.arguments.push_back(words.initial_cluster);
  }
  return offline;
}

Command ChosenEndpointCommand(const CLI::App& endpoint, const Words& words) {
  if (endpoint.got_subcommand("status")) {
    return words.status;
  }
  if (endpoint.got_subcommand("hashkv")) {
    return words.hash;
  }
  return words.health;
}

Command ChosenCommand(const CLI::App& app, Words& words) {
  if (std::optional<Command> command = ChosenBackupCommand(app, words); command.has_value()) {
    return *std::move(command);
  }
  if (std::optional<Command> command = ChosenLeaseCommand(app, words.leases); command.has_value()) {
    return *std::move(command);
  }
  if (app.got_subcommand("put")) {
    words.put.value_from_stdin = words.put.value == "-";
    if (!words.ttl.empty()) {
      words.put.ttl = *ParseDuration(words.ttl);
    }
    return words.put;
  }
  if (app.got_subcommand("get")) {
    words.get.consistency = ConsistencyOf(words);
    if (!words.max_staleness.empty()) {
      words.get.max_staleness = *ParseDuration(words.max_staleness);
    }
    return words.get;
  }
  if (app.got_subcommand("del")) {
    return words.del;
  }
  if (app.got_subcommand("watch")) {
    return words.watch;
  }
  if (app.got_subcommand("history")) {
    return words.history;
  }
  if (app.got_subcommand("diff")) {
    return words.diff;
  }
  if (app.got_subcommand("compact")) {
    return words.compact;
  }
  if (app.got_subcommand("touch")) {
    if (!words.touch_ttl.empty()) {
      words.touch.ttl = *ParseDuration(words.touch_ttl);
    }
    return words.touch;
  }
  if (app.got_subcommand("incr")) {
    if (!words.increment_ttl.empty()) {
      words.increment.ttl = *ParseDuration(words.increment_ttl);
    }
    return words.increment;
  }
  if (app.got_subcommand("txn")) {
    return TxnCommand{};
  }
  if (const CLI::App* member = app.get_subcommand("member"); app.got_subcommand("member")) {
    return ChosenMemberCommand(*member, words);
  }
  if (app.got_subcommand("move-leader")) {
    return words.move_leader;
  }
  if (app.got_subcommand("top")) {
    return TopCommand{};
  }
  if (app.got_subcommand("version")) {
    return VersionCommand{};
  }
  return ChosenEndpointCommand(*app.get_subcommand("endpoint"), words);
}

bool IsGiven(const TlsOptions& tls) {
  return !tls.ca_file.empty() || !tls.cert_file.empty() || !tls.key_file.empty();
}

OutputFormat FormatNamed(const std::string& name) {
  if (name == "json") {
    return OutputFormat::kJson;
  }
  return name == "table" ? OutputFormat::kTable : OutputFormat::kSimple;
}

}  // namespace

std::variant<Invocation, EarlyExit> ParseCommandLine(int argc, const char* const* argv) {
  Words words;
  CLI::App app("raftkvctl reads and writes a raftkv cluster and looks after it.", "raftkvctl");
  app.footer(kFooter);
  // Global options may also follow the subcommand.
  app.fallthrough();
  app.require_subcommand(1);
  AddGlobalOptions(app, words);
  AddKeyCommands(app, words);
  AddTxnCommands(app, words);
  AddLeaseCommands(app, words.leases);
  AddHistoryCommands(app, words);
  AddClusterCommands(app, words);
  AddBackupCommands(app, words);
  AddOtherCommands(app, words);
  try {
    app.parse(argc, argv);
  } catch (const CLI::RequiredError& error) {
    // CLI11 would only say what is missing, and not that a word before it means nothing.
    const std::vector<std::string> unknown = app.remaining(/*recurse=*/true);
    return EarlyExit{.code = ExitCode::kBadArguments,
                     .err = "Error: " +
                            (unknown.empty() ? std::string(error.what())
                                             : "\"" + unknown.front() + "\" is not known here") +
                            std::string("\nRun with --help for more information.\n")};
  } catch (const CLI::ParseError& error) {
    std::ostringstream out;
    std::ostringstream err;
    const int code = app.exit(error, out, err);
    return EarlyExit{.code = code == 0 ? ExitCode::kOk : ExitCode::kBadArguments,
                     .out = out.str(),
                     .err = code == 0 ? err.str() : "Error: " + err.str()};
  }
  if (app.got_subcommand("completion")) {
    return EarlyExit{.out = CompletionScript(app, words.shell)};
  }
  return Invocation{
      .global = {.endpoints = absl::StrSplit(words.endpoints, ',', absl::SkipWhitespace()),
                 .format = FormatNamed(words.format),
                 .command_timeout = *ParseDuration(words.command_timeout),
                 .tls = IsGiven(words.tls) ? std::optional<TlsOptions>(words.tls) : std::nullopt},
      .command = ChosenCommand(app, words),
  };
}

}  // namespace raftkv::ctl
