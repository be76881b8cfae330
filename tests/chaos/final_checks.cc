#include "tests/chaos/final_checks.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"

namespace raftkv::chaos {
namespace {

using integration::Millis;
using integration::TestCluster;

// A member that was away for the whole run catches up within this.
constexpr Millis kCatchUpMax(60'000);
// The longest ttl, and what a healthy cluster adds to it.
constexpr Millis kExpiryMax(10'000);
constexpr int kPageSize = 10'000;
constexpr uint64_t kNamedLossesMax = 10;

// Everything that a member has applied: key -> what a client sees of it, and its value.
struct Copy {
  std::string seen;
  std::string value;

  friend bool operator==(const Copy&, const Copy&) = default;
};
using Contents = std::map<std::string, Copy>;

Contents ReadContents(TestCluster* cluster, size_t node) {
  Contents contents;
  v1::ListRequest request;
  request.mutable_range()->set_prefix("");
  request.set_as_text(true);
  request.set_page_size(kPageSize);
  request.set_consistency(v1::CONSISTENCY_STALE);
  do {
    const auto page = cluster->client(node).List(request);
    if (!page.ok()) {
      ADD_FAILURE() << TestCluster::Name(node) << " cannot be listed: " << page;
      break;
    }
    for (const v1::KeyValue& kv : page->kvs()) {
      contents[kv.key()] = {.seen = absl::StrCat("created ", kv.create_revision(), " modified ",
                                                 kv.mod_revision(), " version ", kv.version(),
                                                 kv.has_ttl_remaining() ? " with a ttl" : ""),
                            .value = kv.text()};
    }
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  return contents;
}

bool AwaitExpiry(TestCluster* cluster) {
  v1::ListRequest request;
  request.mutable_range()->set_prefix("t/");
  request.set_count_only(true);
  return integration::WaitUntil(kExpiryMax, [&] {
    const auto keys = cluster->client(0).List(request);
    return keys.ok() && keys->count() == 0;
  });
}

void ExpectEqual(const Contents& first, const Contents& other, const std::string& who) {
  for (const auto& [key, copy] : first) {
    const auto found = other.find(key);
    if (found == other.end()) {
      ADD_FAILURE() << "members differ: " << who << " lacks " << key << ", " << copy.seen;
      return;
    }
    if (!(found->second == copy)) {
      ADD_FAILURE() << "members differ: " << key << " is " << copy.seen << " on n1, "
                    << found->second.seen << " on " << who;
      return;
    }
  }
  EXPECT_EQ(first.size(), other.size()) << "members differ: " << who << " has more keys than n1";
}

uint64_t CountLost(const Clients::OnceWrites& acknowledged, const Contents& contents) {
  uint64_t lost = 0;
  for (const auto& [key, value] : acknowledged) {
    const auto found = contents.find(key);
    if (found == contents.end() || found->second.value != value) {
      ++lost;
      if (lost <= kNamedLossesMax) {
        ADD_FAILURE() << "acknowledged write lost: " << key
                      << (found == contents.end() ? "" : ", which holds something else");
      }
    }
  }
  return lost;
}

}  // namespace

uint64_t CheckAgreement(TestCluster* cluster, const Clients& clients) {
  EXPECT_TRUE(AwaitExpiry(cluster)) << "keys do not expire";
  if (!cluster->WaitUntilEqual(kCatchUpMax)) {
    return 0;
  }
  const Contents first = ReadContents(cluster, 0);
  for (size_t node = 1; node < cluster->size(); ++node) {
    ExpectEqual(first, ReadContents(cluster, node), TestCluster::Name(node));
  }
  return CountLost(clients.AcknowledgedOnce(), first);
}

}  // namespace raftkv::chaos
