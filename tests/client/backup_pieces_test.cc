#include "client/backup_pieces.h"

#include <gtest/gtest.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <functional>
#include <string>
#include <vector>

namespace raftkv::client {
namespace {

// A backup of three pieces.
std::vector<v1::BackupResponse> Pieces() {
  std::vector<v1::BackupResponse> pieces(3);
  int64_t offset = 0;
  for (size_t i = 0; i < pieces.size(); ++i) {
    pieces[i].set_data(std::string(10 + i, 'x'));
    pieces[i].set_offset(offset);
    pieces[i].set_checksum(XXH3_64bits(pieces[i].data().data(), pieces[i].data().size()));
    offset += static_cast<int64_t>(pieces[i].data().size());
  }
  pieces[0].mutable_header()->set_revision(7);
  pieces[0].mutable_manifest()->set_key_count(5);
  pieces[0].set_bytes_estimate(40);
  pieces[2].set_last(true);
  return pieces;
}

absl::Status AddAll(const std::vector<v1::BackupResponse>& messages, BackupPieces* pieces) {
  for (const v1::BackupResponse& message : messages) {
    if (absl::Status status = pieces->Add(message); !status.ok()) {
      return status;
    }
  }
  return pieces->CheckWhole();
}

TEST(BackupPiecesTest, TellsWhatCame) {
  BackupPieces pieces("host:1");
  ASSERT_TRUE(AddAll(Pieces(), &pieces).ok());
  EXPECT_EQ(pieces.result().header.revision, 7);
  EXPECT_EQ(pieces.result().key_count, 5);
  EXPECT_EQ(pieces.result().bytes_estimate, 40);
  EXPECT_EQ(pieces.result().bytes, 33);
}

TEST(BackupPiecesTest, NoticesWhatIsNotWhatWasSent) {
  using Messages = std::vector<v1::BackupResponse>;
  const std::vector<std::function<void(Messages*)>> changes = {
      [](Messages* m) { m->clear(); },
      [](Messages* m) { m->pop_back(); },
      [](Messages* m) { m->erase(m->begin()); },
      [](Messages* m) { m->erase(m->begin() + 1); },
      [](Messages* m) { std::swap((*m)[1], (*m)[2]); },
      [](Messages* m) { m->insert(m->begin() + 1, (*m)[1]); },
      [](Messages* m) { m->push_back(m->back()); },
      [](Messages* m) { m->push_back(m->front()); },
      [](Messages* m) { (*m)[1].mutable_data()->at(3) = 'y'; },
      [](Messages* m) { (*m)[1].set_checksum(1); },
  };
  for (size_t i = 0; i < changes.size(); ++i) {
    Messages messages = Pieces();
    changes[i](&messages);
    BackupPieces pieces("host:1");
    const absl::Status status = AddAll(messages, &pieces);
    EXPECT_TRUE(absl::IsDataLoss(status)) << i << ": " << status;
    EXPECT_NE(status.message().find("host:1"), std::string::npos);
  }
}

}  // namespace
}  // namespace raftkv::client
