// The client API's KvService: checks a request, brings it through the log or to a linearizable
// point, and answers.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "raftkv/v1/kv.pb.h"
#include "server/limits.h"
#include "server/node.h"
#include "server/revision_waiters.h"
#include "server/unary_call.h"

namespace raftkv::server {

// Confined to the loop.
class KvService final {
 public:
  explicit KvService(Node* node) : node_(node) {}

  // What to register with the server.
  grpc::Service* grpc_service() { return &grpc_service_; }
  // Starts taking calls. REQUIRES: the server is started.
  void Start();
  // Fails waiting reads whose time is over; called every tick.
  void Tick();
  // Answers reads that waited for a revision that is applied now; called every turn.
  void OnApplied();

 private:
  void HandleGet(UnaryCall* call);
  void HandlePut(UnaryCall* call);
  void HandleDelete(UnaryCall* call);
  void HandleList(UnaryCall* call);
  void HandleDeleteRange(UnaryCall* call);

  // Proposes the command; `finish` gets the outcome of one that was applied with its guards
  // holding.
  void Propose(UnaryCall* call, const log::v1::Command& command, std::string key,
               std::function<void(log::v1::CommandOutcome outcome)> finish);
  // Calls `read` when the state is as fresh as asked for, or fails the call.
  void ReadWhenFresh(UnaryCall* call, v1::Consistency consistency, int64_t min_revision,
                     std::function<void()> read);
  void AwaitRevision(UnaryCall* call, int64_t min_revision, MonotonicNanos deadline,
                     std::function<void()> read);
  // Answers with what went wrong below; after damaged data the member stops, so that it neither
  // leads nor answers from it.
  void FailRead(UnaryCall* call, const absl::Status& status);
  void FinishGet(UnaryCall* call, const v1::GetRequest& request);
  void FinishList(UnaryCall* call, const v1::ListRequest& request,
                  const storage::ScanOptions& scan);
  void FinishCount(UnaryCall* call, const storage::KeyInterval& interval);
  void AnswerCount(UnaryCall* call, int64_t revision, int64_t count) const;

  Node* const node_;
  UnaryService grpc_service_{"/raftkv.v1.KvService/Get", "/raftkv.v1.KvService/Put",
                             "/raftkv.v1.KvService/Delete", "/raftkv.v1.KvService/List",
                             "/raftkv.v1.KvService/DeleteRange"};
  std::vector<UnaryCall::Method> methods_;
  RevisionWaiters revision_waiters_{kRevisionWaitersMax};
};

}  // namespace raftkv::server
