#include "storage/key_layout.h"

#include <limits>
#include <string>

#include "gtest/gtest.h"
#include "kv/state_hash.h"
#include "raft/core/configuration.h"
#include "raftkv/log/v1/configuration.pb.h"

namespace raftkv::storage {
namespace {

constexpr uint64_t kHuge = std::numeric_limits<uint64_t>::max();

// The bytes are frozen: these literals must never change.
TEST(KeyLayoutTest, FrozenBytes) {
  EXPECT_EQ(EncodeLogKey(raft::LogIndex(0x0102)), std::string("\0\0\0\0\0\0\1\2", 8));
  std::string value;
  EncodeLogValue({.id = {raft::Term(300), raft::LogIndex(1)},
                  .kind = raft::EntryKind::kCommands,
                  .stamp = raft::ClusterMillis(5),
                  .payload = std::make_shared<const std::string>("xyz")},
                 &value);
  EXPECT_EQ(value, "\xac\x02\x02\x05xyz");
  EXPECT_EQ(EncodeHardState({.term = raft::Term(7), .vote = raft::NodeId(3)}), "\x07\x03");
  EXPECT_EQ(EncodeClusterReading({.term = raft::Term(7), .time = raft::ClusterMillis(300)}),
            "\x07\xac\x02");
  kv::AppliedState applied;
  applied.id = {raft::Term(2), raft::LogIndex(1)};
  applied.stamp = raft::ClusterMillis(3);
  applied.revision = 4;
  applied.key_count = 5;
  applied.cluster_version = 1;
  applied.rows_hash = 0x0e0d0c0b0a090807;
  EXPECT_EQ(EncodeAppliedState(applied),
            "\x01\x02\x03\x04\x05\x01\x07\x08\x09\x0a\x0b\x0c\x0d\x0e");
  applied.cluster_version = 2;
  applied.requests = {.first = 1, .next = 3, .bytes = 4, .rows_hash = 0x0807060504030201};
  applied.leases = {
      .count = 5, .rows_hash = 0x0807060504030201, .term_began = raft::ClusterMillis(6)};
  EXPECT_EQ(EncodeAppliedState(applied),
            "\x01\x02\x03\x04\x05\x02\x07\x08\x09\x0a\x0b\x0c\x0d\x0e"
            "\x01\x03\x04\x01\x02\x03\x04\x05\x06\x07\x08"
            "\x05\x01\x02\x03\x04\x05\x06\x07\x08\x06");
  EXPECT_EQ(DecodeAppliedState(EncodeAppliedState(applied)), applied);
  const kv::RequestPlace place{
      .keep_until = raft::ClusterMillis(1), .bytes = 2, .row_hash = 0x0807060504030201, .id = "i"};
  EXPECT_EQ(EncodeRequestPlaceKey(258), std::string("\0\0\0\0\0\0\0\1\2", 9));
  std::string places;
  AppendRequestPlace(place, &places);
  EXPECT_EQ(places, "\x01\x02\x01\x02\x03\x04\x05\x06\x07\x08\x01i");
  AppendRequestPlace(place, &places);
  EXPECT_EQ(DecodeRequestPlaces(places), std::vector({place, place}));
  EXPECT_EQ(DecodeRequestPlaces(""), std::nullopt) << "a row has one at least";
  EXPECT_EQ(DecodeRequestPlaces(absl::string_view(places).substr(0, places.size() - 1)),
            std::nullopt);
  const kv::RememberedRequest request{.number = 1,
                                      .keep_until = raft::ClusterMillis(2),
                                      .content_hash = 0x0807060504030201,
                                      .outcome = "o"};
  EXPECT_EQ(EncodeRequestKey("i"), "\x01i");
  EXPECT_EQ(EncodeRequest(request), "\x01\x02\x01\x02\x03\x04\x05\x06\x07\x08o");
  EXPECT_EQ(DecodeRequest(EncodeRequest(request)), request);
  EXPECT_EQ(EncodeRowHash(0x0807060504030201), "\x01\x02\x03\x04\x05\x06\x07\x08");
  EXPECT_EQ(EncodeId(0x0807060504030201), "\x01\x02\x03\x04\x05\x06\x07\x08");
  std::string header;
  EncodeRecordHeader(
      {.create_revision = 1, .mod_revision = 2, .version = 3, .deadline = raft::ClusterMillis(128)},
      &header);
  EXPECT_EQ(header, "\x01\x01\x02\x03\x80\x01");
  EXPECT_EQ(EncodeTtlKey(raft::ClusterMillis(258), "k"), std::string("\0\0\0\0\0\0\1\2k", 9));
}

TEST(KeyLayoutTest, RoundTrips) {
  for (const uint64_t number :
       {uint64_t{0}, uint64_t{1}, uint64_t{127}, uint64_t{128}, uint64_t{1} << 63, kHuge}) {
    EXPECT_EQ(DecodeNumber(EncodeNumber(number)), number);
    EXPECT_EQ(DecodeLogKey(EncodeLogKey(raft::LogIndex(number))), raft::LogIndex(number));
    const raft::HardState state{.term = raft::Term(number), .vote = raft::NodeId(number)};
    EXPECT_EQ(DecodeHardState(EncodeHardState(state)), state);
    const raft::ClusterReading reading{.term = raft::Term(number),
                                       .time = raft::ClusterMillis(number)};
    EXPECT_EQ(DecodeClusterReading(EncodeClusterReading(reading)), reading);
    std::string value;
    const raft::Entry entry{.id = {raft::Term(number), raft::LogIndex(9)},
                            .kind = raft::EntryKind::kNoOp,
                            .stamp = raft::ClusterMillis(number),
                            .payload = nullptr};
    EncodeLogValue(entry, &value);
    const std::optional<raft::Entry> decoded = DecodeLogValue(raft::LogIndex(9), value);
    ASSERT_TRUE(decoded.has_value());
    EXPECT_EQ(decoded->id, entry.id);
    EXPECT_EQ(decoded->stamp, entry.stamp);
    EXPECT_EQ(decoded->payload, nullptr);
    EXPECT_EQ(decoded->configuration, nullptr);
    const kv::AppliedState applied{
        .id = entry.id, .stamp = entry.stamp, .rows_hash = number, .history = {}};
    EXPECT_EQ(DecodeAppliedState(EncodeAppliedState(applied)), applied);
  }
  const kv::RecordHeader header{.create_revision = 1,
                                .mod_revision = std::numeric_limits<int64_t>::max(),
                                .version = 3,
                                .deadline = raft::ClusterMillis(kHuge)};
  std::string record;
  EncodeRecordHeader(header, &record);
  record += std::string("v\0\xff", 3);
  const std::optional<LatestRecord> decoded = DecodeRecord(record);
  ASSERT_TRUE(decoded.has_value());
  EXPECT_EQ(decoded->header, header);
  EXPECT_EQ(decoded->value, absl::string_view("v\0\xff", 3));
  EXPECT_EQ(DecodeAndHashRecord("k", record)->header.row_hash,
            kv::RowHash("k", header, absl::string_view("v\0\xff", 3)));
  EXPECT_EQ(DecodeRowHash(EncodeRowHash(kHuge)), kHuge);
}

TEST(KeyLayoutTest, LeasesAndTheirKeys) {
  kv::RecordHeader header{
      .create_revision = 1, .mod_revision = 2, .version = 3, .deadline = {}, .lease_id = 9};
  std::string record;
  EncodeRecordHeader(header, &record);
  EXPECT_EQ(record, std::string("\x02\x01\x02\x03\x00\x09", 6)) << "frozen";
  EXPECT_EQ(DecodeRecord(record)->header, header);
  header.lease_id = 0;
  EncodeRecordHeader(header, &record);
  EXPECT_EQ(record, std::string("\x01\x01\x02\x03\x00", 5)) << "as before there were leases";
  EXPECT_FALSE(DecodeRecord(std::string("\x02\x01\x02\x03\x00\x00", 6)).has_value());

  const int64_t last = std::numeric_limits<int64_t>::max();
  for (const int64_t id : {int64_t{1}, last}) {
    const kv::Lease lease{.id = id,
                          .ttl_ms = 5,
                          .lasts_ms = kHuge,
                          .renewed = raft::ClusterMillis(kHuge),
                          .keys = 7,
                          .keys_max = 8};
    EXPECT_EQ(DecodeLeaseKey(EncodeLeaseKey(id)), id);
    EXPECT_EQ(DecodeLease(id, EncodeLease(lease)), lease);
    EXPECT_EQ(DecodeLeaseKey(EncodeLeasedKey(id, "k")), std::nullopt);
    EXPECT_FALSE(DecodeLeasedKey(EncodeLeaseKey(id)).has_value());
    const std::string row_key = EncodeLeasedKey(id, "k");
    const std::optional<LeasedKey> leased = DecodeLeasedKey(row_key);
    ASSERT_TRUE(leased.has_value());
    EXPECT_EQ(leased->id, id);
    EXPECT_EQ(leased->key, "k");
    EXPECT_LT(EncodeLeaseKey(id), LeasesEnd());
    EXPECT_LT(LeasesEnd(), EncodeLeasedKey(id, ""));
    EXPECT_LT(row_key, LeasedKeysEnd(id));
  }
  EXPECT_EQ(DecodeLeaseKey(EncodeLeaseKey(0)), std::nullopt);
}

TEST(KeyLayoutTest, AnEntryOfAConfigurationSaysWhoCounts) {
  log::v1::ClusterConfiguration configuration;
  configuration.add_members()->set_id(5);
  configuration.add_voters(5);
  std::string value;
  EncodeLogValue(
      {.id = {raft::Term(1), raft::LogIndex(1)},
       .kind = raft::EntryKind::kConfiguration,
       .stamp = raft::ClusterMillis(2),
       .payload = std::make_shared<const std::string>(configuration.SerializeAsString())},
      &value);
  EXPECT_EQ(value.substr(0, 3), "\x01\x03\x02") << "frozen";
  const std::optional<raft::Entry> decoded = DecodeLogValue(raft::LogIndex(1), value);
  ASSERT_TRUE(decoded.has_value());
  EXPECT_EQ(*decoded->payload, configuration.SerializeAsString());
  EXPECT_EQ(decoded->configuration->voters, std::set<raft::NodeId>{raft::NodeId(5)});
}

TEST(KeyLayoutTest, KeysSortByNumber) {
  EXPECT_LT(EncodeLogKey(raft::LogIndex(255)), EncodeLogKey(raft::LogIndex(256)));
  EXPECT_LT(EncodeTtlKey(raft::ClusterMillis(255), "z"),
            EncodeTtlKey(raft::ClusterMillis(256), "a"));
  EXPECT_LT(EncodeMemberRecordKey(kHuge), std::string(kMemberRecordEnd));
  EXPECT_GT(EncodeMemberRecordKey(0), std::string(kMemberRecordPrefix));
}

TEST(KeyLayoutTest, BrokenBytesAreNotDecoded) {
  EXPECT_FALSE(DecodeLogKey("1234567").has_value());
  EXPECT_FALSE(DecodeLogKey("123456789").has_value());
  EXPECT_FALSE(DecodeLogValue(raft::LogIndex(1), "").has_value());
  EXPECT_FALSE(DecodeLogValue(raft::LogIndex(1), "\x01").has_value());
  EXPECT_FALSE(DecodeLogValue(raft::LogIndex(1), "\x01\x63\x01").has_value()) << "unknown kind";
  EXPECT_FALSE(DecodeLogValue(raft::LogIndex(1), "\x01\x03\x01").has_value())
      << "a configuration of nobody";
  EXPECT_FALSE(DecodeClusterReading("\x01").has_value());
  EXPECT_FALSE(DecodeHardState("\x01").has_value());
  EXPECT_FALSE(DecodeHardState("\x01\x02\x03").has_value()) << "trailing byte";
  const std::string hash(8, '\x07');
  EXPECT_TRUE(DecodeAppliedState("\x01\x02\x03\x04\x05\x01" + hash).has_value());
  EXPECT_FALSE(DecodeAppliedState("\x01\x02\x03\x04\x05\x01").has_value())
      << "format version 2 had it so";
  EXPECT_FALSE(DecodeAppliedState("\x01\x02\x03\x04\x05\x01" + hash + "x").has_value());
  EXPECT_FALSE(DecodeAppliedState("\x01\x02\x03\x04\x05\x02" + hash).has_value())
      << "from version 2 on there are requests";
  EXPECT_FALSE(
      DecodeAppliedState("\x01\x02\x03\x04\x05\x02" + hash + "\x02\x01\x03" + hash).has_value())
      << "the first request follows the next one";
  EXPECT_FALSE(DecodeAppliedState(std::string("\x01\x02\x03\x04\x05\0", 6) + hash).has_value())
      << "no cluster is at version 0";
  EXPECT_FALSE(DecodeNumber("").has_value());
  EXPECT_FALSE(DecodeNumber("\x80").has_value()) << "cut varint";
  EXPECT_FALSE(DecodeNumber(std::string(10, '\xff') + "\x01").has_value()) << "too long";
  EXPECT_FALSE(DecodeNumber(std::string(9, '\xff') + "\x02").has_value()) << "beyond 64 bits";
  EXPECT_FALSE(DecodeId(std::string(8, '\0')).has_value()) << "0 is nobody's";
  EXPECT_FALSE(DecodeRecord("").has_value());
  EXPECT_FALSE(DecodeRecord("\x02\x01\x02\x03\x04").has_value()) << "unknown layout";
  EXPECT_FALSE(DecodeRecord("\x01\x01\x02\x03").has_value()) << "no deadline";
  EXPECT_FALSE(DecodeRowHash("").has_value()) << "format version 2 had it so";
  EXPECT_FALSE(DecodeRowHash("123456789").has_value());
  EXPECT_FALSE(DecodeTtlKey("12345678").has_value()) << "no key";
  EXPECT_FALSE(DecodeTtlKey(std::string(8, '\0') + "k").has_value()) << "never is no deadline";
}

}  // namespace
}  // namespace raftkv::storage
