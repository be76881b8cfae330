// raftkvd: one member of a raftkv cluster.
#include <fcntl.h>
#include <glog/logging.h>
#include <google/protobuf/stubs/logging.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <iostream>
#include <memory>
#include <string_view>

#include "absl/synchronization/mutex.h"
#include "base/stderr_pump.h"
#include "server/flags.h"
#include "server/offline.h"
#include "server/server.h"
#include "server/startup_signals.h"

namespace {

// Promised to whoever supervises the process.
constexpr int kExitBadFlags = 1;

// Else a file of the database would get the number, and log lines with it. An opened file takes the
// lowest number that is free.
void KeepStandardDescriptors() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(fd, F_GETFD) < 0) {
      PCHECK(open("/dev/null", O_RDWR) == fd);
    }
  }
}

// What raftkvctl starts: no server, and ended by any signal.
int RunOffline(int argc, char** argv) {
  KeepStandardDescriptors();
  FLAGS_logtostderr = true;
  FLAGS_minloglevel = google::GLOG_ERROR;
  google::InitGoogleLogging(argv[0]);
  return raftkv::server::RunOffline({argv + 2, argv + argc}, std::cout, std::cerr);
}

// A log reader that goes away must not end the process, nor one that stops reading keep it waiting,
// nor a signal that nobody heard, nor must a few hundred connections use up the file descriptors:
// gRPC does not come back to a port on which accepting failed once.
void PrepareProcess() {
  signal(SIGPIPE, SIG_IGN);
  const sigset_t awaited = raftkv::server::AwaitedSignals();
  pthread_sigmask(SIG_BLOCK, &awaited, nullptr);
  KeepStandardDescriptors();
  raftkv::TakeStderr();
  rlimit descriptors;
  if (getrlimit(RLIMIT_NOFILE, &descriptors) == 0) {
    descriptors.rlim_cur = descriptors.rlim_max;
    setrlimit(RLIMIT_NOFILE, &descriptors);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "offline") {
    return RunOffline(argc, argv);
  }
  PrepareProcess();
  // The packaged Abseil looks for lock cycles on every lock that gRPC takes: 4 % of a write's CPU.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
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
