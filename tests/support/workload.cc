#include "tests/support/workload.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace raftkv::integration {
namespace {

constexpr char kSingleWritePrefix[] = "once/";

}  // namespace

Workload::Workload(TestCluster* cluster, const WorkloadOptions& options)
    : cluster_(cluster), options_(options), single_writes_(options.writers) {
  for (size_t writer = 0; writer < options.writers; ++writer) {
    threads_.emplace_back([this, writer] { Write(writer); });
  }
  for (size_t reader = 0; reader < options.readers; ++reader) {
    threads_.emplace_back([this, reader] { Read(reader); });
  }
}

Workload::~Workload() { Finish(); }

void Workload::Finish() {
  stop_ = true;
  for (std::thread& thread : threads_) {
    thread.join();
  }
  threads_.clear();
}

void Workload::WaitForSuccesses(uint64_t more, Millis timeout) {
  const uint64_t target = successes_ + more;
  EXPECT_TRUE(WaitUntil(timeout, [&] { return successes_ >= target; }))
      << "clients do not get through: " << successes_ << " calls of " << target;
}

std::string Workload::RegisterKey(size_t writer, uint64_t step) const {
  return absl::StrCat("register/", writer, "/", step % options_.keys_per_writer);
}

void Workload::Write(size_t writer) {
  for (uint64_t step = 0; !stop_; ++step) {
    NodeClient* client = &cluster_->client((writer + step / 2) % cluster_->size());
    if (step % 2 == 0) {
      WriteRegister(writer, step / 2, client);
    } else {
      WriteOnce(writer, step, client);
    }
    std::this_thread::sleep_for(options_.pause);
  }
}

void Workload::WriteRegister(size_t writer, uint64_t step, NodeClient* client) {
  const std::string key = RegisterKey(writer, step);
  const std::string value = history_.BeginWrite(key);
  const auto reply = client->PutText(key, value, options_.call_timeout);
  history_.EndWrite(key, value, reply);
  successes_ += reply.ok() ? 1 : 0;
}

void Workload::WriteOnce(size_t writer, uint64_t step, NodeClient* client) {
  const std::string key = absl::StrCat(kSingleWritePrefix, writer, "/", step);
  const std::string value = absl::StrCat("only value of ", key);
  const auto reply = client->PutText(key, value, options_.call_timeout);
  if (reply.ok()) {
    single_writes_[writer].acknowledged[key] = value;
    ++successes_;
  } else if (reply.CertainlyNotApplied()) {
    single_writes_[writer].refused[key] = value;
  }
}

void Workload::Read(size_t reader) {
  for (uint64_t step = reader; !stop_; ++step) {
    const std::string key = RegisterKey(step % options_.writers, step / options_.writers);
    NodeClient* client = &cluster_->client(step % cluster_->size());
    const RegisterHistory::Floor floor = history_.BeginRead(key);
    const auto reply = client->GetText(key, options_.call_timeout);
    history_.EndRead(key, floor, reply, client->address());
    successes_ += reply.ok() ? 1 : 0;
    std::this_thread::sleep_for(options_.pause);
  }
}

void Workload::Verify() {
  ASSERT_TRUE(threads_.empty()) << "Finish first";
  for (size_t node = 0; node < cluster_->size(); ++node) {
    history_.VerifyFinalState(&cluster_->client(node));
    VerifySingleWrites(&cluster_->client(node));
  }
  for (const std::string& violation : history_.violations()) {
    ADD_FAILURE() << violation;
  }
  const RegisterHistory::Counts counts = history_.counts();
  EXPECT_GT(counts.acknowledged, 0U);
  EXPECT_GT(counts.reads, 0U);
  std::cout << "registers: " << counts.acknowledged << " writes acknowledged, " << counts.unknown
            << " unknown, " << counts.refused << " refused; " << counts.reads << " reads, "
            << counts.failed_reads << " failed\n";
}

void Workload::VerifySingleWrites(NodeClient* client) {
  std::map<std::string, std::string> found;
  v1::ListRequest request;
  request.mutable_range()->set_prefix(kSingleWritePrefix);
  request.set_as_text(true);
  request.set_page_size(10000);
  do {
    const auto page = client->List(request);
    ASSERT_TRUE(page.ok()) << client->address() << ": " << page;
    for (const v1::KeyValue& kv : page->kvs()) {
      found[kv.key()] = kv.text();
      EXPECT_EQ(kv.version(), 1) << kv.key() << " was written twice";
    }
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  for (const SingleWrites& writes : single_writes_) {
    for (const auto& [key, value] : writes.acknowledged) {
      EXPECT_EQ(found[key], value) << "lost on " << client->address() << ": " << key;
    }
    for (const auto& [key, value] : writes.refused) {
      EXPECT_EQ(found.count(key), 0U) << "refused, but written: " << key;
    }
  }
}

}  // namespace raftkv::integration
