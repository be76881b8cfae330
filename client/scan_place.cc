#include "client/scan_place.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"

namespace raftkv::client {

ScanPlace::ScanPlace(v1::ScanRequest request)
    : request_(std::move(request)), prefix_(request_.range().prefix()) {}

void ScanPlace::Note(ScanChunk* chunk) {
  if (!has_begun_) {
    has_begun_ = true;
    // The state of a revision is the same everywhere, whoever was to be asked for which it is.
    request_.set_at_revision(chunk->header.revision);
    if (request_.has_max_staleness()) {
      request_.clear_max_staleness();
      request_.set_consistency(v1::CONSISTENCY_STALE);
    }
    request_.clear_min_revision();
    // Which has no keys, and which no request can name.
    is_over_ = chunk->header.revision == 0;
  }
  const auto behind =
      std::find_if(chunk->kvs.begin(), chunk->kvs.end(),
                   [this](const KeyValue& kv) { return !absl::StartsWith(kv.key, prefix_); });
  is_over_ = is_over_ || behind != chunk->kvs.end();
  chunk->kvs.erase(behind, chunk->kvs.end());
  if (chunk->kvs.empty()) {
    return;
  }
  if (request_.limit() > 0) {
    const int64_t left = request_.limit() - static_cast<int64_t>(chunk->kvs.size());
    is_over_ = is_over_ || left <= 0;
    request_.set_limit(std::max<int64_t>(left, 0));
  }
  v1::KeyRange& range = *request_.mutable_range();
  if (range.has_key()) {
    is_over_ = true;
    return;
  }
  if (range.has_prefix()) {
    range.mutable_span()->set_start_key(prefix_);
  }
  const std::string& last = chunk->kvs.back().key;
  if (request_.descending()) {
    range.mutable_span()->set_end_key(last);
    // No key is before it.
    is_over_ = is_over_ || range.span().start_key() >= last;
  } else {
    range.mutable_span()->set_start_key(last + '\0');
    is_over_ = is_over_ || (!range.span().end_key().empty() &&
                            range.span().start_key() >= range.span().end_key());
  }
}

}  // namespace raftkv::client
