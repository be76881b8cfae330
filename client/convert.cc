#include "client/convert.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/utf8.h"
#include "client/error_payload.h"
#include "client/errors.h"

namespace raftkv::client {
namespace {

// No server takes more (--value_bytes_max), and far above it gRPC would refuse the message with a
// bare RESOURCE_EXHAUSTED that does not say whether the write was taken in.
constexpr size_t kValueBytesMax = size_t{3} << 20;

// What every server would refuse with the same reason.
absl::Status Refuse(absl::string_view reason, absl::string_view message) {
  return WithReason(absl::InvalidArgumentError(message), reason, kClientErrorDomain);
}

absl::Status CheckText(absl::string_view field, absl::string_view text) {
  if (!IsUtf8(text)) {
    return Refuse("MALFORMED", absl::StrCat(field, " is not valid UTF-8"));
  }
  return absl::OkStatus();
}

absl::Status CheckValue(absl::string_view field, absl::string_view value) {
  if (value.size() > kValueBytesMax) {
    return Refuse("VALUE_TOO_LARGE", absl::StrCat(field, " has ", value.size(),
                                                  " bytes, the limit is ", kValueBytesMax));
  }
  return absl::OkStatus();
}

v1::Consistency ToProto(Consistency consistency) {
  return consistency == Consistency::kStale ? v1::CONSISTENCY_STALE : v1::CONSISTENCY_LINEARIZABLE;
}

absl::StatusOr<v1::Precondition> ToProto(const Precondition& precondition) {
  v1::Precondition proto;
  if (const auto* exists = std::get_if<KeyExists>(&precondition)) {
    proto.set_exists(exists->expected);
  } else if (const auto* revision = std::get_if<ModRevisionIs>(&precondition)) {
    proto.set_mod_revision(revision->mod_revision);
  } else if (const auto* version = std::get_if<VersionIs>(&precondition)) {
    proto.set_version(version->version);
  } else {
    const auto& expected = std::get<ValueIs>(precondition);
    RAFTKV_RETURN_IF_ERROR(CheckValue("precondition.data", expected.value));
    proto.set_data(expected.value);
  }
  return proto;
}

absl::StatusOr<v1::KeyRange> ToProto(const KeyRange& range) {
  v1::KeyRange proto;
  if (const auto* single = std::get_if<SingleKey>(&range)) {
    RAFTKV_RETURN_IF_ERROR(CheckText("range.key", single->key));
    proto.set_key(single->key);
  } else if (const auto* prefix = std::get_if<Prefix>(&range)) {
    RAFTKV_RETURN_IF_ERROR(CheckText("range.prefix", prefix->prefix));
    proto.set_prefix(prefix->prefix);
  } else {
    const auto& span = std::get<Span>(range);
    RAFTKV_RETURN_IF_ERROR(CheckText("range.span.start_key", span.start_key));
    RAFTKV_RETURN_IF_ERROR(CheckText("range.span.end_key", span.end_key));
    proto.mutable_span()->set_start_key(span.start_key);
    proto.mutable_span()->set_end_key(span.end_key);
  }
  return proto;
}

KeyValue FromProto(const v1::KeyValue& kv) {
  KeyValue result{
      .key = kv.key(),
      .value = kv.has_text() ? kv.text() : kv.data(),
      .create_revision = kv.create_revision(),
      .mod_revision = kv.mod_revision(),
      .version = kv.version(),
  };
  result.lease_id = kv.lease_id();
  if (kv.has_ttl_remaining()) {
    result.ttl_remaining = DurationFromProto(kv.ttl_remaining());
  }
  return result;
}

template <typename Messages>
std::vector<KeyValue> FromProtos(const Messages& messages) {
  std::vector<KeyValue> kvs;
  kvs.reserve(messages.size());
  for (const v1::KeyValue& kv : messages) {
    kvs.push_back(FromProto(kv));
  }
  return kvs;
}

Member FromProto(const v1::Member& member) {
  return Member{
      .id = member.id(),
      .name = member.name(),
      .peer_address = member.peer_address(),
      .client_address = member.client_address(),
      .role = client::FromProto(member.role()),
      .is_leader = member.is_leader(),
      .version = member.version(),
      .priority = member.priority(),
  };
}

}  // namespace

absl::Duration DurationFromProto(const google::protobuf::Duration& duration) {
  return absl::Seconds(duration.seconds()) + absl::Nanoseconds(duration.nanos());
}

google::protobuf::Duration DurationToProto(absl::Duration duration) {
  google::protobuf::Duration proto;
  absl::Duration rest;
  proto.set_seconds(absl::IDivDuration(duration, absl::Seconds(1), &rest));
  proto.set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(rest)));
  return proto;
}

