// Clients that ask and do not read, or do not live any more: what is kept for them is bounded and
// ends.
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/support/http2_client.h"
#include "tests/support/single_node.h"

namespace raftkv::integration {
namespace {

// Calls of a unary method, all at once, whose answers nobody reads: each stream's window stays as
// small as it begins. What ends without being read, ends with its status.
class UnreadCalls {
 public:
  UnreadCalls(const std::string& address, const std::string& method,
              const google::protobuf::Message& request, size_t count) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);  // It would widen the windows.
    stub_ = std::make_unique<grpc::GenericStub>(
        grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments));
    grpc::Slice slice(request.SerializeAsString());
    const grpc::ByteBuffer bytes(&slice, 1);
    for (size_t i = 0; i < count; ++i) {
      calls_.push_back(std::make_unique<Call>());
      Call* call = calls_.back().get();
      call->request = bytes;
      call->stream = stub_->PrepareCall(&call->context, method, &queue_);
      call->stream->StartCall(call);
    }
    thread_ = std::thread([this] { TakeEvents(); });
  }
  ~UnreadCalls() {
    for (const std::unique_ptr<Call>& call : calls_) {
      call->context.TryCancel();
    }
    thread_.join();
  }

  // How many ended so far with this code.
  size_t Ended(grpc::StatusCode code) {
    const std::lock_guard<std::mutex> lock(mutex_);
    return ended_[code];
  }

 private:
  struct Call {
    grpc::ClientContext context;
    grpc::ByteBuffer request;
    std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream;
    grpc::Status status;
    int steps = 0;
  };

  void TakeEvents() {
    void* tag = nullptr;
    bool ok = false;
    for (size_t left = calls_.size(); left > 0 && queue_.Next(&tag, &ok);) {
      auto* call = static_cast<Call*>(tag);
      switch (call->steps++) {
        case 0:
          call->stream->WriteLast(call->request, grpc::WriteOptions(), call);
          break;
        case 1:
          call->stream->Finish(&call->status, call);
          break;
        default: {
          const std::lock_guard<std::mutex> lock(mutex_);
          ++ended_[call->status.error_code()];
          --left;
        }
      }
    }
  }

  grpc::CompletionQueue queue_;
  std::unique_ptr<grpc::GenericStub> stub_;
  std::vector<std::unique_ptr<Call>> calls_;
  std::thread thread_;
  std::mutex mutex_;
  std::map<grpc::StatusCode, size_t> ended_;
};

uint64_t ResidentBytes(pid_t pid) {
  std::ifstream status(absl::StrCat("/proc/", pid, "/status"));
  for (std::string line; std::getline(status, line);) {
    const std::vector<std::string> words =
        absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
    uint64_t kilobytes = 0;
    if (words.size() == 3 && words[0] == "VmRSS:" && absl::SimpleAtoi(words[1], &kilobytes)) {
      return kilobytes * 1024;
    }
  }
  return 0;
}

