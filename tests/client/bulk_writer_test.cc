// The bulk writer against members that answer as a test wants.
#include "client/bulk_writer.h"

#include <gmock/gmock.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "client/client.h"
#include "google/rpc/error_details.pb.h"
#include "raftkv/v1/kv.grpc.pb.h"

namespace raftkv {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

using Stream = grpc::ServerReaderWriter<v1::StreamResponse, v1::StreamRequest>;

// The key of a write.
std::string KeyOf(const v1::StreamRequest& request) {
  return request.op().has_put() ? request.op().put().key() : request.op().delete_key().key();
}

std::string RequestIdOf(const v1::StreamRequest& request) {
  return request.op().has_put() ? request.op().put().request_id()
                                : request.op().delete_key().request_id();
}

v1::StreamResponse Done(const v1::StreamRequest& request, uint64_t cluster = 7) {
  v1::StreamResponse response;
  response.set_id(request.id());
  response.mutable_header()->set_cluster_id(cluster);
  if (request.op().has_put()) {
    response.mutable_result()->mutable_put();
  } else {
    response.mutable_result()->mutable_delete_key();
  }
  return response;
}

v1::StreamResponse Refused(const v1::StreamRequest& request, grpc::StatusCode code,
                           const std::string& reason) {
  v1::StreamResponse response;
  response.set_id(request.id());
  google::rpc::Status& error = *response.mutable_result()->mutable_error();
  error.set_code(code);
  error.set_message("refused");
  google::rpc::ErrorInfo info;
  info.set_reason(reason);
  info.set_domain(kServerErrorDomain);
  error.add_details()->PackFrom(info);
  return response;
}

// What a handler does with one request: answers, or ends the stream.
struct Reaction {
  std::vector<v1::StreamResponse> answers = {};
  std::optional<grpc::Status> end = std::nullopt;
};

// One member, on a port of its own, and what it was sent.
class StreamMember final : public v1::KvService::Service {
 public:
  using React = std::function<Reaction(int stream, const v1::StreamRequest& request)>;

  explicit StreamMember(React react) : react_(std::move(react)) {
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    address = absl::StrCat("127.0.0.1:", port);
  }
  ~StreamMember() override { Stop(); }
  void Stop() { server_->Shutdown(std::chrono::system_clock::now()); }

  grpc::Status Stream(grpc::ServerContext*, raftkv::Stream* stream) override {
    const int number = streams_++;
    v1::StreamRequest request;
    while (stream->Read(&request)) {
      Reaction reaction;
      {
        MutexLock lock(&mutex_);
        requests_.push_back(request);
        reaction = react_(number, request);
      }
      for (const v1::StreamResponse& answer : reaction.answers) {
        stream->Write(answer);
      }
      if (reaction.end.has_value()) {
        return *reaction.end;
      }
    }
    return grpc::Status::OK;
  }

  std::vector<v1::StreamRequest> requests() const {
    MutexLock lock(&mutex_);
    return requests_;
  }
  int streams() const { return streams_; }

  std::string address;

 private:
  const React react_;
  mutable Mutex mutex_;
  std::vector<v1::StreamRequest> requests_;
  std::atomic<int> streams_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

Reaction AnswerAll(int /*stream*/, const v1::StreamRequest& request) {
  return {.answers = {Done(request)}};
}

Reaction AnswerNothing(int /*stream*/, const v1::StreamRequest& /*request*/) { return {}; }

Client Connect(std::vector<std::string> endpoints) {
  ClientOptions options;
  options.endpoints = std::move(endpoints);
  options.backoff_initial = absl::Milliseconds(5);
  options.backoff_max = absl::Milliseconds(20);
  return *Client::Create(options);
}

class BulkWriterTest : public testing::Test {
 protected:
  // With `options_` as the test left them.
  std::unique_ptr<BulkWriter> NewWriter(std::vector<std::string> endpoints) {
    client_ = std::make_unique<Client>(Connect(std::move(endpoints)));
    options_.on_error = [this](const BulkError& error) {
      MutexLock lock(&mutex_);
      errors_.push_back(error);
    };
    return *client_->NewBulkWriter(options_);
  }
  std::vector<BulkError> errors() {
    MutexLock lock(&mutex_);
    return errors_;
  }

