#include "tests/simulation/kv_front.h"

#include <glog/logging.h>

#include <memory>
#include <utility>

namespace raftkv::simulation {

using raft::ProposalResult;
using raft::ReadResult;

namespace {

// Gets that miss the cache.
constexpr uint64_t kColdPermille = 300;

Reply::Status StatusOf(ProposalResult result) {
  switch (result) {
    case ProposalResult::kApplied:
      return Reply::Status::kOk;
    case ProposalResult::kNoLeader:
      return Reply::Status::kNoLeader;
    case ProposalResult::kOverloaded:
      return Reply::Status::kOverloaded;
    case ProposalResult::kShuttingDown:
      return Reply::Status::kShuttingDown;
    case ProposalResult::kOutcomeUnknown:
      return Reply::Status::kOutcomeUnknown;
  }
  LOG(FATAL) << "result " << static_cast<int>(result);
}

Reply::Status StatusOf(ReadResult result) {
  switch (result) {
    case ReadResult::kReady:
      return Reply::Status::kOk;
    case ReadResult::kNoLeader:
      return Reply::Status::kNoLeader;
    case ReadResult::kBehind:
    case ReadResult::kOverloaded:
      return Reply::Status::kOverloaded;
    case ReadResult::kShuttingDown:
      return Reply::Status::kShuttingDown;
  }
  LOG(FATAL) << "result " << static_cast<int>(result);
}

}  // namespace

void KvFront::Handle(Request request, ReplyCallback done) {
  if (draining_) {
    done({.status = Reply::Status::kShuttingDown});
  } else if (request.kind == RequestKind::kWrite) {
    HandleWrite(request, std::move(done));
  } else {
    HandleRead(std::move(request), std::move(done));
  }
}

void KvFront::HandleWrite(const Request& request, ReplyCallback done) {
  driver_.Propose(request.command.SerializeAsString(), clock_.Now() + request.timeout,
                  [done = std::move(done)](ProposalResult result, std::string bytes) {
                    Reply reply{.status = StatusOf(result)};
                    if (result == ProposalResult::kApplied) {
                      CHECK(reply.outcome.ParseFromString(bytes));
                    }
                    done(std::move(reply));
                  });
}

void KvFront::HandleRead(Request request, ReplyCallback done) {
  if (!request.linearizable) {
    ServeRead(request, std::move(done));
    return;
  }
  const MonotonicNanos deadline = clock_.Now() + request.timeout;
  driver_.Read(deadline, [this, request = std::move(request), done = std::move(done),
                          term = driver_.core().term()](ReadResult result) {
    if (result != ReadResult::kReady) {
      done({.status = StatusOf(result)});
      return;
    }
    if (driver_.core().term() != term) {
      counters_.Note(Situation::kReadAcrossLeaderChange);
    }
    ServeRead(request, done);
  });
}

void KvFront::ServeRead(const Request& request, ReplyCallback done) {
  if (request.kind == RequestKind::kList || dice_.Chance(kColdPermille)) {
    ServeFromView(request, std::move(done));
    return;
  }
  Reply reply{.revision = state_machine_.revision(), .applied = state_machine_.applied().index};
  log::v1::StoredKeyValue record;
  if (state_machine_.GetCached(request.key, &record) == storage::CacheLookup::kFound) {
    reply.rows.push_back(std::move(record));
  }
  done(std::move(reply));
}

void KvFront::ServeFromView(const Request& request, ReplyCallback done) {
  Reply reply{.applied = state_machine_.applied().index};
  events_.After(dice_.Between(options_.sync_min, options_.sync_max),
                [view = state_machine_.TakeView(), request, reply = std::move(reply),
                 done = std::move(done)]() mutable {
                  reply.revision = view->revision();
                  if (request.kind == RequestKind::kList) {
                    auto page = view->Scan(request.scan);
                    reply.rows = std::move(page->rows);
                    reply.more = page->more;
                  } else if (auto found = view->Get(request.key); found->has_value()) {
                    reply.rows.push_back(**std::move(found));
                  }
                  done(std::move(reply));
                });
}

}  // namespace raftkv::simulation
