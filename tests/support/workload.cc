#include "tests/support/workload.h"

#include <gtest/gtest.h>

#include <iostream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/support/recorded_call.h"

namespace raftkv::integration {
namespace {

using linearizability::Answer;
using linearizability::Kind;
using linearizability::Operation;
using linearizability::Outcome;

}  // namespace

Workload::Workload(TestCluster* cluster, const WorkloadOptions& options)
    : cluster_(cluster), options_(options) {
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
    const std::string key =
        step % 2 == 0 ? RegisterKey(writer, step / 2) : absl::StrCat("once/", writer, "/", step);
    Put(key, &cluster_->client((writer + step / 2) % cluster_->size()), options_.call_timeout);
    std::this_thread::sleep_for(options_.pause);
  }
}

void Workload::Read(size_t reader) {
  for (uint64_t step = reader; !stop_; ++step) {
    Get(RegisterKey(step % options_.writers, step / options_.writers),
        &cluster_->client(step % cluster_->size()), options_.call_timeout);
    std::this_thread::sleep_for(options_.pause);
  }
}

bool Workload::Put(const std::string& key, NodeClient* node, Millis timeout) {
  return Call({.kind = Kind::kPut, .key = key, .value = absl::StrCat(++next_value_)}, node,
              timeout);
}

bool Workload::Get(const std::string& key, NodeClient* node, Millis timeout) {
  return Call({.kind = Kind::kGet, .key = key}, node, timeout);
}

bool Workload::Call(Operation operation, NodeClient* node, Millis timeout) {
  const size_t number = recorder_.Begin(operation, HistoryNow());
  const Answer answer = integration::Call(operation, node, timeout);
  recorder_.End(number, answer, HistoryNow());
  successes_ += answer.outcome == Outcome::kOk ? 1 : 0;
  return answer.outcome == Outcome::kOk;
}

void Workload::Verify() {
  ASSERT_TRUE(threads_.empty()) << "Finish first";
  std::map<std::string, Writes> writes;
  int64_t acknowledged = 0;
  int64_t unknown = 0;
  int64_t reads = 0;
  for (const Operation& operation : recorder_.history()) {
    const bool ok = operation.answer.outcome == Outcome::kOk;
    if (operation.kind == Kind::kGet) {
      reads += ok ? 1 : 0;
      continue;
    }
    const int64_t maybe = operation.answer.outcome == Outcome::kUnknown ? 1 : 0;
    writes[operation.key].acknowledged += ok ? 1 : 0;
    writes[operation.key].unknown += maybe;
    acknowledged += ok ? 1 : 0;
    unknown += maybe;
  }
  EXPECT_GT(acknowledged, 0);
  EXPECT_GT(reads, 0);
  for (size_t node = 0; node < cluster_->size(); ++node) {
    ReadEverything(&cluster_->client(node), writes);
  }
  CheckHistory(recorder_.history(), cluster_->dir().File("history.txt"));
  std::cout << acknowledged << " writes acknowledged, " << unknown << " unknown; " << reads
            << " reads\n";
}

void Workload::ReadEverything(NodeClient* node, const std::map<std::string, Writes>& writes) {
  std::map<std::string, size_t> numbers;
  for (const auto& [key, unused] : writes) {
    numbers[key] = recorder_.Begin({.kind = Kind::kGet, .key = key}, HistoryNow());
  }
  std::map<std::string, v1::KeyValue> found;
  v1::ListRequest request;
  request.mutable_range()->set_prefix("");
  request.set_as_text(true);
  request.set_page_size(10000);
  do {
    const auto page = node->List(request);
    ASSERT_TRUE(page.ok()) << node->address() << ": " << page;
    for (const v1::KeyValue& kv : page->kvs()) {
      found[kv.key()] = kv;
    }
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());

  for (const auto& [key, written] : writes) {
    Answer answer{.outcome = Outcome::kOk};
    if (const auto kv = found.find(key); kv != found.end()) {
      answer.found = true;
      answer.value = kv->second.text();
      answer.mod_revision = kv->second.mod_revision();
      EXPECT_LE(kv->second.version(), written.acknowledged + written.unknown)
          << key << " on " << node->address() << ": a write happened twice";
    }
    recorder_.End(numbers[key], answer, HistoryNow());
  }
}

}  // namespace raftkv::integration