  BulkWriterOptions options_;
  std::unique_ptr<Client> client_;
  Mutex mutex_;
  std::vector<BulkError> errors_;
};

TEST_F(BulkWriterTest, EachWriteHasAnIdAndIsAnsweredInAnyOrder) {
  std::deque<v1::StreamRequest> held;
  StreamMember member([&held](int, const v1::StreamRequest& request) {
    held.push_front(request);
    Reaction reaction;
    if (held.size() == 3) {
      for (const v1::StreamRequest& each : held) {
        reaction.answers.push_back(Done(each));
      }
    }
    return reaction;
  });
  const auto writer = NewWriter({member.address});
  ASSERT_TRUE(writer->Put("a", "1").ok());
  ASSERT_TRUE(writer->Put("b", "2", absl::Seconds(5)).ok());
  ASSERT_TRUE(writer->Delete("c").ok());
  EXPECT_TRUE(writer->Flush().ok());
  const BulkCounts counts = writer->counts();
  EXPECT_EQ(counts.added, 3u);
  EXPECT_EQ(counts.done, 3u);
  EXPECT_EQ(counts.failed, 0u);
  const std::vector<v1::StreamRequest> requests = member.requests();
  ASSERT_THAT(requests, SizeIs(3));
  EXPECT_EQ(requests[0].op().put().data(), "1");
  EXPECT_FALSE(requests[0].op().put().has_ttl());
  EXPECT_EQ(requests[1].op().put().ttl().seconds(), 5);
  EXPECT_EQ(requests[2].op().delete_key().key(), "c");
  std::set<std::string> ids;
  for (const v1::StreamRequest& request : requests) {
    EXPECT_LE(RequestIdOf(request).size(), 64u);
    EXPECT_GT(RequestIdOf(request).size(), 20u);
    ids.insert(RequestIdOf(request));
  }
  EXPECT_THAT(ids, SizeIs(3));
}

TEST_F(BulkWriterTest, AfterABrokenStreamWhatIsOpenGoesElsewhereUnderTheSameIds) {
  // Answers the second of three, and is gone.
  StreamMember first([](int, const v1::StreamRequest& request) {
    Reaction reaction;
    if (request.id() == 1) {
      reaction.answers.push_back(Done(request));
    }
    if (request.id() == 2) {
      reaction.end = grpc::Status(grpc::StatusCode::UNAVAILABLE, "going away");
    }
    return reaction;
  });
  StreamMember second(AnswerAll);
  const auto writer = NewWriter({first.address, second.address});
  for (const std::string key : {"a", "b", "c"}) {
    ASSERT_TRUE(writer->Put(key, "v").ok());
  }
  EXPECT_TRUE(writer->Flush().ok());
  EXPECT_TRUE(errors().empty());
  std::map<std::string, std::string> first_ids;
  for (const v1::StreamRequest& request : first.requests()) {
    first_ids[KeyOf(request)] = RequestIdOf(request);
  }
  const std::vector<v1::StreamRequest> again = second.requests();
  ASSERT_THAT(again, SizeIs(2));
  EXPECT_EQ(KeyOf(again[0]), "a");
  EXPECT_EQ(KeyOf(again[1]), "c");
  EXPECT_EQ(RequestIdOf(again[0]), first_ids["a"]);
  EXPECT_EQ(RequestIdOf(again[1]), first_ids["c"]);
  // It goes on where it worked.
  ASSERT_TRUE(writer->Put("d", "v").ok());
  EXPECT_TRUE(writer->Flush().ok());
  EXPECT_EQ(second.streams(), 1);
}

TEST_F(BulkWriterTest, WritesOfOneKeyWaitForEachOtherThroughRefusals) {
  int refusals = 3;
  StreamMember member([&refusals](int, const v1::StreamRequest& request) {
    if (KeyOf(request) == "k" && refusals > 0) {
      --refusals;
      return Reaction{
          .answers = {refusals == 1
                          ? Refused(request, grpc::StatusCode::UNAVAILABLE, kReasonNoLeader)
                          : Refused(request, grpc::StatusCode::RESOURCE_EXHAUSTED, "OVERLOADED")}};
    }
    return Reaction{.answers = {Done(request)}};
  });
  const auto writer = NewWriter({member.address});
  ASSERT_TRUE(writer->Put("k", "1").ok());
  ASSERT_TRUE(writer->Put("other", "v").ok());
  ASSERT_TRUE(writer->Put("k", "2").ok());
  ASSERT_TRUE(writer->Delete("k").ok());
  EXPECT_TRUE(writer->Flush().ok());
  std::vector<uint64_t> of_k;
  for (const v1::StreamRequest& request : member.requests()) {
    if (KeyOf(request) == "k") {
      of_k.push_back(request.id());
    }
  }
  EXPECT_THAT(of_k, ElementsAre(0, 0, 0, 0, 2, 3));
  EXPECT_EQ(member.streams(), 1);
}

TEST_F(BulkWriterTest, FailuresAreToldAndFlushKeepsTheFirst) {
  StreamMember member([](int stream, const v1::StreamRequest& request) {
    if (KeyOf(request) == "broken" && stream == 0) {
      return Reaction{.end = grpc::Status(grpc::StatusCode::UNAVAILABLE, "gone")};
    }
    if (KeyOf(request) == "broken" || KeyOf(request) == "full") {
      return Reaction{
          .answers = {Refused(request, grpc::StatusCode::RESOURCE_EXHAUSTED, "DISK_FULL")}};
    }
    return AnswerAll(stream, request);
  });
  const auto writer = NewWriter({member.address});
  ASSERT_TRUE(writer->Put("full", "v").ok());
  ASSERT_TRUE(writer->Put("good", "v").ok());
  const absl::Status flushed = writer->Flush();
  EXPECT_EQ(ErrorReason(flushed), "DISK_FULL") << flushed;
  EXPECT_FALSE(IsOutcomeUnknown(flushed));
  EXPECT_TRUE(writer->Flush().ok());
  // One that may have been done by a try before is not known to be refused.
  ASSERT_TRUE(writer->Put("broken", "v").ok());
  EXPECT_TRUE(IsOutcomeUnknown(writer->Flush()));
  ASSERT_THAT(errors(), SizeIs(2));
  EXPECT_EQ(errors()[0].key, "full");
  EXPECT_EQ(errors()[0].number, 0u);
  EXPECT_EQ(errors()[1].key, "broken");
  EXPECT_EQ(errors()[1].number, 2u);
  EXPECT_EQ(writer->counts().failed, 2u);
}

TEST_F(BulkWriterTest, WhatCannotTravelIsRefusedAtOnce) {
  StreamMember member(AnswerAll);
  const auto writer = NewWriter({member.address});
  EXPECT_EQ(ErrorReason(writer->Put("\xff", "v")), "MALFORMED");
  EXPECT_EQ(ErrorReason(writer->Put("k", std::string(4 << 20, 'v'))), "VALUE_TOO_LARGE");
  EXPECT_EQ(writer->counts().added, 0u);
  EXPECT_TRUE(writer->Flush().ok());
}

TEST_F(BulkWriterTest, TheWindowHoldsUpWhoAdds) {
  // Answers the first stream's requests never, and all others.
  StreamMember member([](int stream, const v1::StreamRequest& request) {
    return stream == 0 ? Reaction() : AnswerAll(stream, request);
  });
  options_.writes_max = 3;
  options_.silence_max = absl::Seconds(2);
  const auto writer = NewWriter({member.address});
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(writer->Put(absl::StrCat(i), "v").ok());
  }
  std::atomic<bool> added = false;
  std::thread fourth([&] {
    EXPECT_TRUE(writer->Put("fourth", "v").ok());
    added = true;
  });
  // All three are with the member, so that nothing but an answer can make room.
  while (member.requests().size() < 3) {
    std::this_thread::yield();
  }
  EXPECT_FALSE(added);
  EXPECT_EQ(writer->counts().added, 3u);
  fourth.join();
  EXPECT_GE(member.streams(), 2) << "it was let in without an answer";
  EXPECT_TRUE(writer->Flush().ok());
  EXPECT_EQ(writer->counts().done, 4u);
}

TEST_F(BulkWriterTest, AWriteLargerThanTheWindowGoesAlone) {
  StreamMember member(AnswerAll);
  options_.bytes_max = 100;
  const auto writer = NewWriter({member.address});
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(writer->Put(absl::StrCat(i), std::string(1000, 'v')).ok());
    EXPECT_GE(writer->counts().done + 1, writer->counts().added);
  }
  EXPECT_TRUE(writer->Flush().ok());
}

