#include "client/known_members.h"

#include <algorithm>
#include <utility>

namespace raftkv::client {
namespace {

using Endpoint = KnownMembers::Endpoint;

auto Find(const std::vector<Endpoint>& list, const std::string& address) {
  return std::find_if(list.begin(), list.end(),
                      [&](const Endpoint& endpoint) { return endpoint.address == address; });
}

KnownMembers::List MakeGiven(const std::vector<std::string>& given, const StubFactory& make_stub) {
  auto list = std::make_shared<std::vector<Endpoint>>();
  for (const std::string& address : given) {
    list->push_back({.address = address, .stub = make_stub(address)});
  }
  return list;
}

MonotonicNanos After(MonotonicNanos time, absl::Duration duration) {
  return time + absl::ToInt64Nanoseconds(duration);
}

}  // namespace

KnownMembers::KnownMembers(const std::vector<std::string>& given, bool learns,
                           StubFactory make_stub)
    : learns_(learns), make_stub_(std::move(make_stub)), given_(MakeGiven(given, make_stub_)) {
  list_ = given_;
  preferred_ = list_->front().address;
}

KnownMembers::List KnownMembers::list() const {
  MutexLock lock(&mutex_);
  return list_;
}

size_t KnownMembers::Preferred(const List& list) const {
  MutexLock lock(&mutex_);
  return PreferredLocked(list);
}

size_t KnownMembers::PreferredLocked(const List& list) const {
  const auto found = Find(*list, preferred_);
  return found == list->end() ? 0 : static_cast<size_t>(found - list->begin());
}

void KnownMembers::Prefer(const List& list, size_t place) {
  MutexLock lock(&mutex_);
  preferred_ = (*list)[place].address;
  has_answered_ = true;
}

void KnownMembers::TurnAwayFrom(const List& list, size_t place) {
  MutexLock lock(&mutex_);
  next_asking_ = std::min(next_asking_, After(last_asking_, kAskAgainAfterFailure));
  trusted_.erase((*list)[place].address);
  // By the place, since who is preferred may not be in this list.
  if (PreferredLocked(list) == place) {
    preferred_ = (*list)[(place + 1) % list->size()].address;
  }
}

bool KnownMembers::has_answered() const {
  MutexLock lock(&mutex_);
  return has_answered_;
}

bool KnownMembers::IsTrusted(const Endpoint& endpoint) const {
  if (endpoint.is_given) {
    return true;
  }
  MutexLock lock(&mutex_);
  return trusted_.contains(endpoint.address);
}

bool KnownMembers::TakeAsking(MonotonicNanos now) {
  MutexLock lock(&mutex_);
  if (!learns_ || now < next_asking_) {
    return false;
  }
  last_asking_ = now;
  next_asking_ = After(now, kAskAgain);
  return true;
}

void KnownMembers::Learn(const Endpoint& asked, const v1::ListMembersResponse& members,
                         MonotonicNanos now) {
  MutexLock lock(&mutex_);
  // Its own address may be spelled in another way than that which the client was given.
  if (asked.is_given) {
    given_ids_.insert(members.header().member_id());
  } else {
    trusted_.insert(asked.address);
  }
  auto list = std::make_shared<std::vector<Endpoint>>(*given_);
  bool all_known = true;
  for (const v1::Member& member : members.members()) {
    const std::string& address = member.client_address();
    all_known = all_known && !address.empty();
    if (address.empty() || given_ids_.contains(member.id()) ||
        Find(*list, address) != list->end() || list->size() >= given_->size() + kLearnedMax) {
      continue;
    }
    const auto known = Find(*list_, address);
    list->push_back({.address = address,
                     .stub = known != list_->end() ? known->stub : make_stub_(address),
                     .is_given = false});
  }
  list_ = std::move(list);
  next_asking_ = After(now, all_known ? kAskAgainWhenAllKnown : kAskAgain);
}

void KnownMembers::Forget(const Endpoint& endpoint) {
  if (endpoint.is_given) {
    return;
  }
  MutexLock lock(&mutex_);
  trusted_.erase(endpoint.address);
  auto list = std::make_shared<std::vector<Endpoint>>(*list_);
  std::erase_if(*list, [&](const Endpoint& other) { return other.address == endpoint.address; });
  list_ = std::move(list);
}

}  // namespace raftkv::client
