#include "server/api/kv_streams.h"

#include <glog/logging.h>
#include <google/protobuf/empty.pb.h>
#include <google/protobuf/unknown_field_set.h>

#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "base/deadline.h"
#include "kv/errors.h"
#include "raftkv/v1/kv.pb.h"
#include "server/api/batch_operation.h"
#include "server/api/operation_order.h"
#include "server/limits.h"
#include "server/loop/grpc_error.h"
#include "server/loop/message_bytes.h"
#include "server/loop/unknown_fields.h"

namespace raftkv::server {
namespace {

// Of a StreamRequest that does not parse as one; nullopt when that cannot be told either.
std::optional<uint64_t> FindId(grpc::ByteBuffer* bytes) {
  google::protobuf::Empty fields;
  if (!ParseMessage(bytes, &fields)) {
    return std::nullopt;
  }
  const google::protobuf::UnknownFieldSet& all = fields.GetReflection()->GetUnknownFields(fields);
  uint64_t id = 0;
  for (int i = 0; i < all.field_count(); ++i) {
    const google::protobuf::UnknownField& field = all.field(i);
    if (field.number() == v1::StreamRequest::kIdFieldNumber) {
      if (field.type() != google::protobuf::UnknownField::TYPE_VARINT) {
        return std::nullopt;
      }
      id = field.varint();
    }
  }
  return id;
}

absl::Status CheckOperation(const v1::StreamRequest& request) {
  if (absl::Status known = CheckFieldsAreKnown(request); !known.ok()) {
    return known;
  }
  if (request.op().op_case() == v1::BatchOp::OP_NOT_SET) {
    return kv::BadBatchError(
        "op", "is not set; set one of get, put, delete_key, touch, increment and txn");
  }
  return absl::OkStatus();
}

}  // namespace

class KvStreams::Call final : public StreamCall {
 public:
  explicit Call(KvStreams* streams) : StreamCall(streams->method_), streams_(*streams) {}

  void Drain() {
    if (reads_on_) {
      EndWith(kv::ShuttingDownError());
      Pump();
    }
  }

 private:
  // One that was read and is not answered. Its id is in ids_.
  struct Operation {
    uint64_t id = 0;
    uint64_t request_bytes = 0;
    OperationTraits traits = {};
    MonotonicNanos read_at = 0;
    MonotonicNanos answer_by = 0;
    // Until it is begun; of one that only reads until it is over, since it may be begun again.
    v1::BatchOp op = {};
    // What its answer had when it found no room.
    uint64_t expected_bytes = 0;
    bool under_way = false;
  };
  struct Answer {
    uint64_t id = 0;
    grpc::ByteBuffer bytes;
    std::optional<AnswerBacklog::Ticket> ticket;
  };

  void OnBegun() override {
    new Call(&streams_);
    ++streams_.counts_.begun;
    if (streams_.draining_) {
      Fail(kv::ShuttingDownError());
      return;
    }
    if (streams_.open_.size() >= kKvStreamsMax) {
      Fail(kv::TooManyStreamsError(kKvStreamsMax));
      return;
    }
    streams_.open_.insert(this);
    Pump();
  }

  void OnRead(bool ok, grpc::ByteBuffer* message) override {
    if (!reads_on_) {
      return;  // It came when the stream was ending already: it is not begun.
    }
    if (ok) {
      Take(message);
    } else {
      reads_on_ = false;
    }
    Pump();
  }

  void OnWritten(bool ok) override {
    LetGo(*std::exchange(in_writing_, std::nullopt));
    if (!is_open()) {
      return;
    }
    if (!ok || is_gone()) {
      Leave();
    }
    Pump();
  }

  void OnGone() override {
    if (!writing()) {
      Leave();
    }
  }

  bool IsAwaited() const override { return under_way_ > 0; }

  // One more message has been read.
  void Take(grpc::ByteBuffer* message) {
    const uint64_t bytes = message->Length();
    v1::StreamRequest request;
    absl::Status refused;
    if (!ParseMessage(message, &request)) {
      const std::optional<uint64_t> id = FindId(message);
      refused = kv::MalformedError(v1::StreamRequest::descriptor()->full_name());
      if (!id.has_value()) {
        EndWith(refused);
        return;
      }
      request.set_id(*id);
    } else {
      refused = CheckOperation(request);
    }
    const uint64_t id = request.id();
    if (!ids_.insert(id).second) {
      EndWith(kv::BadStreamError(
          absl::StrCat(id, " is that of an operation that is not answered yet")));
      return;
    }
    ++calls().in_flight;
    const MonotonicNanos now = calls().clock->Now();
    if (!refused.ok()) {
      AddAnswer({.id = id, .read_at = now}, refused);
      return;
    }
    const MonotonicNanos left =
        std::min(calls().default_timeout, std::max<MonotonicNanos>(deadline() - now, 0));
    const uint64_t place = next_place_++;
    const bool may_begin = order_.Add(place, request.op());
    request_bytes_ += bytes;
    Operation& operation = operations_[place];
    operation.id = id;
    operation.request_bytes = bytes;
    operation.traits = TraitsOf(request.op());
    operation.read_at = now;
    operation.answer_by = DeadlineAfter(now, left - AnswerMargin(left));
    operation.op = std::move(*request.mutable_op());
    if (may_begin) {
      ready_.push_back(place);
    }
  }

