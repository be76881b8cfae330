#include "client/ctl/live_screen.h"

#include <fcntl.h>
#include <glog/logging.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace raftkv::ctl {
namespace {

// The other screen, without a cursor; and back.
constexpr char kTake[] = "\x1b[?1049h\x1b[?25l";
constexpr char kGiveBack[] = "\x1b[0m\x1b[?25h\x1b[?1049l";

// They end the waiting.
constexpr int kEndSignals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
// They end the process where it is.
constexpr int kCrashSignals[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};

// For signal handlers, so of the process. What the terminal was like, and whether it is taken.
termios g_before;
bool g_has_before = false;  // Standard input is a terminal.
std::atomic<bool> g_taken = false;
// For the bytes below, each an event. They stay open, since other threads may tell of one late.
int g_events[2] = {-1, -1};
std::atomic<int> g_end_signal = 0;

constexpr char kWokenByte = 'w';
constexpr char kResizedByte = 'r';
constexpr char kEndByte = 'e';

// A handler may call all of this.
void WriteAll(absl::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(STDOUT_FILENO, text.data(), text.size());
    if (written < 0 && errno != EINTR) {
      return;
    }
    text.remove_prefix(written > 0 ? static_cast<size_t>(written) : 0);
  }
}

void GiveBack() {
  if (g_taken.exchange(false)) {
    WriteAll(kGiveBack);
    if (g_has_before) {
      tcsetattr(STDIN_FILENO, TCSANOW, &g_before);
    }
  }
}

void TakeTerminal() {
  if (g_has_before) {
    termios raw = g_before;
    raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
  }
  g_taken = true;
  WriteAll(kTake);
}

void Tell(char event) {
  const int saved = errno;
  // When there is no room, the other end has enough to wake up for.
  [[maybe_unused]] const ssize_t written = write(g_events[1], &event, 1);
  errno = saved;
}

void OnEnd(int signal) {
  g_end_signal = signal;
  Tell(kEndByte);
}

void OnResize(int /*signal*/) { Tell(kResizedByte); }

void OnCrash(int signal) {
  GiveBack();
  // The handler is gone by now (SA_RESETHAND), and the signal comes again.
  raise(signal);
}

void OnStop(int /*signal*/) {
  const int saved = errno;
  GiveBack();
  // SIGSTOP, because this signal is blocked while it is handled.
  raise(SIGSTOP);
  errno = saved;
}

// Also after a SIGSTOP, of which nobody is told before.
void OnContinue(int /*signal*/) {
  const int saved = errno;
  TakeTerminal();
  Tell(kResizedByte);
  errno = saved;
}

void Handle(int signal, void (*handler)(int), int flags) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = flags;
  sigemptyset(&action.sa_mask);
  CHECK_EQ(sigaction(signal, &action, nullptr), 0) << signal;
}

const char* StyleCode(LineStyle style) {
  switch (style) {
    case LineStyle::kHeader:
      return "\x1b[7m";
    case LineStyle::kGood:
      return "\x1b[32m";
    case LineStyle::kBad:
      return "\x1b[31m";
    case LineStyle::kPlain:
      return "";
  }
  return "";
}

}  // namespace

LiveScreen::LiveScreen() : colours_(getenv("NO_COLOR") == nullptr) {
  CHECK(!g_taken) << "a second screen";
  if (g_events[0] < 0) {
    CHECK_EQ(pipe2(g_events, O_CLOEXEC | O_NONBLOCK), 0) << errno;
  }
  g_has_before = tcgetattr(STDIN_FILENO, &g_before) == 0;
  g_end_signal = 0;
  for (const int signal : kEndSignals) {
    Handle(signal, OnEnd, SA_RESTART);
  }
  for (const int signal : kCrashSignals) {
    Handle(signal, OnCrash, static_cast<int>(SA_RESETHAND));
  }
  Handle(SIGTSTP, OnStop, SA_RESTART);
  Handle(SIGCONT, OnContinue, SA_RESTART);
  Handle(SIGWINCH, OnResize, SA_RESTART);
  TakeTerminal();
}

LiveScreen::~LiveScreen() {
  GiveBack();
  for (const int signal : kEndSignals) {
    Handle(signal, SIG_DFL, 0);
  }
  for (const int signal : kCrashSignals) {
    Handle(signal, SIG_DFL, 0);
  }
  Handle(SIGTSTP, SIG_DFL, 0);
  Handle(SIGCONT, SIG_DFL, 0);
  Handle(SIGWINCH, SIG_DFL, 0);
  if (g_end_signal != 0) {
    // Whoever waits for this process sees what ended it.
    raise(g_end_signal);
  }
}

ScreenSize LiveScreen::size() const {
  winsize size = {};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) {
    size.ws_col = 80;
    size.ws_row = 24;
  }
  return {.columns = std::max<size_t>(size.ws_col - 1U, 1), .rows = size.ws_row};
}

bool LiveScreen::Draw(const std::vector<ScreenLine>& lines) {
  // In place, so that nothing flickers. No line end after the last line: it would scroll.
  std::string frame = "\x1b[H";
  for (size_t i = 0; i < lines.size(); ++i) {
    const char* code = colours_ ? StyleCode(lines[i].style) : "";
    absl::StrAppend(&frame, i == 0 ? "" : "\r\n", code, lines[i].text,
                    code[0] == '\0' ? "" : "\x1b[0m", "\x1b[K");
  }
  frame += "\x1b[J";
  WriteAll(frame);
  return isatty(STDOUT_FILENO) == 1;
}

LiveScreen::Event LiveScreen::Await() {
  while (true) {
    pollfd entries[] = {{.fd = g_events[0], .events = POLLIN, .revents = 0},
                        {.fd = STDIN_FILENO, .events = POLLIN, .revents = 0}};
    if (poll(entries, keys_may_come_ ? 2 : 1, -1) < 0) {
      CHECK_EQ(errno, EINTR);
      continue;
    }
    char byte = 0;
    if (entries[0].revents != 0 && read(g_events[0], &byte, 1) == 1) {
      if (byte == kEndByte) {
        return Event::kEnd;
      }
      return byte == kResizedByte ? Event::kResized : Event::kWoken;
    }
    if (keys_may_come_ && entries[1].revents != 0) {
      const ssize_t count = read(STDIN_FILENO, &key_, 1);
      if (count == 1) {
        return Event::kKey;
      }
      // No more keys; signals still end it.
      keys_may_come_ = count < 0 && errno == EINTR;
    }
  }
}

void LiveScreen::Wake() { Tell(kWokenByte); }

}  // namespace raftkv::ctl
