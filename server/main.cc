// raftkvd: one member of a raftkv cluster.
#include <glog/logging.h>
#include <google/protobuf/stubs/logging.h>

#include <iostream>
#include <memory>

#include "server/flags.h"
#include "server/server.h"

namespace {

// API.md §1.
constexpr int kExitBadFlags = 1;

}  // namespace

int main(int argc, char** argv) {
  FLAGS_logtostderr = true;
  google::InitGoogleLogging(argv[0]);
  // Protobuf logs every string of a client that is not UTF-8; the client is told, that is enough.
  google::protobuf::SetLogHandler(nullptr);

  auto options = raftkv::server::ParseFlags(argc, argv);
  if (!options.ok()) {
    std::cerr << "raftkvd: " << options.status().message() << "\n";
    return kExitBadFlags;
  }
  if (!options->has_value()) {
    return 0;
  }
  return raftkv::server::RunServer(**options);
}
