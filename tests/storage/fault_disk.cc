#include "tests/storage/fault_disk.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "glog/logging.h"

namespace raftkv::storage {
namespace {

constexpr size_t kSectorBytes = 512;
// Of the sectors that were being written when the power went.
constexpr uint64_t kBadSectorOneIn = 3;

std::vector<absl::string_view> Parts(absl::string_view path) {
  return absl::StrSplit(path, '/', absl::SkipEmpty());
}

void AppendFixed(uint64_t number, std::string* bytes) {
  for (size_t i = 0; i < 8; ++i) {
    bytes->push_back(static_cast<char>(number >> (8 * i)));
  }
}

// Takes a number off the front, if it is there.
std::optional<uint64_t> TakeFixed(absl::string_view* bytes) {
  if (bytes->size() < 8) {
    return std::nullopt;
  }
  uint64_t number = 0;
  for (size_t i = 0; i < 8; ++i) {
    number |= static_cast<uint64_t>(static_cast<uint8_t>((*bytes)[i])) << (8 * i);
  }
  bytes->remove_prefix(8);
  return number;
}

// Zeros, old bytes of another file, or bits that flipped.
void SpoilSector(size_t from, size_t to, Rng* rng, std::string* bytes) {
  const uint64_t how = rng->Below(3);
  for (size_t i = from; i < to; ++i) {
    (*bytes)[i] = how == 0 ? '\0' : static_cast<char>(rng->Next());
  }
}

}  // namespace

std::string ToString(Survival survival) {
  switch (survival) {
    case Survival::kEverything:
      return "everything";
    case Survival::kSynced:
      return "synced";
    case Survival::kCut:
      return "cut";
    case Survival::kTorn:
      return "torn";
  }
  return "";
}

std::string Describe(const DiskOperation& operation, const FaultDisk& disk) {
  using Kind = DiskOperation::Kind;
  switch (operation.kind) {
    case Kind::kCreateFile:
      return absl::StrCat("create ", operation.path);
    case Kind::kCreateDirectory:
      return absl::StrCat("mkdir ", operation.path);
    case Kind::kWrite:
      return absl::StrCat("write ", disk.NameOf(operation.node), " ", operation.number, " +",
                          operation.bytes.size());
    case Kind::kTruncate:
      return absl::StrCat("truncate ", disk.NameOf(operation.node), " ", operation.number);
    case Kind::kSyncFile:
      return absl::StrCat("sync ", disk.NameOf(operation.node));
    case Kind::kSyncDirectory:
      return absl::StrCat("sync directory ", disk.NameOf(operation.node));
    case Kind::kRename:
      return absl::StrCat("rename ", operation.path, " ", operation.bytes);
    case Kind::kLink:
      return absl::StrCat("link ", operation.path, " ", operation.bytes);
    case Kind::kDelete:
      return absl::StrCat("delete ", operation.path);
    case Kind::kMark:
      return absl::StrCat("mark ", operation.path, " ", operation.number);
  }
  return "";
}

void EncodeOperation(const DiskOperation& operation, std::string* bytes) {
  bytes->push_back(static_cast<char>(operation.kind));
  AppendFixed(operation.node, bytes);
  AppendFixed(operation.number, bytes);
  AppendFixed(operation.path.size(), bytes);
  AppendFixed(operation.bytes.size(), bytes);
  absl::StrAppend(bytes, operation.path, operation.bytes);
}

std::vector<DiskOperation> DecodeOperations(absl::string_view bytes) {
  std::vector<DiskOperation> operations;
  while (!bytes.empty()) {
    DiskOperation operation;
    operation.kind = static_cast<DiskOperation::Kind>(bytes.front());
    bytes.remove_prefix(1);
    const std::optional<uint64_t> node = TakeFixed(&bytes);
    const std::optional<uint64_t> number = TakeFixed(&bytes);
    const std::optional<uint64_t> path_size = TakeFixed(&bytes);
    const std::optional<uint64_t> bytes_size = TakeFixed(&bytes);
    if (!bytes_size.has_value() || bytes.size() < *path_size + *bytes_size) {
      break;
    }
    operation.node = *node;
    operation.number = *number;
    operation.path = std::string(bytes.substr(0, *path_size));
    operation.bytes = std::string(bytes.substr(*path_size, *bytes_size));
    bytes.remove_prefix(*path_size + *bytes_size);
    operations.push_back(std::move(operation));
  }
  return operations;
}

FaultDisk::FaultDisk() { nodes_[kRootNode].is_directory = true; }

std::optional<NodeNumber> FaultDisk::Find(absl::string_view path) const {
  NodeNumber at = kRootNode;
  for (const absl::string_view part : Parts(path)) {
    const Node& node = nodes_.at(at);
    const auto child = node.names.find(std::string(part));
    if (!node.is_directory || child == node.names.end()) {
      return std::nullopt;
    }
    at = child->second;
  }
  return at;
}

bool FaultDisk::IsDirectory(NodeNumber node) const { return nodes_.at(node).is_directory; }

const std::string& FaultDisk::Contents(NodeNumber file) const { return nodes_.at(file).contents; }

void FaultDisk::Damage(NodeNumber file, std::string contents) {
  Node& node = nodes_.at(file);
  node.pending.clear();
  node.durable = contents;
  node.contents = std::move(contents);
}

std::map<std::string, NodeNumber> FaultDisk::List(NodeNumber directory) const {
  return nodes_.at(directory).names;
}

std::vector<std::string> FaultDisk::Files(const std::string& below) const {
  std::vector<std::string> files;
  const std::optional<NodeNumber> top = Find(below);
  if (!top.has_value()) {
    return files;
  }
  for (const auto& [name, node] : nodes_.at(*top).names) {
    const std::string path = absl::StrCat(below, "/", name);
    if (!nodes_.at(node).is_directory) {
      files.push_back(path);
      continue;
    }
    const std::vector<std::string> deeper = Files(path);
    files.insert(files.end(), deeper.begin(), deeper.end());
  }
  return files;
}

std::vector<std::string> FaultDisk::Unsynced() const {
  std::vector<std::string> names;
  for (const auto& [directory_number, directory] : nodes_) {
    for (const auto& [name, node] : directory.names) {
      if (nodes_.contains(node) && !nodes_.at(node).pending.empty()) {
        names.push_back(name);
      }
    }
  }
  return names;
}

const std::string& FaultDisk::NameOf(NodeNumber node) const { return nodes_.at(node).name; }

FaultDisk::Node& FaultDisk::Parent(absl::string_view path) {
  const std::optional<NodeNumber> parent = Find(path.substr(0, path.rfind('/')));
  CHECK(parent.has_value()) << path;
  Node& node = nodes_.at(*parent);
  CHECK(node.is_directory) << path;
  return node;
}

void FaultDisk::Create(const std::string& path, bool is_directory) {
  const NodeNumber number = next_node_++;
  const std::string name(Parts(path).back());
  Node& node = nodes_[number];
  node.is_directory = is_directory;
  node.name = name;
  Node& parent = Parent(path);
  parent.names[name] = number;
  parent.pending_names.push_back({{name, number}});
}

void FaultDisk::ApplyChange(const Change& change, std::string* bytes) {
  if (change.truncates) {
    bytes->resize(change.offset);
    return;
  }
  bytes->resize(std::max<size_t>(bytes->size(), change.offset + change.bytes.size()));
  bytes->replace(change.offset, change.bytes.size(), change.bytes);
}

void FaultDisk::ApplyNames(const NameChange& change, std::map<std::string, NodeNumber>* names) {
  for (const auto& [name, node] : change) {
    if (node == 0) {
      names->erase(name);
    } else {
      (*names)[name] = node;
    }
  }
}

void FaultDisk::Apply(const DiskOperation& operation) {
  using Kind = DiskOperation::Kind;
  switch (operation.kind) {
    case Kind::kCreateFile:
    case Kind::kCreateDirectory:
      Create(operation.path, operation.kind == Kind::kCreateDirectory);
      return;
    case Kind::kWrite:
    case Kind::kTruncate: {
      Node& file = nodes_.at(operation.node);
      file.pending.push_back({.truncates = operation.kind == Kind::kTruncate,
                              .offset = operation.number,
                              .bytes = operation.bytes});
      ApplyChange(file.pending.back(), &file.contents);
      return;
    }
    case Kind::kSyncFile: {
      Node& file = nodes_.at(operation.node);
      for (const Change& change : file.pending) {
        ApplyChange(change, &file.durable);
      }
      file.pending.clear();
      file.was_synced = true;
      return;
    }
    case Kind::kSyncDirectory: {
      Node& directory = nodes_.at(operation.node);
      directory.durable_names = directory.names;
      directory.pending_names.clear();
      return;
    }
    case Kind::kLink: {
      const std::optional<NodeNumber> node = Find(operation.path);
      CHECK(node.has_value()) << operation.path;
      Node& parent = Parent(operation.bytes);
      const NameChange change = {{std::string(Parts(operation.bytes).back()), *node}};
      ApplyNames(change, &parent.names);
      parent.pending_names.push_back(change);
      return;
    }
    case Kind::kRename:
    case Kind::kDelete: {
      Node& parent = Parent(operation.path);
      const std::string name(Parts(operation.path).back());
      const auto found = parent.names.find(name);
      CHECK(found != parent.names.end()) << operation.path;
      NameChange change = {{name, 0}};
      if (operation.kind == Kind::kRename) {
        CHECK_EQ(&Parent(operation.bytes), &parent) << "renames stay in their directory";
        change.emplace_back(std::string(Parts(operation.bytes).back()), found->second);
      }
      ApplyNames(change, &parent.names);
      parent.pending_names.push_back(std::move(change));
      return;
    }
    case Kind::kMark:
      return;
  }
}

std::string FaultDisk::CrashedContents(const Node& file, Survival survival, Rng* rng) {
  if (survival == Survival::kSynced || file.pending.empty()) {
    return file.durable;
  }
  // All or nothing, which matter most, are as likely as anything between.
  const uint64_t extent = rng->Below(4);
  size_t whole = rng->Below(file.pending.size() + 1);
  if (extent == 0) {
    whole = 0;
  } else if (extent == 1) {
    whole = file.pending.size();
  }
  std::string bytes = file.durable;
  for (size_t i = 0; i < whole; ++i) {
    ApplyChange(file.pending[i], &bytes);
  }
  if (whole < file.pending.size() && extent > 1) {
    Change part = file.pending[whole];
    if (!part.truncates) {
      part.bytes.resize(rng->Below(part.bytes.size() + 1));
      ApplyChange(part, &bytes);
    }
  }
  if (survival == Survival::kCut) {
    return bytes;
  }
  // Only what differs from the synced bytes was under way.
  for (size_t sector = 0; sector < bytes.size(); sector += kSectorBytes) {
    const size_t end = std::min(sector + kSectorBytes, bytes.size());
    size_t from = sector;
    while (from < end && from < file.durable.size() && bytes[from] == file.durable[from]) {
      ++from;
    }
    if (from < end && rng->Below(kBadSectorOneIn) == 0) {
      SpoilSector(from, end, rng, &bytes);
    }
  }
  return bytes;
}

std::map<std::string, NodeNumber> FaultDisk::CrashedNames(const Node& directory, Survival survival,
                                                          Rng* rng) const {
  std::map<std::string, NodeNumber> names = directory.durable_names;
  if (survival == Survival::kSynced || directory.pending_names.empty()) {
    return names;
  }
  const size_t whole = rng->Below(directory.pending_names.size() + 1);
  for (size_t i = 0; i < directory.pending_names.size(); ++i) {
    const NameChange& change = directory.pending_names[i];
    const bool new_and_synced = change.size() == 1 && change.front().second != 0 &&
                                nodes_.at(change.front().second).was_synced;
    if (i < whole || (new_and_synced && rng->Below(2) == 0)) {
      ApplyNames(change, &names);
    }
  }
  return names;
}

FaultDisk FaultDisk::AfterCrash(Survival survival, Rng* rng) const {
  if (survival == Survival::kEverything) {
    FaultDisk same = *this;
    same.DropUnnamed();
    return same;
  }
  FaultDisk left;
  left.next_node_ = next_node_;
  for (const auto& [number, node] : nodes_) {
    Node& copy = left.nodes_[number];
    copy.is_directory = node.is_directory;
    copy.name = node.name;
    copy.was_synced = true;
    if (node.is_directory) {
      copy.names = CrashedNames(node, survival, rng);
      copy.durable_names = copy.names;
    } else {
      copy.contents = CrashedContents(node, survival, rng);
      copy.durable = copy.contents;
    }
  }
  left.DropUnnamed();
  return left;
}

void FaultDisk::DropUnnamed() {
  std::set<NodeNumber> named = {kRootNode};
  std::vector<NodeNumber> open = {kRootNode};
  while (!open.empty()) {
    const Node& node = nodes_.at(open.back());
    open.pop_back();
    std::vector<NodeNumber> children;
    for (const auto& [name, child] : node.names) {
      children.push_back(child);
    }
    // A power cut may bring these back.
    for (const auto& [name, child] : node.durable_names) {
      children.push_back(child);
    }
    for (const NameChange& change : node.pending_names) {
      for (const auto& [name, child] : change) {
        children.push_back(child);
      }
    }
    for (const NodeNumber child : children) {
      if (child != 0 && named.insert(child).second) {
        open.push_back(child);
      }
    }
  }
  for (auto node = nodes_.begin(); node != nodes_.end();) {
    node = named.contains(node->first) ? std::next(node) : nodes_.erase(node);
  }
}

void FaultDisk::SyncAll() {
  for (auto& [number, node] : nodes_) {
    node.durable = node.contents;
    node.pending.clear();
    node.was_synced = true;
    node.durable_names = node.names;
    node.pending_names.clear();
  }
}

}  // namespace raftkv::storage
