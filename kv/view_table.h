// A view of the applied state as a table that only reads: what commands mean, asked without one.
#pragma once

#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "kv/kv_state_machine.h"
#include "kv/kv_table.h"

namespace raftkv::kv {

// It stalls for good when the view fails or the read is given up: status() says why. What would
// change it ends the process. Records have no row_hash. Confined to one thread.
class ViewTable final : public KvTable {
 public:
  // Borrows the view.
  ViewTable(const KvView* view, GivenUp given_up) : view_(*view), given_up_(std::move(given_up)) {}

  // OK as long as nothing failed.
  const absl::Status& status() const { return status_; }

  std::optional<const KvRecord*> Find(absl::string_view key, bool with_value) override;
  bool Scan(absl::string_view start, absl::string_view end, bool with_values,
            Visitor visit) override;
  void Put(absl::string_view key, KvRecord record) override;
  void Delete(absl::string_view key) override;
  std::optional<Deleted> DeleteDue(const TtlRow& start, raft::ClusterMillis until,
                                   uint64_t keys_max, const DueReader* due) override;
  void PutMemberRecord(const log::v1::MemberRecord& record) override;
  void AddEvent(HistoryEvent event) override;
  std::optional<const RememberedRequest*> FindRequest(absl::string_view id) override;
  std::optional<const RequestPlace*> FindRequestPlace(uint64_t number) override;
  void PutRequest(RequestPlace place, RememberedRequest request) override;
  void DropRequest(uint64_t number, const RequestPlace& place) override;
  const Lease* FindLease(int64_t id) override;
  bool ScanLease(int64_t id, absl::FunctionRef<bool(absl::string_view key)> visit) override;
  void PutLease(const Lease& lease) override;
  void DropLease(int64_t id) override;
  Mark SetMark() const override { return {}; }
  void RollBack(const Mark& /*mark*/) override {}

 private:
  const KvView& view_;
  const GivenUp given_up_;
  absl::Status status_;
  KvRecord record_;  // That Find returned last.
};

}  // namespace raftkv::kv
