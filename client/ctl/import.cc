#include "client/ctl/import.h"

#include <atomic>
#include <cerrno>
#include <deque>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "base/stable_hash.h"
#include "base/status_macros.h"
#include "client/ctl/json_lines.h"
#include "client/ctl/progress.h"

namespace raftkv::ctl {
namespace {

// Writes lines with many puts at a time. Confined to one thread.
class Writers {
 public:
  explicit Writers(Client& client) : client_(client) {
    for (size_t i = 0; i < kImportThreads; ++i) {
      lanes_.push_back(std::make_unique<Lane>());
    }
    for (const std::unique_ptr<Lane>& lane : lanes_) {
      threads_.emplace_back([this, lane = lane.get()] { Run(lane); });
    }
  }
  ~Writers() { Finish(); }

  // Waits for room. False: a write has failed, and no further one is begun.
  bool Add(JsonLine line) {
    // One lane for a key, so that its writes keep their order.
    Lane& lane = *lanes_[StableHash(line.key) % lanes_.size()];
    MutexLock lock(&lane.mutex);
    while (lane.lines.size() >= kImportQueueMax) {
      lane.changed.Wait(&lane.mutex);
    }
    lane.lines.push_back(std::move(line));
    lane.changed.NotifyAll();
    return !has_failed_;
  }

  // Waits for all that was added.
  void Finish() {
    for (const std::unique_ptr<Lane>& lane : lanes_) {
      MutexLock lock(&lane->mutex);
      lane->ends = true;
      lane->changed.NotifyAll();
    }
    for (std::thread& thread : threads_) {
      thread.join();
    }
    threads_.clear();
  }

  int64_t written() const { return written_; }
  // REQUIRES: finished.
  absl::Status failure() {
    MutexLock lock(&mutex_);
    return failure_;
  }

 private:
  struct Lane {
    Mutex mutex;
    CondVar changed;
    std::deque<JsonLine> lines ABSL_GUARDED_BY(mutex);
    bool ends ABSL_GUARDED_BY(mutex) = false;
  };

  static std::optional<JsonLine> Take(Lane* lane) {
    MutexLock lock(&lane->mutex);
    while (lane->lines.empty() && !lane->ends) {
      lane->changed.Wait(&lane->mutex);
    }
    if (lane->lines.empty()) {
      return std::nullopt;
    }
    JsonLine line = std::move(lane->lines.front());
    lane->lines.pop_front();
    lane->changed.NotifyAll();
    return line;
  }

  void Run(Lane* lane) {
    while (const std::optional<JsonLine> line = Take(lane)) {
      if (has_failed_) {
        continue;
      }
      PutOptions options;
      options.ttl = line->ttl;
      const absl::StatusOr<PutResult> put = client_.Put(line->key, line->value, options);
      if (put.ok()) {
        ++written_;
        continue;
      }
      MutexLock lock(&mutex_);
      if (failure_.ok()) {
        failure_ = put.status();
      }
      has_failed_ = true;
    }
  }

  Client& client_;
  std::atomic<int64_t> written_ = 0;
  std::atomic<bool> has_failed_ = false;
  Mutex mutex_;
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::vector<std::thread> threads_;
};

enum class Read { kLine, kTooLong, kEnd };

// Of a line that is too long only the beginning is read.
Read ReadLine(std::istream& in, std::string* text) {
  text->clear();
  std::streambuf& bytes = *in.rdbuf();
  using Traits = std::streambuf::traits_type;
  while (text->size() <= kImportLineBytesMax) {
    const Traits::int_type byte = bytes.sbumpc();
    if (Traits::eq_int_type(byte, Traits::eof())) {
      return text->empty() ? Read::kEnd : Read::kLine;
    }
    if (byte == '\n') {
      return Read::kLine;
    }
    text->push_back(Traits::to_char_type(byte));
  }
  return Read::kTooLong;
}

// Calls `visit` with each line until it returns false. Returns how many lines there were, or what
// is wrong with one, naming it.
absl::StatusOr<int64_t> ReadLines(const std::string& name, std::istream& in,
                                  absl::FunctionRef<bool(JsonLine line)> visit) {
  int64_t number = 0;
  std::string text;
  for (Read read = ReadLine(in, &text); read != Read::kEnd; read = ReadLine(in, &text)) {
    ++number;
    const auto bad = [&](absl::string_view what) {
      return absl::InvalidArgumentError(absl::StrCat(name, " line ", number, ": ", what));
    };
    if (read == Read::kTooLong) {
      return bad(absl::StrCat("it has more than ", kImportLineBytesMax, " bytes"));
    }
    if (text.empty()) {
      continue;
    }
    absl::StatusOr<JsonLine> line = ParseJsonLine(text);
    if (!line.ok()) {
      return bad(line.status().message());
    }
    if (!visit(*std::move(line))) {
      return number;
    }
  }
  return number;
}

}  // namespace

ImportResult Import(const ImportCommand& command, Client& client, const Terminal& terminal) {
  ImportResult result;
  const bool from_stream = command.file == "-";
  const std::string name = from_stream ? "stdin" : command.file;
  std::ifstream file;
  int64_t total = 0;
  if (!from_stream) {
    file.open(command.file);
    if (!file) {
      result.of_file = absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", name));
      return result;
    }
    const absl::StatusOr<int64_t> lines =
        ReadLines(name, file, [](const JsonLine&) { return true; });
    if (!lines.ok()) {
      result.of_file = lines.status();
      return result;
    }
    total = *lines;
    file.clear();
    file.seekg(0);
  }
  const SystemMonotonicClock clock;
  Progress progress(terminal.err, terminal.err_is_terminal, Progress::Unit::kKeys, &clock);
  Writers writers(client);
  const absl::StatusOr<int64_t> lines =
      ReadLines(name, from_stream ? terminal.in : file, [&](JsonLine line) {
        progress.Update(writers.written(), total);
        return writers.Add(std::move(line));
      });
  writers.Finish();
  progress.End();
  result.written = writers.written();
  result.of_file = lines.status();
  result.of_server = writers.failure();
  return result;
}

}  // namespace raftkv::ctl
