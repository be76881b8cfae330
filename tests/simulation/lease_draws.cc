#include "tests/simulation/lease_draws.h"

namespace raftkv::simulation {
namespace {

// Of the writes where leases are used, those that are about one itself, and hang a key on one.
constexpr uint64_t kLeaseCommandPermille = 300;
constexpr uint64_t kHangPermille = 600;
constexpr uint64_t kLookPermille = 150;
// Of the puts that might hang a key on a lease, those that leave it where it hangs.
constexpr uint64_t kKeepPermille = 300;

}  // namespace

bool LeaseDraws::DrawCommand(log::v1::Command* command) {
  if (options_.lease_ids == 0 || !dice_.Chance(kLeaseCommandPermille)) {
    return false;
  }
  switch (dice_.Below(6)) {
    case 0:
    case 1: {
      log::v1::GrantLease* const grant = command->mutable_grant_lease();
      grant->set_id(dice_.Chance(100) ? 0 : DrawId());
      grant->set_ttl_ms(DrawTtl());
      grant->set_leases_max(options_.leases_max);
      grant->set_keys_max(1 + dice_.Below(4));
      command->mutable_request()->set_keep_ms(options_.request_keep_ms);
      command->mutable_request()->set_ids_max(options_.request_ids_max);
      command->mutable_request()->set_bytes_max(1 << 30);
      break;
    }
    case 2:
      command->mutable_revoke_lease()->set_id(DrawId());
      break;
    default:
      command->mutable_renew_lease()->set_id(DrawId());
      command->mutable_renew_lease()->set_ttl_ms(dice_.Chance(300) ? DrawTtl() : 0);
  }
  return true;
}

void LeaseDraws::MaybeHang(log::v1::Operation* operation) {
  if (options_.lease_ids == 0 || !dice_.Chance(kHangPermille)) {
    return;
  }
  const int64_t id = DrawId();
  if (operation->has_put() && dice_.Chance(kKeepPermille)) {
    operation->mutable_put()->set_keep_ttl(true);
  } else if (operation->has_put()) {
    operation->mutable_put()->set_lease_id(id);
  } else if (operation->has_touch()) {
    operation->mutable_touch()->set_lease_id(id);
  } else if (operation->has_increment()) {
    operation->mutable_increment()->set_lease_id(id);
  }
}

void LeaseDraws::MaybeLook(log::v1::Guard* guard) {
  if (options_.lease_ids == 0 || !dice_.Chance(kLookPermille)) {
    return;
  }
  if (guard->has_exists()) {
    guard->set_comparison(log::v1::COMPARISON_UNSPECIFIED);
  }
  guard->set_lease_id(dice_.Chance(500) ? 0 : DrawId());
}

}  // namespace raftkv::simulation
