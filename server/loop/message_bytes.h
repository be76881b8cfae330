// Messages to bytes and back, for calls whose parsing is ours.
#pragma once

#include <google/protobuf/message.h>
#include <grpcpp/support/byte_buffer.h>

namespace raftkv::server {

// Takes the bytes, which are empty afterwards. Returns false when they are no such message, and
// leaves `message` in any state then, and the bytes as they were.
[[nodiscard]] bool ParseMessage(grpc::ByteBuffer* bytes, google::protobuf::Message* message);
grpc::ByteBuffer SerializeMessage(const google::protobuf::Message& message);

}  // namespace raftkv::server
