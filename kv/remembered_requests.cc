#include "kv/remembered_requests.h"

#include <limits>
#include <utility>

#include "glog/logging.h"
#include "kv/state_hash.h"

namespace raftkv::kv {
namespace {

using log::v1::CommandOutcome;
using log::v1::RequestMark;

bool IsFull(const RequestMark& mark, const RequestTotals& totals) {
  return totals.count() >= mark.ids_max() || totals.bytes >= mark.bytes_max();
}

raft::ClusterMillis KeepUntil(raft::ClusterMillis stamp, uint64_t keep_ms) {
  constexpr uint64_t kLast = std::numeric_limits<uint64_t>::max();
  return keep_ms > kLast - stamp.value() ? raft::ClusterMillis(kLast) : stamp + keep_ms;
}

// False when the table stalled.
bool DropOld(raft::ClusterMillis stamp, KvTable* table, RequestTotals* totals) {
  for (uint64_t dropped = 0; dropped < kRequestsDroppedAtOnce && totals->count() > 0; ++dropped) {
    const std::optional<const RequestPlace*> found = table->FindRequestPlace(totals->first);
    if (!found.has_value()) {
      return false;
    }
    const RequestPlace* const oldest = *found;
    if (oldest->keep_until > stamp) {
      break;
    }
    totals->bytes -= oldest->bytes;
    totals->rows_hash -= oldest->row_hash;
    table->DropRequest(totals->first, *oldest);
    ++totals->first;
  }
  return true;
}

}  // namespace

RequestFate BeginRequest(const RequestMark& mark, raft::ClusterMillis stamp, KvTable* table,
                         RequestTotals* totals, CommandOutcome* outcome) {
  const std::optional<const RememberedRequest*> found = table->FindRequest(mark.id());
  if (!found.has_value()) {
    return RequestFate::kStalled;
  }
  if (const RememberedRequest* const known = *found; known != nullptr) {
    if (known->content_hash != mark.content_hash()) {
      outcome->set_verdict(CommandOutcome::VERDICT_REQUEST_ID_REUSED);
      return RequestFate::kAnswered;
    }
    CHECK(outcome->ParseFromString(known->outcome)) << "a remembered outcome does not parse";
    outcome->set_replayed(true);
    return RequestFate::kAnswered;
  }
  if (!DropOld(stamp, table, totals)) {
    return RequestFate::kStalled;
  }
  if (IsFull(mark, *totals)) {
    outcome->set_verdict(CommandOutcome::VERDICT_REQUESTS_FULL);
    outcome->set_exceeding(totals->count());
    return RequestFate::kAnswered;
  }
  return RequestFate::kNew;
}

void RememberRequest(const RequestMark& mark, raft::ClusterMillis stamp,
                     const CommandOutcome& outcome, KvTable* table, RequestTotals* totals) {
  RememberedRequest request{.number = totals->next,
                            .keep_until = KeepUntil(stamp, mark.keep_ms()),
                            .content_hash = mark.content_hash(),
                            .outcome = outcome.SerializeAsString()};
  RequestPlace place{.keep_until = request.keep_until,
                     .bytes = mark.id().size() + request.outcome.size(),
                     .row_hash = RequestHash(mark.id(), request),
                     .id = mark.id()};
  ++totals->next;
  totals->bytes += place.bytes;
  totals->rows_hash += place.row_hash;
  table->PutRequest(std::move(place), std::move(request));
}

}  // namespace raftkv::kv
