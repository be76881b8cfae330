#include "kv/peer_addresses.h"

#include <algorithm>

#include "base/host_port.h"

namespace raftkv::kv {
namespace {

constexpr size_t kHeardAddressesMax = 4;

bool CanBeDialled(const std::string& address) {
  const absl::StatusOr<HostPort> parsed = HostPort::Parse(address);
  return parsed.ok() && !parsed->IsWildcard() && parsed->port != 0;
}

}  // namespace

void PeerAddresses::OnSeen(const std::string& name, const std::string& address) {
  if (CanBeDialled(address)) {
    seen_[name] = address;
  }
}

void PeerAddresses::OnHeard(const std::string& name, const std::string& address) {
  if (!CanBeDialled(address)) {
    return;
  }
  std::vector<std::string>& heard = heard_[name];
  std::erase(heard, address);
  heard.insert(heard.begin(), address);
  if (heard.size() > kHeardAddressesMax) {
    heard.pop_back();
  }
}

std::vector<std::string> PeerAddresses::Candidates(const std::string& name,
                                                   const std::string& published,
                                                   const std::string& founded) const {
  std::vector<std::string> candidates;
  const auto add = [&candidates](const std::string& address) {
    if (CanBeDialled(address) &&
        std::find(candidates.begin(), candidates.end(), address) == candidates.end()) {
      candidates.push_back(address);
    }
  };
  if (const auto seen = seen_.find(name); seen != seen_.end()) {
    add(seen->second);
  }
  add(published);
  if (const auto told = told_.find(name); told != told_.end()) {
    add(told->second);
  }
  if (const auto heard = heard_.find(name); heard != heard_.end()) {
    for (const std::string& address : heard->second) {
      add(address);
    }
  }
  add(founded);
  return candidates;
}

}  // namespace raftkv::kv
