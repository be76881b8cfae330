#include "client/ctl/import.h"

#include <atomic>
#include <cerrno>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "client/ctl/csv.h"
#include "client/ctl/json_lines.h"
#include "client/ctl/progress.h"

namespace raftkv::ctl {
namespace {

enum class ReadOutcome { kLine, kTooLong, kEnd };

// Of a line that is too long only the beginning is read.
ReadOutcome ReadLine(std::istream& in, std::string* text) {
  text->clear();
  std::streambuf& bytes = *in.rdbuf();
  using Traits = std::streambuf::traits_type;
  while (text->size() <= kImportLineBytesMax) {
    const Traits::int_type byte = bytes.sbumpc();
    if (Traits::eq_int_type(byte, Traits::eof())) {
      return text->empty() ? ReadOutcome::kEnd : ReadOutcome::kLine;
    }
    if (byte == '\n') {
      return ReadOutcome::kLine;
    }
    text->push_back(Traits::to_char_type(byte));
  }
  return ReadOutcome::kTooLong;
}

// What readers call with each key and the number of its line, until it returns false. They return
// how many keys there were, or what is wrong with one, naming its line.
using Visit = absl::FunctionRef<bool(JsonLine line, int64_t number)>;

absl::Status BadLine(const std::string& name, int64_t line, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(name, ":", line, ": ", what));
}

absl::StatusOr<int64_t> ReadJsonLines(const std::string& name, std::istream& in, Visit visit) {
  int64_t number = 0;
  int64_t keys = 0;
  std::string text;
  for (ReadOutcome read = ReadLine(in, &text); read != ReadOutcome::kEnd;
       read = ReadLine(in, &text)) {
    ++number;
    if (read == ReadOutcome::kTooLong) {
      return BadLine(name, number,
                     absl::StrCat("it has more than ", kImportLineBytesMax, " bytes"));
    }
    if (text.empty()) {
      continue;
    }
    absl::StatusOr<JsonLine> line = ParseJsonLine(text);
    if (!line.ok()) {
      return BadLine(name, number, line.status().message());
    }
    ++keys;
    if (!visit(*std::move(line), number)) {
      return keys;
    }
  }
  return keys;
}

absl::StatusOr<int64_t> ReadCsv(const std::string& name, std::istream& in, Visit visit) {
  CsvReader reader(in, kImportLineBytesMax);
  for (int64_t keys = 0;; ++keys) {
    absl::StatusOr<std::optional<JsonLine>> line = reader.Next();
    if (!line.ok()) {
      return BadLine(name, reader.line(), line.status().message());
    }
    if (!line->has_value()) {
      return keys;
    }
    if (!visit(**std::move(line), reader.line())) {
      return keys + 1;
    }
  }
}

bool IsCsv(const ImportCommand& command) {
  return command.format.empty() ? absl::EndsWithIgnoreCase(command.file, ".csv")
                                : command.format == "csv";
}

absl::StatusOr<int64_t> ReadKeys(bool is_csv, const std::string& name, std::istream& in,
                                 Visit visit) {
  return is_csv ? ReadCsv(name, in, visit) : ReadJsonLines(name, in, visit);
}

// Knows which lines the writes are of that are not settled. Thread-safe.
class LinesOfWrites {
 public:
  explicit LinesOfWrites(size_t writes_max) : lines_(writes_max) {}

  void Set(uint64_t write, int64_t line) {
    MutexLock lock(&mutex_);
    lines_[write % lines_.size()] = line;
  }
  int64_t Of(uint64_t write) const {
    MutexLock lock(&mutex_);
    return lines_[write % lines_.size()];
  }

 private:
  mutable Mutex mutex_;
  std::vector<int64_t> lines_ ABSL_GUARDED_BY(mutex_);
};

// The failure of a write, with where it comes from.
absl::Status Located(const std::string& name, int64_t line, const BulkError& error) {
  absl::Status located(error.status.code(), absl::StrCat(name, ":", line, ": key \"", error.key,
                                                         "\": ", error.status.message()));
  error.status.ForEachPayload([&located](absl::string_view url, const absl::Cord& payload) {
    located.SetPayload(url, payload);
  });
  return located;
}

}  // namespace

