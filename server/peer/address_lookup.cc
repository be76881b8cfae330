#include "server/peer/address_lookup.h"

#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "server/options.h"

namespace raftkv::server {

struct AddressLookup::Question {
  std::string host;
  std::string port;
  addrinfo hints = {};
  gaicb control = {};
};

AddressLookup::AddressLookup(const std::string& address) : question_(new Question) {
  const HostPort parsed = *HostPort::Parse(address);
  question_->host = parsed.host;
  question_->port = absl::StrCat(parsed.port);
  question_->hints.ai_socktype = SOCK_STREAM;
  question_->hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  gaicb& control = question_->control;
  control.ar_name = question_->host.c_str();
  control.ar_service = question_->port.c_str();
  control.ar_request = &question_->hints;
  // Looks at the text only.
  int error =
      getaddrinfo(control.ar_name, control.ar_service, &question_->hints, &control.ar_result);
  if (error == EAI_NONAME) {
    question_->hints.ai_flags = AI_NUMERICSERV;
    gaicb* list[] = {&control};
    error = getaddrinfo_a(GAI_NOWAIT, list, 1, nullptr);
    if (error == 0) {
      return;
    }
  }
  Take(error);
}

AddressLookup::~AddressLookup() {
  if (Done()) {
    return;
  }
  if (gai_cancel(&question_->control) == EAI_NOTCANCELED) {
    // The resolver's own thread still writes to it.
    static_cast<void>(question_.release());
  } else {
    static_cast<void>(Done());
  }
}

bool AddressLookup::Done() {
  if (question_ != nullptr) {
    if (const int error = gai_error(&question_->control); error != EAI_INPROGRESS) {
      Take(error);
    }
  }
  return question_ == nullptr;
}

void AddressLookup::Take(int error) {
  addrinfo* const found = question_->control.ar_result;
  if (error != 0) {
    problem_ = absl::StrCat("cannot resolve ", question_->host, ": ", gai_strerror(error));
  } else {
    for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
      char host[NI_MAXHOST];
      char port[NI_MAXSERV];
      if (getnameinfo(at->ai_addr, at->ai_addrlen, host, sizeof(host), port, sizeof(port),
                      NI_NUMERICHOST | NI_NUMERICSERV) == 0) {
        std::string address = absl::StrCat(
            at->ai_family == AF_INET6 ? absl::StrCat("[", host, "]") : std::string(host), ":",
            port);
        if (std::find(addresses_.begin(), addresses_.end(), address) == addresses_.end()) {
          addresses_.push_back(std::move(address));
        }
      }
    }
    freeaddrinfo(found);
    if (addresses_.empty()) {
      problem_ = absl::StrCat("cannot resolve ", question_->host, ": it has no address");
    }
  }
  question_.reset();
}

}  // namespace raftkv::server
