// Operation is the tag of one operation of a call that has several, and that lives until its last
// one is over.
#pragma once

#include "server/loop/event_loop.h"

namespace raftkv::server {

// What a class derives from whose operations are Operations. Confined to the loop.
class OperatedCall {
 public:
  OperatedCall(const OperatedCall&) = delete;
  OperatedCall& operator=(const OperatedCall&) = delete;

 protected:
  OperatedCall() = default;
  virtual ~OperatedCall() = default;
  // Nothing is begun any more: it is deleted once nothing is under way.
  virtual bool IsOver() const = 0;

 private:
  template <typename Call>
  friend class Operation;

  int under_way_ = 0;
};

// `Call` is what has the member functions; it derives from OperatedCall.
template <typename Call>
class Operation final : public EventTag {
 public:
  Operation(Call* call, void (Call::*on_event)(bool)) : call_(call), on_event_(on_event) {}

  // The tag for gRPC. REQUIRES: it is not under way.
  EventTag* Begin() {
    ++base()->under_way_;
    return this;
  }

  void OnEvent(bool ok) override {
    OperatedCall* const call = base();
    --call->under_way_;
    (call_->*on_event_)(ok);
    if (call->under_way_ == 0 && call->IsOver()) {
      delete call;
    }
  }

  void OnLeftOver(bool /*ok*/) override {
    if (OperatedCall* const call = base(); --call->under_way_ == 0) {
      delete call;
    }
  }

 private:
  OperatedCall* base() { return call_; }

  Call* const call_;
  void (Call::*const on_event_)(bool);
};

}  // namespace raftkv::server