namespace {

// Of a Get, List or Scan.
template <typename Options, typename Request>
void SetFreshness(const Options& options, Request* request) {
  if (options.max_staleness.has_value()) {
    *request->mutable_max_staleness() = DurationToProto(*options.max_staleness);
  } else {
    request->set_consistency(ToProto(options.consistency));
  }
  request->set_min_revision(options.min_revision);
  request->set_at_revision(options.at_revision);
}

}  // namespace

absl::StatusOr<v1::GetRequest> MakeGetRequest(absl::string_view key, const GetOptions& options) {
  RAFTKV_RETURN_IF_ERROR(CheckText("key", key));
  v1::GetRequest request;
  request.set_key(std::string(key));
  SetFreshness(options, &request);
  return request;
}

absl::StatusOr<v1::PutRequest> MakePutRequest(absl::string_view key, absl::string_view value,
                                              const PutOptions& options) {
  RAFTKV_RETURN_IF_ERROR(CheckText("key", key));
  RAFTKV_RETURN_IF_ERROR(CheckValue("value", value));
  if (options.ttl.has_value() + options.keep_ttl + (options.lease_id != 0) > 1) {
    return Refuse("BAD_TTL", "ttl, keep_ttl and lease_id exclude each other");
  }
  v1::PutRequest request;
  request.set_key(std::string(key));
  request.set_data(std::string(value));
  if (options.ttl.has_value()) {
    *request.mutable_ttl() = DurationToProto(*options.ttl);
  } else if (options.keep_ttl) {
    request.set_keep_ttl(true);
  } else if (options.lease_id != 0) {
    request.set_lease_id(options.lease_id);
  }
  if (options.precondition.has_value()) {
    RAFTKV_ASSIGN_OR_RETURN(*request.mutable_precondition(), ToProto(*options.precondition));
  }
  request.set_return_previous(options.return_previous);
  return request;
}

absl::StatusOr<v1::DeleteRequest> MakeDeleteRequest(absl::string_view key,
                                                    const DeleteOptions& options) {
  RAFTKV_RETURN_IF_ERROR(CheckText("key", key));
  v1::DeleteRequest request;
  request.set_key(std::string(key));
  if (options.precondition.has_value()) {
    RAFTKV_ASSIGN_OR_RETURN(*request.mutable_precondition(), ToProto(*options.precondition));
  }
  request.set_return_previous(options.return_previous);
  return request;
}

absl::StatusOr<v1::DeleteRangeRequest> MakeDeleteRangeRequest(const KeyRange& range,
                                                              const DeleteRangeOptions& options) {
  v1::DeleteRangeRequest request;
  RAFTKV_ASSIGN_OR_RETURN(*request.mutable_range(), ToProto(range));
  request.set_limit(options.limit);
  request.set_return_previous(options.return_previous);
  return request;
}

absl::StatusOr<v1::TouchRequest> MakeTouchRequest(absl::string_view key,
                                                  const TouchOptions& options) {
  RAFTKV_RETURN_IF_ERROR(CheckText("key", key));
  if (options.ttl.has_value() && options.lease_id != 0) {
    return Refuse("BAD_TTL", "ttl and lease_id exclude each other");
  }
  v1::TouchRequest request;
  request.set_key(std::string(key));
  if (options.ttl.has_value()) {
    *request.mutable_ttl() = DurationToProto(*options.ttl);
  } else if (options.lease_id != 0) {
    request.set_lease_id(options.lease_id);
  } else {
    request.set_persist(true);
  }
  if (options.precondition.has_value()) {
    RAFTKV_ASSIGN_OR_RETURN(*request.mutable_precondition(), ToProto(*options.precondition));
  }
  return request;
}

absl::StatusOr<v1::IncrementRequest> MakeIncrementRequest(absl::string_view key,
                                                          const IncrementOptions& options) {
  RAFTKV_RETURN_IF_ERROR(CheckText("key", key));
  if (options.ttl.has_value() + options.persist + (options.lease_id != 0) > 1) {
    return Refuse("BAD_TTL", "ttl, persist and lease_id exclude each other");
  }
  v1::IncrementRequest request;
  request.set_key(std::string(key));
  request.set_delta(options.delta);
  request.set_initial(options.initial);
  if (options.ttl.has_value()) {
    *request.mutable_ttl() = DurationToProto(*options.ttl);
  } else if (options.persist) {
    request.set_persist(true);
  } else if (options.lease_id != 0) {
    request.set_lease_id(options.lease_id);
  }
  if (options.precondition.has_value()) {
    RAFTKV_ASSIGN_OR_RETURN(*request.mutable_precondition(), ToProto(*options.precondition));
  }
  return request;
}

