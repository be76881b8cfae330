// StreamWriter is the BulkWriter that Client::NewBulkWriter makes: it writes by KvService.Stream.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "client/bulk_writer.h"
#include "client/retry_policy.h"
#include "client/stub.h"
#include "raftkv/v1/kv.pb.h"

namespace raftkv::client {

// What it needs of the connection that it belongs to. All are thread-safe.
struct StreamEndpoints {
  struct Endpoint {
    std::string address;
    std::shared_ptr<Stub> stub;
  };

  std::vector<Endpoint> endpoints;
  absl::Duration connect_timeout;
  std::shared_ptr<const MonotonicClock> clock;
  std::function<Backoff()> new_backoff;
  // Which endpoint to turn to, that it does not work, and that it does.
  std::function<size_t()> preferred;
  std::function<void(size_t endpoint)> turn_away_from;
  std::function<void(size_t endpoint)> prefer;
  // Whether an answer comes from the right cluster; CLUSTER_MISMATCH.
  std::function<absl::Status(size_t endpoint, const v1::ResponseHeader& header)> check_cluster;
  // No other writer, of any client, has the same.
  std::string request_id_prefix;
};

// One thread of its own has one stream at a time; what a stream leaves open when it ends goes into
// the next one. Thread-safe.
class StreamWriter final : public BulkWriter {
 public:
  // REQUIRES: options are valid (CheckOptions).
  StreamWriter(BulkWriterOptions options, StreamEndpoints endpoints);
  ~StreamWriter() override;

  static absl::Status CheckOptions(const BulkWriterOptions& options);

  absl::Status Put(absl::string_view key, absl::string_view value,
                   std::optional<absl::Duration> ttl) override;
  absl::Status Delete(absl::string_view key) override;
  absl::Status Flush() override;
  BulkCounts counts() const override;

 private:
  // One that is not settled. Its number is its id on the stream.
  struct Write {
    std::string key;
    v1::StreamRequest request;
    size_t bytes = 0;
    MonotonicNanos deadline = 0;
    // The next one of its key, which is not sent before this one is settled.
    std::optional<uint64_t> next;
    bool is_sent = false;      // On the stream that stands.
    bool may_be_done = false;  // By a try that is over.
    absl::Status problem;      // What the last try came to.
  };
  using Writes = absl::btree_map<uint64_t, Write>;

  // Fails only when nothing can be added any more.
  absl::Status Add(std::string key, v1::BatchOp op);
  bool HasRoomFor(size_t bytes) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // The thread.
  void Run();
  // Waits until there is something to send. False: the writer ends.
  bool AwaitWork();
  // One stream, from its beginning to its end, or to where nothing is to do on it.
  absl::Status RunStream(size_t endpoint);
  // Sends the next write if there is one that may be sent now; true: it did.
  bool SendNext(BidiCall* call);
  // How long the stream need not be looked after.
  absl::Duration UntilNextLook();
  absl::Status OnResponse(size_t endpoint, const v1::StreamResponse& response);
  // Puts what the stream that ended leaves open back among what is to be sent.
  void TakeBack(const absl::Status& ended);
  // Settles those whose time is over.
  void EndLate();
  // Nothing can be done any more: settles all.
  void EndAll(const absl::Status& failure);
  void Settle(uint64_t number, absl::Status status);
  // Pauses, or less when the writer ends.
  void Pause(absl::Duration time);

  // Constant after construction.
  const BulkWriterOptions options_;
  const StreamEndpoints endpoints_;

  mutable Mutex mutex_;
  CondVar changed_;
  Writes writes_ ABSL_GUARDED_BY(mutex_);
  // The bytes of writes_.
  size_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::flat_hash_map<std::string, uint64_t> last_of_key_ ABSL_GUARDED_BY(mutex_);
  // Of writes_, those that may be sent and are not.
  std::set<uint64_t> to_send_ ABSL_GUARDED_BY(mutex_);
  uint64_t next_number_ ABSL_GUARDED_BY(mutex_) = 0;
  BulkCounts counts_ ABSL_GUARDED_BY(mutex_);
  absl::Status first_failure_ ABSL_GUARDED_BY(mutex_);  // Since the last Flush.
  absl::Status broken_ ABSL_GUARDED_BY(mutex_);         // Why nothing can be added any more.
  bool ends_ ABSL_GUARDED_BY(mutex_) = false;
  // The stream that stands, and whether it has to be woken to look at to_send_.
  BidiCall* call_ ABSL_GUARDED_BY(mutex_) = nullptr;
  bool sleeps_ ABSL_GUARDED_BY(mutex_) = false;

  // Confined to the thread.
  uint64_t sent_ = 0;                // On this stream, and not answered.
  bool has_answered_ = false;        // This stream has.
  MonotonicNanos heard_at_ = 0;      // When it did last, or began to have something to answer.
  MonotonicNanos resume_at_ = 0;     // The cluster is overloaded: nothing is sent before this.
  MonotonicNanos next_look_at_ = 0;  // For late writes.
  std::optional<Backoff> backoff_;
  std::thread thread_;
};

}  // namespace raftkv::client
