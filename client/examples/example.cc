// Reads and writes a raftkv cluster with the C++ client; docs/CLIENTS.md says how to build it.
//
//   raftkv_example HOST:PORT,HOST:PORT,...    the client addresses of members
#include <iostream>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "client/client.h"
#include "client/errors.h"
#include "client/types.h"

namespace {

absl::Status Run(raftkv::Client client) {
  const auto put = client.Put("example/greeting", "hello", {.ttl = absl::Seconds(60)});
  if (!put.ok()) {
    // The client tries again where that cannot do a write twice; what is left says what is known.
    std::cerr << "it may have happened: " << raftkv::IsOutcomeUnknown(put.status()) << "\n";
    return put.status();
  }
  const auto got = client.Get("example/greeting");
  if (!got.ok()) {
    return got.status();
  }
  std::cout << "get: " << (got->kv.has_value() ? got->kv->value : "no such key") << "\n";

  const auto print = [](const raftkv::ListResult& page) {
    for (const raftkv::KeyValue& kv : page.kvs) {
      std::cout << "list: " << kv.key << "\n";
    }
    return true;
  };
  if (const absl::Status listed = client.ListAll(raftkv::Prefix{.prefix = "example/"}, {}, print);
      !listed.ok()) {
    return listed;
  }
  const auto stale =
      client.Put("example/greeting", "lost",
                 {.precondition = raftkv::ModRevisionIs{.mod_revision = put->mod_revision - 1}});
  std::cout << "refused: " << absl::StatusCodeToString(stale.status().code()) << " "
            << raftkv::ErrorReason(stale.status()) << "\n";

  const auto deleted = client.Delete("example/greeting");
  if (!deleted.ok()) {
    return deleted.status();
  }
  std::cout << "deleted: " << std::boolalpha << deleted->deleted << "\n";

  const auto members = client.ListMembers();
  if (!members.ok()) {
    return members.status();
  }
  for (const raftkv::Member& member : members->members) {
    if (member.is_leader) {
      std::cout << "leader: " << member.name << "\n";
    }
  }
  return absl::OkStatus();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: raftkv_example HOST:PORT,HOST:PORT,...\n";
    return 1;
  }
  auto client = raftkv::Client::Create({.endpoints = absl::StrSplit(argv[1], ',')});
  const absl::Status status = client.ok() ? Run(*client) : client.status();
  if (!status.ok()) {
    std::cerr << status << "\n";
    return 1;
  }
}
