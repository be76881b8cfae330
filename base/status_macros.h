// The two macros of the tree: both leave the enclosing function with a failed absl::Status.
#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Returns the status of `expr` from the enclosing function unless it is OK.
#define RAFTKV_RETURN_IF_ERROR(expr)                    \
  do {                                                  \
    if (absl::Status status_ = (expr); !status_.ok()) { \
      return status_;                                   \
    }                                                   \
  } while (false)

// Assigns the value of the StatusOr `expr` to `lhs`, or returns its status from the
// enclosing function.
#define RAFTKV_ASSIGN_OR_RETURN(lhs, expr) \
  RAFTKV_ASSIGN_OR_RETURN_IMPL_(RAFTKV_CONCAT_(status_or_, __LINE__), lhs, expr)
#define RAFTKV_ASSIGN_OR_RETURN_IMPL_(result, lhs, expr) \
  auto result = (expr);                                  \
  if (!result.ok()) {                                    \
    return result.status();                              \
  }                                                      \
  lhs = std::move(result).value()
#define RAFTKV_CONCAT_(a, b) RAFTKV_CONCAT_INNER_(a, b)
#define RAFTKV_CONCAT_INNER_(a, b) a##b
