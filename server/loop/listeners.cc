#include "server/loop/listeners.h"

#include <glog/logging.h>
#include <grpc/compression.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/impl/server_builder_option.h>
#include <grpcpp/impl/server_builder_plugin.h>
#include <grpcpp/resource_quota.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "google/rpc/error_details.pb.h"
#include "server/limits.h"
#include "server/memory_budget.h"
#include "server/tls/grpc_credentials.h"

namespace raftkv::server {
namespace {

// The largest command goes to the leader, and to followers as an entry, in one message.
static_assert(kPeerFrameBytesMax + kCommandValuesMax * kv::kValueBytesMaxCeiling +
                  kClientMessageSlackBytes <=
              kPeerMessageBytesMax);

// Linking gRPC's reflection turns it on for every server of the process.
class WithoutReflection final : public grpc::ServerBuilderOption {
 public:
  void UpdateArguments(grpc::ChannelArguments* /*arguments*/) override {}
  void UpdatePlugins(std::vector<std::unique_ptr<grpc::ServerBuilderPlugin>>* plugins) override {
    std::erase_if(*plugins,
                  [](const auto& plugin) { return plugin->name() == "proto_server_reflection"; });
  }
};

// A few compressed bytes can be a message of any size, and gRPC unpacks it before it looks at its
// limits, on the thread that everything else runs on.
void RefuseCompressed(grpc::ServerBuilder* builder) {
  for (const grpc_compression_algorithm algorithm : {GRPC_COMPRESS_DEFLATE, GRPC_COMPRESS_GZIP}) {
    builder->SetCompressionAlgorithmSupportStatus(algorithm, false);
  }
  builder->AddChannelArgument(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);
}

void SetUpBoth(grpc::ServerBuilder* builder) {
  RefuseCompressed(builder);
  builder->AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMetadataBytesMax);
  builder->AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  // Without it, only two pings go out between two answers.
  builder->AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
}

}  // namespace

// Everything that the limits of a request's parts promise together.
uint64_t ClientMessageBytesMax(const ServerOptions& options) {
  const uint64_t values = kCommandValuesMax * static_cast<uint64_t>(options.value_bytes_max);
  return std::max(values + kClientMessageSlackBytes, kClientMessageBytesFloor);
}

void SetUpClientPort(const ServerOptions& options, grpc::ServerBuilder* builder) {
  SetUpBoth(builder);
  // Clients may ping every 10 s; a little less, so that an early one is not punished.
  builder->AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 9000);
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kClientKeepaliveMs);
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kClientKeepaliveTimeoutMs);
  builder->AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kClientStreamsMax);
  builder->SetMaxReceiveMessageSize(static_cast<int>(ClientMessageBytesMax(options)));
  builder->SetMaxSendMessageSize(-1);
  // Threads are reflection's only: each of its streams keeps one.
  builder->SetResourceQuota(grpc::ResourceQuota("client port")
                                .Resize(ShareOutMemory(options).client_port)
                                .SetMaxThreads(kReflectionThreadsMax));
  if (!options.reflection) {
    builder->SetOption(std::make_unique<WithoutReflection>());
    return;
  }
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  // Makes reflection know the types that error details consist of.
  google::protobuf::LinkMessageReflection<google::rpc::ErrorInfo>();
  // Reflection is the only synchronous service; one thread is plenty for it.
  builder->SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
  builder->SetSyncServerOption(grpc::ServerBuilder::MIN_POLLERS, 1);
  builder->SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 1);
}

void SetUpPeerPort(const ServerOptions& options, grpc::ServerBuilder* builder) {
  SetUpBoth(builder);
  builder->SetOption(std::make_unique<WithoutReflection>());
  // Half of what peers keep to, so that an early ping is not punished.
  builder->AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                              kPeerKeepaliveMs / 2);
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kPeerKeepaliveMs);
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kPeerKeepaliveTimeoutMs);
  builder->AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kPeerStreamsMax);
  // As peer_channel.cc does.
  builder->AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 1);
  builder->AddChannelArgument(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 4 * static_cast<int>(kMiB));
  builder->SetResourceQuota(
      grpc::ResourceQuota("peer port").Resize(ShareOutMemory(options).peer_port));
  builder->SetMaxReceiveMessageSize(kPeerMessageBytesMax);
  builder->SetMaxSendMessageSize(kPeerMessageBytesMax);
}

absl::StatusOr<std::unique_ptr<ListenAddresses>> TakeAddresses(const std::string& flag,
                                                               const std::string& address) {
  const std::string context = absl::StrCat("--", flag, "=", address, ": ");
  auto taken = ListenAddresses::Take(*HostPort::Parse(address));
  if (!taken.ok()) {
    return absl::Status(taken.status().code(), absl::StrCat(context, taken.status().message()));
  }
  for (const std::string& left_out : (*taken)->left_out()) {
    LOG(WARNING) << context << "not listening on " << left_out
                 << ": this machine has no address of its kind";
  }
  return taken;
}

void WarnOfPlaintext(const std::string& flag, const std::string& address,
                     const ListenAddresses& taken) {
  const bool local = std::all_of(
      taken.addresses().begin(), taken.addresses().end(), [](const std::string& ip_port) {
        return absl::StartsWith(ip_port, "127.") || absl::StartsWith(ip_port, "[::1]:");
      });
  if (!local) {
    LOG(WARNING) << "--" << flag << "=" << address
                 << ": other machines reach this port, and it has no TLS: whoever is on the way "
                    "reads and changes everything. Give --cert_file, --key_file and "
                    "--trusted_ca_file, or keep the port inside a trusted network";
  }
}

absl::StatusOr<StartedServer> StartListening(const std::string& flag, const std::string& address,
                                             std::shared_ptr<PortTls> tls,
                                             grpc::ServerBuilder* builder) {
  const auto taken = TakeAddresses(flag, address);
  if (!taken.ok()) {
    return taken.status();
  }
  const ListenAddresses& addresses = **taken;
  if (tls == nullptr) {
    WarnOfPlaintext(flag, address, addresses);
  }
  const std::shared_ptr<grpc::ServerCredentials> credentials =
      MakeServerCredentials(std::move(tls));
  std::vector<int> ports(addresses.addresses().size());
  for (size_t i = 0; i < ports.size(); ++i) {
    builder->AddListeningPort(addresses.addresses()[i], credentials, &ports[i]);
  }
  std::unique_ptr<grpc::Server> server = builder->BuildAndStart();
  for (size_t i = 0; i < ports.size(); ++i) {
    if (server == nullptr || ports[i] != addresses.port()) {
      return absl::UnavailableError(absl::StrCat("--", flag, "=", address, ": cannot listen on ",
                                                 addresses.addresses()[i],
                                                 ": gRPC does not say why"));
    }
  }
  return StartedServer{.server = std::move(server), .port = addresses.port()};
}

}  // namespace raftkv::server
