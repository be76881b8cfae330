#include "client/ctl/top_screen.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/ctl/escape.h"
#include "client/ctl/output.h"
#include "client/ctl/table.h"

namespace raftkv::ctl {
namespace {

constexpr char kUnknown[] = "-";

// What the members that answered agree on, as far as they do.
struct Cluster {
  size_t answers = 0;
  std::optional<uint64_t> leader = std::nullopt;  // Of the newest term that anybody knows.
  uint64_t term = 0;
  int64_t revision = 0;
  int64_t keys = 0;
  uint64_t commit_index = 0;
  double operations = 0;
};

double PerSecond(const MemberStatus& status, int64_t count) {
  const double seconds = absl::ToDoubleSeconds(status.requests.window);
  return seconds > 0 ? static_cast<double>(count) / seconds : 0;
}

Cluster Summarize(const TopSnapshot& snapshot) {
  Cluster cluster;
  for (const TopMember& member : snapshot.members) {
    if (!member.status.ok()) {
      continue;
    }
    const MemberStatus& status = *member.status;
    ++cluster.answers;
    if (status.header.raft_term > cluster.term) {
      cluster.term = status.header.raft_term;
      cluster.leader.reset();
    }
    if (status.header.raft_term == cluster.term && status.header.leader_id != 0) {
      cluster.leader = status.header.leader_id;
    }
    if (status.header.revision >= cluster.revision) {
      cluster.revision = status.header.revision;
      cluster.keys = status.key_count;
    }
    cluster.commit_index = std::max(cluster.commit_index, status.commit_index);
    cluster.operations += PerSecond(status, status.requests.reads.count) +
                          PerSecond(status, status.requests.writes.count);
  }
  return cluster;
}

std::string NameOf(const TopSnapshot& snapshot, uint64_t id) {
  for (const TopMember& member : snapshot.members) {
    if (member.member.id == id) {
      return member.member.name;
    }
  }
  return absl::StrCat("member ", id);
}

std::string FormatRate(double per_second) {
  return per_second > 0 && per_second < 10 ? absl::StrFormat("%.1f", per_second)
                                           : absl::StrFormat("%.0f", per_second);
}

std::string FormatLatency(const Latency& latency) {
  if (latency.count == 0) {
    return kUnknown;
  }
  const double millis = absl::ToDoubleMilliseconds(latency.p99);
  if (millis >= 1000) {
    return absl::StrFormat("%.1f s", millis / 1000);
  }
  return millis >= 10 ? absl::StrFormat("%.0f ms", millis) : absl::StrFormat("%.2f ms", millis);
}

std::string FormatUptime(absl::Duration uptime) {
  const int64_t minutes = absl::ToInt64Minutes(uptime);
  if (minutes >= 24 * 60) {
    return absl::StrCat(minutes / (24 * 60), "d", minutes / 60 % 24, "h");
  }
  if (minutes >= 60) {
    return absl::StrCat(minutes / 60, "h", minutes % 60, "m");
  }
  return absl::StrCat(minutes, "m", absl::ToInt64Seconds(uptime) % 60, "s");
}

struct Column {
  const char* name;
  // Those with the greatest are left out first.
  int priority;
  bool left;
  std::function<std::string(const MemberStatus& status)> cell;
};

// All but the member's name and state.
std::vector<Column> Columns(const Cluster& cluster) {
  return {
      {"LAG", 1, false,
       [&cluster](const MemberStatus& status) {
         return absl::StrCat(cluster.commit_index -
                             std::min(cluster.commit_index, status.applied_index));
       }},
      {"WRITES/S", 2, false,
       [](const MemberStatus& status) {
         return FormatRate(PerSecond(status, status.requests.writes.count));
       }},
      {"READS/S", 2, false,
       [](const MemberStatus& status) {
         return FormatRate(PerSecond(status, status.requests.reads.count));
       }},
      {"FAILED/S", 6, false,
       [](const MemberStatus& status) {
         return FormatRate(PerSecond(status, status.requests.failed.count));
       }},
      {"WRITE P99", 3, false,
       [](const MemberStatus& status) { return FormatLatency(status.requests.writes); }},
      {"READ P99", 4, false,
       [](const MemberStatus& status) { return FormatLatency(status.requests.reads); }},
      {"SYNC P99", 3, false,
       [](const MemberStatus& status) { return FormatLatency(status.requests.syncs); }},
      {"DISK", 5, false, [](const MemberStatus& status) { return FormatBytes(status.disk_bytes); }},
      {"MEMORY", 5, false,
       [](const MemberStatus& status) { return FormatBytes(status.memory.resident_bytes); }},
      {"UP", 7, false, [](const MemberStatus& status) { return FormatUptime(status.uptime); }},
      {"VERSION", 8, true, [](const MemberStatus& status) { return status.version; }}};
}

// REQUIRES: text is UTF-8.
std::string Clip(std::string text, size_t columns) {
  if (columns == 0 || DisplayWidth(text) <= columns) {
    return text;
  }
  size_t end = 0;
  for (size_t width = 0; end < text.size(); ++end) {
    if ((static_cast<unsigned char>(text[end]) & 0xC0) != 0x80 && width++ == columns) {
      break;
    }
  }
  return text.substr(0, end);
}

// Cells under each other, two blanks between them.
class Grid {
 public:
  void AddColumn(std::string name, int priority, bool left, std::vector<std::string> cells) {
    size_t width = DisplayWidth(name);
    for (const std::string& cell : cells) {
      width = std::max(width, DisplayWidth(cell));
    }
    cells.insert(cells.begin(), std::move(name));
    columns_.push_back({priority, left, width, std::move(cells)});
  }
  // Leaves columns out until the others fit.
  void FitTo(size_t width) {
    while (width != 0 && Width() > width) {
      const auto last =
          std::max_element(columns_.begin(), columns_.end(),
                           [](const Cells& a, const Cells& b) { return a.priority <= b.priority; });
      if (last->priority == 0) {
        return;
      }
      columns_.erase(last);
    }
  }
  // Row 0 is the names.
  std::string Row(size_t row) const {
    std::string line;
    for (const Cells& column : columns_) {
      const std::string& cell = column.cells[row];
      const std::string blanks(column.width - DisplayWidth(cell), ' ');
      absl::StrAppend(&line, line.empty() ? "" : "  ", column.left ? cell : blanks,
                      column.left ? blanks : cell);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    return line;
  }

 private:
  struct Cells {
    int priority;
    bool left;
    size_t width;
    std::vector<std::string> cells;
  };

  size_t Width() const {
    size_t width = 0;
    for (const Cells& column : columns_) {
      width += column.width + (width == 0 ? 0 : 2);
    }
    return width;
  }

  std::vector<Cells> columns_;
};

ScreenLine Title(const TopSnapshot& snapshot, const Cluster& cluster) {
  const std::string time = absl::FormatTime("%H:%M:%S", snapshot.taken, absl::LocalTimeZone());
  if (cluster.answers == 0) {
    return {absl::StrCat(time, "  no member answers"), LineStyle::kBad};
  }
  const std::string rest =
      absl::StrCat(", term ", cluster.term, ", ", cluster.answers, " of ", snapshot.members.size(),
                   " members answer, ", FormatRate(cluster.operations), " ops/s, revision ",
                   cluster.revision, ", ", cluster.keys, cluster.keys == 1 ? " key" : " keys");
  if (!cluster.leader.has_value()) {
    return {absl::StrCat(time, "  NO LEADER", rest), LineStyle::kBad};
  }
  return {absl::StrCat(time, "  leader ", NameOf(snapshot, *cluster.leader), rest)};
}

Grid MakeGrid(const TopSnapshot& snapshot, const Cluster& cluster) {
  Grid grid;
  std::vector<std::string> names;
  std::vector<std::string> states;
  for (const TopMember& member : snapshot.members) {
    names.push_back(EscapeControls(member.member.name, Newlines::kEscape));
    states.push_back(member.status.ok() ? std::string(StateName(*member.status)) : "down");
  }
  grid.AddColumn("MEMBER", 0, true, std::move(names));
  grid.AddColumn("STATE", 0, true, std::move(states));
  for (const Column& column : Columns(cluster)) {
    std::vector<std::string> cells;
    for (const TopMember& member : snapshot.members) {
      cells.push_back(member.status.ok()
                          ? EscapeControls(column.cell(*member.status), Newlines::kEscape)
                          : kUnknown);
    }
    grid.AddColumn(column.name, column.priority, column.left, std::move(cells));
  }
  return grid;
}

LineStyle StyleOf(const TopMember& member) {
  if (!member.status.ok()) {
    return LineStyle::kBad;
  }
  return member.status->raft_state == RaftState::kLeader ? LineStyle::kGood : LineStyle::kPlain;
}

// What went wrong, and what members warn of.
std::vector<ScreenLine> Notes(const TopSnapshot& snapshot) {
  std::vector<ScreenLine> notes;
  const auto add = [&notes](absl::string_view who, absl::string_view text) {
    notes.push_back(
        {EscapeControls(absl::StrCat(who, ": ", text), Newlines::kEscape), LineStyle::kBad});
  };
  if (!snapshot.list_status.ok()) {
    add("members", snapshot.list_status.message());
  }
  for (const TopMember& member : snapshot.members) {
    if (!member.status.ok()) {
      add(member.member.name, member.status.status().message());
      continue;
    }
    for (const std::string& warning : member.status->warnings) {
      add(member.member.name, warning);
    }
  }
  return notes;
}

}  // namespace

std::vector<ScreenLine> DrawTop(const TopSnapshot& snapshot, const ScreenSize& size) {
  const Cluster cluster = Summarize(snapshot);
  Grid grid = MakeGrid(snapshot, cluster);
  grid.FitTo(size.columns);
  std::vector<ScreenLine> lines = {Title(snapshot, cluster)};
  if (!snapshot.members.empty()) {
    lines.push_back({grid.Row(0), LineStyle::kHeader});
  }
  for (size_t i = 0; i < snapshot.members.size(); ++i) {
    // One row is for whoever has none.
    const size_t left = snapshot.members.size() - i;
    if (size.rows != 0 && left > 1 && lines.size() + 1 >= size.rows) {
      lines.push_back({absl::StrCat(left, " more members"), LineStyle::kPlain});
      break;
    }
    lines.push_back({grid.Row(i + 1), StyleOf(snapshot.members[i])});
  }
  for (ScreenLine& note : Notes(snapshot)) {
    lines.push_back(std::move(note));
  }
  if (size.rows != 0 && lines.size() > size.rows) {
    lines.resize(size.rows);
  }
  for (ScreenLine& line : lines) {
    line.text = Clip(std::move(line.text), size.columns);
  }
  return lines;
}

}  // namespace raftkv::ctl
