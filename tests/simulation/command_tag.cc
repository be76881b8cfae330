#include "tests/simulation/command_tag.h"

#include <glog/logging.h>

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace raftkv::simulation {
namespace {

// A bound on the bytes of previous values that nothing reaches.
constexpr uint64_t kTagBase = uint64_t{1} << 40;

}  // namespace

std::string TaggedValue(OperationNumber number, size_t bytes, char filler) {
  std::string value = absl::StrCat(number, "@");
  value.resize(std::max(value.size(), bytes), filler);
  return value;
}

bool MayComeTwice(const log::v1::Command& command) { return !command.request().id().empty(); }

void Tag(OperationNumber number, log::v1::Command* command) {
  if (!command->has_txn()) {
    // But for a grant, nobody looks at it.
    command->mutable_request()->set_content_hash(number);
    return;
  }
  log::v1::Operation* const first = command->mutable_txn()->mutable_operations(0);
  if (first->has_delete_()) {
    first->mutable_delete_()->set_previous_bytes_max(kTagBase + number);
  }
  CHECK_EQ(TagOf(*command), number);
}

OperationNumber TagOf(const log::v1::Command& command) {
  if (!command.has_txn()) {
    return command.request().content_hash();
  }
  const log::v1::Operation& first = command.txn().operations(0);
  if (first.has_delete_()) {
    return first.delete_().previous_bytes_max() - kTagBase;
  }
  OperationNumber number = 0;
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(first.put().value(), absl::MaxSplits('@', 1));
  CHECK(absl::SimpleAtoi(parts.first, &number)) << first.put().value();
  return number;
}

}  // namespace raftkv::simulation
