// Every byte that raftkv keeps in RocksDB. On disk: frozen; what changes a meaning needs another
// format version.
//
//   column family  key                   value
//   `default`      none                  RocksDB insists on it; unused
//   `raft_log`     index:be64            term:varint kind:byte stamp:varint payload:byte*
//   `meta`         "format"              version:varint
//                  "data_id"             id:fixed64
//                  "name"                byte*
//                  "member_id"           id:varint
//                  "cluster_id"          id:fixed64
//                  "generation"          number:varint; which of the states below is the member's
//                  "hard_state"          term:varint vote:varint
//                  "log_start"           index:varint term:varint stamp:varint; of the entry before
//                                        the first in `raft_log`; none: the log begins at 1
//                  "cluster_clock"       term:varint millis:varint
//                  "restored"            backup_id:fixed64 name_size:varint name
//                                        initial_cluster:byte*; none: not made from a backup
//
// All of these are the member's own. What is replicated belongs to a generation (generation.h),
// whose families have its number n in their names:
//
//   `state.n`      "applied"             index:varint term:varint stamp:varint
//                                        revision:varint key_count:varint
//                                        cluster_version:varint rows_hash:fixed64
//                                        requests? leases?; both from cluster_version 2 on
//                  "configuration"       raftkv.log.v1.ClusterConfiguration: configuration 0, or
//                                        that of the last such entry up to "applied"
//                  "history"             removed:varint compacted:varint readable:varint
//                                        segment:segment* open:segment; there from cluster version
//                                        2 on. segment: began:varint ended:varint
//                                        last_revision:varint events:varint bytes:varint
//                  "member/" id:be64     raftkv.log.v1.MemberRecord
//   `latest.n`     key:byte*             layout:byte create_revision:varint mod_revision:varint
//                                        version:varint deadline:varint lease_id:varint?
//                                        value:byte*
//                                        layout is 2 for a key that hangs on a lease, 1 for others,
//                                        which have no lease_id
//   `ttl.n`        deadline:be64         row_hash:fixed64, of the key's record; one row for each
//                    key:byte*           key of `latest` whose deadline is not 0
//   `requests.n`   0:byte number:be64    place place*; of the request ids of this number and those
//                                        that follow it. An entry's new ids have one such row, or
//                                        several; it goes once all of them are forgotten
//                  1:byte id:byte*       number:varint keep_until:varint content_hash:fixed64
//                                        raftkv.log.v1.CommandOutcome; of each request id that is
//                                        remembered (kv/remembered_requests.h)
//   `history.n`    revision:be64         1:byte type:byte previous_mod_revision:varint
//                    key:byte*           previous? put?
//                                        previous, when type has bit 7: size:varint record:byte*,
//                                        a record as of `latest`; put, when type is 1: the record
//
//   `leases.n`     0:byte id:be64        ttl:varint lasts:varint renewed:varint keys:varint
//                                        keys_max:varint; a lease (kv/lease.h)
//                  1:byte id:be64        nothing; one row for each key of `latest` that hangs on a
//                    key:byte*           lease
//
//   place    := keep_until:varint bytes:varint row_hash:fixed64 id_size:varint id:byte*
//   requests := first:varint next:varint bytes:varint rows_hash:fixed64, of the numbers above
//   leases   := count:varint rows_hash:fixed64 term_began:varint
//
// `requests.n`, `history.n` and `leases.n` have no rows before cluster version 2.
//
// kv/state_hash.h has the hashes. That of a record stands in `ttl` only, where what an Expire
// removes has it at hand; elsewhere it is made from the record.
//
// base/coding.h has varint, fixed64 and be64.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "kv/applied_state.h"
#include "kv/history.h"
#include "kv/kv_table.h"
#include "raft/core/types.h"
#include "raft/runtime/cluster_clock.h"
#include "storage/restore_record.h"

namespace raftkv::storage {

// Versions 1 to 3 were never released.
inline constexpr uint64_t kFormatVersion = 4;
// Of a directory that was just made.
inline constexpr uint64_t kFirstGeneration = 1;

inline constexpr char kRaftLogFamily[] = "raft_log";
inline constexpr char kMetaFamily[] = "meta";
// With a generation's number behind it.
inline constexpr char kStateFamilyPrefix[] = "state.";
inline constexpr char kLatestFamilyPrefix[] = "latest.";
inline constexpr char kTtlFamilyPrefix[] = "ttl.";
inline constexpr char kRequestsFamilyPrefix[] = "requests.";
inline constexpr char kHistoryFamilyPrefix[] = "history.";
inline constexpr char kLeasesFamilyPrefix[] = "leases.";

inline constexpr char kFormatKey[] = "format";
inline constexpr char kDataIdKey[] = "data_id";
inline constexpr char kNameKey[] = "name";
inline constexpr char kMemberIdKey[] = "member_id";
inline constexpr char kClusterIdKey[] = "cluster_id";
inline constexpr char kGenerationKey[] = "generation";
inline constexpr char kConfigurationKey[] = "configuration";
inline constexpr char kHardStateKey[] = "hard_state";
inline constexpr char kLogStartKey[] = "log_start";
inline constexpr char kAppliedKey[] = "applied";
inline constexpr char kHistoryKey[] = "history";
inline constexpr char kClusterClockKey[] = "cluster_clock";
inline constexpr char kRestoredKey[] = "restored";
inline constexpr char kMemberRecordPrefix[] = "member/";
// The first key after every "member/" key.
inline constexpr char kMemberRecordEnd[] = "member0";

// The first byte of the rows of `requests` that say in which order ids are forgotten.
inline constexpr char kRequestPlaceRow = 0;

// An entry at an edge of the log, without what it holds.
struct LogEdge {
  raft::EntryId id;
  raft::ClusterMillis stamp;

