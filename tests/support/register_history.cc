#include "tests/support/register_history.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace raftkv::integration {
namespace {

// Enough to understand what went wrong.
constexpr size_t kViolationsMax = 20;

}  // namespace

std::string RegisterHistory::BeginWrite(const std::string& key) {
  MutexLock lock(&mutex_);
  return absl::StrCat(registers_[key].next_number++, "@", key);
}

void RegisterHistory::EndWrite(const std::string& key, const std::string& value,
                               const Reply<v1::PutResponse>& reply) {
  MutexLock lock(&mutex_);
  Register& reg = registers_[key];
  if (reply.ok()) {
    ++counts_.acknowledged;
    ++reg.acknowledged;
    Observe(key, reply->mod_revision(), value, "the acknowledgement");
    newest_store_revision_ = std::max(newest_store_revision_, reply->header().revision());
  } else if (reply.CertainlyNotApplied()) {
    ++counts_.refused;
    reg.refused.insert(value);
  } else {
    ++counts_.unknown;
    reg.unknown.insert(value);
  }
}

RegisterHistory::Floor RegisterHistory::BeginRead(const std::string& key) const {
  MutexLock lock(&mutex_);
  const auto found = registers_.find(key);
  return {.key_revision = found == registers_.end() ? 0 : found->second.newest_revision,
          .store_revision = newest_store_revision_};
}

void RegisterHistory::EndRead(const std::string& key, const Floor& floor,
                              const Reply<v1::GetResponse>& reply, const std::string& who) {
  MutexLock lock(&mutex_);
  if (!reply.ok()) {
    ++counts_.failed_reads;
    return;
  }
  ++counts_.reads;
  const v1::KeyValue& kv = reply->kv();
  if (kv.mod_revision() < floor.key_revision) {
    AddViolation(absl::StrCat("stale read of ", key, " by ", who, ": mod_revision ",
                              kv.mod_revision(), ", but ", floor.key_revision,
                              " was known before it was asked for"));
  }
  if (reply->header().revision() < floor.store_revision) {
    AddViolation(absl::StrCat("stale answer for ", key, " by ", who, ": revision ",
                              reply->header().revision(), ", but ", floor.store_revision,
                              " was known before it was asked for"));
  }
  newest_store_revision_ = std::max(newest_store_revision_, reply->header().revision());
  if (reply->has_kv()) {
    Observe(key, kv.mod_revision(), kv.text(), who);
  }
}

void RegisterHistory::Observe(const std::string& key, int64_t revision, const std::string& value,
                              const std::string& who) {
  Register& reg = registers_[key];
  reg.newest_revision = std::max(reg.newest_revision, revision);
  const std::string& known = reg.values_by_revision.emplace(revision, value).first->second;
  if (known != value) {
    AddViolation(absl::StrCat(key, " at revision ", revision, ": ", who, " says \"", value,
                              "\", earlier it was \"", known, "\""));
  }
}

void RegisterHistory::VerifyFinalState(NodeClient* client) {
  std::vector<std::string> keys;
  {
    MutexLock lock(&mutex_);
    for (const auto& entry : registers_) {
      keys.push_back(entry.first);
    }
  }
  for (const std::string& key : keys) {
    const Floor floor = BeginRead(key);
    const auto reply = client->GetText(key);
    EndRead(key, floor, reply, client->address());
    if (reply.ok()) {
      CheckFinal(key, reply->kv(), client->address());
    } else {
      MutexLock lock(&mutex_);
      AddViolation(absl::StrCat("final read of ", key, " from ", client->address(), ": ",
                                reply.status.error_message()));
    }
  }
}

void RegisterHistory::CheckFinal(const std::string& key, const v1::KeyValue& kv,
                                 const std::string& who) {
  MutexLock lock(&mutex_);
  const Register& reg = registers_[key];
  const auto unknown = static_cast<int64_t>(reg.unknown.size());
  if (kv.version() < reg.acknowledged || kv.version() > reg.acknowledged + unknown) {
    AddViolation(absl::StrCat(key, " on ", who, " has version ", kv.version(), " after ",
                              reg.acknowledged, " acknowledged writes and ", unknown,
                              " of unknown outcome"));
  }
  for (const auto& [revision, value] : reg.values_by_revision) {
    if (reg.refused.count(value) > 0) {
      AddViolation(absl::StrCat(key, " held \"", value, "\" at revision ", revision,
                                ", which was reported as not written"));
    }
  }
}

void RegisterHistory::AddViolation(const std::string& what) {
  if (violations_.size() < kViolationsMax) {
    violations_.push_back(what);
  }
}

std::vector<std::string> RegisterHistory::violations() const {
  MutexLock lock(&mutex_);
  return violations_;
}

RegisterHistory::Counts RegisterHistory::counts() const {
  MutexLock lock(&mutex_);
  return counts_;
}

}  // namespace raftkv::integration
