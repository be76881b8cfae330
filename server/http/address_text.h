// What stands in an HTTP address: keys in its path, parameters behind its question mark.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace raftkv::server {

// Each "%41" becomes its byte, once; everything else, "+" too, stays. INVALID_ARGUMENT / MALFORMED
// when a "%" is not followed by two hexadecimal digits, or when the result is not UTF-8: what is
// named in an address is a string of a request.
absl::StatusOr<std::string> DecodePath(absl::string_view text);

// The decoded parameters of one request; "+" is a blank. Thread-safe as a value is.
class QueryParameters {
 public:
  // INVALID_ARGUMENT / MALFORMED as above, and when a parameter is given twice.
  static absl::StatusOr<QueryParameters> Parse(absl::string_view query);

  // INVALID_ARGUMENT / MALFORMED that names the first one that is not among `known`: dropping it in
  // silence could drop a ttl that is written wrong.
  absl::Status CheckAllAmong(const std::vector<std::string>& known) const;

  std::optional<std::string> Find(const std::string& name) const;
  bool Has(const std::string& name) const { return values_.count(name) > 0; }
  // A switch: there, and not "false" or "0". INVALID_ARGUMENT / MALFORMED when it is something else
  // than empty, "true", "1", "false" or "0".
  absl::StatusOr<bool> IsOn(const std::string& name) const;

 private:
  std::map<std::string, std::string> values_;
};

}  // namespace raftkv::server
