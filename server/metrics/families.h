// Every metric by name. docs/METRICS.md has the same list, and a test compares the two.
#pragma once

#include "server/metrics/family_list.h"
#include "server/metrics/loop_figures.h"
#include "storage/database_figures.h"

namespace raftkv::server {

// The member: who it is, its keys, memory and disk, and the calls of its clients.
void AddMember(const LoopFigures& figures, FamilyList* list);
// Its part in the cluster: raft, proposals and reads, snapshots, and the connections to others.
void AddRaft(const LoopFigures& figures, FamilyList* list);
// Its log on the disk, and RocksDB.
void AddStorage(const storage::LogDiskCounts& log, const storage::DatabaseFigures& database,
                FamilyList* list);
// The process, as the system sees it. Reads /proc; what it does not find there is left out.
void AddProcess(FamilyList* list);

}  // namespace raftkv::server
