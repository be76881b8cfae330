#!/usr/bin/env bash
# RocksDB 7.8.3 (Debian 12: librocksdb-dev 7.8.3-2): a write-ahead log goes as soon as what it holds is flushed or
# belongs to a dropped family. The sequence numbers of the dropped rows are then in no table and in no log, so the logs
# that are left begin with a jump. A WalFilter that stops at jumps, because after a power cut they mean lost writes,
# stops there and loses what was synced after the drop. Flushing a family that was written after the dropped one's last
# row, before the drop, takes the hole away: the tables then name a later number.
#
# Seen:     100 rows of a family that is dropped: tables up to 101, the log goes on with 202
# Expected: a log that goes on where the tables end, as after a flush of everything.
# Needs apt-get and g++. Exit 0: behaves so; 1: it changed; 2: could not be tried.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
readonly VERSION=7.8.3-2
if ! apt-get download -q "librocksdb-dev=$VERSION" "librocksdb7.8=$VERSION" >/dev/null 2>&1; then
  echo "the packages are not to be had"
  exit 2
fi
for package in ./*.deb; do dpkg -x "$package" root; done
cat >hole.cc <<'CC'
#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "rocksdb/db.h"
#include "rocksdb/transaction_log.h"

// With "flush" as the second argument the family that is written last is flushed before the drop.
int main(int, char** argv) {
  rocksdb::Options options;
  options.create_if_missing = true;
  rocksdb::DB* db = nullptr;
  if (!rocksdb::DB::Open(options, argv[1], &db).ok()) return 3;
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  if (!db->CreateColumnFamilies(options, {"log", "state", "meta"}, &handles).ok()) return 3;
  rocksdb::ColumnFamilyHandle* const log = handles[0];
  rocksdb::ColumnFamilyHandle* const state = handles[1];
  rocksdb::ColumnFamilyHandle* const meta = handles[2];
  bool ok = db->Put({}, meta, "m", "1").ok();
  for (int i = 0; i < 100; ++i) ok = ok && db->Put({}, log, std::to_string(i), "v").ok();
  for (int i = 0; i < 100; ++i) ok = ok && db->Put({}, state, std::to_string(i), "v").ok();
  // Begins a new write-ahead log.
  ok = ok && db->Flush({}, meta).ok() && db->Put({}, meta, "m", "2").ok() && db->SyncWAL().ok();
  if (std::string(argv[2]) == "flush") ok = ok && db->Flush({}, meta).ok();
  // What happens at some time after it: the oldest write-ahead log is not needed any more.
  ok = ok && db->DropColumnFamily(state).ok() && db->Flush({}, log).ok();
  if (!ok) return 3;
  rocksdb::VectorLogPtr wals;
  if (!db->GetSortedWalFiles(wals).ok()) return 3;
  uint64_t newest = 0;
  std::vector<rocksdb::LiveFileMetaData> tables;
  db->GetLiveFilesMetaData(&tables);
  for (const auto& table : tables) newest = std::max<uint64_t>(newest, table.largest_seqno);
  for (const auto& wal : wals) {
    if (wal->Type() != rocksdb::kAliveLogFile || wal->SizeFileBytes() == 0) continue;
    std::printf("tables up to %" PRIu64 ", the log goes on with %" PRIu64 "\n", newest,
                wal->StartSequence());
    return wal->StartSequence() <= newest + 1 ? 0 : 9;
  }
  std::printf("tables up to %" PRIu64 ", no log\n", newest);
  return 0;
}
CC
readonly LIBRARY=root/usr/lib/x86_64-linux-gnu
if ! g++ -std=c++17 -O1 -I root/usr/include hole.cc -o hole -L "$LIBRARY" -lrocksdb -pthread; then
  echo "the program does not build"
  exit 2
fi
export LD_LIBRARY_PATH=$LIBRARY
# run <"flush" or "no">: 0: no hole, 9: a hole.
run() {
  local status=0
  ./hole "$folder/$1" "$1" || status=$?
  if ((status != 0 && status != 9)); then
    echo "the program failed: $status" >&2
    exit 2
  fi
  return "$status"
}
if ! run flush; then
  echo "a flush before the drop does not help"
  exit 1
fi
if run no; then
  echo "a drop leaves no hole"
  exit 1
fi
echo "a drop leaves a hole in the sequence numbers"