  friend bool operator==(const LogEdge&, const LogEdge&) = default;
};

struct LatestRecord {
  kv::RecordHeader header;
  absl::string_view value;
};

// `state`, `latest`, `ttl`, `requests`, `history` and `leases` of a generation, in this order.
std::vector<std::string> GenerationFamilies(uint64_t generation);

// Decoders return nullopt for bytes that no encoder made.

std::string EncodeLogKey(raft::LogIndex index);
std::optional<raft::LogIndex> DecodeLogKey(absl::string_view key);
// Replaces `value`.
void EncodeLogValue(const raft::Entry& entry, std::string* value);
std::optional<raft::Entry> DecodeLogValue(raft::LogIndex index, absl::string_view value);

std::string EncodeLogEdge(const LogEdge& edge);
std::optional<LogEdge> DecodeLogEdge(absl::string_view value);

std::string EncodeHardState(const raft::HardState& state);
std::optional<raft::HardState> DecodeHardState(absl::string_view value);

std::string EncodeClusterReading(const raft::ClusterReading& reading);
std::optional<raft::ClusterReading> DecodeClusterReading(absl::string_view value);

// Without its history.
std::string EncodeAppliedState(const kv::AppliedState& state);
std::optional<kv::AppliedState> DecodeAppliedState(absl::string_view value);

std::string EncodeHistoryState(const kv::HistoryState& state);
std::optional<kv::HistoryState> DecodeHistoryState(absl::string_view value);

// Where the events of a revision begin, with the key of the first one that is wanted.
std::string EncodeHistoryKey(int64_t revision, absl::string_view key);
// All of an event but its key, its revision and its value, which follows it. Replaces `bytes`.
void EncodeEventHeader(const kv::HistoryEvent& event, std::string* bytes);
std::optional<kv::HistoryEvent> DecodeEvent(absl::string_view row_key, absl::string_view value);

// A number alone in a value: version, member id, generation.
std::string EncodeNumber(uint64_t number);
std::optional<uint64_t> DecodeNumber(absl::string_view value);

// A random number or a hash, never 0.
std::string EncodeId(uint64_t id);
std::optional<uint64_t> DecodeId(absl::string_view value);

std::string EncodeMemberRecordKey(uint64_t member_id);

std::string EncodeRestoreRecord(const RestoreRecord& record);
std::optional<RestoreRecord> DecodeRestoreRecord(absl::string_view value);

// Replaces `bytes` by all of a record but the value, which follows it.
void EncodeRecordHeader(const kv::RecordHeader& header, std::string* bytes);
// The result points into `record`; its row_hash is 0.
std::optional<LatestRecord> DecodeRecord(absl::string_view record);
// As DecodeRecord, with row_hash.
std::optional<LatestRecord> DecodeAndHashRecord(absl::string_view key, absl::string_view record);

std::string EncodeTtlKey(raft::ClusterMillis deadline, absl::string_view key);
// The result points into `row_key`.
std::optional<kv::TtlRow> DecodeTtlKey(absl::string_view row_key);

std::string EncodeRowHash(uint64_t row_hash);
std::optional<uint64_t> DecodeRowHash(absl::string_view value);

// The rows of request ids.
std::string EncodeRequestPlaceKey(uint64_t number);
void AppendRequestPlace(const kv::RequestPlace& place, std::string* places);
std::string EncodeRequestKey(absl::string_view id);
std::string EncodeRequest(const kv::RememberedRequest& request);
std::optional<uint64_t> DecodeRequestPlaceKey(absl::string_view key);
// Never none.
std::optional<std::vector<kv::RequestPlace>> DecodeRequestPlaces(absl::string_view value);
// The result points into `key`.
std::optional<absl::string_view> DecodeRequestKey(absl::string_view key);
std::optional<kv::RememberedRequest> DecodeRequest(absl::string_view value);

std::string EncodeLeaseKey(int64_t id);
// Without its id.
std::string EncodeLease(const kv::Lease& lease);
// nullopt also for a row of the other kind.
std::optional<int64_t> DecodeLeaseKey(absl::string_view row_key);
std::optional<kv::Lease> DecodeLease(int64_t id, absl::string_view value);
// What every lease's row comes before, and every key's row after.
std::string LeasesEnd();
// Of a key that hangs on a lease; with no key, where those of the lease begin, and where they end.
std::string EncodeLeasedKey(int64_t id, absl::string_view key);
std::string LeasedKeysEnd(int64_t id);
struct LeasedKey {
  int64_t id = 0;
  absl::string_view key;
};
// The result points into `row_key`.
std::optional<LeasedKey> DecodeLeasedKey(absl::string_view row_key);

}  // namespace raftkv::storage
