// AddressLookup asks the system's resolver once what a host:port means now, without blocking: the
// answer is polled for. It keeps nothing from earlier answers.
#pragma once

#include <memory>
#include <string>
#include <vector>

namespace raftkv::server {

// Confined to the loop.
class AddressLookup final {
 public:
  // Begins to ask. REQUIRES: HostPort::Parse accepts `address`.
  explicit AddressLookup(const std::string& address);
  // Gives up a question that is not answered.
  ~AddressLookup();
  AddressLookup(const AddressLookup&) = delete;
  AddressLookup& operator=(const AddressLookup&) = delete;

  // Whether the answer is there; at once when the host is an address already.
  bool Done();
  // Each an ip:port, in the order in which they should be tried (RFC 6724); empty when there are
  // none. REQUIRES: Done().
  const std::vector<std::string>& addresses() const { return addresses_; }
  // Why there are none. REQUIRES: Done().
  const std::string& problem() const { return problem_; }

 private:
  struct Question;

  void Take(int error);

  std::unique_ptr<Question> question_;  // Null once it is answered.
  std::vector<std::string> addresses_;
  std::string problem_;
};

}  // namespace raftkv::server