namespace {

absl::StatusOr<v1::Guard> ToProto(const Guard& guard) {
  v1::Guard proto;
  RAFTKV_ASSIGN_OR_RETURN(*proto.mutable_range(), ToProto(guard.range));
  switch (guard.comparison) {
    case Comparison::kEqual:
      break;
    case Comparison::kNotEqual:
      proto.set_comparison(v1::COMPARISON_NOT_EQUAL);
      break;
    case Comparison::kGreater:
      proto.set_comparison(v1::COMPARISON_GREATER);
      break;
    case Comparison::kLess:
      proto.set_comparison(v1::COMPARISON_LESS);
      break;
  }
  if (const auto* exists = std::get_if<KeyExists>(&guard.target)) {
    proto.set_exists(exists->expected);
  } else if (const auto* revision = std::get_if<ModRevisionIs>(&guard.target)) {
    proto.set_mod_revision(revision->mod_revision);
  } else if (const auto* version = std::get_if<VersionIs>(&guard.target)) {
    proto.set_version(version->version);
  } else if (const auto* created = std::get_if<CreateRevisionIs>(&guard.target)) {
    proto.set_create_revision(created->create_revision);
  } else if (const auto* lease = std::get_if<LeaseIs>(&guard.target)) {
    proto.set_lease_id(lease->lease_id);
  } else {
    proto.set_data(std::get<ValueIs>(guard.target).value);
  }
  return proto;
}

// A request as it stands in a transaction, where reads have no consistency of their own.
template <typename Request, typename Field>
absl::Status MoveInto(absl::StatusOr<Request> request, Field* field) {
  RAFTKV_RETURN_IF_ERROR(request.status());
  if constexpr (requires { request->clear_consistency(); }) {
    if (request->consistency() == v1::CONSISTENCY_LINEARIZABLE) {
      request->clear_consistency();
    }
  }
  *field = *std::move(request);
  return absl::OkStatus();
}

struct TxnOpToProto {
  absl::Status operator()(const GetOp& op) const {
    return MoveInto(MakeGetRequest(op.key, GetOptions()), proto->mutable_get());
  }
  absl::Status operator()(const PutOp& op) const {
    return MoveInto(MakePutRequest(op.key, op.value, op.options), proto->mutable_put());
  }
  absl::Status operator()(const DeleteOp& op) const {
    return MoveInto(MakeDeleteRequest(op.key, op.options), proto->mutable_delete_key());
  }
  absl::Status operator()(const DeleteRangeOp& op) const {
    return MoveInto(MakeDeleteRangeRequest(op.range, op.options), proto->mutable_delete_range());
  }
  absl::Status operator()(const ListOp& op) const {
    return MoveInto(MakeListRequest(op.range, op.options), proto->mutable_list());
  }
  absl::Status operator()(const TouchOp& op) const {
    return MoveInto(MakeTouchRequest(op.key, op.options), proto->mutable_touch());
  }
  absl::Status operator()(const IncrementOp& op) const {
    return MoveInto(MakeIncrementRequest(op.key, op.options), proto->mutable_increment());
  }
  absl::Status operator()(const NestedTxn& op) const {
    if (op.txn == nullptr) {
      return Refuse("BAD_TXN", "a transaction within another is not set");
    }
    return MoveInto(MakeTxnRequest(*op.txn, TxnOptions()), proto->mutable_txn());
  }

  v1::TxnOp* proto;
};

TxnOpResult FromProto(const v1::TxnResult& result) {
  switch (result.result_case()) {
    case v1::TxnResult::kPut:
      return ToResult(result.put());
    case v1::TxnResult::kDeleteKey:
      return ToResult(result.delete_key());
    case v1::TxnResult::kDeleteRange:
      return ToResult(result.delete_range());
    case v1::TxnResult::kList:
      return ToResult(result.list());
    case v1::TxnResult::kTouch:
      return ToResult(result.touch());
    case v1::TxnResult::kIncrement:
      return ToResult(result.increment());
    case v1::TxnResult::kTxn:
      return NestedTxnResult{std::make_shared<const TxnResult>(ToResult(result.txn()))};
    default:
      return ToResult(result.get());
  }
}

}  // namespace

