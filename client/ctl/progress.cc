#include "client/ctl/progress.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/ctl/output.h"

namespace raftkv::ctl {
namespace {

constexpr MonotonicNanos kTerminalInterval = kNanosPerSecond / 5;
constexpr MonotonicNanos kLineInterval = 5 * kNanosPerSecond;
constexpr int kBarWidth = 24;
// Begins the line anew, and clears it.
constexpr char kNewLine[] = "\r\x1b[K";

}  // namespace

Progress::Progress(std::ostream& out, bool is_terminal, Unit unit, const MonotonicClock* clock)
    : out_(out),
      is_terminal_(is_terminal),
      unit_(unit),
      clock_(*clock),
      began_at_(clock_.Now()),
      next_at_(began_at_ + (is_terminal ? 0 : kLineInterval)) {}

void Progress::Update(int64_t done, int64_t total) {
  const MonotonicNanos now = clock_.Now();
  if (now < next_at_) {
    return;
  }
  next_at_ = now + (is_terminal_ ? kTerminalInterval : kLineInterval);
  shown_ = true;
  if (is_terminal_) {
    out_ << kNewLine << Text(done, total) << std::flush;
  } else {
    out_ << Text(done, total) << "\n" << std::flush;
  }
}

void Progress::End() {
  if (is_terminal_ && shown_) {
    out_ << kNewLine << std::flush;
  }
}

std::string Progress::Text(int64_t done, int64_t total) const {
  const auto amount = [this](int64_t value) {
    return unit_ == Unit::kBytes ? FormatBytes(value) : absl::StrCat(value, " keys");
  };
  const double seconds =
      std::max(static_cast<double>(clock_.Now() - began_at_) / kNanosPerSecond, 0.001);
  const std::string rate =
      absl::StrCat(amount(static_cast<int64_t>(static_cast<double>(done) / seconds)), "/s");
  if (total <= 0) {
    return absl::StrCat(amount(done), "  ", rate);
  }
  // The total is an estimate, so it is not taken for reached before it is over.
  const int percent = static_cast<int>(std::min<int64_t>(99, done * 100 / total));
  const int filled = percent * kBarWidth / 100;
  return absl::StrFormat("[%s%s] %2d%%  %s of about %s  %s", std::string(filled, '#'),
                         std::string(kBarWidth - filled, ' '), percent, amount(done),
                         amount(std::max(done, total)), rate);
}

}  // namespace raftkv::ctl
