// ConfigurationHistory is which configuration counts along the end of a log: the one that holds as
// of the applied index, and those of the entries after it. A server goes by the newest as soon as
// that is in its log, whether or not it is committed (thesis §4.1), so that cutting the log off
// brings an older one back.
#pragma once

#include <deque>
#include <memory>
#include <string>

#include "raft/core/configuration.h"
#include "raft/core/types.h"

namespace raftkv::raft {

// Confined to one thread.
class ConfigurationHistory {
 public:
  // `applied` holds as of the applied index.
  explicit ConfigurationHistory(Configuration applied);

  // The one that counts. Whenever that is another one, the pointer is another as well.
  const std::shared_ptr<const Configuration>& active() const { return items_.back().configuration; }
  // The payload of the active one's entry; null when it holds as of an applied state from before
  // the start, or of a snapshot.
  const std::shared_ptr<const std::string>& active_payload() const { return items_.back().payload; }
  // Where the active one's entry stands; 0 when it was applied before the start.
  LogIndex active_index() const { return items_.back().index; }
  // Whether `node` votes in the active one or in one that may yet come back. A server that its own
  // newest configuration leaves out may be needed until that is committed (thesis §4.2.2).
  bool MayVote(NodeId node) const;

  // The entry at `index` holds a configuration, and `payload`. REQUIRES: `index` is after
  // active_index() and after the applied index.
  void OnAppended(LogIndex index, std::shared_ptr<const Configuration> configuration,
                  std::shared_ptr<const std::string> payload = nullptr);
  // The entries from `first` on are gone. REQUIRES: they were not applied.
  void OnTruncated(LogIndex first);
  void OnApplied(LogIndex applied);
  // The whole log is gone, and `applied` holds where it begins anew.
  void OnReplaced(const Configuration& applied);

 private:
  struct Item {
    LogIndex index;
    std::shared_ptr<const Configuration> configuration;
    std::shared_ptr<const std::string> payload;
  };

  // By index, never empty. The first holds as of the applied index, the others come after that.
  std::deque<Item> items_;
};

}  // namespace raftkv::raft
