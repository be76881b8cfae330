#include "server/peer/snapshot_receiver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "raft/wire/convert.h"
#include "server/limits.h"
#include "tests/kv/fake_state_machine.h"
#include "tests/support/fake_clock.h"
#include "tests/support/log_lines.h"

namespace raftkv::server {
namespace {

using peer::v1::InstallSnapshotRequest;
using peer::v1::InstallSnapshotResponse;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr raft::NodeId kLeader(1);

class FakeStaged final : public raft::StagedSnapshot {
 public:
  explicit FakeStaged(const raft::SnapshotPoint& point)
      : StagedSnapshot({.point = point, .configuration = {}}) {}
};

// What happened to the stages.
struct Stages {
  std::vector<std::string> log;
  absl::Status write;
  absl::Status finish;
  int open = 0;
};

class FakeWriter final : public raft::SnapshotWriter {
 public:
  FakeWriter(Stages* stages, const raft::SnapshotPoint& point) : stages_(*stages), point_(point) {
    EXPECT_EQ(stages_.open++, 0) << "one at a time";
    stages_.log.push_back(absl::StrCat("begin ", point.last.index.value()));
  }
  ~FakeWriter() override {
    --stages_.open;
    stages_.log.push_back("end");
  }
  absl::Status Write(absl::string_view chunk) override {
    stages_.log.push_back(std::string(chunk));
    return stages_.write;
  }
  absl::StatusOr<std::shared_ptr<raft::StagedSnapshot>> Finish() override {
    stages_.log.push_back("finish");
    if (!stages_.finish.ok()) {
      return stages_.finish;
    }
    return std::make_shared<FakeStaged>(point_);
  }

 private:
  Stages& stages_;
  const raft::SnapshotPoint point_;
};

class FakeStream final : public SnapshotReceiver::Stream {
 public:
  void ReadNext() override {
    EXPECT_FALSE(ended());
    EXPECT_FALSE(reading);
    reading = true;
  }
  void Answer(const InstallSnapshotResponse& response) override {
    EXPECT_FALSE(ended());
    answer = response;
  }
  void Refuse(const grpc::Status& status) override {
    EXPECT_FALSE(ended());
    refusal = status;
  }
  bool ended() const { return answer.has_value() || refusal.has_value(); }

  bool reading = false;
  std::optional<InstallSnapshotResponse> answer;
  std::optional<grpc::Status> refusal;
};

class SnapshotReceiverTest : public testing::Test {
 protected:
  SnapshotReceiverTest() {
    receiver_ = std::make_unique<SnapshotReceiver>(
        &clock_, &pool_,
        SnapshotReceiver::Hooks{
            .check = [this](raft::NodeId, raft::Term,
                            const raft::SnapshotPoint&) { return check_; },
            .on_part_heard =
                [this](raft::NodeId from, raft::Term term) {
                  heard_.emplace_back(from.value(), term.value());
                },
            .install =
                [this](raft::Term, std::shared_ptr<raft::StagedSnapshot> snapshot,
                       std::function<void(const absl::Status&)> done) {
                  installs_.push_back(std::move(snapshot));
                  installed_ = std::move(done);
                },
            .stage =
                [this](const raft::SnapshotPoint& point) {
                  return std::make_unique<FakeWriter>(&stages_, point);
                },
            .refuse_content =
                [this](raft::NodeId, const absl::Status& status) {
                  ++content_refusals_;
                  return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT,
                                      std::string(status.message()));
                },
            .describe = [](raft::NodeId member) { return absl::StrCat(member.value()); }});
  }

