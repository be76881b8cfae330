#include "server/api/page_token.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/coding.h"
#include "base/stable_hash.h"

namespace raftkv::server {
namespace {

constexpr char kMark = 'P';
constexpr size_t kHashBytes = kFixed64Bytes;

// Big-endian bytes of the hash of everything but page_size and page_token. The messages have no
// maps, so that their encoding is stable.
std::string RequestHash(const v1::ListRequest& request) {
  v1::ListRequest fixed = request;
  fixed.clear_page_size();
  fixed.clear_page_token();
  std::string bytes;
  AppendBe64(StableHash(fixed.SerializeAsString()), &bytes);
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
