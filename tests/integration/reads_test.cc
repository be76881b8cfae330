// Reads of the past, scans, and reads that may be somewhat old, from real members.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/client.h"
#include "raftkv/v1/watch.grpc.pb.h"
#include "tests/support/child_process.h"
#include "tests/support/rpc.h"
#include "tests/support/test_cluster.h"

namespace raftkv::integration {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// One stream of chunks.
class ScanCall {
 public:
  ScanCall(NodeClient* node, const v1::ScanRequest& request, Millis timeout = Millis(30'000))
      : ScanCall(node->kv(), request, timeout) {}
  ScanCall(v1::KvService::Stub* kv, const v1::ScanRequest& request, Millis timeout) {
    SetTimeout(&context_, timeout);
    reader_ = kv->Scan(&context_, request);
  }
  ~ScanCall() { context_.TryCancel(); }

  bool Read(v1::ScanResponse* response) { return reader_->Read(response); }
  // Reads to the end; `keys` and `revisions` are of all that came.
  CallError Finish() {
    v1::ScanResponse response;
    while (reader_->Read(&response)) {
      ++chunks;
      revisions.push_back(response.header().revision());
      for (const v1::KeyValue& kv : response.kvs()) {
        keys.push_back(kv.key());
        values.push_back(kv.text());
      }
    }
    return MakeCallError(reader_->Finish(), context_);
  }

  std::vector<std::string> keys;
  std::vector<std::string> values;
  std::vector<int64_t> revisions;
  int chunks = 0;

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<v1::ScanResponse>> reader_;
};

class ReadsTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(cluster_.StartAll());
    // Before all members are known to know it, there is no history.
    ASSERT_TRUE(cluster_.WaitUntilPublished());
    client_ = std::make_unique<Client>(
        *Client::Create({.endpoints = {cluster_.client_address(0), cluster_.client_address(1),
                                       cluster_.client_address(2)},
                         .request_timeout = absl::Seconds(15)}));
  }
  int64_t Put(const std::string& key, const std::string& value, const PutOptions& options = {}) {
    const absl::StatusOr<PutResult> put = client_->Put(key, value, options);
    EXPECT_TRUE(put.ok()) << put.status();
    return put.ok() ? put->mod_revision : 0;
  }
  // So many keys "s/10000", "s/10001", ... with values of so many bytes, in few writes.
  void Fill(int keys, size_t value_bytes) {
    for (int key = 0; key < keys;) {
      Txn txn;
      for (int i = 0; i < 1000 && key < keys; ++i, ++key) {
        txn.then_ops.push_back(
            PutOp{.key = absl::StrCat("s/", 10'000 + key), .value = std::string(value_bytes, 'v')});
      }
      const auto done = client_->Run(txn);
      ASSERT_TRUE(done.ok()) << done.status();
    }
  }
  CommandResult Ctl(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(),
                     {RaftkvctlPath(), "--endpoints", cluster_.client_address(1)});
    return RunCommand(arguments);
  }

  TestCluster cluster_;
  std::unique_ptr<Client> client_;
};

TEST_F(ReadsTest, AnyMemberTellsWhatWas) {
  const int64_t base = Put("a", "1");
  Put("b", "1");
  Put("a", "2");
  ASSERT_TRUE(client_->Delete("b").ok());
  PutOptions ttl;
  ttl.ttl = absl::Seconds(60);
  Put("c", "1", ttl);
  Put("a", "3");
  for (size_t node = 0; node < cluster_.size(); ++node) {
    const auto get = [&](const std::string& key, int64_t revision) {
      v1::GetRequest request;
      request.set_key(key);
      request.set_at_revision(revision);
      request.set_as_text(true);
      const auto reply = cluster_.client(node).Get(request);
      EXPECT_TRUE(reply.ok()) << reply;
      EXPECT_EQ(reply->header().revision(), revision);
      EXPECT_FALSE(reply->header().has_staleness());
      return reply->has_kv() ? absl::StrCat(reply->kv().text(), "@", reply->kv().mod_revision(),
                                            reply->kv().has_ttl_remaining() ? " ttl" : "")
                             : "(absent)";
    };
    EXPECT_EQ(get("a", base), absl::StrCat("1@", base));
    EXPECT_EQ(get("a", base + 4), absl::StrCat("2@", base + 2));
    EXPECT_EQ(get("a", base + 5), absl::StrCat("3@", base + 5));
    EXPECT_EQ(get("b", base), "(absent)");
    EXPECT_EQ(get("b", base + 2), absl::StrCat("1@", base + 1));
    EXPECT_EQ(get("b", base + 3), "(absent)");
    EXPECT_EQ(get("c", base + 3), "(absent)");
    EXPECT_EQ(get("c", base + 4), absl::StrCat("1@", base + 4, " ttl"));
    EXPECT_EQ(get("never", base), "(absent)");
  }
}

TEST_F(ReadsTest, PagesOfAListStayAtTheirRevision) {
  for (int i = 0; i < 25; ++i) {
    Put(absl::StrCat("p/", 10 + i), "old");
  }
  const int64_t revision = Put("p/99", "old");
  ListOptions options;
  options.page_size = 7;
  options.at_revision = revision;
  std::vector<std::string> keys;
  ASSERT_TRUE(client_
                  ->ListAll(Prefix{"p/"}, options,
                            [&](const ListResult& page) {
                              EXPECT_EQ(page.header.revision, revision);
                              for (const KeyValue& kv : page.kvs) {
                                EXPECT_EQ(kv.value, "old");
                                keys.push_back(kv.key);
                              }
                              // What comes between the pages is in none of them.
                              Put("p/20", "new");
                              Put(absl::StrCat("p/5", keys.size()), "new");
                              EXPECT_TRUE(client_->Delete(keys.back()).ok());
                              return true;
                            })
                  .ok());
  EXPECT_EQ(keys.size(), 26u);
  options.count_only = true;
  EXPECT_EQ(client_->List(Prefix{"p/"}, options)->count, 26);
  // Its token is of that revision alone.
  options.count_only = false;
  const auto page = client_->List(Prefix{"p/"}, options);
  ASSERT_TRUE(page.ok()) << page.status();
  options.page_token = page->next_page_token;
  options.at_revision = 0;
  EXPECT_EQ(ErrorReason(client_->List(Prefix{"p/"}, options).status()), "BAD_PAGE_TOKEN");
}

TEST_F(ReadsTest, WhatIsNotThereIsSaid) {
  const int64_t base = Put("k", "1");
  const int64_t newest = Put("k", "2");
  const auto get = [&](const std::string& text) {
    return cluster_.client(1).Get(Proto<v1::GetRequest>(text));
  };
  auto reply = get(absl::StrCat("key: 'k' at_revision: ", newest + 1));
  EXPECT_EQ(reply.status.error_code(), grpc::OUT_OF_RANGE) << reply;
  EXPECT_EQ(reply.reason, "REVISION_FUTURE");
  EXPECT_EQ(reply.Meta("revision"), absl::StrCat(newest));
  ASSERT_TRUE(client_->Compact(newest).ok());
  reply = get(absl::StrCat("key: 'k' at_revision: ", base));
  EXPECT_EQ(reply.status.error_code(), grpc::OUT_OF_RANGE) << reply;
  EXPECT_EQ(reply.reason, "REVISION_COMPACTED");
  EXPECT_EQ(reply.Meta("compact_revision"), absl::StrCat(newest));
  EXPECT_TRUE(get(absl::StrCat("key: 'k' at_revision: ", newest)).ok());

  const auto list = [&](const std::string& fields) {
    return cluster_.client(1).List(
        Proto<v1::ListRequest>(absl::StrCat("range { prefix: '' } ", fields)));
  };
  EXPECT_EQ(list(absl::StrCat("at_revision: ", base)).reason, "REVISION_COMPACTED");
  EXPECT_EQ(list(absl::StrCat("count_only: true at_revision: ", newest + 9)).reason,
            "REVISION_FUTURE");
  ScanCall scan(&cluster_.client(1),
                Proto<v1::ScanRequest>(absl::StrCat("range { prefix: '' } at_revision: ", base)));
  EXPECT_EQ(scan.Finish().reason, "REVISION_COMPACTED");
}

TEST_F(ReadsTest, BadRequestsAreRefused) {
  const std::map<std::string, std::string> fields = {
      {"at_revision: -1", "BAD_REVISION"},
      {"min_revision: -1", "BAD_REVISION"},
      {"at_revision: 1 min_revision: 1", "BAD_REVISION"},
      {"at_revision: 1 max_staleness { seconds: 1 }", "BAD_STALENESS"},
      {"max_staleness {}", "BAD_STALENESS"},
      {"max_staleness { seconds: -1 }", "BAD_STALENESS"},
      {"max_staleness { seconds: 86401 }", "BAD_STALENESS"},
      {"max_staleness { seconds: 1 } consistency: CONSISTENCY_LINEARIZABLE", "BAD_STALENESS"}};
  const auto scan = [&](const std::string& text) {
    return ScanCall(&cluster_.client(0), Proto<v1::ScanRequest>(text)).Finish();
  };
  for (const auto& [text, reason] : fields) {
    const auto get = cluster_.client(0).Get(Proto<v1::GetRequest>(absl::StrCat("key: 'k' ", text)));
    EXPECT_EQ(get.status.error_code(), grpc::INVALID_ARGUMENT) << text << ": " << get;
    EXPECT_EQ(get.reason, reason) << text;
    const std::string ranged = absl::StrCat("range { prefix: '' } ", text);
    EXPECT_EQ(cluster_.client(0).List(Proto<v1::ListRequest>(ranged)).reason, reason) << text;
    EXPECT_EQ(scan(ranged).reason, reason) << text;
  }
  EXPECT_EQ(scan("").reason, "BAD_RANGE");
  EXPECT_EQ(scan("range {}").reason, "BAD_RANGE");
  EXPECT_EQ(scan("range { key: '' }").reason, "BAD_KEY");
  EXPECT_EQ(scan("range { span { start_key: 'b' end_key: 'a' } }").reason, "BAD_RANGE");
  const CallError limit = scan("range { prefix: '' } limit: -3");
  EXPECT_EQ(limit.reason, "BAD_LIMIT");
  EXPECT_THAT(limit.status.error_message(), HasSubstr("-3"));
  v1::ScanRequest unknown = Proto<v1::ScanRequest>("range { prefix: '' }");
  unknown.GetReflection()->MutableUnknownFields(&unknown)->AddVarint(99, 1);
  EXPECT_EQ(ScanCall(&cluster_.client(0), unknown).Finish().reason, "UNKNOWN_FIELD");
  for (const char* field : {"at_revision: 1", "max_staleness { seconds: 1 }"}) {
    grpc::ClientContext context;
    SetTimeout(&context, kCallTimeout);
    v1::TxnResponse response;
    const grpc::Status status = cluster_.client(0).kv()->Txn(
        &context, Proto<v1::TxnRequest>(absl::StrCat("then_ops { get { key: 'k' ", field, " } }")),
        &response);
    EXPECT_EQ(MakeCallError(status, context).reason, "BAD_TXN") << field;
  }
}

TEST_F(ReadsTest, AScanIsOfOneRevisionWhateverHappensMeanwhile) {
  constexpr int kKeys = 5000;
  Fill(kKeys, 200);
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (int i = 0; !stop; ++i) {
      Put(absl::StrCat("s/", 10'000 + i % kKeys), "new");
      Put(absl::StrCat("s/extra", i), "new");
    }
  });
  for (const char* order : {"", "descending: true"}) {
    ScanCall scan(&cluster_.client(2), Proto<v1::ScanRequest>(absl::StrCat(
                                           "range { prefix: 's/' } as_text: true ", order)));
    const CallError error = scan.Finish();
    ASSERT_TRUE(error.ok()) << error;
    EXPECT_GT(scan.chunks, 3);
    EXPECT_EQ(std::count(scan.revisions.begin(), scan.revisions.end(), scan.revisions[0]),
              scan.chunks);
    std::map<std::string, std::string> expected;
    ListOptions options;
    options.page_size = 10'000;
    options.at_revision = scan.revisions[0];
    ASSERT_TRUE(client_
                    ->ListAll(Prefix{"s/"}, options,
                              [&](const ListResult& page) {
                                for (const KeyValue& kv : page.kvs) {
                                  expected[kv.key] = kv.value;
                                }
                                return true;
                              })
                    .ok());
    ASSERT_EQ(scan.keys.size(), expected.size());
    if (*order != '\0') {
      std::reverse(scan.keys.begin(), scan.keys.end());
      std::reverse(scan.values.begin(), scan.values.end());
    }
    size_t place = 0;
    for (const auto& [key, value] : expected) {
      ASSERT_EQ(scan.keys[place], key);
      ASSERT_EQ(scan.values[place], value) << key;
      ++place;
    }
  }
  stop = true;
  writer.join();
}

TEST_F(ReadsTest, AScanEndsAtItsLimitAndSaysWhereItIs) {
  Fill(30, 10);
  const auto keys = [&](const std::string& text) {
    ScanCall scan(&cluster_.client(1), Proto<v1::ScanRequest>(text));
    const CallError error = scan.Finish();
    EXPECT_TRUE(error.ok()) << error;
    EXPECT_GE(scan.chunks, 1);
    EXPECT_GT(scan.revisions.at(0), 0);
    return scan.keys;
  };
  EXPECT_THAT(keys("range { prefix: 's/' } limit: 3"),
              ElementsAre("s/10000", "s/10001", "s/10002"));
  EXPECT_THAT(keys("range { prefix: 's/' } limit: 2 descending: true"),
              ElementsAre("s/10029", "s/10028"));
  EXPECT_THAT(keys("range { key: 's/10007' }"), ElementsAre("s/10007"));
  EXPECT_THAT(keys("range { prefix: 'none' }"), IsEmpty());
  EXPECT_EQ(keys("range { prefix: 's/' } limit: 30").size(), 30u);
  EXPECT_EQ(keys("range { prefix: 's/' } consistency: CONSISTENCY_STALE").size(), 30u);
}

TEST_F(ReadsTest, AClientsScanGoesOnWhenMembersDie) {
  constexpr int kKeys = 12'000;
  Fill(kKeys, 500);
  std::vector<std::string> keys;
  int64_t revision = 0;
  int chunks = 0;
  const absl::Status status = client_->Scan(Prefix{"s/"}, {}, [&](const ScanChunk& chunk) {
    revision = revision == 0 ? chunk.header.revision : revision;
    EXPECT_EQ(chunk.header.revision, revision);
    for (const KeyValue& kv : chunk.kvs) {
      EXPECT_EQ(kv.value.size(), 500u) << kv.key;
      keys.push_back(kv.key);
    }
    if (++chunks == 2) {
      // What is written now is no part of it, wherever it goes on.
      EXPECT_TRUE(client_->Delete("s/21999").ok());
      const size_t answering = chunk.header.member_id - 1;
      cluster_.server(answering).Kill9();
    }
    return true;
  });
  ASSERT_TRUE(status.ok()) << status;
  ASSERT_EQ(keys.size(), static_cast<size_t>(kKeys));
  EXPECT_TRUE(std::is_sorted(keys.begin(), keys.end()));
  EXPECT_EQ(std::unique(keys.begin(), keys.end()), keys.end());
}

TEST_F(ReadsTest, ClientsThatDoNotReadTakeNoMoreThanTheirPlaces) {
  Fill(20'000, 1000);
  const v1::ScanRequest all = Proto<v1::ScanRequest>("range { prefix: '' }");
  const int64_t memory_before = cluster_.client(0).GetStatus()->memory().resident_bytes();
  std::vector<std::unique_ptr<v1::KvService::Stub>> clients;
  std::vector<std::unique_ptr<ScanCall>> idle;
  v1::ScanResponse first;
  // On channels of their own, so that none waits for the window of another; and gRPC does not widen
  // that, as it does on a slow machine until a scan is all with a client that does not read it.
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  for (int i = 0; i < 32; ++i) {
    clients.push_back(v1::KvService::NewStub(grpc::CreateCustomChannel(
        cluster_.client_address(0), grpc::InsecureChannelCredentials(), arguments)));
    idle.push_back(std::make_unique<ScanCall>(clients.back().get(), all, Millis(60'000)));
    ASSERT_TRUE(idle.back()->Read(&first)) << idle.back()->Finish();
  }
  const CallError refused = ScanCall(&cluster_.client(0), all).Finish();
  EXPECT_EQ(refused.status.error_code(), grpc::RESOURCE_EXHAUSTED) << refused;
  EXPECT_EQ(refused.reason, "OVERLOADED");
  EXPECT_THAT(refused.status.error_message(), HasSubstr("32"));
  const int64_t grown = cluster_.client(0).GetStatus()->memory().resident_bytes() - memory_before;
  // All of them hold less than a tenth of what they asked for.
  EXPECT_LT(grown, int64_t{64} << 20);
  // Nobody else notices, and a place is free again at once.
  EXPECT_TRUE(cluster_.client(0).PutText("k", "v").ok());
  idle.pop_back();
  EXPECT_TRUE(WaitUntil(Millis(5000), [&] {
    ScanCall scan(&cluster_.client(0), all);
    return scan.Finish().ok() && scan.keys.size() == 20'001;
  }));
}

TEST_F(ReadsTest, AMemberThatIsCutOffAnswersWhileItIsYoungEnough) {
  Put("k", "v");
  ASSERT_TRUE(cluster_.WaitUntilEqual());
  const auto get = [&](const std::string& fields, Millis timeout = kCallTimeout) {
    return cluster_.client(0).Get(
        Proto<v1::GetRequest>(absl::StrCat("key: 'k' as_text: true ", fields)), timeout);
  };
  // Nobody reads, and all the same it knows how old it is.
  ASSERT_TRUE(WaitUntil(Millis(5000), [&] {
    return get("consistency: CONSISTENCY_STALE")->header().has_staleness();
  }));
  EXPECT_FALSE(get("").response.header().has_staleness());
  auto reply = get("max_staleness { seconds: 3600 }");
  ASSERT_TRUE(reply.ok()) << reply;
  EXPECT_EQ(reply->kv().text(), "v");
  ASSERT_TRUE(reply->header().has_staleness());
  EXPECT_LT(reply->header().staleness().seconds(), 3);

  cluster_.server(1).Kill9();
  cluster_.server(2).Kill9();
  const Clock::time_point cut_off = Clock::now();
  reply = get("max_staleness { seconds: 3600 }", Millis(2000));
  EXPECT_TRUE(reply.ok()) << reply;
  EXPECT_EQ(reply->kv().text(), "v");
  // Once it is too old, it waits for a leader as long as other reads do.
  ASSERT_TRUE(WaitUntil(Millis(10'000), [&] {
    return get("consistency: CONSISTENCY_STALE")->header().staleness().seconds() >= 2;
  }));
  const auto stale = get("consistency: CONSISTENCY_STALE");
  EXPECT_GE(Since(cut_off).count() + 1500, stale->header().staleness().seconds() * 1000);
  reply = get("max_staleness { seconds: 1 }");
  EXPECT_EQ(reply.status.error_code(), grpc::UNAVAILABLE) << reply;
  EXPECT_EQ(reply.reason, "TOO_STALE");
  EXPECT_THAT(reply.status.error_message(), HasSubstr("max_staleness is 1000 ms"));
  ScanCall scan(&cluster_.client(0),
                Proto<v1::ScanRequest>("range { prefix: '' } max_staleness { seconds: 3600 }"));
  EXPECT_TRUE(scan.Finish().ok());
  EXPECT_THAT(scan.keys, ElementsAre("k"));

  ASSERT_TRUE(cluster_.Start(1));
  EXPECT_TRUE(WaitUntil(Millis(15'000), [&] { return get("max_staleness { nanos: 1 }").ok(); }));
}

TEST_F(ReadsTest, CtlReadsThePast) {
  const int64_t from = Put("c/a", "1");
  Put("c/b", "1");
  Put("c/a", "2");
  const int64_t to = Put("other", "x");
  ASSERT_TRUE(client_->Delete("c/b").ok());
  EXPECT_EQ(Ctl({"get", "c/a", "--rev", absl::StrCat(from)}).out, "c/a\n1\n");
  EXPECT_EQ(Ctl({"get", "--prefix", "c/", "--rev", absl::StrCat(to)}).out, "c/a\n2\nc/b\n1\n");
  EXPECT_EQ(Ctl({"get", "c/a", "--max-staleness", "1h"}).out, "c/a\n2\n");
  EXPECT_EQ(Ctl({"diff", absl::StrCat(from), absl::StrCat(to)}).out,
            "CHANGED\nc/a\n1\n2\nADDED\nc/b\n1\nADDED\nother\nx\n");
  EXPECT_EQ(
      Ctl({"diff", absl::StrCat(to), absl::StrCat(to + 1), "--prefix", "c/", "--keys-only"}).out,
      "REMOVED\nc/b\n");
  EXPECT_EQ(Ctl({"diff", absl::StrCat(to), absl::StrCat(to)}).out, "");
  const CommandResult future = Ctl({"diff", absl::StrCat(to), absl::StrCat(to + 100)});
  EXPECT_THAT(future.err, HasSubstr("has come to revision")) << future;
}

TEST_F(ReadsTest, AMemberSaysWhoWatchesIt) {
  EXPECT_EQ(cluster_.client(0).GetStatus()->watches().count(), 0);
  grpc::ClientContext context;
  SetTimeout(&context, Millis(30'000));
  const auto stub = v1::WatchService::NewStub(MakeChannel(cluster_.client_address(0)));
  const auto reader =
      stub->Watch(&context, Proto<v1::WatchRequest>("ranges { prefix: 'w/' } ranges { key: 'k' }"));
  v1::WatchResponse first;
  ASSERT_TRUE(reader->Read(&first));
  const int64_t revision = Put("w/a", "1");
  ASSERT_TRUE(reader->Read(&first));
  ASSERT_TRUE(WaitUntil(Millis(5000), [&] {
    const auto status = cluster_.client(0).GetStatus();
    return status->watches().slowest_size() == 1 &&
           status->watches().slowest(0).progress_revision() >= revision;
  }));
  const auto status = cluster_.client(0).GetStatus();
  EXPECT_EQ(status->watches().count(), 1);
  const v1::WatcherStatus& watcher = status->watches().slowest(0);
  EXPECT_THAT(watcher.client(), HasSubstr("127.0.0.1:"));
  EXPECT_EQ(watcher.range().prefix(), "w/");
  EXPECT_EQ(watcher.range_count(), 2);
  EXPECT_EQ(watcher.behind(), 0);
  EXPECT_THAT(Ctl({"endpoint", "status", "--cluster", "-w", "json"}).out,
              HasSubstr(R"("first_key":"w/","is_prefix":true,"ranges":2)"));
  grpc::ClientContext later_context;
  SetTimeout(&later_context, Millis(30'000));
  const auto later = stub->Watch(
      &later_context, Proto<v1::WatchRequest>("ranges { key: 'k' } start_revision: 1000000"));
  ASSERT_TRUE(later->Read(&first));
  const auto both = cluster_.client(0).GetStatus();
  ASSERT_EQ(both->watches().slowest_size(), 2);
  EXPECT_EQ(both->watches().slowest(1).progress_revision(), 999'999);
  EXPECT_EQ(both->watches().slowest(1).behind(), 0);
  later_context.TryCancel();
  context.TryCancel();
  EXPECT_TRUE(WaitUntil(Millis(5000),
                        [&] { return cluster_.client(0).GetStatus()->watches().count() == 0; }));
}

}  // namespace
}  // namespace raftkv::integration
