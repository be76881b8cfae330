#include "server/api/page_token.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/stable_hash.h"

namespace raftkv::server {
namespace {

constexpr char kMark = 'P';
constexpr size_t kHashBytes = 8;

// Big-endian bytes of the hash of everything but page_size and page_token. The messages have no
// maps, so that their encoding is stable.
std::string RequestHash(const v1::ListRequest& request) {
  v1::ListRequest fixed = request;
  fixed.clear_page_size();
  fixed.clear_page_token();
  const uint64_t hash = StableHash(fixed.SerializeAsString());
  std::string bytes;
  for (int shift = 56; shift >= 0; shift -= 8) {
    bytes.push_back(static_cast<char>(hash >> shift));
  }
  return bytes;
}

}  // namespace

std::string MakePageToken(const v1::ListRequest& request, absl::string_view last_key) {
  return absl::WebSafeBase64Escape(
      absl::StrCat(absl::string_view(&kMark, 1), RequestHash(request), last_key));
}

std::optional<std::string> ReadPageToken(const v1::ListRequest& request) {
  std::string content;
  if (!absl::WebSafeBase64Unescape(request.page_token(), &content) ||
      content.size() <= 1 + kHashBytes || content[0] != kMark ||
      content.compare(1, kHashBytes, RequestHash(request)) != 0) {
    return std::nullopt;
  }
  return content.substr(1 + kHashBytes);
}

}  // namespace raftkv::server
