// LiveScreen is a terminal that is taken over for a while, and given back as it was.
#pragma once

#include <string>
#include <vector>

#include "client/ctl/top_screen.h"

namespace raftkv::ctl {

// Standard input and output, which is a terminal. At most one at a time; confined to the thread
// that made it, but for Wake.
class LiveScreen {
 public:
  enum class Event { kKey, kWoken, kResized, kEnd };

  // Changes to the terminal's other screen, without echo. Signals that end a process, or stop it
  // for a while, give the terminal back first, whichever thread they meet.
  LiveScreen();
  // Gives the terminal back. When a signal has ended the waiting, it does its work now.
  ~LiveScreen();
  LiveScreen(const LiveScreen&) = delete;
  LiveScreen& operator=(const LiveScreen&) = delete;

  // One column less than there are: behind the last one is no place to erase from.
  ScreenSize size() const;
  // False when the terminal is gone.
  [[nodiscard]] bool Draw(const std::vector<ScreenLine>& lines);
  // Waits for what comes next: a key, Wake, another size, or a signal to end.
  Event Await();
  // The one of the last kKey.
  char key() const { return key_; }
  // Thread-safe.
  void Wake();

 private:
  const bool colours_;
  bool keys_may_come_ = true;
  char key_ = 0;
};

}  // namespace raftkv::ctl
