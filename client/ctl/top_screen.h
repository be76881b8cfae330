// What raftkvctl top shows: one look at a cluster, as lines.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/types.h"

namespace raftkv::ctl {

struct TopMember {
  Member member = {};
  absl::StatusOr<MemberStatus> status;
};

// All that was found out at one moment.
struct TopSnapshot {
  absl::Time taken = {};
  // Why the members are those of an earlier moment, or none; OK: they are of this one.
  absl::Status list_status = {};
  std::vector<TopMember> members = {};
};

struct ScreenSize {
  size_t columns = 0;  // 0: as many as it takes
  size_t rows = 0;     // the same
};

enum class LineStyle { kPlain, kHeader, kGood, kBad };

struct ScreenLine {
  std::string text = {};  // UTF-8 without control characters
  LineStyle style = LineStyle::kPlain;
};

// Never more or longer lines than the screen has: columns that matter less are left out, and
// members beyond its rows are counted.
std::vector<ScreenLine> DrawTop(const TopSnapshot& snapshot, const ScreenSize& size);

}  // namespace raftkv::ctl
