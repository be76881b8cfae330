// FaultDisk is a disk in memory that knows what a power cut would leave of it. It changes by
// operations, so that a recorded sequence of them can be cut anywhere.
//
// What a crash may take:
//   - a file's bytes: everything since its last sync, independently of other files. What is left is
//     cut anywhere; torn, some of its sectors hold other bytes as well. Synced bytes stay.
//   - names: what happened to a directory since it was last synced. A directory's changes reach the
//     disk in order, as with any journal, except that the name of a new file that was synced may
//     come early. A rename comes whole or not at all.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/rng.h"

namespace raftkv::storage {

// Names a file or directory for as long as the disk lives; given in the order of creation.
using NodeNumber = uint64_t;

// One change of a disk. Paths are absolute and plain.
struct DiskOperation {
  enum class Kind : uint8_t {
    kCreateFile,       // path; replaces what is there.
    kCreateDirectory,  // path
    kWrite,            // node, number: offset, bytes
    kTruncate,         // node, number: size
    kSyncFile,         // node
    kSyncDirectory,    // node
    kRename,           // path, bytes: the new path
    kLink,             // path, bytes: another path of the same file
    kDelete,           // path
    kMark,             // path: a name, number: a value. Changes nothing.
  };
  Kind kind = Kind::kMark;
  NodeNumber node = 0;
  uint64_t number = 0;
  std::string path;
  std::string bytes;

  static DiskOperation OnNode(Kind kind, NodeNumber node, uint64_t number = 0,
                              std::string bytes = "") {
    return {kind, node, number, "", std::move(bytes)};
  }
  static DiskOperation OnPath(Kind kind, std::string path, std::string bytes = "") {
    return {kind, 0, 0, std::move(path), std::move(bytes)};
  }
  static DiskOperation NewMark(std::string name, uint64_t value) {
    return {Kind::kMark, 0, value, std::move(name), ""};
  }
};

// "write 000012.log 4096 +100", for people; `disk` is the one it was applied to.
class FaultDisk;
std::string Describe(const DiskOperation& operation, const FaultDisk& disk);

void EncodeOperation(const DiskOperation& operation, std::string* bytes);
// All operations in `bytes`; an incomplete one at the end is left out.
std::vector<DiskOperation> DecodeOperations(absl::string_view bytes);

enum class Survival {
  kEverything,  // Only the process died: all that was written is there, though still not synced.
  kSynced,      // Only what was synced.
  kCut,         // Some of the rest, without gaps within a file.
  kTorn,        // The same with bad sectors in what was not synced.
};
std::string ToString(Survival survival);

// A value. Confined to one thread.
class FaultDisk {
 public:
  FaultDisk();

  // REQUIRES: it makes sense: paths and nodes exist, parents are directories.
  void Apply(const DiskOperation& operation);

  // The disk that a restart finds. Its nodes have the same numbers; those without a name are gone.
  FaultDisk AfterCrash(Survival survival, Rng* rng) const;
  // Makes everything durable, as `sync` does.
  void SyncAll();

  std::optional<NodeNumber> Find(absl::string_view path) const;
  bool IsDirectory(NodeNumber node) const;
  const std::string& Contents(NodeNumber file) const;
  // Puts other bytes on the disk, durably.
  void Damage(NodeNumber file, std::string contents);
  std::map<std::string, NodeNumber> List(NodeNumber directory) const;
  // Paths of all files below a path, in order.
  std::vector<std::string> Files(const std::string& below) const;
  // Names of the files that have bytes which are not synced.
  std::vector<std::string> Unsynced() const;
  // The last part of a node's first path.
  const std::string& NameOf(NodeNumber node) const;

 private:
  struct Change {
    bool truncates = false;
    uint64_t offset = 0;  // Or the new size.
    std::string bytes;
  };
  // One step of a directory: each name gets a node, or 0 when it goes.
  using NameChange = std::vector<std::pair<std::string, NodeNumber>>;
  struct Node {
    bool is_directory = false;
    std::string name;
    // Of files.
    std::string durable;
    std::string contents;
    std::vector<Change> pending;
    bool was_synced = false;
    // Of directories.
    std::map<std::string, NodeNumber> durable_names;
    std::map<std::string, NodeNumber> names;
    std::vector<NameChange> pending_names;
  };

  static void ApplyChange(const Change& change, std::string* bytes);
  static void ApplyNames(const NameChange& change, std::map<std::string, NodeNumber>* names);
  static std::string CrashedContents(const Node& file, Survival survival, Rng* rng);
  std::map<std::string, NodeNumber> CrashedNames(const Node& directory, Survival survival,
                                                 Rng* rng) const;
  // The directory that a path is in.
  Node& Parent(absl::string_view path);
  void Create(const std::string& path, bool is_directory);
  void DropUnnamed();

  std::map<NodeNumber, Node> nodes_;
  NodeNumber next_node_ = 2;
};

inline constexpr NodeNumber kRootNode = 1;

}  // namespace raftkv::storage