ImportResult Import(const ImportCommand& command, Client& client, const Terminal& terminal) {
  ImportResult result;
  const bool from_stream = command.file == "-";
  const std::string name = from_stream ? "stdin" : command.file;
  const bool is_csv = IsCsv(command);
  std::ifstream file;
  int64_t total = 0;
  if (!from_stream) {
    file.open(command.file);
    if (!file) {
      result.of_file = absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", name));
      return result;
    }
    const absl::StatusOr<int64_t> keys =
        ReadKeys(is_csv, name, file, [](const JsonLine&, int64_t) { return true; });
    if (!keys.ok()) {
      result.of_file = keys.status();
      return result;
    }
    total = *keys;
    file.clear();
    file.seekg(0);
  }
  BulkWriterOptions options;
  LinesOfWrites lines(options.writes_max);
  std::atomic<bool> has_failed = false;
  absl::Status failure;  // The first; of the writer's thread until all is flushed.
  options.on_error = [&](const BulkError& error) {
    if (!has_failed) {
      failure = Located(name, lines.Of(error.number), error);
    }
    has_failed = true;
  };
  const absl::StatusOr<std::unique_ptr<BulkWriter>> writer = client.NewBulkWriter(options);
  if (!writer.ok()) {
    result.of_server = writer.status();
    return result;
  }
  const SystemMonotonicClock clock;
  Progress progress(terminal.err, terminal.err_is_terminal, Progress::Unit::kKeys, &clock);
  absl::Status refused;
  const absl::StatusOr<int64_t> keys = ReadKeys(
      is_csv, name, from_stream ? terminal.in : file, [&](const JsonLine& line, int64_t number) {
        lines.Set((*writer)->counts().added, number);
        refused = (*writer)->Put(line.key, line.value, line.ttl);
        if (!refused.ok()) {
          refused = Located(name, number, {.key = line.key, .status = refused});
        }
        progress.Update(static_cast<int64_t>((*writer)->counts().done), total);
        return refused.ok() && !has_failed;
      });
  static_cast<void>((*writer)->Flush());  // The first failure is there with its place.
  progress.End();
  result.written = static_cast<int64_t>((*writer)->counts().done);
  result.of_file = keys.status();
  result.of_server = failure.ok() ? refused : failure;
  return result;
}

absl::Status Export(const ExportCommand& command, absl::Duration silence_max, Client& client,
                    const Terminal& terminal) {
  ScanOptions options;
  options.consistency = command.consistency;
  options.silence_max = silence_max;
  // A line that is written over, among the keys of a terminal, would serve nobody.
  const bool shows_progress = terminal.err_is_terminal && !terminal.out_is_terminal;
  int64_t total = 0;
  if (shows_progress) {
    RAFTKV_ASSIGN_OR_RETURN(const ListResult counted,
                            client.List(Prefix{command.prefix},
                                        {.count_only = true, .consistency = command.consistency}));
    total = counted.count;
  }
  const SystemMonotonicClock clock;
  Progress progress(terminal.err, terminal.err_is_terminal, Progress::Unit::kKeys, &clock);
  int64_t printed = 0;
  int64_t leased = 0;
  const bool is_csv = command.format == "csv";
  if (is_csv) {
    terminal.out << CsvHeader();
  }
  const absl::Status listed =
      client.Scan(Prefix{command.prefix}, options, [&](const ScanChunk& chunk) {
        for (const KeyValue& kv : chunk.kvs) {
          if (kv.lease_id != 0) {
            // It says that somebody is alive, and would say so for ever where it is loaded.
            ++leased;
            continue;
          }
          // One that is due is as good as gone.
          if (!kv.ttl_remaining.has_value() || *kv.ttl_remaining >= absl::Milliseconds(1)) {
            terminal.out << (is_csv ? ToCsvRecord(kv) : ToJsonLine(kv));
            ++printed;
          }
        }
        if (shows_progress) {
          progress.Update(printed, total);
        }
        return terminal.out.good();
      });
  progress.End();
  if (leased > 0) {
    terminal.err << leased << " keys that hang on a lease are left out\n";
  }
  return listed;
}

}  // namespace raftkv::ctl
