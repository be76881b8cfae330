// Every error with a reason that a client is answered with, through whatever API: its code, its
// reason and its words. README.md has the table; a client's error text comes from here, but for
// what is wrong with a field, which is said by whoever checks it (server/api/request_checks.cc),
// and for what has no reason: gRPC's own, and its health service's.
//
// An error is an absl::Status; reason and metadata are in a google.rpc.ErrorInfo among its payloads
// and, where waiting helps, the pause is in a google.rpc.RetryInfo, each under the type URL that
// google.protobuf.Any has for it. A front-end translates them (gRPC: server/loop/grpc_error.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/clock.h"
#include "google/rpc/error_details.pb.h"
#include "raftkv/log/v1/command.pb.h"

namespace raftkv::kv {

// nullopt: the error has none.
std::optional<google::rpc::ErrorInfo> FindErrorInfo(const absl::Status& error);
std::optional<google::rpc::RetryInfo> FindRetryInfo(const absl::Status& error);

// A key for a message: at most kEchoedKeyBytesMax bytes of it, quoted,
// never cut inside a character.
std::string EchoKey(absl::string_view key);

// INVALID_ARGUMENT. `field` is the path of the field in the request.
absl::Status BadKeyError(absl::string_view field, absl::string_view key);
absl::Status ValueTooLargeError(absl::string_view field, uint64_t size, uint64_t limit);
absl::Status NoValueError();
absl::Status BadTtlError(absl::string_view field, absl::string_view value, absl::string_view rule);
absl::Status BadRangeError(absl::string_view field, absl::string_view problem);
// A bound of a range that is too long for a key.
absl::Status BadBoundError(absl::string_view field, absl::string_view key);
// `keys_max` is the limit of an outcome that names none.
absl::Status RangeTooLargeError(const log::v1::CommandOutcome& outcome, uint64_t keys_max);
// The same error, of a field within `path`: its message must begin with the field's name.
absl::Status WithinField(absl::string_view path, const absl::Status& error);
// `field` is the path of what is wrong in a transaction, which `problem` goes on with.
absl::Status BadTxnError(absl::string_view field, absl::string_view problem);
absl::Status BadGuardError(absl::string_view field, absl::string_view problem);
// A transaction that has more of something, such as "operations", than it may.
absl::Status TxnTooLargeError(absl::string_view of_what, uint64_t size, uint64_t limit);
absl::Status BadBatchError(absl::string_view field, absl::string_view problem);
// A stream whose client reuses the id of an operation that is not answered, or says no id.
absl::Status BadStreamError(absl::string_view problem);
absl::Status BadRequestIdError(uint64_t size);
absl::Status RequestIdReusedError();
absl::Status BadPageSizeError(int64_t page_size);
absl::Status BadLimitError(int64_t limit);
absl::Status BadRevisionError(absl::string_view field, int64_t revision);
// Of a watch: `initial_state` besides a start_revision.
absl::Status TwoStartsError(int64_t start_revision);
// Of a read: another field that says how fresh it is to be, besides at_revision.
absl::Status TwoRevisionsError(absl::string_view besides);
absl::Status BadStalenessError(absl::string_view problem);
absl::Status BadEventTypeError();
absl::Status BadHeartbeatError(absl::string_view interval);
absl::Status BadIndexError(uint64_t index);
absl::Status BadPageTokenError(absl::string_view problem);
absl::Status BadPreconditionError(absl::string_view problem);
absl::Status MalformedError(absl::string_view message_type);
// Text of a request, as its JSON or its address, that is not what it should be.
absl::Status MalformedTextError(absl::string_view problem);
// UNIMPLEMENTED. `field` is the path of what this version does not know.
absl::Status UnknownFieldError(absl::string_view field);
// Not every member knows what the request needs: certainly not proposed.
absl::Status ClusterTooOldError(uint32_t needed_version, uint32_t cluster_version);
// NOT_FOUND. `wanted` is the id or the name that no member has.
absl::Status MemberNotFoundError(absl::string_view field, absl::string_view wanted);
// FAILED_PRECONDITION: a member that cannot lead now, as `problem` says.
absl::Status NotCaughtUpError(absl::string_view problem);
// FAILED_PRECONDITION: certainly not proposed. Another change of members is under way, and the
// configuration is `now`.
absl::Status MembershipChangePendingError(absl::string_view now);
absl::Status WouldLoseQuorumError(absl::string_view problem);
// Who is to become a member does not answer at `peer_address`, or is not what it should be.
absl::Status MemberUnreachableError(absl::string_view peer_address, absl::string_view problem);
absl::Status UnfitMemberError(absl::string_view problem);
// ALREADY_EXISTS: member `id`, at `address`, has `value` for `field`, and, as `why` says in a
// clause, keeps it.
absl::Status MemberExistsError(absl::string_view field, absl::string_view value, uint64_t id,
                               absl::string_view address, absl::string_view why = "");
// RESOURCE_EXHAUSTED.
absl::Status TooManyMembersError(uint64_t limit);
// INVALID_ARGUMENT.
absl::Status BadNameError(absl::string_view field, absl::string_view name);
absl::Status BadAddressError(absl::string_view field, absl::string_view address,
                             absl::string_view problem);
// UNAVAILABLE: a change of members that may have happened, or may yet; it is safe to ask again.
absl::Status ChangeUnknownError();
// UNAVAILABLE: certainly not proposed.
absl::Status NoLeaderError();
absl::Status ShuttingDownError();
absl::Status TooStaleError(int64_t min_revision, int64_t revision);
absl::Status BehindError();
// The state is older than a read may have it, and there is no leader to ask; nullopt: nobody knows
// how old it is.
absl::Status TooOldError(std::optional<MonotonicNanos> age, MonotonicNanos age_max);
// A write that may have happened, or may yet. UNKNOWN, or, `with_request_id`, UNAVAILABLE: it may
// be tried again.
absl::Status OutcomeUnknownError(bool with_request_id = false);
// The same for a write that was done, but whose answer there is no room for; and that of one with
// an id.
absl::Status UnreadOutcomeError();
absl::Status UnreadMarkedOutcomeError();
// RESOURCE_EXHAUSTED: certainly not proposed.
absl::Status OverloadedError();
// So many request ids are remembered, none of which may be forgotten yet.
absl::Status RequestsFullError(uint64_t ids);
// The disks of these members, one at least, are nearly full: as MemberDirectory::Describe has them,
// and their names.
absl::Status DiskFullError(const std::vector<std::string>& members,
                           const std::vector<std::string>& names);
// As many backups as there may be are being made.
absl::Status BusyWithBackupsError(size_t backups_max);
// A call whose request did not come whole is given up.
absl::Status UnfinishedError();
// A read whose answer there is no room for.
absl::Status UnreadError();
// DEADLINE_EXCEEDED: a read whose time was over before it was done.
absl::Status TooSlowError();
// The same for a state that is not applied here.
absl::Status NotAppliedError(uint64_t index, uint64_t applied);
// OUT_OF_RANGE: what the state was at `index` is forgotten.
absl::Status IndexTooOldError(uint64_t index, uint64_t oldest);
// FAILED_PRECONDITION and OUT_OF_RANGE: what an increment finds, at `field` of a transaction or
// alone ("").
absl::Status NotAnIntegerError(absl::string_view field, absl::string_view key);
absl::Status IntegerOverflowError(absl::string_view field, absl::string_view key);
// OUT_OF_RANGE: the history does not reach back to `revision`, only to those after `compacted`.
absl::Status RevisionCompactedError(int64_t revision, int64_t compacted);
// OUT_OF_RANGE: the store has only come to `current`.
absl::Status RevisionFutureError(int64_t revision, int64_t current);
// OUT_OF_RANGE: states can be read from revision `readable` on only.
absl::Status StateCompactedError(int64_t revision, int64_t readable);
// RESOURCE_EXHAUSTED: a member sends so many scans already.
absl::Status TooManyScansError(uint64_t limit);
// NOT_FOUND: a lease that is not there, or no more. `field` is where a transaction names it, or "".
absl::Status LeaseNotFoundError(int64_t id, absl::string_view field = "");
// ALREADY_EXISTS.
absl::Status LeaseExistsError(int64_t id);
// INVALID_ARGUMENT: a lease's id, at `field`, that none can have.
absl::Status BadLeaseError(absl::string_view field, int64_t id, absl::string_view rule);
// RESOURCE_EXHAUSTED: there are so many leases, or keys on one.
absl::Status TooManyLeasesError(uint64_t limit);
absl::Status LeaseFullError(int64_t id, uint64_t limit, absl::string_view field = "");
// RESOURCE_EXHAUSTED: a member has so many watches, or streams of operations, already.
absl::Status TooManyWatchesError(uint64_t limit);
absl::Status TooManyStreamsError(uint64_t limit);
// ABORTED.
absl::Status PreconditionFailedError(absl::string_view key, int64_t current_mod_revision);
// DATA_LOSS: a file of this member is corrupted.
absl::Status CorruptedError(absl::string_view problem);

}  // namespace raftkv::kv
