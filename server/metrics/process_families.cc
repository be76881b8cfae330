#include <sys/resource.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "server/metrics/families.h"

namespace raftkv::server {
namespace {

struct Process {
  double cpu_seconds = 0;
  double start_seconds = 0;  // Since 1970.
  double virtual_bytes = 0;
  double resident_bytes = 0;
};

// When the machine started, in seconds since 1970.
std::optional<double> BootTime() {
  std::ifstream stat("/proc/stat");
  for (std::string line; std::getline(stat, line);) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ');
    double seconds = 0;
    if (words.size() == 2 && words[0] == "btime" && absl::SimpleAtod(words[1], &seconds)) {
      return seconds;
    }
  }
  return std::nullopt;
}

// proc(5): the fields of /proc/self/stat have numbers from 1 on, and the second, in brackets, may
// hold anything.
std::optional<Process> ReadProcess() {
  std::ifstream file("/proc/self/stat");
  std::string text;
  std::getline(file, text);
  const size_t name_end = text.rfind(')');
  const std::optional<double> boot = BootTime();
  if (name_end == std::string::npos || !boot.has_value()) {
    return std::nullopt;
  }
  const std::vector<std::string> fields =
      absl::StrSplit(text.substr(name_end + 1), ' ', absl::SkipEmpty());
  const auto field = [&fields](size_t number) {
    double value = 0;
    const size_t at = number - 3;
    return at < fields.size() && absl::SimpleAtod(fields[at], &value) ? value : 0;
  };
  const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  return Process{.cpu_seconds = (field(14) + field(15)) / ticks,
                 .start_seconds = *boot + field(22) / ticks,
                 .virtual_bytes = field(23),
                 .resident_bytes = field(24) * static_cast<double>(sysconf(_SC_PAGESIZE))};
}

}  // namespace

void AddProcess(FamilyList* list) {
  if (const std::optional<Process> process = ReadProcess(); process.has_value()) {
    list->Counter("process_cpu_seconds_total", "CPU time of the process, in user and system.",
                  process->cpu_seconds);
    list->Gauge("process_start_time_seconds", "When the process started, since 1970.",
                process->start_seconds);
    list->Gauge("process_virtual_memory_bytes", "Address space of the process.",
                process->virtual_bytes);
    list->Gauge("process_resident_memory_bytes", "Memory of the process, with its code.",
                process->resident_bytes);
  }
  std::error_code error;
  const std::filesystem::directory_iterator open_files("/proc/self/fd", error);
  if (!error) {
    // Without the one that this is read by.
    const auto count = std::distance(begin(open_files), end(open_files)) - 1;
    list->Gauge("process_open_fds", "Open files and sockets.", static_cast<double>(count));
  }
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    list->Gauge("process_max_fds", "Files and sockets that may be open at once.",
                static_cast<double>(limit.rlim_cur));
  }
}

}  // namespace raftkv::server
