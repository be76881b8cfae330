// raftkv::Client reads and writes a raftkv cluster.
//
//   absl::StatusOr<raftkv::Client> client =
//       raftkv::Client::Create({.endpoints = {"10.0.0.1:2379", "10.0.0.2:2379"}});
//   absl::StatusOr<raftkv::PutResult> put =
//       client->Put("greeting", "hello", {.ttl = absl::Seconds(5)});
//   if (!put.ok() && raftkv::IsOutcomeUnknown(put.status())) { ... }  // it may have happened
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/bulk_writer.h"
#include "client/errors.h"
#include "client/lease_types.h"
#include "client/txn.h"
#include "client/types.h"

namespace raftkv {

class Connection;

// A handle to a cluster, cheap to copy; copies share their connections. Every call blocks, has a
// deadline, turns to another endpoint when one does not answer, and tries again what a server or a
// connection answered with UNAVAILABLE. So that no try does a write twice, each has an id, which
// the cluster remembers for ten minutes (ClientOptions::exactly_once).
//
// It learns the other members by itself (ClientOptions::learns_members), so `endpoints` is where it
// begins, and where it comes back to when nobody else answers.
//
// All endpoints must be members of one cluster. An answer that comes from another cluster than the
// first one did is an error that names both, FAILED_PRECONDITION / CLUSTER_MISMATCH; of a write,
// which is done there by then, IsOutcomeUnknown. GetStatus, VerifyHash and CheckHealth ask anybody.
//
// A failed call returns the server's canonical code and message; client/errors.h reads the rest. A
// write whose error is not IsOutcomeUnknown changed nothing.
//
// Thread-safe.
class Client {
 public:
  // Connects lazily: the first call finds out whether anybody answers. INVALID_ARGUMENT when an
  // option is out of range, an endpoint is not host:port, or a file of TLS cannot be used.
  static absl::StatusOr<Client> Create(ClientOptions options);

  // For tests of programs that use a Client: give it a Connection of your own.
  explicit Client(std::shared_ptr<Connection> connection);

  // Reads one key. A missing key is a normal answer without `kv`.
  absl::StatusOr<GetResult> Get(absl::string_view key, const GetOptions& options = {});

  // Writes one key, creating it when absent.
  absl::StatusOr<PutResult> Put(absl::string_view key, absl::string_view value,
                                const PutOptions& options = {});

  // Removes one key. A missing key is a normal answer with `deleted` false.
  absl::StatusOr<DeleteResult> Delete(absl::string_view key, const DeleteOptions& options = {});

  // Removes the keys of a range at one revision, or none of them.
  absl::StatusOr<DeleteRangeResult> DeleteRange(const KeyRange& range,
                                                const DeleteRangeOptions& options = {});

  // Changes when a key expires, and nothing else of it. A missing key is a normal answer with
  // `touched` false.
  absl::StatusOr<TouchResult> Touch(absl::string_view key, const TouchOptions& options = {});

  // Adds to a key whose value is a number in decimal text, creating it when absent.
  // FAILED_PRECONDITION / NOT_AN_INTEGER, OUT_OF_RANGE / INTEGER_OVERFLOW.
  absl::StatusOr<IncrementResult> Increment(absl::string_view key,
                                            const IncrementOptions& options = {});

  // Does one of a transaction's lists of operations, by whether its guards hold.
  absl::StatusOr<TxnResult> Run(const Txn& txn, const TxnOptions& options = {});

  // Reads one page of a range in key order. For the next, set `page_token` to this page's
  // `next_page_token` and change nothing else but `page_size`.
  absl::StatusOr<ListResult> List(const KeyRange& range, const ListOptions& options = {});

  // Reads all pages, from `options.page_token` on, and calls `visit` with each; stops early, with
  // OK, when it returns false. Each page is read at its own revision and with its own deadline. On
  // failure `visit` has seen the pages before.
  absl::Status ListAll(const KeyRange& range, ListOptions options,
                       const std::function<bool(const ListResult& page)>& visit);

  // Calls `visit` with all keys of a range in key order, as of one revision, chunk by chunk, until
  // it returns false (OK) or all were visited: with one chunk at least. A connection that breaks,
  // or a member that stops, does not end it: it goes on with another endpoint behind the last
  // chunk, at the same revision. On failure `visit` has seen what came before.
  // OUT_OF_RANGE / REVISION_COMPACTED when the history no longer reaches back to its revision;
  // UNAVAILABLE when all endpoints have failed for several rounds.
  absl::Status Scan(const KeyRange& range, const ScanOptions& options,
                    const std::function<bool(const ScanChunk& chunk)>& visit);