TEST_F(BulkWriterTest, WhatIsNotAnsweredInTimeIsNotKnown) {
  StreamMember member(AnswerNothing);
  options_.timeout = absl::Milliseconds(300);
  const auto writer = NewWriter({member.address});
  ASSERT_TRUE(writer->Put("sent", "v").ok());
  ASSERT_TRUE(writer->Put("sent", "waits for the first").ok());
  const absl::Status flushed = writer->Flush();
  EXPECT_TRUE(absl::IsDeadlineExceeded(flushed)) << flushed;
  EXPECT_TRUE(IsOutcomeUnknown(flushed));
  ASSERT_THAT(errors(), SizeIs(2));
  EXPECT_FALSE(IsOutcomeUnknown(errors()[1].status)) << "it was not sent";
}

TEST_F(BulkWriterTest, WhatCannotBeSentIsNotDone) {
  std::string nobody;
  {
    StreamMember member(AnswerAll);
    nobody = member.address;
  }
  options_.timeout = absl::Milliseconds(300);
  const auto writer = NewWriter({nobody});
  ASSERT_TRUE(writer->Put("k", "v").ok());
  const absl::Status flushed = writer->Flush();
  EXPECT_TRUE(absl::IsDeadlineExceeded(flushed)) << flushed;
  EXPECT_FALSE(IsOutcomeUnknown(flushed));
  EXPECT_THAT(std::string(flushed.message()), HasSubstr("refused"));
}