TEST(GreedyClientsTest, UnreadAnswersAreBoundedAndGivenUpInTheEnd) {
  // Calls without a deadline have so long.
  SingleNode node({"--request_timeout_ms=5000"});
  ASSERT_TRUE(node.Start());
  ASSERT_TRUE(node.client().PutText("big", std::string(kMiB, 'v')).ok());
  ASSERT_TRUE(node.client().PutText("small", "1").ok());
  constexpr size_t kCalls = 1000;
  {
    UnreadCalls calls(node.client().address(), "/raftkv.v1.KvService/Get",
                      Proto<v1::GetRequest>("key: 'big'"), kCalls);
    // 256 MiB may wait, and an answer is a little more than 1 MiB.
    ASSERT_TRUE(WaitUntil(Millis(20000), [&] {
      return calls.Ended(grpc::StatusCode::RESOURCE_EXHAUSTED) >= kCalls - 255;
    })) << calls.Ended(grpc::StatusCode::RESOURCE_EXHAUSTED);
    const uint64_t resident = ResidentBytes(node.server().pid());
    std::cout << "resident: " << resident / kMiB << " MiB\n";
    EXPECT_GT(resident, 0U);
    EXPECT_LE(resident, 600 * kMiB);
    EXPECT_TRUE(node.client().GetText("small").ok()) << "small answers have room";
    EXPECT_TRUE(node.client().PutText("small", "2").ok());

    const auto refused = node.client().GetText("big");
    EXPECT_EQ(refused.reason, "OVERLOADED") << refused;
    grpc::ClientContext context;
    SetTimeout(&context, Millis(15000));
    v1::TxnResponse found;
    const grpc::Status read = node.client().kv()->Txn(
        &context, Proto<v1::TxnRequest>("then_ops { get { key: 'big' } }"), &found);
    EXPECT_EQ(MakeCallError(read, context).reason, "OVERLOADED") << "it only reads";
    // The write is done; its client must not take it for refused.
    const auto put =
        node.client().Put(Proto<v1::PutRequest>("key: 'big' text: 'new' return_previous: true"));
    EXPECT_EQ(put.reason, "OUTCOME_UNKNOWN") << put;
    EXPECT_EQ(node.client().GetText("big")->kv().text(), "new");

    EXPECT_EQ(put.status.error_code(), grpc::StatusCode::UNKNOWN);
    // With an id it may be tried again.
    ASSERT_TRUE(node.client().PutText("big", std::string(kMiB, 'v')).ok());
    const v1::PutRequest marked =
        Proto<v1::PutRequest>("key: 'big' text: 'newer' return_previous: true request_id: 'one'");
    const auto unread = node.client().Put(marked);
    EXPECT_EQ(unread.reason, "OUTCOME_UNKNOWN") << unread;
    EXPECT_EQ(unread.status.error_code(), grpc::StatusCode::UNAVAILABLE);
    EXPECT_EQ(node.client().GetText("big")->kv().text(), "newer");

    // They still do not read.
    ASSERT_TRUE(node.client().PutText("big", std::string(kMiB, 'v')).ok());
    EXPECT_TRUE(WaitUntil(
        Millis(20000), [&] { return node.client().GetText("big").ok(); }, Millis(100)))
        << "their answers are not given up";
    const auto replayed = node.client().Put(marked);
    ASSERT_TRUE(replayed.ok()) << replayed;
    EXPECT_TRUE(replayed->replayed());
    EXPECT_EQ(replayed->previous().data().size(), kMiB);
  }
}

// Requests of 1 MiB of which all but the last byte is sent, over connections of their own.
class UnfinishedUploads {
 public:
  UnfinishedUploads(const std::string& address, const std::string& method, size_t connections,
                    size_t requests) {
    std::string message = Http2Client::Message(std::string(kMiB, 'u'));
    message.pop_back();
    for (size_t i = 0; i < connections; ++i) {
      clients_.push_back(std::make_unique<Http2Client>(address));
    }
    for (size_t i = 0; i < requests; ++i) {
      for (const std::unique_ptr<Http2Client>& client : clients_) {
        if (client->closed()) {
          continue;
        }
        sent_ += client->SendBody(client->Open(method), message, /*end=*/false);
      }
    }
  }

  uint64_t sent() const { return sent_; }
  // How many the server has ended by now.
  size_t Ended() {
    size_t ended = 0;
    for (const std::unique_ptr<Http2Client>& client : clients_) {
      client->TakeFrames();
      ended += client->ended();
    }
    return ended;
  }

 private:
  std::vector<std::unique_ptr<Http2Client>> clients_;
  uint64_t sent_ = 0;
};

TEST(GreedyClientsTest, UnfinishedRequestsAreBoundedAndTheOldestGivenUp) {
  SingleNode node;
  ASSERT_TRUE(node.Start());
  const uint64_t before = ResidentBytes(node.server().pid());
  constexpr size_t kConnections = 4;
  constexpr size_t kRequests = 500;
  UnfinishedUploads uploads(node.client().address(), "/raftkv.v1.KvService/Put", kConnections,
                            kRequests);
  std::cout << "sent " << uploads.sent() / kMiB << " MiB, resident: " << before / kMiB << " to "
            << ResidentBytes(node.server().pid()) / kMiB << " MiB, ended " << uploads.Ended()
            << "\n";
  // 1 GiB by gRPC's count, and what the allocator takes beside it.
  EXPECT_LE(ResidentBytes(node.server().pid()), before + 1500 * kMiB);
  // While memory is full gRPC refuses who comes, and says so.
  EXPECT_TRUE(WaitUntil(Millis(5000), [&] { return node.client().PutText("a", "1").ok(); }))
      << "others are served";
  // So many slow ones may stay.
  EXPECT_TRUE(WaitUntil(Millis(15000), [&] {
    return uploads.Ended() >= kConnections * kRequests - 512;
  })) << uploads.Ended();
  EXPECT_TRUE(node.client().PutText("a", "2").ok()) << "others are served";
  EXPECT_TRUE(WaitUntil(Millis(25000), [&] { return uploads.Ended() >= kConnections * kRequests; }))
      << uploads.Ended();
  // And what the allocator keeps for a while.
  const bool released = WaitUntil(
      Millis(10000), [&] { return ResidentBytes(node.server().pid()) <= before + 400 * kMiB; });
  std::cout << "resident: " << ResidentBytes(node.server().pid()) / kMiB << " MiB, ended "
            << uploads.Ended() << "\n";
  EXPECT_TRUE(released);
  EXPECT_TRUE(node.client().PutText("a", std::string(kMiB, 'a')).ok());
}