  static peer::v1::SnapshotOpening Opening(uint64_t first_chunk = 0, uint64_t index = 70,
                                           uint64_t term = 5) {
    peer::v1::SnapshotOpening opening;
    opening.set_term(term);
    opening.set_last_index(index);
    opening.set_last_term(3);
    opening.set_first_chunk(first_chunk);
    return opening;
  }
  FakeStream* Open(const peer::v1::SnapshotOpening& opening = Opening(),
                   raft::NodeId from = kLeader) {
    streams_.push_back(std::make_unique<FakeStream>());
    receiver_->OnOpening(streams_.back().get(), from, opening);
    return streams_.back().get();
  }
  static InstallSnapshotRequest Chunk(uint64_t number) {
    InstallSnapshotRequest frame;
    *frame.mutable_chunk() =
        wire::ToProto(wire::SnapshotChunk{.number = number, .data = absl::StrCat("c", number)});
    return frame;
  }
  static InstallSnapshotRequest Total(uint64_t chunks) {
    InstallSnapshotRequest frame;
    frame.set_chunks_total(chunks);
    return frame;
  }
  // A frame that the receiver waits for.
  void Give(FakeStream* stream, const InstallSnapshotRequest& frame) {
    ASSERT_TRUE(stream->reading);
    stream->reading = false;
    receiver_->OnFrame(stream, frame);
  }
  void GiveAndRun(FakeStream* stream, const InstallSnapshotRequest& frame) {
    Give(stream, frame);
    pool_.RunAll();
  }
  // All of a snapshot of two chunks, up to its installation.
  FakeStream* Bring() {
    FakeStream* const stream = Open();
    GiveAndRun(stream, Chunk(0));
    GiveAndRun(stream, Chunk(1));
    GiveAndRun(stream, Total(2));
    return stream;
  }
  static std::string Refusal(const FakeStream* stream) {
    EXPECT_TRUE(stream->refusal.has_value());
    return stream->refusal.value_or(grpc::Status()).error_message();
  }
  static grpc::StatusCode Code(const FakeStream* stream) {
    EXPECT_TRUE(stream->refusal.has_value());
    return stream->refusal.value_or(grpc::Status()).error_code();
  }
  void ExpectGoOnAt(const FakeStream* stream, uint64_t chunk) {
    ASSERT_TRUE(stream->answer.has_value());
    EXPECT_EQ(stream->answer->outcome(), InstallSnapshotResponse::OUTCOME_GO_ON_AT);
    EXPECT_EQ(stream->answer->next_chunk(), chunk);
  }
  // `frame` in place of chunk 1 ends the transfer, with such a text.
  void ExpectBadContent(const InstallSnapshotRequest& frame, const std::string& text) {
    const int refusals = content_refusals_;
    FakeStream* const stream = Open();
    GiveAndRun(stream, Chunk(0));
    GiveAndRun(stream, frame);
    EXPECT_EQ(Code(stream), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_THAT(Refusal(stream), HasSubstr(text));
    EXPECT_EQ(content_refusals_, refusals + 1);
    EXPECT_EQ(stages_.open, 0) << "what came is thrown away";
    ExpectGoOnAt(Open(Opening(/*first_chunk=*/1)), 0);
  }

  LogLines log_;
  FakeClock clock_;
  Stages stages_;
  kv::ManualDiskPool pool_;
  absl::Status check_;
  std::vector<std::pair<uint64_t, uint64_t>> heard_;
  std::vector<std::shared_ptr<raft::StagedSnapshot>> installs_;
  std::function<void(const absl::Status&)> installed_;
  int content_refusals_ = 0;
  std::vector<std::unique_ptr<FakeStream>> streams_;
  std::unique_ptr<SnapshotReceiver> receiver_;
};

TEST_F(SnapshotReceiverTest, StagesAndInstalls) {
  FakeStream* const stream = Bring();
  EXPECT_THAT(stages_.log, ElementsAre("begin 70", "c0", "c1", "finish"));
  ASSERT_EQ(installs_.size(), 1u);
  EXPECT_EQ(installs_[0]->meta().point.last.index, raft::LogIndex(70));
  EXPECT_FALSE(stream->ended()) << "not before it is durable";
  installed_(absl::OkStatus());
  ASSERT_TRUE(stream->answer.has_value());
  EXPECT_EQ(stream->answer->outcome(), InstallSnapshotResponse::OUTCOME_INSTALLED);
  pool_.RunAll();
  EXPECT_EQ(stages_.open, 0);
  EXPECT_THAT(log_.lines, ElementsAre(HasSubstr("receiving a snapshot as of entry"),
                                      HasSubstr("installed the snapshot as of entry")));
  // The next one is another.
  EXPECT_TRUE(Open(Opening(0, /*index=*/90))->reading);
}

TEST_F(SnapshotReceiverTest, EveryChunkIsASignOfTheLeader) {
  FakeStream* const stream = Open();
  GiveAndRun(stream, Chunk(0));
  GiveAndRun(stream, Chunk(1));
  EXPECT_THAT(heard_, ElementsAre(std::pair(1, 5), std::pair(1, 5)));
}

TEST_F(SnapshotReceiverTest, ReadsNothingBeforeTheChunkBeforeIsStaged) {
  FakeStream* const stream = Open();
  Give(stream, Chunk(0));
  EXPECT_FALSE(stream->reading);
  pool_.RunAll();
  EXPECT_TRUE(stream->reading);
}

TEST_F(SnapshotReceiverTest, WhatIsOfNoUseIsNotStaged) {
  check_ = absl::AlreadyExistsError("has it");
  FakeStream* stream = Open();
  ASSERT_TRUE(stream->answer.has_value());
  EXPECT_EQ(stream->answer->outcome(), InstallSnapshotResponse::OUTCOME_HAVE);
  check_ = absl::FailedPreconditionError("another term");
  stream = Open();
  EXPECT_EQ(Code(stream), grpc::StatusCode::FAILED_PRECONDITION);
  check_ = absl::ResourceExhaustedError("one is being installed");
  EXPECT_EQ(Code(Open()), grpc::StatusCode::RESOURCE_EXHAUSTED);
  check_ = absl::UnavailableError("stopping");
  EXPECT_EQ(Code(Open()), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(content_refusals_, 0);
  check_ = absl::InvalidArgumentError("impossible");
  EXPECT_EQ(Code(Open()), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(content_refusals_, 1);
  EXPECT_THAT(stages_.log, IsEmpty());
}

TEST_F(SnapshotReceiverTest, ABadOpeningIsRefused) {
  EXPECT_THAT(Refusal(Open(Opening(0, /*index=*/0))), HasSubstr("index"));
  EXPECT_THAT(Refusal(Open(Opening(0, 70, /*term=*/0))), HasSubstr("term"));
  EXPECT_THAT(Refusal(Open(Opening(0, 70, /*term=*/2))), HasSubstr("must not be above"));
  EXPECT_EQ(content_refusals_, 3);
  EXPECT_THAT(stages_.log, IsEmpty());
}

TEST_F(SnapshotReceiverTest, ACorruptedChunkEndsIt) {
  InstallSnapshotRequest frame = Chunk(1);
  frame.mutable_chunk()->mutable_data()->front() ^= 1;
  ExpectBadContent(frame, "checksum of chunk 1");
}
TEST_F(SnapshotReceiverTest, ATruncatedChunkEndsIt) {
  InstallSnapshotRequest frame = Chunk(1);
  frame.mutable_chunk()->mutable_data()->pop_back();
  ExpectBadContent(frame, "checksum of chunk 1");
}
TEST_F(SnapshotReceiverTest, AnEmptyChunkEndsIt) {
  InstallSnapshotRequest frame = Chunk(1);
  frame.mutable_chunk()->clear_data();
  ExpectBadContent(frame, "bytes of chunk 1 is 0");
}
TEST_F(SnapshotReceiverTest, ARepeatedChunkEndsIt) {
  ExpectBadContent(Chunk(0), "chunk 0 of a snapshot came, next is 1");
}
TEST_F(SnapshotReceiverTest, AChunkThatIsSkippedEndsIt) {
  ExpectBadContent(Chunk(2), "chunk 2 of a snapshot came, next is 1");
}
TEST_F(SnapshotReceiverTest, AnEndThatComesEarlyEndsIt) {
  ExpectBadContent(Total(2), "ends after 1 chunks, and was to have 2");
}
TEST_F(SnapshotReceiverTest, ASecondOpeningEndsIt) {
  InstallSnapshotRequest frame;
  *frame.mutable_opening() = Opening();
  ExpectBadContent(frame, "may be an opening");
}
TEST_F(SnapshotReceiverTest, AFrameOfNoKindEndsIt) {
  ExpectBadContent(InstallSnapshotRequest(), "of no kind that is known");
}

TEST_F(SnapshotReceiverTest, WhatIsNoFrameEndsIt) {
  FakeStream* const stream = Open();
  stream->reading = false;
  receiver_->OnMalformed(stream, absl::InvalidArgumentError("no frame"));
  EXPECT_THAT(Refusal(stream), HasSubstr("no frame"));
  pool_.RunAll();
  EXPECT_EQ(stages_.open, 0);
}

TEST_F(SnapshotReceiverTest, WhatCannotBeStagedEndsIt) {
  stages_.write = absl::InvalidArgumentError("no such row");
  FakeStream* const stream = Open();
  GiveAndRun(stream, Chunk(0));
  EXPECT_EQ(Code(stream), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(content_refusals_, 1);
  pool_.RunAll();
  EXPECT_EQ(stages_.open, 0);
}

TEST_F(SnapshotReceiverTest, WhatDoesNotFitTogetherIsNotInstalled) {
  stages_.finish = absl::InvalidArgumentError("the digest is another");
  FakeStream* const stream = Bring();
  EXPECT_EQ(Code(stream), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(installs_, IsEmpty());
}

TEST_F(SnapshotReceiverTest, AFullDiskTakesNoneForAWhile) {
  stages_.write = absl::ResourceExhaustedError("disk full");
  FakeStream* stream = Open();
  GiveAndRun(stream, Chunk(0));
  EXPECT_EQ(Code(stream), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(content_refusals_, 0) << "nobody's fault";
  pool_.RunAll();
  stages_.write = absl::OkStatus();
  EXPECT_EQ(Code(Open()), grpc::StatusCode::RESOURCE_EXHAUSTED);
  clock_.Advance(kSnapshotFullDiskSeconds * kNanosPerSecond);
  EXPECT_TRUE(Open()->reading);
}

TEST_F(SnapshotReceiverTest, GoesOnWhereItIs) {
  FakeStream* stream = Open();
  GiveAndRun(stream, Chunk(0));
  receiver_->OnBroken(stream);
  ExpectGoOnAt(Open(Opening(/*first_chunk=*/3)), 1);
  ExpectGoOnAt(Open(Opening(/*first_chunk=*/0)), 1);
  stream = Open(Opening(/*first_chunk=*/1));
  GiveAndRun(stream, Chunk(1));
  GiveAndRun(stream, Total(2));
  EXPECT_THAT(stages_.log, ElementsAre("begin 70", "c0", "c1", "finish"));
}

TEST_F(SnapshotReceiverTest, ANewStreamTakesThePlaceOfTheOld) {
  FakeStream* const old = Open();
  Give(old, Chunk(0));  // Is being staged.
  FakeStream* const stream = Open(Opening(/*first_chunk=*/1));
  EXPECT_EQ(Code(old), grpc::StatusCode::ABORTED);
  EXPECT_FALSE(stream->reading);
  receiver_->OnBroken(old);  // Means nothing.
  pool_.RunAll();
  EXPECT_TRUE(stream->reading);
  GiveAndRun(stream, Chunk(1));
  EXPECT_EQ(stages_.log.back(), "c1");
}

TEST_F(SnapshotReceiverTest, AStreamThatBreaksAfterTheEndIsAnsweredOnAnother) {
  FakeStream* stream = Open();
  GiveAndRun(stream, Chunk(0));
  Give(stream, Total(1));
  receiver_->OnBroken(stream);
  stream = Open(Opening(/*first_chunk=*/1));
  pool_.RunAll();
  installed_(absl::OkStatus());
  ASSERT_TRUE(stream->answer.has_value());
  EXPECT_EQ(stream->answer->outcome(), InstallSnapshotResponse::OUTCOME_INSTALLED);
}

TEST_F(SnapshotReceiverTest, TheEndMayComeTwiceOnTwoStreams) {
  FakeStream* stream = Open();
  GiveAndRun(stream, Chunk(0));
  Give(stream, Total(1));
  receiver_->OnBroken(stream);
  pool_.RunAll();
  stream = Open(Opening(/*first_chunk=*/1));
  GiveAndRun(stream, Total(1));
  installed_(absl::OkStatus());
  EXPECT_TRUE(stream->answer.has_value());
  EXPECT_EQ(installs_.size(), 1u);
}

TEST_F(SnapshotReceiverTest, WhatCameIsKeptForAWhile) {
  FakeStream* const stream = Open();
  GiveAndRun(stream, Chunk(0));
  receiver_->OnBroken(stream);
  clock_.Advance(kSnapshotKeptSeconds * kNanosPerSecond - 1);
  receiver_->Tick();
  pool_.RunAll();
  EXPECT_EQ(stages_.open, 1);
  clock_.Advance(1);
  receiver_->Tick();
  pool_.RunAll();
  EXPECT_EQ(stages_.open, 0);
  EXPECT_THAT(log_.lines, Contains(HasSubstr("dropped the snapshot")));
  ExpectGoOnAt(Open(Opening(/*first_chunk=*/1)), 0);
}

TEST_F(SnapshotReceiverTest, ANewStreamNeedsItFromTheStart) {
  ExpectGoOnAt(Open(Opening(/*first_chunk=*/4)), 0);
  EXPECT_THAT(stages_.log, IsEmpty());
}

TEST_F(SnapshotReceiverTest, ASecondSnapshotOfTheLeaderTakesThePlaceOfTheFirst) {
  FakeStream* const first = Open();
  GiveAndRun(first, Chunk(0));
  FakeStream* second = Open(Opening(0, /*index=*/80));
  EXPECT_EQ(Code(first), grpc::StatusCode::ABORTED);
  EXPECT_EQ(Code(second), grpc::StatusCode::RESOURCE_EXHAUSTED) << "the first is being removed";
  pool_.RunAll();
  second = Open(Opening(0, /*index=*/80));
  EXPECT_TRUE(second->reading);
  EXPECT_THAT(stages_.log, ElementsAre("begin 70", "c0", "end", "begin 80"));
}

TEST_F(SnapshotReceiverTest, ANewerLeaderTakesThePlaceOfAnOlderOne) {
  FakeStream* const first = Open();
  const raft::NodeId other(3);
  Open(Opening(0, 80, /*term=*/6), other);
  EXPECT_EQ(Code(first), grpc::StatusCode::ABORTED);
  pool_.RunAll();
  FakeStream* const second = Open(Opening(0, 80, /*term=*/6), other);
  EXPECT_TRUE(second->reading);
  EXPECT_EQ(Code(Open(Opening(0, 90, /*term=*/5))), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_FALSE(second->ended());
}

TEST_F(SnapshotReceiverTest, NoneTakesThePlaceOfOneThatIsBeingInstalled) {
  FakeStream* const first = Bring();
  EXPECT_EQ(Code(Open(Opening(0, 80))), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(Code(Open(Opening(0, 80, /*term=*/6), raft::NodeId(3))),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
  installed_(absl::OkStatus());
  EXPECT_TRUE(first->answer.has_value());
}

TEST_F(SnapshotReceiverTest, AnInstallationMayFail) {
  FakeStream* stream = Bring();
  installed_(absl::FailedPreconditionError("the term is over"));
  EXPECT_EQ(Code(stream), grpc::StatusCode::FAILED_PRECONDITION);
  pool_.RunAll();
  EXPECT_EQ(stages_.open, 0);
  stream = Bring();
  installed_(absl::InvalidArgumentError("nobody votes"));
  EXPECT_EQ(Code(stream), grpc::StatusCode::INVALID_ARGUMENT);
  pool_.RunAll();
  stream = Bring();
  installed_(absl::AlreadyExistsError("came so far by itself"));
  ASSERT_TRUE(stream->answer.has_value());
  EXPECT_EQ(stream->answer->outcome(), InstallSnapshotResponse::OUTCOME_HAVE);
}

TEST_F(SnapshotReceiverTest, APoolWithoutRoomBreaksTheStreamOnly) {
  FakeStream* stream = Open();
  GiveAndRun(stream, Chunk(0));
  pool_.full = true;
  Give(stream, Chunk(1));
  EXPECT_EQ(Code(stream), grpc::StatusCode::UNAVAILABLE);
  pool_.full = false;
  stream = Open(Opening(/*first_chunk=*/1));
  GiveAndRun(stream, Chunk(1));
  pool_.full = true;
  Give(stream, Total(2));
  EXPECT_EQ(Code(stream), grpc::StatusCode::UNAVAILABLE);
  pool_.full = false;
  stream = Open(Opening(/*first_chunk=*/2));
  GiveAndRun(stream, Total(2));
  EXPECT_EQ(installs_.size(), 1u);
}

TEST_F(SnapshotReceiverTest, ItsEndMayComeAtAnyMoment) {
  FakeStream* const stream = Open();
  Give(stream, Chunk(0));
  receiver_->Shutdown();
  EXPECT_EQ(Code(stream), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(Code(Open()), grpc::StatusCode::UNAVAILABLE);
  receiver_.reset();
  EXPECT_EQ(stages_.open, 1) << "it ends on the pool";
  pool_.RunAll();
  EXPECT_EQ(stages_.open, 0);
}

TEST_F(SnapshotReceiverTest, ItsEndMayComeWhileInstalling) {
  Bring();
  receiver_.reset();
  installed_(absl::UnavailableError("stopping"));
  pool_.RunAll();
  EXPECT_EQ(stages_.open, 0);
}

}  // namespace
}  // namespace raftkv::server
