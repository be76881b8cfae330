// OperationOrder says which of a client's operations have to wait for which before them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "raftkv/v1/kv.pb.h"

namespace raftkv::server {

// Those of one key come one after the other. One that may be about any key, a transaction with a
// range, waits for all before it, and all after it wait for it. Confined to one thread.
class OperationOrder final {
 public:
  // The next one, at a place above all before. Returns whether it may begin at once.
  // REQUIRES: its kind is set.
  bool Add(uint64_t place, const v1::BatchOp& op);
  // It is over: appends those to `ready` that may begin now, first come first.
  // REQUIRES: it was added, and might begin.
  void Remove(uint64_t place, std::vector<uint64_t>* ready);

 private:
  struct Node {
    std::vector<std::string> keys;
    uint64_t waits_for = 0;
    // Places of those that wait for it, ascending.
    std::vector<uint64_t> followers;
  };

  // All that are not over, by place.
  absl::btree_map<uint64_t, Node> nodes_;
  // The newest that may be about any key.
  std::optional<uint64_t> barrier_;
  // The newest of each key since then.
  absl::flat_hash_map<std::string, uint64_t> last_of_key_;
};

}  // namespace raftkv::server