// As of an application that writes much at once: each takes as long as all of them.
TEST(GreedyClientsTest, ManyUploadsThatShareASlowLinkAllSucceed) {
  SingleNode node;
  ASSERT_TRUE(node.Start());
  constexpr size_t kUploads = 400;
  constexpr size_t kChunkBytes = 10'000;
  constexpr uint64_t kBytesPerSecond = 10'000'000;
  struct Upload {
    uint32_t stream = 0;
    std::string left;
  };
  Http2Client client(node.client().address());
  std::vector<Upload> uploads;
  for (size_t i = 0; i < kUploads; ++i) {
    v1::PutRequest request;
    request.set_key(absl::StrCat("key", i));
    request.set_data(std::string(100'000, 'u'));
    uploads.push_back({.stream = client.Open("/raftkv.v1.KvService/Put"),
                       .left = Http2Client::Message(request.SerializeAsString())});
  }
  const Clock::time_point start = Clock::now();
  uint64_t sent = 0;
  for (size_t unsent = kUploads; unsent > 0 && !client.closed();) {
    for (Upload& upload : uploads) {
      const bool last = upload.left.size() <= kChunkBytes;
      if (upload.left.empty() || Since(start) < Millis(1000 * sent / kBytesPerSecond)) {
        continue;
      }
      const size_t taken =
          client.SendBody(upload.stream, upload.left.substr(0, kChunkBytes), /*end=*/last);
      upload.left.erase(0, taken);
      sent += taken;
      unsent -= taken > 0 && upload.left.empty() ? 1 : 0;
    }
    client.TakeFrames(Millis(1));
  }
  EXPECT_GE(Since(start), Millis(3900)) << "slow enough";
  size_t answered = 0;
  for (const Upload& upload : uploads) {
    // Errors have no message.
    answered +=
        client.AwaitEnd(upload.stream, Millis(10000)) && client.answer(upload.stream).has_message
            ? 1
            : 0;
  }
  EXPECT_EQ(answered, kUploads);
}

// Of a directory of /proc: threads ("task") or open files ("fd").
size_t CountEntries(pid_t pid, const std::string& directory) {
  const std::filesystem::directory_iterator entries(absl::StrCat("/proc/", pid, "/", directory));
  return static_cast<size_t>(std::distance(begin(entries), end(entries)));
}

// Holds streams of reflection open, each of which costs the server a thread.
TEST(GreedyClientsTest, OpenReflectionStreamsTakeFewThreadsAndNothingFromOthers) {
  SingleNode node;
  ASSERT_TRUE(node.Start());
  grpc::GenericStub stub(node.client().channel());
  constexpr char kMethod[] = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";
  struct Call {
    grpc::ClientContext context;
    std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream;
    grpc::Status status;
  };
  grpc::CompletionQueue queue;
  void* tag = nullptr;
  bool ok = false;
  constexpr size_t kStreams = 64;
  std::vector<Call> calls(kStreams);
  size_t refused = 0;
  const auto expect_refused = [&](const grpc::Status& status) {
    EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED) << status.error_message();
    ++refused;
  };
  const size_t before = CountEntries(node.server().pid(), "task");
  for (Call& call : calls) {
    call.stream = stub.PrepareCall(&call.context, kMethod, &queue);
    call.stream->StartCall(&call);
    // An earlier call may end before this one has started.
    for (tag = nullptr; tag != &call;) {
      ASSERT_TRUE(queue.Next(&tag, &ok) && ok);
      if (tag != &call) {
        expect_refused(*static_cast<grpc::Status*>(tag));
      }
    }
    call.stream->Finish(&call.status, &call.status);
  }
  // All but those that have a thread are refused.
  const auto deadline = std::chrono::system_clock::now() + std::chrono::seconds(10);
  while (refused < kStreams - 16) {
    if (queue.AsyncNext(&tag, &ok, deadline) != grpc::CompletionQueue::GOT_EVENT) {
      ADD_FAILURE() << refused << " are refused";
      break;
    }
    expect_refused(*static_cast<grpc::Status*>(tag));
  }
  // gRPC starts a thread of its own now and then.
  EXPECT_LE(CountEntries(node.server().pid(), "task"), before + kStreams / 2);
  EXPECT_TRUE(node.client().PutText("a", "1").ok());
  EXPECT_EQ(node.client().GetText("a")->kv().text(), "1");
  EXPECT_TRUE(node.client().Healthy(""));

  for (Call& call : calls) {
    call.context.TryCancel();
  }
  for (; refused < kStreams; ++refused) {
    ASSERT_TRUE(queue.Next(&tag, &ok));
  }
  // list_services of the reflection protocol.
  EXPECT_TRUE(WaitUntil(Millis(10000), [&] {
    return node.client().CallRaw(kMethod, std::string("\x3a\0", 2)).ok();
  })) << "reflection does not come back";
}

// gRPC never comes back to a port after one failed accept, so the process must not stay.
TEST(GreedyClientsTest, AServerWithoutFileDescriptorsStopsAndSaysWhy) {
  SingleNode node;
  ASSERT_TRUE(node.Start());
  const auto used = static_cast<rlim_t>(CountEntries(node.server().pid(), "fd"));
  const rlimit few = {.rlim_cur = used + 8, .rlim_max = used + 8};
  ASSERT_EQ(prlimit(node.server().pid(), RLIMIT_NOFILE, &few, nullptr), 0);
  std::vector<int> connections;
  for (int i = 0; i < 32; ++i) {
    connections.push_back(ConnectTcp(node.client().address()));
  }
  EXPECT_EQ(node.server().WaitExit(), (ExitStatus{.code = 1}));
  EXPECT_NE(node.server().Log().find("cannot take new connections"), std::string::npos);
  for (const int connection : connections) {
    close(connection);
  }
}

TEST(LongGreedyClientsTest, ARequestThatNeverEndsIsGivenUp) {
  SingleNode node;
  ASSERT_TRUE(node.Start());
  for (const std::string method : {"/raftkv.v1.KvService/Put", "/grpc.health.v1.Health/Watch"}) {
    Http2Client client(node.client().address());
    const Clock::time_point start = Clock::now();
    // Its own deadline is far.
    const uint32_t stream = client.Open(method, {{"grpc-timeout", "99999999H"}});
    client.SendBody(stream, Http2Client::Message("1").substr(0, 5), /*end=*/false);
    EXPECT_TRUE(client.AwaitEnd(stream, Millis(40000))) << method;
    EXPECT_GE(Since(start), Millis(20000)) << method << ": slow clients have their time";
  }
}

// A connection of HTTP/2 that says hello and nothing more, as of a machine that lost its power.
TEST(LongGreedyClientsTest, AConnectionWithoutSignsOfLifeIsClosed) {
  SingleNode node;
  ASSERT_TRUE(node.Start());
  const int connection = ConnectTcp(node.client().address());
  // RFC 9113 §3.4: the preface, and an empty SETTINGS frame.
  const std::string hello("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 33);
  ASSERT_EQ(write(connection, hello.data(), hello.size()), static_cast<ssize_t>(hello.size()));
  const Clock::time_point start = Clock::now();
  const bool closed = WaitUntil(Millis(90000), [&] {
    pollfd ready = {.fd = connection, .events = POLLIN, .revents = 0};
    char bytes[256];
    return poll(&ready, 1, 1000) == 1 && read(connection, bytes, sizeof(bytes)) <= 0;
  });
  EXPECT_TRUE(closed) << "after " << Since(start).count() << " ms";
  EXPECT_GE(Since(start), Millis(30000)) << "not before it was asked";
  close(connection);
}

}  // namespace
}  // namespace raftkv::integration
