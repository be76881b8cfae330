// PeerAddresses knows where members may be reached, from every source: an address is only a place
// to look, and the data id of who answers there says who it is.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace raftkv::kv {

// Members go by their names. Confined to the loop.
class PeerAddresses final {
 public:
  // What --initial_cluster of this start says.
  void SetTold(std::map<std::string, std::string> addresses) { told_ = std::move(addresses); }
  // The member itself said so when it called. An address that nobody can dial is not taken.
  void OnSeen(const std::string& name, const std::string& address);
  // Another member saw it there; the newest kHeardAddressesMax of each member are kept.
  void OnHeard(const std::string& name, const std::string& address);

  // All that is known of a member, the likeliest first, when `published` is what its record in the
  // log says and `founded` what the founding record says.
  std::vector<std::string> Candidates(const std::string& name, const std::string& published,
                                      const std::string& founded) const;
  // Where members said that they are, by name.
  const std::map<std::string, std::string>& seen() const { return seen_; }

 private:
  std::map<std::string, std::string> told_;
  std::map<std::string, std::string> seen_;
  std::map<std::string, std::vector<std::string>> heard_;  // Newest first.
};

}  // namespace raftkv::kv
