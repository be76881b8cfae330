#include "kv/state_hash.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "kv/recent_digests.h"

namespace raftkv::kv {
namespace {

using raft::LogIndex;

const RecordHeader kHeader{.create_revision = 1,
                           .mod_revision = 2,
                           .version = 3,
                           .deadline = raft::ClusterMillis(4),
                           .row_hash = 0};

AppliedState StateAt(uint64_t index) {
  AppliedState state;
  state.id = {raft::Term(1), LogIndex(index)};
  return state;
}

// On disk: these numbers must never change.
TEST(StateHashTest, Frozen) {
  EXPECT_EQ(RowHash("key", kHeader, "value"), 12793614387849108876u);
  AppliedState state = StateAt(7);
  state.revision = 5;
  state.key_count = 4;
  state.rows_hash = 0xfedcba9876543210;
  EXPECT_EQ(StateHash(state), 11293768307485720161u);
}

TEST(StateHashTest, EveryPartOfARowCounts) {
  std::set<uint64_t> hashes = {RowHash("key", kHeader, "value"), RowHash("ke", kHeader, "yvalue"),
                               RowHash("keyvalue", kHeader, ""), RowHash("value", kHeader, "key"),
                               RowHash("key", kHeader, std::string("value\0", 6))};
  RecordHeader header = kHeader;
  ++header.create_revision;
  hashes.insert(RowHash("key", header, "value"));
  header = kHeader;
  ++header.mod_revision;
  hashes.insert(RowHash("key", header, "value"));
  header = kHeader;
  ++header.version;
  hashes.insert(RowHash("key", header, "value"));
  header = kHeader;
  header.deadline = header.deadline + 1;
  hashes.insert(RowHash("key", header, "value"));
  header = kHeader;
  ++header.lease_id;
  hashes.insert(RowHash("key", header, "value"));
  EXPECT_EQ(hashes.size(), 10u);
  header = kHeader;
  header.row_hash = 9;
  EXPECT_EQ(RowHash("key", header, "value"), RowHash("key", kHeader, "value"));
}

TEST(StateHashTest, EveryPartOfAStateCounts) {
  const AppliedState state = StateAt(7);
  std::set<uint64_t> hashes = {StateHash(state), StateHash(StateAt(8))};
  AppliedState other = state;
  ++other.revision;
  hashes.insert(StateHash(other));
  other = state;
  ++other.key_count;
  hashes.insert(StateHash(other));
  other = state;
  ++other.rows_hash;
  hashes.insert(StateHash(other));
  other = state;
  ++other.cluster_version;
  hashes.insert(StateHash(other));
  EXPECT_EQ(hashes.size(), 6u);
  EXPECT_FALSE(hashes.contains(0));
}

TEST(StateHashTest, RequestsCountFromTheirClusterVersionOn) {
  AppliedState older = StateAt(7);
  older.cluster_version = kFirstCommandVersion;
  AppliedState newer = older;
  newer.cluster_version = kTxnCommandVersion;
  const uint64_t older_hash = StateHash(older);
  std::set<uint64_t> hashes = {StateHash(newer)};
  for (uint64_t RequestTotals::*field : {&RequestTotals::first, &RequestTotals::next,
                                         &RequestTotals::bytes, &RequestTotals::rows_hash}) {
    ++(older.requests.*field);
    EXPECT_EQ(StateHash(older), older_hash) << "as members that know none have it";
    ++(newer.requests.*field);
    hashes.insert(StateHash(newer));
  }
  EXPECT_EQ(hashes.size(), 5u);
}

TEST(StateHashTest, LeasesCountFromTheirClusterVersionOn) {
  AppliedState older = StateAt(7);
  older.cluster_version = kFirstCommandVersion;
  const uint64_t older_hash = StateHash(older);
  AppliedState newer = older;
  newer.cluster_version = kLeaseCommandVersion;
  std::set<uint64_t> hashes = {StateHash(newer)};
  const auto change = [&](auto change_leases) {
    change_leases(&older.leases);
    change_leases(&newer.leases);
    EXPECT_EQ(StateHash(older), older_hash) << "as members that know none have it";
    hashes.insert(StateHash(newer));
  };
  change([](LeaseTotals* leases) { ++leases->count; });
  change([](LeaseTotals* leases) { ++leases->rows_hash; });
  change([](LeaseTotals* leases) { leases->term_began = leases->term_began + 1; });
  EXPECT_EQ(hashes.size(), 4u);
}

TEST(LeaseHashTest, EveryPartCounts) {
  const Lease lease{.id = 1, .ttl_ms = 2, .lasts_ms = 3, .renewed = raft::ClusterMillis(4)};
  std::set<uint64_t> hashes = {LeaseHash(lease)};
  Lease other = lease;
  ++other.id;
  hashes.insert(LeaseHash(other));
  other = lease;
  other.renewed = other.renewed + 1;
  hashes.insert(LeaseHash(other));
  for (uint64_t Lease::*field :
       {&Lease::ttl_ms, &Lease::lasts_ms, &Lease::keys, &Lease::keys_max}) {
    other = lease;
    ++(other.*field);
    hashes.insert(LeaseHash(other));
  }
  EXPECT_EQ(hashes.size(), 7u);
}

TEST(RequestHashTest, EveryPartCounts) {
  const RememberedRequest request{
      .number = 1, .keep_until = raft::ClusterMillis(2), .content_hash = 3, .outcome = "outcome"};
  std::set<uint64_t> hashes = {RequestHash("id", request), RequestHash("ie", request)};
  RememberedRequest other = request;
  ++other.number;
  hashes.insert(RequestHash("id", other));
  other = request;
  other.keep_until = raft::ClusterMillis(3);
  hashes.insert(RequestHash("id", other));
  other = request;
  ++other.content_hash;
  hashes.insert(RequestHash("id", other));
  other = request;
  other.outcome += '\0';
  hashes.insert(RequestHash("id", other));
  EXPECT_EQ(hashes.size(), 6u);
}

StateDigest Digest(uint64_t hash) { return {.hash = hash, .revision = 1, .key_count = 2}; }

TEST(RecentDigestsTest, KnowsTheLastOnesOnly) {
  RecentDigests digests(3, StateAt(10));
  EXPECT_EQ(digests.At(LogIndex(10)), DigestOf(StateAt(10)));
  EXPECT_EQ(digests.At(LogIndex(9)), std::nullopt);
  EXPECT_EQ(digests.At(LogIndex(11)), std::nullopt);
  digests.Add({Digest(101), Digest(102)});
  EXPECT_EQ(digests.At(LogIndex(10)), DigestOf(StateAt(10)));
  EXPECT_EQ(digests.At(LogIndex(12)), Digest(102));
  EXPECT_EQ(digests.first(), LogIndex(10));
  digests.Add({Digest(103), Digest(104)});
  EXPECT_EQ(digests.At(LogIndex(11)), std::nullopt);
  EXPECT_EQ(digests.At(LogIndex(12)), Digest(102));
  EXPECT_EQ(digests.At(LogIndex(14)), Digest(104));
  EXPECT_EQ(digests.At(LogIndex(15)), std::nullopt);
  EXPECT_EQ(digests.first(), LogIndex(12));
  EXPECT_EQ(digests.last(), LogIndex(14));
}

TEST(RecentDigestsTest, AnotherStateForgetsThoseBeforeIt) {
  RecentDigests digests(3, AppliedState());
  EXPECT_EQ(digests.At(LogIndex(0)), DigestOf(AppliedState()));
  digests.Add({Digest(101), Digest(102)});
  digests.Restart(StateAt(20));
  EXPECT_EQ(digests.At(LogIndex(2)), std::nullopt);
  EXPECT_EQ(digests.At(LogIndex(19)), std::nullopt);
  EXPECT_EQ(digests.At(LogIndex(20)), DigestOf(StateAt(20)));
}

TEST(CheckRowsTest, NamesBothSides) {
  AppliedState state = StateAt(7);
  state.key_count = 2;
  state.rows_hash = 30;
  EXPECT_TRUE(CheckRows(state, 2, 30).ok());
  for (const absl::Status& status : {CheckRows(state, 2, 31), CheckRows(state, 3, 30)}) {
    EXPECT_TRUE(absl::IsFailedPrecondition(status));
  }
  EXPECT_EQ(CheckRows(state, 3, 31).message(),
            "the state at index 7 has 3 keys whose hashes come to 31, and should have 2 whose "
            "hashes come to 30");
}

}  // namespace
}  // namespace raftkv::kv
