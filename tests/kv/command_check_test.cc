#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <string>

#include "kv/command_semantics.h"

namespace raftkv::kv {
namespace {

using log::v1::Command;

Command Parsed(const std::string& text) {
  Command command;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &command)) << text;
  return command;
}

// While a disk is nearly full, what adds data is refused, and what frees space goes on.
TEST(AddsDataTest, IsWhatMayWriteAKeyOrMakeALease) {
  for (const std::string operation : {"put {}", "increment {}"}) {
    EXPECT_TRUE(AddsData(Parsed("txn { operations { " + operation + " } }")));
    EXPECT_TRUE(AddsData(Parsed("txn { else_operations { " + operation + " } }")));
    EXPECT_TRUE(
        AddsData(Parsed("txn { operations { delete {} } operations { txn { "
                        "else_operations { " +
                        operation + " } } } }")));
  }
  EXPECT_TRUE(AddsData(Parsed("grant_lease {}")));
}

TEST(AddsDataTest, NothingElseDoes) {
  for (const std::string operation : {"delete {}", "get {}", "list {}", "touch {}", "txn {}"}) {
    EXPECT_FALSE(AddsData(Parsed("txn { operations { " + operation + " } }"))) << operation;
  }
  for (const std::string command :
       {"expire {}", "member_record {}", "raise_cluster_version {}", "renew_lease {}",
        "revoke_lease {}", "expire_lease {}", "compact_history {}"}) {
    EXPECT_FALSE(AddsData(Parsed(command))) << command;
  }
}

}  // namespace
}  // namespace raftkv::kv
