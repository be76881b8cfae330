// What clients of registers were told, and whether that can be true of a linearizable store that
// loses nothing.
//
// Each key is written by one writer at a time with values of its own ("<number>@<key>"), and never
// deleted. So its version counts the writes that happened, and its mod_revision orders everything
// that anybody may see of it:
//   - a write acknowledged at revision r may not be missing from an answer that was asked for
//     later, nor may what an earlier answer showed;
//   - two answers with the same mod_revision hold the same value;
//   - a value that was reported as not written is never seen;
//   - at the end, acknowledged writes <= version <= acknowledged writes + writes of unknown
//     outcome.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "tests/support/rpc.h"

namespace raftkv::integration {

// Thread-safe.
class RegisterHistory {
 public:
  struct Counts {
    uint64_t acknowledged = 0;
    uint64_t refused = 0;  // certainly not written
    uint64_t unknown = 0;
    uint64_t reads = 0;
    uint64_t failed_reads = 0;
  };
  // What an answer must reflect that is asked for now.
  struct Floor {
    int64_t key_revision = 0;
    int64_t store_revision = 0;
  };

  // The value to write next to a key. REQUIRES: the write before it on this key was reported by
  // EndWrite.
  std::string BeginWrite(const std::string& key);
  void EndWrite(const std::string& key, const std::string& value,
                const Reply<v1::PutResponse>& reply);

  Floor BeginRead(const std::string& key) const;
  // `who` names the member that answered, for the report.
  void EndRead(const std::string& key, const Floor& floor, const Reply<v1::GetResponse>& reply,
               const std::string& who);

  // Reads every key from a member, linearizably, and holds it against everything known. REQUIRES:
  // no write is under way.
  void VerifyFinalState(NodeClient* client);
  // Holds what a member answered for a key against everything known. REQUIRES: no write is under
  // way.
  void CheckFinal(const std::string& key, const v1::KeyValue& kv, const std::string& who);

  std::vector<std::string> violations() const;
  Counts counts() const;

 private:
  struct Register {
    uint64_t next_number = 1;
    int64_t acknowledged = 0;
    int64_t newest_revision = 0;
    std::map<int64_t, std::string> values_by_revision;
    std::set<std::string> unknown;
    std::set<std::string> refused;
  };

  // Notes that `key` held `value` as of `revision`.
  void Observe(const std::string& key, int64_t revision, const std::string& value,
               const std::string& who) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AddViolation(const std::string& what) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable Mutex mutex_;
  std::map<std::string, Register> registers_ ABSL_GUARDED_BY(mutex_);
  int64_t newest_store_revision_ ABSL_GUARDED_BY(mutex_) = 0;
  Counts counts_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> violations_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace raftkv::integration
