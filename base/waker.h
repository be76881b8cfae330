// How something that finished elsewhere gets the event loop to look.
#pragma once

namespace raftkv {

// Thread-safe: any thread may wake.
class Waker {
 public:
  virtual ~Waker() = default;
  // Causes at least one more turn of the loop after this call; several calls before that turn may
  // share it. Returns at once.
  virtual void Wake() = 0;
};

}  // namespace raftkv
