// Scans of RetryingConnection.
#include <functional>
#include <utility>

#include "base/status_macros.h"
#include "client/errors.h"
#include "client/retrying_connection.h"
#include "client/rpc.h"

namespace raftkv::client {

absl::Status RetryingConnection::Scan(const KeyRange& range, const ScanOptions& options,
                                      const std::function<bool(const ScanChunk& chunk)>& visit) {
  RAFTKV_ASSIGN_OR_RETURN(v1::ScanRequest request, MakeScanRequest(range, options));
  ScanPlace place(std::move(request));
  return RunStreams(options_.request_timeout, [&](const Endpoint& endpoint, bool* came) {
    return ScanOnce(endpoint, options.silence_max, &place, came, visit);
  });
}

absl::Status RetryingConnection::ScanOnce(
    const Endpoint& endpoint, absl::Duration silence_max, ScanPlace* place, bool* came,
    const std::function<bool(const ScanChunk& chunk)>& visit) {
  v1::ScanResponse response;
  absl::Status problem;
  const bool goes_on = place->has_begun();
  const auto take = [&] {
    problem = CheckCluster(CallKind::kRead, endpoint, response.header());
    if (!problem.ok()) {
      return false;
    }
    *came = true;
    ScanChunk chunk = ToResult(response);
    const bool is_first = !place->has_begun();
    place->Note(&chunk);
    return ((chunk.kvs.empty() && !is_first) || visit(chunk)) && !place->is_over();
  };
  const v1::ScanRequest request = place->request();
  const absl::Status status =
      endpoint.stub->Stream(kScanPath, silence_max, request, &response, take);
  if (!problem.ok()) {
    return problem;
  }
  // The member gave up a client that took nothing for long, or has no room for a scan; or another
  // one has not come as far.
  const bool lags = goes_on && ErrorReason(status) == "REVISION_FUTURE";
  if (lags || ErrorReason(status) == "OVERLOADED" || (absl::IsCancelled(status) && *came)) {
    return absl::UnavailableError(status.message());
  }
  return status;
}

}  // namespace raftkv::client