  // Does all that can be done now. An operation may be over at once, and must not make this a
  // recursion.
  void Pump() {
    if (pumping_ || !is_open()) {
      return;
    }
    pumping_ = true;
    BeginHeld();
    while (!ready_.empty()) {
      const uint64_t place = ready_.front();
      ready_.pop_front();
      const Operation& operation = operations_.at(place);
      // None overtakes one that waits for room.
      const bool is_held = operation.traits.returns_values && !held_.empty();
      if (!is_held && HasRoomToBegin(operation)) {
        Begin(place);
      } else {
        held_.push_back(place);
      }
    }
    WriteNext();
    if (reads_on_ && !reading() && HasWindow()) {
      Read(/*whole_soon=*/false);
    }
    if (!reads_on_ && ids_.empty() && !writing()) {
      streams_.open_.erase(this);
      if (ended_with_.ok()) {
        Finish(grpc::Status::OK);
      } else {
        Fail(ended_with_);
      }
    }
    pumping_ = false;
  }

  bool HasWindow() const {
    return ids_.size() + (in_writing_.has_value() ? 1 : 0) < kStreamOperationsMax &&
           request_bytes_ < kStreamRequestBytesMax && answer_bytes_ < kStreamAnswerBytesMax;
  }

  // Those that return nothing always have: their answers are no larger than what they ask for.
  bool HasRoomToBegin(const Operation& operation) const {
    if (!operation.traits.returns_values) {
      return true;
    }
    if (!operation.traits.only_reads) {
      return answer_bytes_ < kStreamAnswerBytesMax && returning_writes_ < kStreamReturningWritesMax;
    }
    const uint64_t bytes = answer_bytes_ + expected_bytes_;
    return bytes < kStreamAnswerBytesMax &&
           (bytes == 0 || bytes + operation.expected_bytes <= kStreamAnswerBytesMax);
  }

  // Of those that found no room to begin, the first ones.
  void BeginHeld() {
    while (!held_.empty() && HasRoomToBegin(operations_.at(held_.front()))) {
      const uint64_t place = held_.front();
      held_.pop_front();
      Begin(place);
    }
  }

  void Begin(uint64_t place) {
    Operation& operation = operations_.at(place);
    v1::BatchOp op;
    if (operation.traits.only_reads) {
      op = operation.op;
      if (operation.expected_bytes > 0 && calls().clock->Now() >= operation.answer_by) {
        End(place, kv::UnreadError());
        return;
      }
    } else {
      op = std::move(operation.op);
    }
    operation.under_way = true;
    ++under_way_;
    expected_bytes_ += operation.expected_bytes;
    returning_writes_ += IsReturningWrite(operation) ? 1 : 0;
    RunOperation(&streams_.operations_, std::move(op), operation.answer_by,
                 [this, place](absl::StatusOr<v1::BatchResult> result) {
                   OnDone(place, std::move(result));
                 });
  }

  static bool IsReturningWrite(const Operation& operation) {
    return operation.traits.returns_values && !operation.traits.only_reads;
  }

  void OnDone(uint64_t place, absl::StatusOr<v1::BatchResult> result) {
    Operation& operation = operations_.at(place);
    operation.under_way = false;
    --under_way_;
    expected_bytes_ -= operation.expected_bytes;
    returning_writes_ -= IsReturningWrite(operation) ? 1 : 0;
    if (!is_open()) {  // Nobody takes its answer.
      DeleteIfOver();
      return;
    }
    const uint64_t bytes = result.ok() ? result->ByteSizeLong() : 0;
    if (operation.traits.only_reads && bytes > 0 && answer_bytes_ > 0 &&
        answer_bytes_ + bytes > kStreamAnswerBytesMax) {
      // It is read again when the client has taken others.
      operation.expected_bytes = bytes;
      held_.push_back(place);
    } else {
      if (!calls().backlog.HasRoomFor(bytes)) {
        result = UnsendableError(operation.traits);
      }
      End(place, std::move(result));
    }
    Pump();
    DeleteIfOver();
  }

