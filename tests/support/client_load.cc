#include "tests/support/client_load.h"

#include <gtest/gtest.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/support/wait.h"

namespace raftkv::integration {
namespace {

// Longer than an election and what a slow machine adds to it.
constexpr Millis kPatience(20'000);

}  // namespace

ClientLoad::ClientLoad(const std::vector<std::string>& endpoints, int clients) {
  for (int i = 0; i < clients; ++i) {
    threads_.emplace_back([this, endpoints, key = absl::StrCat("load/", i)] {
      Run(Client::Create({.endpoints = endpoints}).value(), key);
    });
  }
}

void ClientLoad::Stop() {
  stop_ = true;
  for (std::thread& thread : threads_) {
    thread.join();
  }
  threads_.clear();
}

void ClientLoad::AwaitMore(uint64_t more) const {
  const uint64_t before = successes_;
  EXPECT_TRUE(WaitUntil(kPatience, [&] { return successes_ >= before + more; }));
}

std::vector<std::string> ClientLoad::failures() const {
  MutexLock lock(&mutex_);
  return failures_;
}

void ClientLoad::Run(Client client, const std::string& key) {
  for (uint64_t i = 0; !stop_; ++i) {
    const std::string value = absl::StrCat(i);
    if (const auto put = client.Put(key, value); !put.ok()) {
      Note(absl::StrCat("put ", key, ": ", put.status().ToString()));
      continue;
    }
    const auto got = client.Get(key);
    if (!got.ok()) {
      Note(absl::StrCat("get ", key, ": ", got.status().ToString()));
    } else if (!got->kv.has_value() || got->kv->value != value) {
      Note(absl::StrCat("get ", key, ": not ", value));
    } else {
      ++successes_;
    }
  }
}

void ClientLoad::Note(std::string failure) {
  MutexLock lock(&mutex_);
  failures_.push_back(std::move(failure));
}

}  // namespace raftkv::integration