  // Calls `visit` with what happens to the keys of some ranges, until it returns false (OK) or the
  // watch cannot go on. A connection that breaks, or a member that stops or is cut off, does not
  // end it: it goes on with another endpoint where it was, with no event missing and none told
  // twice.
  // OUT_OF_RANGE / REVISION_COMPACTED when the history no longer reaches back to there; UNAVAILABLE
  // when all endpoints have failed for several rounds; CANCELLED when `visit` takes too long with
  // the initial state.
  absl::Status Watch(const std::vector<KeyRange>& ranges, const WatchOptions& options,
                     const std::function<bool(const WatchUpdate& update)>& visit);

  // Writes many keys, many of them at a time, each exactly once: client/bulk_writer.h.
  // INVALID_ARGUMENT when an option is out of range. The writer must not outlive this Client.
  absl::StatusOr<std::unique_ptr<BulkWriter>> NewBulkWriter(const BulkWriterOptions& options = {});

  // Ends the history up to a revision, 0 being the newest: watches can no longer begin there.
  absl::StatusOr<CompactResult> Compact(int64_t revision, const CompactOptions& options = {});

  // Makes a lease, which lives for `ttl`, at least 1 s, from one renewal to the next; keys hang on
  // it by PutOptions::lease_id. client/lease_keeper.h renews one, client/recipes.h makes locks of
  // them.
  absl::StatusOr<GrantLeaseResult> GrantLease(absl::Duration ttl,
                                              const GrantLeaseOptions& options = {});
  // NOT_FOUND / LEASE_NOT_FOUND when it has ended, for each of these. A RevokeLease that was tried
  // again says so, too, when an earlier try has done it.
  absl::StatusOr<RenewLeaseResult> RenewLease(int64_t id, const RenewLeaseOptions& options = {});
  absl::StatusOr<RevokeLeaseResult> RevokeLease(int64_t id, const RevokeLeaseOptions& options = {});
  absl::StatusOr<GetLeaseResult> GetLease(int64_t id, const GetLeaseOptions& options = {});
  // Reads one page, by id. For the next, set `after_id` to the last one.
  absl::StatusOr<ListLeasesResult> ListLeases(const ListLeasesOptions& options = {});

  absl::StatusOr<ListMembersResult> ListMembers(const MemberOptions& options = {});

  // Has the leader hand over to the member called `target`, or with "" to whichever can take over
  // soonest; returns when that one leads. FAILED_PRECONDITION / NOT_CAUGHT_UP when it cannot.
  absl::StatusOr<TransferLeadershipResult> TransferLeadership(
      absl::string_view target = "", const TransferLeadershipOptions& options = {});

  // Makes the node at `peer_address`, which runs and waits to join a cluster (--wait_for_invite), a
  // member called `name`: a learner, which votes once it has caught up. What may be refused, and
  // why: proto/raftkv/v1/cluster.proto. These may all be called again when their outcome is not
  // known, and are, within the timeout.
  absl::StatusOr<ChangeMemberResult> AddMember(absl::string_view name,
                                               absl::string_view peer_address,
                                               const AddMemberOptions& options = {});
  // Takes a member out of the cluster for good; it stops by itself.
  absl::StatusOr<RemoveMemberResult> RemoveMember(const MemberTarget& target,
                                                  const ChangeMemberOptions& options = {});
  // Lets a learner vote.
  absl::StatusOr<ChangeMemberResult> PromoteMember(const MemberTarget& target,
                                                   const ChangeMemberOptions& options = {});
  // Says where a member is reached by its peers, when it cannot say so itself.
  absl::StatusOr<ChangeMemberResult> UpdateMember(const MemberTarget& target,
                                                  absl::string_view peer_address,
                                                  const ChangeMemberOptions& options = {});

  // The state of the member at `endpoint` itself, which need not be one of the options' endpoints.
  // Answers without a quorum. Not tried again.
  absl::StatusOr<MemberStatus> GetStatus(absl::string_view endpoint,
                                         const MemberOptions& options = {});

  // What the member at `endpoint` itself held after an entry of the log, as one number: members
  // that differ there hold different things. Answers without a quorum. Not tried again.
  absl::StatusOr<VerifyHashResult> VerifyHash(absl::string_view endpoint,
                                              const VerifyHashOptions& options = {});

  // Reads a backup of all that the cluster holds, as of one revision, from the member at `endpoint`
  // and gives its bytes to `sink`, in their order. They are the bytes of a file, of use only when
  // this succeeds: then all of them were given, and are those that the member sent. DATA_LOSS when
  // they are not. Not tried again.
  absl::StatusOr<BackupResult> Backup(absl::string_view endpoint, const BackupSink& sink,
                                      const BackupOptions& options = {});

  // Makes the member at `endpoint` confirm with the leader and a majority that it can serve a
  // linearizable read; writes nothing. Not tried again.
  absl::StatusOr<HealthResult> CheckHealth(absl::string_view endpoint,
                                           const MemberOptions& options = {});

 private:
  std::shared_ptr<Connection> connection_;
};

}  // namespace raftkv
