// TTLs as clients see them: never early, at most 250 ms late on a healthy cluster, never back.
#include <google/protobuf/util/time_util.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <map>
#include <set>
#include <vector>

#include "absl/strings/str_format.h"
#include "base/rng.h"
#include "tests/support/parallel.h"
#include "tests/support/test_cluster.h"

namespace raftkv::integration {
namespace {

using google::protobuf::util::TimeUtil;

constexpr Millis kLateMax = Millis(250);

// What a client knows about one key with a TTL.
struct Timed {
  std::string key;
  Millis ttl;
  // The write was applied between these two.
  Clock::time_point asked;
  Clock::time_point acknowledged;
  // A linearizable answer, asked for at this time, did not hold it.
  std::optional<Clock::time_point> seen_gone;
};

// Watches keys expire through lists.
class ExpiryWatch {
 public:
  // Writes `count` keys with times to live drawn from [shortest, longest], from several clients at
  // once.
  void Write(TestCluster* cluster, size_t count, Millis shortest, Millis longest) {
    keys_.resize(count);
    Rng rng(count);
    for (size_t i = 0; i < count; ++i) {
      const auto span = static_cast<uint64_t>((longest - shortest).count()) + 1;
      keys_[i].key = absl::StrFormat("ttl/%06d", i);
      keys_[i].ttl = shortest + Millis(rng.Below(span));
    }
    ParallelFor(count, 48, [&](size_t i) {
      Timed& timed = keys_[i];
      timed.asked = Clock::now();
      const auto reply = cluster->client(i % cluster->size()).PutWithTtl(timed.key, "x", timed.ttl);
      timed.acknowledged = Clock::now();
      EXPECT_TRUE(reply.ok()) << reply;
    });
  }

  // Lists all keys once, linearizably, and checks each against its time. `late_max` is how long
  // after its time a key may still be there. Returns whether the list could be read.
  bool Look(NodeClient* client, Millis late_max) {
    v1::ListRequest request;
    request.mutable_range()->set_prefix("ttl/");
    request.set_keys_only(true);
    request.set_page_size(10000);
    const Clock::time_point asked = Clock::now();
    const auto page = client->List(request, Millis(5000));
    const Clock::time_point answered = Clock::now();
    if (!page.ok()) {
      return false;
    }
    EXPECT_EQ(page->next_page_token(), "");
    std::set<std::string> present;
    for (const v1::KeyValue& kv : page->kvs()) {
      present.insert(kv.key());
    }
    left_ = present.size();
    for (Timed& timed : keys_) {
      CheckOne(&timed, present.count(timed.key) > 0, asked, answered, late_max);
    }
    return true;
  }

  void LookUntilGone(NodeClient* client, Millis late_max, Millis timeout) {
    EXPECT_TRUE(WaitUntil(
        timeout, [&] { return Look(client, late_max) && left_ == 0; }, Millis(25)))
        << left_ << " keys left";
  }

  size_t left() const { return left_; }
  // The longest that a key was seen after its time.
  Millis latest() const { return latest_; }
  const std::vector<Timed>& keys() const { return keys_; }

 private:
  void CheckOne(Timed* timed, bool present, Clock::time_point asked, Clock::time_point answered,
                Millis late_max) {
    if (present) {
      const Millis late =
          std::chrono::duration_cast<Millis>(asked - (timed->acknowledged + timed->ttl));
      latest_ = std::max(latest_, late);
      EXPECT_LE(late, late_max) << timed->key << " is there too long";
      EXPECT_FALSE(timed->seen_gone.has_value() && *timed->seen_gone < asked)
          << timed->key << " came back";
    } else {
      EXPECT_GE(answered, timed->asked + timed->ttl)
          << timed->key << " went early, ttl " << timed->ttl.count() << " ms";
      timed->seen_gone = timed->seen_gone.value_or(answered);
    }
  }

  std::vector<Timed> keys_;
  size_t left_ = 0;
  Millis latest_ = Millis(0);
};

class TtlTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(cluster_.StartAll()); }

  TestCluster cluster_;
};

