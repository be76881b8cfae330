#include "server/http/config_route.h"

#include <variant>

#include "server/http/answers.h"
#include "server/http/json.h"

namespace raftkv::server {

Route ConfigRoute(const ServerOptions& options) {
  const auto show = [&options](const RoutedRequest& /*request*/) {
    Json json = Json::object();
    for (const Option& option : Option::Table()) {
      const auto value_of = [&options](const auto& row) -> Json { return options.*row.field; };
      json[option.name] = {{"value", std::visit(value_of, option.value)},
                           {"source", options.SourceOf(option.name)}};
    }
    return JsonAnswer(json);
  };
  return {
      .method = "GET", .pattern = "/config", .parameters = {}, .handle = show, .fail = ErrorAnswer};
}

}  // namespace raftkv::server
