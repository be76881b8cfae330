#!/usr/bin/env bash
# RocksDB 7.8.3 as Debian 12 ships it (librocksdb7.8 7.8.3-2) is built without NDEBUG: its assertions run. Those of the
# memtable's skip list compare keys, so that a search compares the key that it looks for once more wherever it goes on,
# and the keys it passes with each other: a Get or a Put in the memtable costs accordingly more than with RocksDB's own
# release build. A state that an assertion does not expect ends the process, where that build would report corruption.
#
# Seen:     some 85 comparisons for a Get among 100,000 keys, 25 of them between two keys that it does not look for
# Expected: none of those: a search only has to compare with the key that it looks for.
# Needs apt-get, g++ and the libraries that librocksdb7.8 depends on. Exit 0: behaves so; 1: it changed; 2: could not be
# tried.
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
cat >gets.cc <<'CC'
#include <rocksdb/comparator.h>
#include <rocksdb/db.h>
#include <rocksdb/options.h>

#include <cstdio>
#include <string>

// As the usual comparator, and writes down what it is asked.
class Counting final : public rocksdb::Comparator {
 public:
  const char* Name() const override { return "counting"; }
  int Compare(const rocksdb::Slice& a, const rocksdb::Slice& b) const override {
    if (counts) {
      ++comparisons;
      if (a != rocksdb::Slice(wanted) && b != rocksdb::Slice(wanted)) ++of_others;
    }
    return a.compare(b);
  }
  void FindShortestSeparator(std::string*, const rocksdb::Slice&) const override {}
  void FindShortSuccessor(std::string*) const override {}

  bool counts = false;
  std::string wanted;
  mutable long comparisons = 0;
  mutable long of_others = 0;
};

int main() {
  Counting comparator;
  rocksdb::Options options;
  options.create_if_missing = true;
  options.comparator = &comparator;
  rocksdb::DB* db = nullptr;
  if (!rocksdb::DB::Open(options, "db", &db).ok()) return 2;
  const auto key = [](int i) { return "key" + std::to_string(1000000 + i * 7919L % 100000); };
  for (int i = 0; i < 100000; ++i) {
    if (!db->Put({}, key(i), "value").ok()) return 2;
  }
  comparator.counts = true;
  constexpr int kGets = 1000;
  for (int i = 0; i < kGets; ++i) {
    std::string value;
    comparator.wanted = key(i * 97);
    if (!db->Get({}, comparator.wanted, &value).ok()) return 2;
  }
  comparator.counts = false;
  delete db;
  std::printf("a Get compares %.0f times, %.0f of them between two keys that it does not look for\n",
              1.0 * comparator.comparisons / kGets, 1.0 * comparator.of_others / kGets);
  return comparator.of_others > 5 * kGets ? 0 : 1;
}
CC
libraries=root/usr/lib/$(dpkg-architecture -qDEB_HOST_MULTIARCH 2>/dev/null || echo x86_64-linux-gnu)
if ! g++ -O2 -std=c++17 -isystem root/usr/include gets.cc -o gets -L "$libraries" -lrocksdb -pthread; then
  echo "the program cannot be built"
  exit 2
fi
LD_LIBRARY_PATH=$libraries ./gets
