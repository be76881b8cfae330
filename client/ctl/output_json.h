// What output's lines of JSON are made of.
//
// Pure functions; thread-safe.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "client/ctl/output.h"
#include "client/types.h"

namespace raftkv::ctl {

using Json = nlohmann::ordered_json;

// One line, whatever the bytes are.
std::string Line(const Json& json);
// The cluster id as text, as protobuf's JSON has it: as a number, most JSON readers would round it.
Json ToJson(const ResponseHeader& header);
Json ToJson(const KeyValue& kv, const KeyView& view);
Json ToJson(const WatchStatus& watches);

}  // namespace raftkv::ctl
