// Every bound of connections, messages and threads that is not a flag; kv/limits.h has those of
// keys and values, memory_budget.h those that follow from --memory_bytes_max.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kv/limits.h"

namespace raftkv::server {

using kv::kMiB;

// Values of up to --value_bytes_max that one command can have: what it writes, and what its
// precondition compares.
inline constexpr uint64_t kCommandValuesMax = 2;
// What the client server receives above the values of one command, and at least.
inline constexpr uint64_t kClientMessageSlackBytes = 1 * kMiB;
inline constexpr uint64_t kClientMessageBytesFloor = 4 * kMiB;
// Operations of a batch, and how many of them are under way together.
inline constexpr uint64_t kBatchOperationsMax = 10'000;
inline constexpr uint64_t kBatchOperationsAtOnce = 1024;
// Bytes of a batch's results. Smaller results find room beyond it, so that a write's does.
inline constexpr uint64_t kBatchAnswerBytesMax = 3 * kMiB;
inline constexpr uint64_t kSmallBatchResultBytes = 96;
// The window of a KvService.Stream: operations that were read and whose answers gRPC has not taken,
// the bytes of their requests, and those of their answers; the last one taken may go beyond.
inline constexpr uint64_t kStreamOperationsMax = 1024;
inline constexpr uint64_t kStreamRequestBytesMax = 1 * kMiB;
inline constexpr uint64_t kStreamAnswerBytesMax = 1 * kMiB;
// Of its writes that return values, whose sizes nobody knows before, so many are under way.
inline constexpr uint64_t kStreamReturningWritesMax = 8;
// Such streams that are open.
inline constexpr uint64_t kKvStreamsMax = 256;
// Streams on one client connection.
inline constexpr int kClientStreamsMax = 4096;
// Answers to clients that are smaller do not count as unsent (server/memory_budget.h).
inline constexpr uint64_t kSmallAnswerBytes = 4096;
// Streams on one connection of a peer: the two of frames, its votes, and a Hello.
inline constexpr int kPeerStreamsMax = 64;
// Threads for reflection; an open stream takes one, and one waits for the next.
inline constexpr int kReflectionThreadsMax = 16;
// Pings on the connections of peers. The timeout is also TCP_USER_TIMEOUT: the kernel, whose clock
// is monotonic, ends a connection whose packets are not acknowledged for so long.
inline constexpr int kPeerKeepaliveMs = 2000;
inline constexpr int kPeerKeepaliveTimeoutMs = 2000;
// A client's connection that is silent for so long is asked for a sign of life, and closed when
// none comes.
inline constexpr int kClientKeepaliveMs = 30'000;
inline constexpr int kClientKeepaliveTimeoutMs = 10'000;
// Names and values of a call's headers, on either port.
inline constexpr int kMetadataBytesMax = 8192;
// A peer's message: a frame that one command of the largest kind takes beyond its size fits with
// room to spare.
inline constexpr int kPeerMessageBytesMax = 16 * kMiB;
// A frame gathers messages up to either of these; a single larger message has a frame of its own,
// which goes in parts.
inline constexpr uint64_t kPeerFrameBytesMax = 32 << 10;
inline constexpr uint64_t kPeerFrameMessagesMax = 1024;
// What may wait on a forward stream before further proposals wait elsewhere.
inline constexpr uint64_t kPeerForwardQueueBytesMax = 1 * kMiB;
// What may wait on one peer stream before the stream is given up.
inline constexpr uint64_t kPeerQueueBytesMax = 32 * kMiB;
// Votes that wait for their answer, per peer; the oldest is given up beyond it.
inline constexpr uint64_t kPendingVotesMax = 8;
// Clients' requests to hand leadership over that wait for the leader's answer, per leader.
inline constexpr size_t kForwardedTransfersMax = 64;

// How long a leader asks who is to be added who it is, before it says that nobody answers.
inline constexpr int kNewcomerAnswerSeconds = 3;

// Of a snapshot that is brought to a follower: so fast at most, so that its bytes leave room for
// entries on the link and on the disks; bursts are a few chunks.
inline constexpr uint64_t kSnapshotBytesPerSecond = 64 * kMiB;
inline constexpr uint64_t kSnapshotBurstBytes = 1 * kMiB;
// Chunks that were read and wait to be written.
inline constexpr size_t kSnapshotChunksAheadMax = 2;
// A follower that takes nothing for so long is given up, in seconds of ticks: chunks, and, once it
// has them all, its answer, before which it reads back what it has.
inline constexpr int kSnapshotStallSeconds = 10;
inline constexpr int kSnapshotAnswerSeconds = 600;
// How long a stream that broke is opened again, once a second.
inline constexpr int kSnapshotRetrySeconds = 30;
// How long a receiver keeps what came of a snapshot whose stream broke.
inline constexpr int kSnapshotKeptSeconds = 60;
// How long it takes none after its disk was full.
inline constexpr int kSnapshotFullDiskSeconds = 30;
// Threads for chunks, of those that this member sends and of the one that it receives.
inline constexpr int kSnapshotPoolThreads = 1;

// Backups that are sent at a time, how fast all of them together, and in what bursts: their bytes
// leave room for what clients ask.
inline constexpr size_t kBackupsMax = 2;
inline constexpr uint64_t kBackupBytesPerSecond = 64 * kMiB;
inline constexpr uint64_t kBackupBurstBytes = 1 * kMiB;
// A client that takes nothing of a backup for so long is given up. It keeps files from being
// deleted.
inline constexpr int kBackupStallSeconds = 30;

// Scans that are sent at a time; keys and bytes of a chunk, of which a scan holds two; for how long
// one holds on to a state, which keeps files from being deleted; and after how long a client that
// takes nothing is given up.
inline constexpr size_t kScansMax = 32;
inline constexpr uint64_t kScanChunkKeysMax = 10'000;
inline constexpr uint64_t kScanChunkBytes = 256 << 10;
inline constexpr int kScanViewHeldSeconds = 60;
inline constexpr int kScanStallSeconds = 60;

// Tasks that wait for the read pool, of each length.
inline constexpr uint64_t kPoolTasksMax = 4096;
// Threads for looks at the disk, and for giving back its space.
inline constexpr int kUpkeepPoolThreads = 2;
// Threads of the read pool.
inline constexpr int kPoolThreads = 2;

// Threads of the HTTP port, one a connection that is served; connections that wait for one; and the
// bodies of all requests that are under way.
inline constexpr int kHttpThreads = 128;
inline constexpr size_t kHttpWaitingMax = 256;
inline constexpr uint64_t kHttpBodiesBytesMax = 256 * kMiB;
// Connections that the kernel keeps until they are taken.
inline constexpr int kHttpBacklog = 1024;

// Watchers of health that hear of a change in one turn of the loop.
inline constexpr size_t kWatchesPerTurnMax = 256;
// Ranges of one watch; keys and bytes of its initial state that are read at a time; room among the
// unsent answers whose lack makes it, and a KvService.Stream, give up clients who do not read.
inline constexpr int kWatchRangesMax = 100;
inline constexpr uint64_t kWatchPageKeysMax = 1000;
inline constexpr uint64_t kWatchPageBytesMax = 256 << 10;
inline constexpr uint64_t kWatchBacklogSlackBytes = 4 * kMiB;
// Watches that GetStatus tells of.
inline constexpr size_t kSlowestWatchesMax = 20;
// Streams that keep leases alive, and renewals of one of them that are under way together.
inline constexpr size_t kLeaseStreamsMax = 32'768;
inline constexpr size_t kLeaseRenewalsAtOnce = 64;
// Events taken in one turn of the loop.
inline constexpr int kEventsPerTurnMax = 512;
// Calls of one method that are announced to gRPC in advance. Each announces its successor when it
// arrives, so that more would only spare a burst a queue within gRPC; but Debian's gRPC looks
// through all that is outstanding whenever an operation ends (findings/).
inline constexpr int kPostedCallsPerMethod = 4;

}  // namespace raftkv::server