absl::StatusOr<v1::TxnRequest> MakeTxnRequest(const Txn& txn, const TxnOptions& options) {
  v1::TxnRequest request;
  for (const Guard& guard : txn.guards) {
    RAFTKV_ASSIGN_OR_RETURN(*request.add_guards(), ToProto(guard));
  }
  for (const TxnOp& op : txn.then_ops) {
    RAFTKV_RETURN_IF_ERROR(std::visit(TxnOpToProto{request.add_then_ops()}, op));
  }
  for (const TxnOp& op : txn.else_ops) {
    RAFTKV_RETURN_IF_ERROR(std::visit(TxnOpToProto{request.add_else_ops()}, op));
  }
  if (options.consistency == Consistency::kStale) {
    request.set_consistency(v1::CONSISTENCY_STALE);
  }
  return request;
}

absl::StatusOr<v1::ListRequest> MakeListRequest(const KeyRange& range, const ListOptions& options) {
  v1::ListRequest request;
  RAFTKV_ASSIGN_OR_RETURN(*request.mutable_range(), ToProto(range));
  request.set_page_size(options.page_size);
  request.set_page_token(options.page_token);
  request.set_keys_only(options.keys_only);
  request.set_count_only(options.count_only);
  request.set_descending(options.descending);
  SetFreshness(options, &request);
  return request;
}

absl::StatusOr<v1::ScanRequest> MakeScanRequest(const KeyRange& range, const ScanOptions& options) {
  v1::ScanRequest request;
  RAFTKV_ASSIGN_OR_RETURN(*request.mutable_range(), ToProto(range));
  request.set_limit(options.limit);
  request.set_keys_only(options.keys_only);
  request.set_descending(options.descending);
  SetFreshness(options, &request);
  return request;
}

v1::ListMembersRequest MakeListMembersRequest(const MemberOptions& options) {
  v1::ListMembersRequest request;
  request.set_consistency(ToProto(options.consistency));
  return request;
}

v1::TransferLeadershipRequest MakeTransferLeadershipRequest(absl::string_view target) {
  v1::TransferLeadershipRequest request;
  if (!target.empty()) {
    request.set_name(std::string(target));
  }
  return request;
}

absl::StatusOr<v1::WatchRequest> MakeWatchRequest(const std::vector<KeyRange>& ranges,
                                                  const WatchOptions& options) {
  v1::WatchRequest request;
  for (const KeyRange& range : ranges) {
    RAFTKV_ASSIGN_OR_RETURN(*request.add_ranges(), ToProto(range));
  }
  request.set_start_revision(options.start_revision);
  request.set_initial_state(options.initial_state);
  request.set_keys_only(options.keys_only);
  request.set_return_previous(options.return_previous);
  for (const EventType type : options.event_types) {
    request.add_event_types(type == EventType::kPut      ? v1::EVENT_TYPE_PUT
                            : type == EventType::kDelete ? v1::EVENT_TYPE_DELETE
                                                         : v1::EVENT_TYPE_EXPIRE);
  }
  *request.mutable_heartbeat_interval() = DurationToProto(options.heartbeat_interval);
  return request;
}

v1::CompactRequest MakeCompactRequest(int64_t revision) {
  v1::CompactRequest request;
  request.set_revision(revision);
  return request;
}

v1::VerifyHashRequest MakeVerifyHashRequest(const VerifyHashOptions& options) {
  v1::VerifyHashRequest request;
  request.set_index(options.index);
  request.set_scan(options.scan);
  return request;
}

v1::BackupRequest MakeBackupRequest(const BackupOptions& options) {
  v1::BackupRequest request;
  request.set_consistency(ToProto(options.consistency));
  return request;
}

GetResult ToResult(const v1::GetResponse& response) {
  GetResult result{.header = FromProto(response.header()), .kv = std::nullopt};
  if (response.has_kv()) {
    result.kv = FromProto(response.kv());
  }
  return result;
}

PutResult ToResult(const v1::PutResponse& response) {
  PutResult result{.header = FromProto(response.header()),
                   .mod_revision = response.mod_revision(),
                   .previous = std::nullopt,
                   .replayed = response.replayed()};
  if (response.has_previous()) {
    result.previous = FromProto(response.previous());
  }
  return result;
}