TEST_F(TtlTest, TenThousandKeysGoNeitherEarlyNorLate) {
  ExpiryWatch watch;
  const std::optional<size_t> leader = cluster_.WaitForLeader();
  ASSERT_TRUE(leader.has_value());
  watch.Write(&cluster_, 10'000, Millis(500), Millis(5000));
  watch.LookUntilGone(&cluster_.client(cluster_.Other(*leader)), kLateMax, Millis(15000));
  std::cout << "latest expiry seen " << watch.latest().count() << " ms after its time\n";
  EXPECT_EQ(cluster_.client(0).GetStatus()->key_count(), 0);
  ASSERT_TRUE(cluster_.WaitUntilEqual());
}

TEST_F(TtlTest, KeysDoNotComeBackWhenTheLeaderDies) {
  ExpiryWatch watch;
  const std::optional<size_t> leader = cluster_.WaitForLeader();
  ASSERT_TRUE(leader.has_value());
  NodeClient* survivor = &cluster_.client(cluster_.Other(*leader));
  watch.Write(&cluster_, 2'000, Millis(500), Millis(4000));
  ASSERT_TRUE(WaitUntil(Millis(5000),
                        [&] { return watch.Look(survivor, kLateMax) && watch.left() < 1500; }));
  cluster_.server(*leader).Kill9();
  watch.LookUntilGone(survivor, kFailoverMax + kLateMax, Millis(15000));
  ASSERT_TRUE(cluster_.Start(*leader));
  ASSERT_TRUE(cluster_.WaitUntilEqual());
  for (size_t node = 0; node < cluster_.size(); ++node) {
    EXPECT_TRUE(watch.Look(&cluster_.client(node), kFailoverMax + kLateMax));
    EXPECT_EQ(watch.left(), 0U) << "on " << TestCluster::Name(node);
    const auto stale = cluster_.client(node).List(Proto<v1::ListRequest>(
        R"(range { prefix: "ttl/" } count_only: true consistency: CONSISTENCY_STALE)"));
    EXPECT_EQ(stale->count(), 0);
  }
}

TEST_F(TtlTest, ARestartOfAllForgetsNoDeadlineAndTimeDownDoesNotCount) {
  // Long enough to be alive at the kill, and to outlive the time down if only living time counts.
  constexpr Millis kTtl = Millis(4000);
  constexpr Millis kDown = Millis(5000);
  const Clock::time_point asked = Clock::now();
  ASSERT_TRUE(cluster_.client(0).PutWithTtl("timed", "x", kTtl).ok());
  ASSERT_TRUE(cluster_.client(0).PutText("forever", "x").ok());
  ASSERT_TRUE(WaitUntil(Millis(5000), [&] { return Since(asked) >= Millis(1000); }));
  ASSERT_TRUE(cluster_.client(0).GetText("timed")->has_kv());
  cluster_.KillAll();
  const Millis lived_before = Since(asked);
  const Clock::time_point killed = Clock::now();
  ASSERT_TRUE(WaitUntil(2 * kDown, [&] { return Since(killed) >= kDown; }));
  const Clock::time_point started = Clock::now();
  ASSERT_TRUE(cluster_.StartAll());
  const auto back = cluster_.client(1).GetText("timed");
  ASSERT_TRUE(back.ok()) << back;
  EXPECT_TRUE(back->has_kv()) << "time during which the whole cluster was down does not count";
  EXPECT_GT(TimeUtil::DurationToMilliseconds(back->kv().ttl_remaining()), 0);
  EXPECT_LE(TimeUtil::DurationToMilliseconds(back->kv().ttl_remaining()), kTtl.count());
  bool present = true;
  ASSERT_TRUE(WaitUntil(Millis(15000), [&] {
    const auto get = cluster_.client(1).GetText("timed");
    present = !get.ok() || get->has_kv();
    return !present;
  })) << "the deadline was forgotten";
  EXPECT_GE(lived_before + Since(started), kTtl) << "early";
  // The saved clock may be a second old, and the first election takes its time.
  EXPECT_LE(lived_before + Since(started), kTtl + Millis(1000) + kFailoverMax + kLateMax);
  EXPECT_TRUE(cluster_.client(2).GetText("forever")->has_kv());
}

TEST_F(TtlTest, TheLatestWriteDecides) {
  NodeClient& client = cluster_.client(0);
  const Clock::time_point asked = Clock::now();
  const Millis ttl = Millis(600);
  for (const char* key : {"cleared", "extended", "kept", "deleted", "shortened", "plain"}) {
    const Millis first = std::string(key) == "shortened" ? Millis(60'000) : ttl;
    ASSERT_TRUE(client.PutWithTtl(key, "x", first).ok());
  }
  ASSERT_TRUE(client.PutText("cleared", "y").ok());
  ASSERT_TRUE(client.PutWithTtl("extended", "y", Millis(60'000)).ok());
  ASSERT_TRUE(client.Put(Proto<v1::PutRequest>(R"(key: "kept" text: "y" keep_ttl: true)")).ok());
  ASSERT_TRUE(client.Delete(Proto<v1::DeleteRequest>(R"(key: "deleted")")).ok());
  ASSERT_TRUE(client.PutText("deleted", "again").ok());
  ASSERT_TRUE(client.PutWithTtl("shortened", "y", ttl).ok());
  ASSERT_LT(Since(asked), ttl) << "the machine is too slow for this test";
  EXPECT_EQ(client.GetText("kept")->kv().text(), "y");
  ASSERT_TRUE(WaitUntil(Millis(5000), [&] {
    return !client.GetText("plain")->has_kv() && !client.GetText("kept")->has_kv() &&
           !client.GetText("shortened")->has_kv();
  }));
  EXPECT_GE(Since(asked), ttl);
  // What is due with the others has been looked at by now.
  EXPECT_EQ(client.GetText("cleared")->kv().text(), "y");
  EXPECT_FALSE(client.GetText("cleared")->kv().has_ttl_remaining());
  EXPECT_EQ(client.GetText("extended")->kv().text(), "y");
  EXPECT_TRUE(client.GetText("extended")->kv().has_ttl_remaining());
  EXPECT_EQ(client.GetText("deleted")->kv().text(), "again");
}

TEST_F(TtlTest, EveryMemberLosesAKeyAtTheSameRevision) {
  const auto put = cluster_.client(0).PutWithTtl("a", "x", Millis(300));
  ASSERT_TRUE(put.ok()) << put;
  for (size_t node = 0; node < cluster_.size(); ++node) {
    ASSERT_TRUE(WaitUntil(Millis(5000), [&] {
      const auto get = cluster_.client(node).GetStale("a");
      // Whatever the moment: present at the revision of the write, absent one later.
      EXPECT_EQ(get->has_kv(), get->header().revision() == put->mod_revision());
      return !get->has_kv();
    }));
  }
}

TEST_F(TtlTest, WithoutALeaderNothingExpires) {
  const std::optional<size_t> leader = cluster_.WaitForLeader();
  ASSERT_TRUE(leader.has_value());
  const size_t left = cluster_.Other(*leader);
  ASSERT_TRUE(cluster_.client(left).PutWithTtl("a", "x", Millis(1500)).ok());
  ASSERT_TRUE(cluster_.WaitUntilEqual());
  for (size_t node = 0; node < cluster_.size(); ++node) {
    if (node != left) {
      cluster_.server(node).Kill9();
    }
  }
  // An expiry is a committed command: until then the key is there, due.
  ASSERT_TRUE(WaitUntil(Millis(5000), [&] {
    const auto get = cluster_.client(left).GetStale("a");
    EXPECT_TRUE(get->has_kv());
    return TimeUtil::DurationToNanoseconds(get->kv().ttl_remaining()) == 0;
  }));
  EXPECT_TRUE(cluster_.client(left).GetStale("a")->has_kv());
  ASSERT_TRUE(cluster_.StartAll());
  EXPECT_TRUE(
      WaitUntil(Millis(5000), [&] { return !cluster_.client(left).GetText("a")->has_kv(); }));
}

}  // namespace
}  // namespace raftkv::integration
