// Every bound of keys, values and what is done with them that is not a flag.
#pragma once

#include <cstdint>

#include "base/clock.h"

namespace raftkv::kv {

inline constexpr uint64_t kMiB = 1 << 20;

// Keys, in bytes.
inline constexpr uint64_t kKeyBytesMax = 4096;
// Most that --value_bytes_max can be set to.
inline constexpr uint64_t kValueBytesMaxCeiling = 3 * kMiB;
// Bytes of a key that a message repeats.
inline constexpr uint64_t kEchoedKeyBytesMax = 64;
// 10 years.
inline constexpr int64_t kTtlSecondsMax = 315'360'000;

// Keys of a page: when the request does not say, and at most.
inline constexpr int32_t kPageSizeDefault = 100;
inline constexpr int32_t kPageSizeMax = 10'000;
// Bytes of keys and values in a page, and of previous values in an answer.
inline constexpr uint64_t kPageBytesMax = 3 * kMiB;
inline constexpr uint64_t kPreviousBytesMax = 3 * kMiB;

// Of a transaction with all that are within it; their depth counts from 1. Each range makes another
// walk over all keys that the run has met, so there are fewer of those.
inline constexpr uint64_t kTxnOperationsMax = 10'000;
inline constexpr uint64_t kTxnGuardsMax = 10'000;
inline constexpr uint64_t kTxnRangesMax = 1000;
inline constexpr uint64_t kTxnDepthMax = 8;
// Keys that its ranges hold, unless --delete_range_keys_max is more.
inline constexpr uint64_t kTxnScannedKeysMax = 100'000;
// Bytes of a transaction besides one value of the largest kind.
inline constexpr uint64_t kTxnSlackBytes = 1 * kMiB;
// Bytes of keys and values in its answer: one of the largest finds room.
inline constexpr uint64_t kTxnAnswerBytesMax = 3 * kMiB + (64 << 10);

// Request ids: their bytes, for how long each is remembered, and how many ids and bytes, answers
// included, are remembered before new ones are refused.
inline constexpr uint64_t kRequestIdBytesMax = 64;
inline constexpr uint64_t kRequestKeepMs = 10 * 60 * 1000;
inline constexpr uint64_t kRequestIdsMax = 10'000'000;
inline constexpr uint64_t kRequestBytesMax = 1024 * kMiB;

// Leases of the store, and keys of one: all of these go at one revision, and so in one command. How
// long a lease lives without a renewal; at most as long as a key.
inline constexpr uint64_t kLeasesMax = 100'000;
inline constexpr uint64_t kLeaseKeysMax = 10'000;
inline constexpr int64_t kLeaseTtlSecondsMin = 1;
// Leases of a list, when the request does not say and at most.
inline constexpr int32_t kLeaseListDefault = 1000;
inline constexpr int32_t kLeaseListMax = 10'000;

// Reads that wait for a revision to be applied.
inline constexpr uint64_t kRevisionWaitersMax = 4096;
// Writes that wait for the cluster version that they need, how long, and what they hold in sum.
inline constexpr uint64_t kVersionWaitersMax = 4096;
inline constexpr MonotonicNanos kVersionWait = 3 * kNanosPerSecond;
inline constexpr uint64_t kVersionWaitBytesMax = 16 * kMiB;
// Questions for hashes that wait for an entry to be applied.
inline constexpr uint64_t kIndexWaitersMax = 64;
// Changes of members that wait for each other, and members of a cluster.
inline constexpr uint64_t kMembershipChangesMax = 16;
inline constexpr uint64_t kMembersMax = 32;
// What a read in the past remembers at a time of what was done since.
inline constexpr uint64_t kPastChangesBytesMax = 2 * kMiB;
// How often a member finds out at least whether its state is fresh, while it hears a leader.
inline constexpr MonotonicNanos kAgeCheckInterval = kNanosPerSecond;
// How old a state a read may ask for, in seconds.
inline constexpr int64_t kStalenessSecondsMax = 86'400;
// Watches of one member.
inline constexpr uint64_t kWatchesMax = 32'768;
// A list of more keys waits with the counts.
inline constexpr uint64_t kShortListKeysMax = 1000;

}  // namespace raftkv::kv