TEST_F(BulkWriterTest, AMemberThatIsSilentIsLeft) {
  StreamMember silent(AnswerNothing);
  StreamMember other(AnswerAll);
  options_.silence_max = absl::Milliseconds(300);
  const auto writer = NewWriter({silent.address, other.address});
  ASSERT_TRUE(writer->Put("k", "v").ok());
  EXPECT_TRUE(writer->Flush().ok());
  EXPECT_THAT(silent.requests(), SizeIs(1));
  EXPECT_THAT(other.requests(), SizeIs(1));
}

TEST_F(BulkWriterTest, MembersThatTakeNoStreamEndTheWriter) {
  StreamMember old([](int, const v1::StreamRequest&) {
    return Reaction{.end = grpc::Status(grpc::StatusCode::UNIMPLEMENTED, "what is a stream?")};
  });
  const auto writer = NewWriter({old.address, old.address});
  ASSERT_TRUE(writer->Put("k", "v").ok());
  EXPECT_TRUE(absl::IsUnimplemented(writer->Flush()));
  EXPECT_THAT(errors(), SizeIs(1));
  EXPECT_TRUE(absl::IsUnimplemented(writer->Put("k", "v")));
  EXPECT_EQ(writer->counts().added, 1u);
}

TEST_F(BulkWriterTest, AnotherClusterEndsTheWriter) {
  StreamMember ours([](int stream, const v1::StreamRequest& request) {
    return stream == 0 && request.id() == 0
               ? Reaction{.answers = {Done(request, 7)}}
               : Reaction{.end = grpc::Status(grpc::StatusCode::UNAVAILABLE, "gone")};
  });
  StreamMember other([](int, const v1::StreamRequest& request) {
    return Reaction{.answers = {Done(request, 8)}};
  });
  const auto writer = NewWriter({ours.address, other.address});
  ASSERT_TRUE(writer->Put("a", "v").ok());
  ASSERT_TRUE(writer->Flush().ok());
  ASSERT_TRUE(writer->Put("b", "v").ok());
  const absl::Status flushed = writer->Flush();
  EXPECT_TRUE(absl::IsFailedPrecondition(flushed)) << flushed;
  EXPECT_TRUE(IsOutcomeUnknown(flushed));
  EXPECT_THAT(std::string(flushed.message()), HasSubstr("cluster 8"));
}

TEST_F(BulkWriterTest, GivenUpItEndsAtOnce) {
  StreamMember member(AnswerNothing);
  auto writer = NewWriter({member.address});
  ASSERT_TRUE(writer->Put("k", "v").ok());
  writer.reset();
  EXPECT_TRUE(errors().empty());
}

TEST_F(BulkWriterTest, OptionsOutOfRangeAreRefused) {
  Client client = Connect({"127.0.0.1:1"});
  const auto refused = [&client](const std::function<void(BulkWriterOptions*)>& change) {
    BulkWriterOptions options;
    change(&options);
    return absl::IsInvalidArgument(client.NewBulkWriter(options).status());
  };
  EXPECT_TRUE(refused([](auto* options) { options->writes_max = 0; }));
  EXPECT_TRUE(refused([](auto* options) { options->writes_max = 100'001; }));
  EXPECT_TRUE(refused([](auto* options) { options->bytes_max = 0; }));
  EXPECT_TRUE(refused([](auto* options) { options->timeout = absl::ZeroDuration(); }));
  EXPECT_TRUE(refused([](auto* options) { options->timeout = absl::Minutes(10); }));
  EXPECT_TRUE(refused([](auto* options) { options->silence_max = absl::ZeroDuration(); }));
  EXPECT_FALSE(refused([](auto*) {}));
}

}  // namespace
}  // namespace raftkv
