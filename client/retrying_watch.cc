// Watches of RetryingConnection.
#include <functional>
#include <tuple>
#include <utility>
#include <vector>

#include "base/status_macros.h"
#include "client/convert.h"
#include "client/errors.h"
#include "client/retrying_connection.h"
#include "client/rpc.h"

namespace raftkv::client {

absl::Status RetryingConnection::Watch(
    const std::vector<KeyRange>& ranges, const WatchOptions& options,
    const std::function<bool(const WatchUpdate& update)>& visit) {
  WatchPlace place;
  RAFTKV_ASSIGN_OR_RETURN(place.request, MakeWatchRequest(ranges, options));
  return RunStreams(absl::InfiniteDuration(), [&](const Endpoint& endpoint, bool* came) {
    absl::Status status = WatchOnce(endpoint, options, &place, came, visit);
    // A member gives up whoever read too slowly for a while. The initial state would begin anew.
    if (absl::IsCancelled(status) && !place.request.initial_state()) {
      status = absl::UnavailableError(status.message());
    }
    return status;
  });
}

absl::Status RetryingConnection::WatchOnce(
    const Endpoint& endpoint, const WatchOptions& options, WatchPlace* place, bool* came,
    const std::function<bool(const WatchUpdate& update)>& visit) {
  // So many heartbeats may be missed.
  constexpr int kHeartbeatsMissedMax = 3;
  v1::WatchResponse response;
  absl::Status problem;
  bool begins = true;
  const auto take = [&] {
    problem = CheckCluster(CallKind::kRead, endpoint, response.header());
    if (!problem.ok()) {
      return false;
    }
    *came = true;
    WatchUpdate update = ToResult(response);
    update.begins = std::exchange(begins, false);
    NoteTold(place, &update);
    return visit(update);
  };
  const v1::WatchRequest request = place->request;
  const absl::Status status = endpoint.stub->Stream(
      kWatchPath, kHeartbeatsMissedMax * options.heartbeat_interval, request, &response, take);
  return problem.ok() ? status : problem;
}

void RetryingConnection::NoteTold(WatchPlace* place, WatchUpdate* update) {
  v1::WatchRequest& request = place->request;
  if (update->begins) {
    place->initial_revision = update->header.revision;
    if (!request.initial_state()) {
      request.set_start_revision(update->header.revision + 1);
    }
  }
  // What a broken stream had told of a revision that it did not tell whole.
  std::erase_if(update->events, [place](const Event& event) {
    return std::tie(event.kv.mod_revision, event.kv.key) <=
           std::tie(place->told_revision, place->told_key);
  });
  if (!update->events.empty()) {
    place->told_revision = update->events.back().kv.mod_revision;
    place->told_key = update->events.back().kv.key;
  }
  if (update->initial_complete) {
    // Behind it, the watch is one like any other.
    request.set_initial_state(false);
    request.set_start_revision(place->initial_revision + 1);
  }
  if (update->progress_revision > 0) {
    request.set_start_revision(update->progress_revision + 1);
  }
}

}  // namespace raftkv::client
