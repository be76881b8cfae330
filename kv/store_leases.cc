// What a Store reads of leases.
#include <optional>
#include <string>
#include <utility>

#include "kv/errors.h"
#include "kv/store.h"

namespace raftkv::kv {

void Store::GetLease(int64_t id, std::optional<std::string> keys_after,
                     const ReadFreshness& freshness, Done<FoundLease> done) {
  AwaitFreshness(freshness, [this, id, keys_after = std::move(keys_after), freshness,
                             done = std::move(done)](const absl::Status& fresh) mutable {
    if (fresh.ok()) {
      GetLeaseNow(id, keys_after, freshness.deadline, std::move(done));
    } else {
      done(fresh);
    }
  });
}

void Store::GetLeaseNow(int64_t id, const std::optional<std::string>& keys_after,
                        MonotonicNanos deadline, Done<FoundLease> done) {
  const Lease* const lease = state_machine_.leases().Find(id);
  if (lease == nullptr) {
    done(LeaseNotFoundError(id));
    return;
  }
  FoundLease found{.at = PointNow(/*age=*/std::nullopt),
                   .lease = *lease,
                   .term_began = state_machine_.lease_totals().term_began,
                   .keys = {}};
  if (!keys_after.has_value() || lease->keys == 0) {
    done(std::move(found));
    return;
  }
  ReadOnPool(
      &pool_, DiskPool::Length::kLong, deadline,
      [this, done, found, after = *keys_after](const KvView& view, const GivenUp& given_up) {
        auto keys = view.FindLeaseKeys(found.lease.id, after, kPageBytesMax, given_up);
        return [this, done, found, keys = std::move(keys)]() mutable {
          if (keys.ok()) {
            found.keys = *std::move(keys);
            done(std::move(found));
          } else {
            done(ReadError(keys.status()));
          }
        };
      },
      done);
}

void Store::ListLeases(int64_t after, size_t max, const ReadFreshness& freshness,
                       Done<LeaseList> done) {
  AwaitFreshness(freshness, [this, after, max, done = std::move(done)](const absl::Status& fresh) {
    if (!fresh.ok()) {
      done(fresh);
      return;
    }
    LeaseList found{.at = PointNow(/*age=*/std::nullopt),
                    .term_began = state_machine_.lease_totals().term_began,
                    .leases = {}};
    const LeaseTable::Leases& leases = state_machine_.leases().leases();
    for (auto lease = leases.upper_bound(after); lease != leases.end(); ++lease) {
      if (found.leases.size() == max) {
        found.more = true;
        break;
      }
      found.leases.push_back(lease->second);
    }
    done(std::move(found));
  });
}

}  // namespace raftkv::kv