  // Takes an operation off, whose answer is there.
  void End(uint64_t place, absl::StatusOr<v1::BatchResult> result) {
    const auto found = operations_.find(place);
    request_bytes_ -= found->second.request_bytes;
    AddAnswer(found->second, std::move(result));
    operations_.erase(found);
    std::vector<uint64_t> ready;
    order_.Remove(place, &ready);
    ready_.insert(ready_.end(), ready.begin(), ready.end());
  }

  void AddAnswer(const Operation& operation, absl::StatusOr<v1::BatchResult> result) {
    v1::StreamResponse response;
    response.set_id(operation.id);
    if (result.ok()) {
      *response.mutable_header() = TakeHeader(&*result);
      *response.mutable_result() = *std::move(result);
    } else {
      *response.mutable_result()->mutable_error() = ToRpcStatus(result.status());
    }
    ++streams_.counts_.operations;
    streams_.counts_.failed += result.ok() ? 0 : 1;
    if (calls().requests != nullptr) {
      calls().requests->OnAnswered(
          operation.traits.only_reads ? RequestKind::kRead : RequestKind::kWrite, operation.read_at,
          !result.ok());
    }
    Answer answer{.id = operation.id, .bytes = SerializeMessage(response), .ticket = {}};
    const uint64_t bytes = answer.bytes.Length();
    answer_bytes_ += bytes;
    if (bytes >= kSmallAnswerBytes && calls().backlog.HasRoomFor(bytes)) {
      // Who does not read keeps what it has as long as nobody else needs the room.
      answer.ticket = calls().backlog.Add(
          bytes, DeadlineAfter(calls().clock->Now(), calls().default_timeout), [this] {
            if (!calls().backlog.HasRoomFor(kWatchBacklogSlackBytes)) {
              Cancel();
            }
          });
    }
    answers_.push_back(std::move(answer));
  }

  void WriteNext() {
    if (writing() || answers_.empty()) {
      return;
    }
    in_writing_ = std::move(answers_.front());
    answers_.pop_front();
    // From here on the client may have the answer, and use its id again.
    ids_.erase(in_writing_->id);
    grpc::WriteOptions options;
    if (!answers_.empty()) {
      options.set_buffer_hint();  // The next one follows at once, and takes it along.
    }
    Write(in_writing_->bytes, options);
  }

  // An answer is not ours any more.
  void LetGo(const Answer& answer) {
    answer_bytes_ -= answer.bytes.Length();
    if (answer.ticket.has_value()) {
      calls().backlog.Remove(*answer.ticket);
    }
    --calls().in_flight;
  }

  // Reads nothing more; what was read is answered first.
  void EndWith(const absl::Status& error) {
    reads_on_ = false;
    ended_with_ = error;
  }

  // Nobody is there for answers: what is under way goes on without, the rest is not begun.
  void Leave() {
    streams_.open_.erase(this);
    reads_on_ = false;
    for (const Answer& answer : answers_) {
      LetGo(answer);
    }
    answers_.clear();
    calls().in_flight -= operations_.size();
    ready_.clear();
    held_.clear();
    Finish(grpc::Status::CANCELLED);
  }

  KvStreams& streams_;
  bool pumping_ = false;
  // Until the client has sent all, or the stream is ending.
  bool reads_on_ = true;
  absl::Status ended_with_;

  // Of operations whose answers are not given to gRPC: those in operations_ and answers_.
  absl::flat_hash_set<uint64_t> ids_;
  // By place, the number of those read before it.
  absl::flat_hash_map<uint64_t, Operation> operations_;
  uint64_t next_place_ = 0;
  OperationOrder order_;
  // Places of those that may begin, and of those that wait for room for their answers.
  std::deque<uint64_t> ready_;
  std::deque<uint64_t> held_;
  uint64_t under_way_ = 0;
  uint64_t returning_writes_ = 0;
  // What those under way are known to answer.
  uint64_t expected_bytes_ = 0;
  // Of operations_.
  uint64_t request_bytes_ = 0;
  // In the order in which they were done, and the one that gRPC has.
  std::deque<Answer> answers_;
  std::optional<Answer> in_writing_;
  // Of both.
  uint64_t answer_bytes_ = 0;
};

KvStreams::KvStreams(KvOperations* operations) : operations_(*operations) {}

KvStreams::~KvStreams() = default;

void KvStreams::Start(UnaryService* service, int method, grpc::ServerCompletionQueue* queue,
                      CallAccounting* accounting) {
  method_ = {.service = service, .number = method, .queue = queue, .accounting = accounting};
  new Call(this);
}

void KvStreams::Drain() {
  draining_ = true;
  for (Call* call : std::set<Call*>(open_)) {
    call->Drain();
  }
}

}  // namespace raftkv::server
