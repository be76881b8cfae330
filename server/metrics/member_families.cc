#include <array>
#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/version.h"
#include "server/metrics/families.h"

namespace raftkv::server {
namespace {

// As other gRPC servers label them, by the code's number.
constexpr std::array<const char*, CallCounts::kCodes> kCodeNames = {
    "OK",       "Canceled",       "Unknown",          "InvalidArgument",   "DeadlineExceeded",
    "NotFound", "AlreadyExists",  "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
    "Aborted",  "OutOfRange",     "Unimplemented",    "Internal",          "Unavailable",
    "DataLoss", "Unauthenticated"};

FamilyList::Labels LabelsOf(const MethodFigures& method) {
  return {{"grpc_type", "unary"}, {"grpc_service", method.service}, {"grpc_method", method.method}};
}

// Every code of every method from the start, so that the first error of a kind is an increase.
void AddCalls(const LoopFigures& figures, FamilyList* list) {
  FamilyList::Samples started;
  FamilyList::Samples handled;
  FamilyList::Histograms took;
  uint64_t request_bytes = 0;
  uint64_t answer_bytes = 0;
  for (const MethodFigures& method : figures.methods) {
    const FamilyList::Labels labels = LabelsOf(method);
    started.emplace_back(labels, method.counts.started());
    took.emplace_back(labels, method.counts.took());
    for (size_t code = 0; code < CallCounts::kCodes; ++code) {
      handled.emplace_back(labels, method.counts.handled(static_cast<absl::StatusCode>(code)));
      handled.back().labels.push_back({"grpc_code", kCodeNames[code]});
    }
    request_bytes += method.counts.request_bytes();
    answer_bytes += method.counts.answer_bytes();
  }
  list->Counter("grpc_server_started_total",
                "Calls of clients, by gRPC and HTTP alike, whose request is there.", started);
  list->Counter("grpc_server_handled_total", "Calls of clients that were answered, by code.",
                handled);
  list->Distribution("grpc_server_handling_seconds",
                     "From a call's whole request to its answer, which is not sent then.",
                     kNanosPerSecond, took);
  list->Gauge("raftkv_server_client_requests_in_flight",
              "Calls of clients that are being handled or answered.", figures.calls_in_flight);
  list->Counter("raftkv_network_client_received_bytes_total",
                "Requests of clients, as protobuf writes them.", request_bytes);
  list->Counter("raftkv_network_client_sent_bytes_total",
                "Answers to clients, as protobuf writes them.", answer_bytes);
}

void AddStreams(const StreamFigures& streams, FamilyList* list) {
  list->Gauge("raftkv_streams_open", "Streams of operations (KvService.Stream) that are open.",
              streams.open);
  list->Counter("raftkv_streams_begun_total", "Streams of operations that were begun.",
                streams.begun);
  list->Counter("raftkv_stream_operations_total",
                "Operations of streams that were answered, whatever they came to.",
                streams.operations);
  list->Counter("raftkv_stream_operations_failed_total",
                "Operations of streams that were answered with an error.", streams.failed);
}

void AddBackups(const BackupFigures& backups, FamilyList* list) {
  list->Gauge("raftkv_backups_in_progress", "Backups that are being sent to clients.",
              backups.in_progress);
  list->Counter("raftkv_backups_begun_total", "Backups that were begun.", backups.begun);
  list->Counter("raftkv_backups_completed_total", "Backups that were sent as a whole.",
                backups.completed);
  list->Counter("raftkv_backup_sent_bytes_total", "Of backups, sent to clients.",
                backups.sent_bytes);
}

void AddMemory(const v1::MemoryUse& memory, FamilyList* list) {
  list->Gauge("raftkv_memory_planned_bytes", "--memory_bytes_max.", memory.planned_bytes());
  list->Gauge("raftkv_memory_bytes",
              "What the largest parts take: blocks of files with their indexes and filters, write "
              "buffers, the newest entries of the log, answers that clients have not read.",
              {{{{"part", "block_cache"}}, memory.cached_block_bytes()},
               {{{"part", "write_buffers"}}, memory.write_buffer_bytes()},
               {{{"part", "log"}}, memory.log_bytes()},
               {{{"part", "unsent_answers"}}, memory.unsent_answer_bytes()}});
}

void AddDisk(const DiskFigures& disk, FamilyList* list) {
  list->Gauge("raftkv_disk_used_bytes", "The data directory's files, without BALLAST.",
              disk.used_bytes);
  list->Gauge("raftkv_disk_free_bytes", "Free on the data directory's file system.",
              disk.free_bytes);
  list->Gauge("raftkv_disk_total_bytes", "Size of the data directory's file system.",
              disk.total_bytes);
  list->Gauge("raftkv_disk_reserve_bytes", "Below so much free space puts are refused.",
              disk.reserve_bytes);
  list->Gauge("raftkv_disk_is_low",
              "1 while this member's disk is nearly full, so that puts are "
              "refused by all.",
              disk.is_low ? 1 : 0);
}

}  // namespace

void AddMember(const LoopFigures& figures, FamilyList* list) {
  list->Gauge("raftkv_build_info", "1; the version, and the compiler it was made with.",
              {{{{"version", kVersion}, {"compiler", absl::StrCat("gcc ", __VERSION__)}}, 1}});
  list->Gauge("raftkv_server_info", "1; who this is. cluster_id is 0 before the founding.",
              {{{{"name", figures.name},
                 {"member_id", absl::StrCat(figures.member_id)},
                 {"cluster_id", absl::StrCat(figures.cluster_id)}},
                1}});
  list->Gauge("raftkv_server_warnings", "Warnings that /status shows.", figures.warnings);
  list->Gauge("raftkv_tls_certificate_not_after_timestamp_seconds",
              "When the first certificate in use ends, in Unix time; +Inf without TLS.",
              figures.certificates_end);
  list->Gauge("raftkv_kv_keys", "Keys in the applied state.", figures.keys);
  list->Gauge("raftkv_kv_current_revision", "Revision of the applied state.", figures.revision);
  list->Gauge("raftkv_kv_compacted_revision",
              "Events up to this revision cannot be watched any more.", figures.compacted_revision);
  list->Gauge("raftkv_kv_history_bytes", "Events that can still be watched.",
              figures.history_bytes);
  list->Gauge("raftkv_kv_watches", "Watches that clients have open here.", figures.watches);
  list->Gauge("raftkv_kv_watch_lag_revisions",
              "Revisions that are applied and that the slowest watch was not told of.",
              figures.slowest_watch_lag);
  list->Counter("raftkv_kv_expired_total", "Keys that expired here, on this member as on all.",
                figures.expired_keys);
  list->Gauge("raftkv_kv_leases", "Leases in the applied state.", figures.leases);
  list->Counter("raftkv_kv_expired_leases_total",
                "Leases that expired here, on this member as on all.", figures.expired_leases);
  list->Gauge("raftkv_kv_cluster_version", "Version of the commands that every member knows.",
              figures.cluster_version);
  AddCalls(figures, list);
  AddBackups(figures.backups, list);
  AddStreams(figures.streams, list);
  AddMemory(figures.memory, list);
  AddDisk(figures.disk, list);
  list->Counter("raftkv_loop_cpu_seconds_total", "CPU time of the event loop's thread.",
                static_cast<double>(figures.loop_cpu) / kNanosPerSecond);
  list->Gauge("raftkv_loop_delay_seconds", "How long this scrape waited for the event loop.",
              static_cast<double>(figures.waited) / kNanosPerSecond);
}

}  // namespace raftkv::server
