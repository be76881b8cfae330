#include "base/error_chain.h"

#include <gtest/gtest.h>

namespace raftkv {
namespace {

TEST(InnermostCauseTest, IsWhatStandsLast) {
  EXPECT_EQ(InnermostCause("last error: UNKNOWN: ipv4:127.0.0.1:1: Failed to connect to remote "
                           "host: Connection refused"),
            "Connection refused");
  EXPECT_EQ(InnermostCause("Socket closed"), "Socket closed");
  EXPECT_EQ(InnermostCause("ipv4:127.0.0.1:1"), "ipv4:127.0.0.1:1");
  EXPECT_EQ(InnermostCause(""), "");
}

}  // namespace
}  // namespace raftkv