DeleteResult ToResult(const v1::DeleteResponse& response) {
  DeleteResult result{.header = FromProto(response.header()),
                      .deleted = response.deleted(),
                      .previous = std::nullopt,
                      .replayed = response.replayed()};
  if (response.has_previous()) {
    result.previous = FromProto(response.previous());
  }
  return result;
}

DeleteRangeResult ToResult(const v1::DeleteRangeResponse& response) {
  return DeleteRangeResult{.header = FromProto(response.header()),
                           .deleted = response.deleted(),
                           .previous = FromProtos(response.previous()),
                           .more = response.more(),
                           .replayed = response.replayed()};
}

TouchResult ToResult(const v1::TouchResponse& response) {
  return TouchResult{.header = FromProto(response.header()),
                     .touched = response.touched(),
                     .replayed = response.replayed()};
}

IncrementResult ToResult(const v1::IncrementResponse& response) {
  return IncrementResult{.header = FromProto(response.header()),
                         .value = response.value(),
                         .mod_revision = response.mod_revision(),
                         .replayed = response.replayed()};
}

TxnResult ToResult(const v1::TxnResponse& response) {
  TxnResult result{.header = FromProto(response.header()),
                   .succeeded = response.succeeded(),
                   .results = {},
                   .replayed = response.replayed()};
  for (const v1::TxnResult& each : response.results()) {
    result.results.push_back(FromProto(each));
  }
  return result;
}

ListResult ToResult(const v1::ListResponse& response) {
  return ListResult{.header = FromProto(response.header()),
                    .kvs = FromProtos(response.kvs()),
                    .next_page_token = response.next_page_token(),
                    .count = response.count()};
}

ScanChunk ToResult(const v1::ScanResponse& response) {
  return ScanChunk{.header = FromProto(response.header()), .kvs = FromProtos(response.kvs())};
}

ListMembersResult ToResult(const v1::ListMembersResponse& response) {
  ListMembersResult result{.header = FromProto(response.header()), .members = {}};
  for (const v1::Member& member : response.members()) {
    result.members.push_back(FromProto(member));
  }
  return result;
}

ChangeMemberResult ToResult(const v1::AddMemberResponse& response) {
  return {.header = FromProto(response.header()), .member = FromProto(response.member())};
}

RemoveMemberResult ToResult(const v1::RemoveMemberResponse& response) {
  return {.header = FromProto(response.header())};
}

ChangeMemberResult ToResult(const v1::PromoteMemberResponse& response) {
  return {.header = FromProto(response.header()), .member = FromProto(response.member())};
}

ChangeMemberResult ToResult(const v1::UpdateMemberResponse& response) {
  return {.header = FromProto(response.header()), .member = FromProto(response.member())};
}

TransferLeadershipResult ToResult(const v1::TransferLeadershipResponse& response) {
  return TransferLeadershipResult{.header = FromProto(response.header())};
}

VerifyHashResult ToResult(const v1::VerifyHashResponse& response) {
  return VerifyHashResult{
      .header = FromProto(response.header()),
      .index = response.index(),
      .state_hash = response.state_hash(),
      .revision = response.revision(),
      .key_count = response.key_count(),
      .scanned = response.scanned(),
  };
}

BackupResult ToResult(const v1::BackupResponse& response) {
  return BackupResult{
      .header = FromProto(response.header()),
      .key_count = response.manifest().key_count(),
      .index = response.manifest().index(),
      .state_hash = response.manifest().state_hash(),
      .bytes_estimate = response.bytes_estimate(),
  };
}

CompactResult ToResult(const v1::CompactResponse& response) {
  return {.header = FromProto(response.header()), .compact_revision = response.compact_revision()};
}

WatchUpdate ToResult(const v1::WatchResponse& response) {
  WatchUpdate update;
  update.header = FromProto(response.header());
  for (const v1::Event& event : response.events()) {
    Event& told = update.events.emplace_back();
    told.type = event.type() == v1::EVENT_TYPE_PUT      ? EventType::kPut
                : event.type() == v1::EVENT_TYPE_DELETE ? EventType::kDelete
                                                        : EventType::kExpire;
    told.kv = FromProto(event.kv());
    if (event.has_previous()) {
      told.previous = FromProto(event.previous());
    }
  }
  update.initial_kvs = FromProtos(response.initial_kvs());
  update.initial_complete = response.initial_complete();
  update.partial_revision = response.partial_revision();
  update.progress_revision = response.progress_revision();
  return update;
}

}  // namespace raftkv::client
