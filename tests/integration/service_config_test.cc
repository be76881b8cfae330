// The service configs of client/examples: which calls a stock client tries again.
#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/channel_arguments.h>
#include <grpcpp/support/slice.h>
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "raftkv/v1/cluster.pb.h"
#include "raftkv/v1/kv.pb.h"
#include "raftkv/v1/maintenance.pb.h"
#include "tests/support/temp_dir.h"

namespace raftkv::integration {
namespace {

using nlohmann::json;

constexpr int kTriesMax = 5;

std::string Config(const std::string& name) {
  return ReadFile(absl::StrCat(SOURCE_DIR, "/client/examples/", name));
}

// Answers every call with UNAVAILABLE, and counts them by method.
class UnavailableService final : public grpc::CallbackGenericService {
 public:
  int calls(const std::string& method) {
    const std::lock_guard lock(mutex_);
    return calls_[method];
  }

 private:
  class Reactor final : public grpc::ServerGenericBidiReactor {
   public:
    Reactor() { Finish(grpc::Status(grpc::StatusCode::UNAVAILABLE, "for the test")); }
    void OnDone() override { delete this; }
  };

  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext* call) override {
    const std::lock_guard lock(mutex_);
    ++calls_[call->method()];
    return new Reactor;
  }

  std::mutex mutex_;
  std::map<std::string, int> calls_;
};

// As "/package.Service/Method".
std::vector<std::string> AllMethods() {
  std::vector<std::string> methods;
  for (const google::protobuf::FileDescriptor* file :
       {v1::GetRequest::descriptor()->file(), v1::GetStatusRequest::descriptor()->file(),
        v1::VerifyHashRequest::descriptor()->file()}) {
    for (int i = 0; i < file->service_count(); ++i) {
      for (int j = 0; j < file->service(i)->method_count(); ++j) {
        methods.push_back(absl::StrCat("/", file->service(i)->full_name(), "/",
                                       file->service(i)->method(j)->name()));
      }
    }
  }
  return methods;
}

TEST(ServiceConfigTest, OnlyReadsAreTriedAgain) {
  UnavailableService service;
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterCallbackGenericService(&service);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  ASSERT_NE(server, nullptr);
  grpc::ChannelArguments arguments;
  arguments.SetServiceConfigJSON(Config("service_config.json"));
  grpc::GenericStub stub(grpc::CreateCustomChannel(absl::StrCat("127.0.0.1:", port),
                                                   grpc::InsecureChannelCredentials(), arguments));

  const std::vector<std::string> methods = AllMethods();
  ASSERT_GE(methods.size(), 8U);
  for (const std::string& method : methods) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    const grpc::Slice nothing("");
    const grpc::ByteBuffer request(&nothing, 1);
    grpc::ByteBuffer response;
    std::promise<grpc::Status> status;
    stub.UnaryCall(&context, method, {}, &request, &response,
                   [&status](grpc::Status given) { status.set_value(std::move(given)); });
    EXPECT_EQ(status.get_future().get().error_code(), grpc::StatusCode::UNAVAILABLE);
    const bool is_read = method == "/raftkv.v1.KvService/Get" ||
                         method == "/raftkv.v1.KvService/List" ||
                         method == "/raftkv.v1.ClusterService/ListMembers" ||
                         method == "/raftkv.v1.ClusterService/GetStatus";
    EXPECT_EQ(service.calls(method), is_read ? kTriesMax : 1) << method;
  }
  server->Shutdown();
}

TEST(ServiceConfigTest, TheLeadersOnlyAddsItsHealth) {
  json expected = json::parse(Config("service_config.json"), nullptr, /*allow_exceptions=*/false);
  expected["healthCheckConfig"] = {{"serviceName", "raftkv.leader"}};
  EXPECT_EQ(json::parse(Config("leader_service_config.json"), nullptr, /*allow_exceptions=*/false),
            expected);
}

}  // namespace
}  // namespace raftkv::integration
