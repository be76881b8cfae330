// Included before each file of raft/core where the tree is configured with
// RAFTKV_WITHOUT_CORE_CHECKS: its CHECKs do nothing, so that a mutant goes on where they would end
// the process, and oracles must find it by what it does.
#pragma once

#include <glog/logging.h>

#undef CHECK
#undef CHECK_EQ
#undef CHECK_NE
#undef CHECK_LE
#undef CHECK_LT
#undef CHECK_GE
#undef CHECK_GT
#define CHECK(condition) LOG_IF(FATAL, false && !(condition))
#define CHECK_EQ(a, b) CHECK((a) == (b))
#define CHECK_NE(a, b) CHECK((a) != (b))
#define CHECK_LE(a, b) CHECK((a) <= (b))
#define CHECK_LT(a, b) CHECK((a) < (b))
#define CHECK_GE(a, b) CHECK((a) >= (b))
#define CHECK_GT(a, b) CHECK((a) > (b))
