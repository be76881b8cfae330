// Keys as CSV (RFC 4180), for `raftkvctl dump --format csv` and `load`:
//
//   key,value,value_base64,ttl
//   k,text,,1500ms
//   "a ""quoted"" key",,/wA=,
//
// The first record names the columns, in any order: key, at least one of value and value_base64,
// and any of ttl and mod_revision, which a load leaves out. A field with a comma, a quote or an end
// of line is quoted. Of value and value_base64 at most one is not empty. Pure but for the stream.
#pragma once

#include <cstdint>
#include <istream>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/ctl/json_lines.h"
#include "client/types.h"

namespace raftkv::ctl {

// The record of the columns, and that of a key; each ends with a newline.
std::string CsvHeader();
std::string ToCsvRecord(const KeyValue& kv);

// Reads records. Confined to one thread.
class CsvReader final {
 public:
  // Borrows the stream. A record has at most `bytes_max`.
  CsvReader(std::istream& in, size_t bytes_max) : in_(in), bytes_max_(bytes_max) {}

  // The next key; nullopt at the end. INVALID_ARGUMENT says what is wrong with the record that
  // began at line().
  absl::StatusOr<std::optional<JsonLine>> Next();
  // Where the last record began, from 1.
  int64_t line() const { return line_; }

 private:
  // False at the end. A record that is nothing but an end of line is skipped.
  absl::StatusOr<bool> ReadRecord(std::vector<std::string>* fields);
  absl::StatusOr<bool> ReadFields(std::vector<std::string>* fields);
  absl::Status ReadQuoted(std::string* field);
  absl::Status ReadHeader();
  int Take();
  int Peek();

  std::istream& in_;
  const size_t bytes_max_;
  int64_t line_ = 0;
  // Ends of lines that were taken.
  int64_t lines_taken_ = 0;
  // Of the record that is being read.
  size_t bytes_ = 0;
  // Names of the columns, once they were read.
  std::vector<std::string> columns_;
};

}  // namespace raftkv::ctl
