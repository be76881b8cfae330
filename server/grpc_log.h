// What of gRPC's own log concerns an operator.
#pragma once

namespace raftkv::server {

// Takes gRPC's lines from now on. They are for people who debug gRPC; what matters of them is said
// by our own lines, but for what gRPC aborts on, for the end of a port, and for connections that
// end before they are any. Thread-safe.
void TakeGrpcLog();

// Whether gRPC has stopped accepting connections on a port of this process. One failed accept is
// enough (too many open files, no memory): gRPC 1.51 never looks at that port again, and only its
// log tells (grpc#20418). Thread-safe.
bool GrpcGaveUpPort();
// What to say when it did.
inline constexpr char kDeafMessage[] =
    "cannot take new connections any more: stopping, because only a restart opens the port again. "
    "Is the limit of open files (ulimit -n) high enough?";

}  // namespace raftkv::server
