#include "raft/runtime/command_batch.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace raftkv::raft {
namespace {

constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();

struct Parsed {
  uint64_t origin;
  uint64_t sequence;
  std::string command;

  friend bool operator==(const Parsed&, const Parsed&) = default;
};

std::vector<Parsed> ParseAll(CommandBatchReader* reader) {
  std::vector<Parsed> parsed;
  while (reader->Next()) {
    parsed.push_back({reader->origin(), reader->sequence(), std::string(reader->command())});
  }
  return parsed;
}

TEST(CommandBatchTest, EmptyPayloadHoldsNothing) {
  CommandBatchReader reader("");
  EXPECT_FALSE(reader.Next());
  EXPECT_TRUE(reader.ok());
}

TEST(CommandBatchTest, RoundTripKeepsOrderAndValues) {
  const std::vector<Parsed> proposals = {{1, 1, "a"},
                                         {kMax, kMax, std::string(300, 'x')},
                                         {0, 0, ""},
                                         {0x0102030405060708, 1 << 14, std::string("\0\xff", 2)}};
  std::string payload;
  for (const Parsed& proposal : proposals) {
    AppendProposal(proposal.origin, proposal.sequence, proposal.command, &payload);
  }
  CommandBatchReader reader(payload);
  EXPECT_EQ(ParseAll(&reader), proposals);
  EXPECT_TRUE(reader.ok());
}

TEST(CommandBatchTest, BytesAreFrozen) {
  std::string payload;
  AppendProposal(0x0102030405060708, 300, "hi", &payload);
  EXPECT_EQ(payload, std::string("\x08\x07\x06\x05\x04\x03\x02\x01\xac\x02\x02hi\x56\x62\x91\xab"));
}

TEST(CommandBatchTest, EveryCutInsideAProposalIsBroken) {
  std::string payload;
  AppendProposal(7, 300, "first", &payload);
  const size_t boundary = payload.size();
  AppendProposal(8, kMax, std::string(200, 'y'), &payload);
  for (size_t size = 0; size <= payload.size(); ++size) {
    CommandBatchReader reader(absl::string_view(payload).substr(0, size));
    const size_t count = ParseAll(&reader).size();
    EXPECT_EQ(reader.ok(), size == 0 || size == boundary || size == payload.size()) << size;
    EXPECT_EQ(count, size == payload.size() ? 2u : size >= boundary ? 1u : 0u) << size;
    EXPECT_FALSE(reader.Next()) << "broken stays broken";
  }
}

TEST(CommandBatchTest, EveryFlippedBitIsFound) {
  std::string payload;
  AppendProposal(7, 300, "first", &payload);
  AppendProposal(8, 1, std::string(300, 'y'), &payload);
  for (size_t bit = 0; bit < 8 * payload.size(); ++bit) {
    std::string flipped = payload;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    CommandBatchReader reader(flipped);
    ParseAll(&reader);
    EXPECT_FALSE(reader.ok()) << bit;
  }
}

TEST(CommandBatchTest, NumbersAbove64BitsAreBroken) {
  const std::string origin(8, '\1');
  // Ten groups hold 70 bits: the last may only be 0 or 1.
  const std::string largest = std::string(9, '\xff') + '\x01';
  std::string kept;
  AppendProposal(0x0101010101010101, kMax, "", &kept);
  ASSERT_EQ(kept.substr(0, 18), origin + largest);
  CommandBatchReader reader(kept);
  EXPECT_TRUE(reader.Next());
  EXPECT_EQ(reader.sequence(), kMax);

  const std::string tenth_too_large = origin + std::string(9, '\xff') + '\x02' + '\0';
  CommandBatchReader too_large(tenth_too_large);
  EXPECT_FALSE(too_large.Next());
  EXPECT_FALSE(too_large.ok());

  const std::string eleven_groups = origin + std::string(10, '\x80') + std::string(2, '\0');
  CommandBatchReader too_long(eleven_groups);
  EXPECT_FALSE(too_long.Next());
  EXPECT_FALSE(too_long.ok());
}

TEST(CommandBatchTest, OnlyEntriesOfCommandsHoldThem) {
  Entry entry{.id = {},
              .kind = EntryKind::kCommands,
              .stamp = {},
              .payload = std::make_shared<const std::string>("batch")};
  EXPECT_EQ(CommandsOf(entry), "batch");
  entry.kind = EntryKind::kConfiguration;
  EXPECT_EQ(CommandsOf(entry), "");
  EXPECT_EQ(CommandsOf({.id = {}, .kind = EntryKind::kCommands, .stamp = {}, .payload = nullptr}),
            "");
}

TEST(CommandBatchTest, SizeBeyondThePayloadIsBroken) {
  const std::string payload = std::string(8, '\1') + '\1' + std::string(9, '\xff') + '\x01' + "abc";
  CommandBatchReader reader(payload);
  EXPECT_FALSE(reader.Next());
  EXPECT_FALSE(reader.ok());
}

}  // namespace
}  // namespace raftkv::raft
