#include "tests/storage/fault_file_system.h"

#include <pthread.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace raftkv::storage {
namespace {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;
using Kind = DiskOperation::Kind;

class NoLock final : public rocksdb::FileLock {};

// What the calling thread is busy with. RocksDB flushes and compacts on threads of its own.
const char* FailedIn() {
  char name[32] = {};
  pthread_getname_np(pthread_self(), name, sizeof(name));
  if (absl::StartsWith(name, "rocksdb:high")) {
    return kFailedInFlush;
  }
  return absl::StartsWith(name, "rocksdb:low") ? kFailedInCompaction : kFailed;
}

IOStatus Missing(const std::string& path) { return IOStatus::PathNotFound("no such file", path); }

}  // namespace

// What all open files share. A file stays open when it is renamed or deleted.
class FaultFileSystem::File {
 public:
  File(FaultFileSystem* files, NodeNumber node) : files_(files), node_(node) {}

  IOStatus Write(uint64_t offset, const Slice& data) {
    return files_->Do(DiskOperation::OnNode(Kind::kWrite, node_, offset, data.ToString()));
  }
  IOStatus Truncate(uint64_t size) {
    return files_->Do(DiskOperation::OnNode(Kind::kTruncate, node_, size));
  }
  IOStatus Sync() { return files_->Do(DiskOperation::OnNode(Kind::kSyncFile, node_)); }
  IOStatus Read(uint64_t offset, size_t size, Slice* result, char* scratch) const {
    return files_->Read(node_, offset, size, result, scratch);
  }

 private:
  FaultFileSystem* const files_;
  const NodeNumber node_;
};

class FaultFileSystem::WritableFile final : public rocksdb::FSWritableFile {
 public:
  explicit WritableFile(File file, uint64_t size = 0) : file_(file), size_(size) {}

  using rocksdb::FSWritableFile::Append;
  IOStatus Append(const Slice& data, const IOOptions&, IODebugContext*) override {
    const uint64_t offset = size_;
    size_ += data.size();
    return file_.Write(offset, data);
  }
  IOStatus Truncate(uint64_t size, const IOOptions&, IODebugContext*) override {
    if (size == size_) {
      return IOStatus::OK();
    }
    size_ = size;
    return file_.Truncate(size);
  }
  IOStatus Close(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  IOStatus Flush(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  IOStatus Sync(const IOOptions&, IODebugContext*) override { return file_.Sync(); }
  bool IsSyncThreadSafe() const override { return true; }
  uint64_t GetFileSize(const IOOptions&, IODebugContext*) override { return size_; }

 private:
  File file_;
  uint64_t size_;
};

class FaultFileSystem::RandomRwFile final : public rocksdb::FSRandomRWFile {
 public:
  explicit RandomRwFile(File file) : file_(file) {}

  IOStatus Write(uint64_t offset, const Slice& data, const IOOptions&, IODebugContext*) override {
    return file_.Write(offset, data);
  }
  IOStatus Read(uint64_t offset, size_t size, const IOOptions&, Slice* result, char* scratch,
                IODebugContext*) const override {
    return file_.Read(offset, size, result, scratch);
  }
  IOStatus Flush(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  IOStatus Sync(const IOOptions&, IODebugContext*) override { return file_.Sync(); }
  IOStatus Close(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }

 private:
  File file_;
};

class FaultFileSystem::Directory final : public rocksdb::FSDirectory {
 public:
  Directory(FaultFileSystem* files, NodeNumber node) : files_(files), node_(node) {}

  IOStatus Fsync(const IOOptions&, IODebugContext*) override {
    return files_->Do(DiskOperation::OnNode(Kind::kSyncDirectory, node_));
  }
  IOStatus Close(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }

 private:
  FaultFileSystem* const files_;
  const NodeNumber node_;
};

class FaultFileSystem::SequentialFile final : public rocksdb::FSSequentialFile {
 public:
  explicit SequentialFile(File file) : file_(file) {}

  IOStatus Read(size_t size, const IOOptions&, Slice* result, char* scratch,
                IODebugContext*) override {
    const IOStatus status = file_.Read(offset_, size, result, scratch);
    offset_ += result->size();
    return status;
  }
  IOStatus Skip(uint64_t size) override {
    offset_ += size;
    return IOStatus::OK();
  }

 private:
  const File file_;
  uint64_t offset_ = 0;
};

class FaultFileSystem::RandomAccessFile final : public rocksdb::FSRandomAccessFile {
 public:
  explicit RandomAccessFile(File file) : file_(file) {}

  IOStatus Read(uint64_t offset, size_t size, const IOOptions&, Slice* result, char* scratch,
                IODebugContext*) const override {
    return file_.Read(offset, size, result, scratch);
  }

 private:
  const File file_;
};

FaultFileSystem::FaultFileSystem(FaultDisk disk, Recorder recorder, std::optional<DiskFault> fault)
    : rocksdb::FileSystemWrapper(rocksdb::FileSystem::Default()),
      recorder_(std::move(recorder)),
      fault_(fault),
      disk_(std::move(disk)) {}

void FaultFileSystem::Mark(const std::string& name, uint64_t value) {
  MutexLock lock(&mutex_);
  ApplyLocked(DiskOperation::NewMark(name, value));
}

FaultDisk FaultFileSystem::disk() const {
  MutexLock lock(&mutex_);
  return disk_;
}

uint64_t FaultFileSystem::SyncsOf(const std::string& suffix) const {
  MutexLock lock(&mutex_);
  uint64_t syncs = 0;
  for (const auto& [name, count] : syncs_) {
    syncs += absl::EndsWith(name, suffix) ? count : 0;
  }
  return syncs;
}

IOStatus FaultFileSystem::Do(DiskOperation operation) {
  MutexLock lock(&mutex_);
  return DoLocked(std::move(operation));
}

IOStatus FaultFileSystem::DoLocked(DiskOperation operation) {
  if (operations_++ == (fault_.has_value() ? fault_->operation : UINT64_MAX)) {
    return Fail(operation);
  }
  ApplyLocked(operation);
  return IOStatus::OK();
}

IOStatus FaultFileSystem::Fail(const DiskOperation& operation) {
  if (operation.kind == Kind::kWrite) {
    DiskOperation part = operation;
    part.bytes.resize(part.bytes.size() / 2);
    ApplyLocked(part);
  }
  ApplyLocked(DiskOperation::NewMark(absl::StrCat(FailedIn(), Describe(operation, disk_)), 0));
  if (fault_->error == DiskError::kIo) {
    return IOStatus::IOError("injected");
  }
  // As RocksDB's own file system says it.
  IOStatus status = IOStatus::NoSpace("injected");
  status.SetRetryable(true);
  return status;
}

void FaultFileSystem::ApplyLocked(const DiskOperation& operation) {
  disk_.Apply(operation);
  if (operation.kind == Kind::kSyncFile) {
    ++syncs_[disk_.NameOf(operation.node)];
  }
  if (recorder_ != nullptr) {
    recorder_(operation);
  }
}

IOStatus FaultFileSystem::Read(NodeNumber file, uint64_t offset, size_t size, Slice* result,
                               char* scratch) const {
  MutexLock lock(&mutex_);
  const std::string& contents = disk_.Contents(file);
  const size_t from = std::min<size_t>(offset, contents.size());
  const size_t count = std::min(size, contents.size() - from);
  std::memcpy(scratch, contents.data() + from, count);
  *result = Slice(scratch, count);
  return IOStatus::OK();
}

IOStatus FaultFileSystem::FindFile(const std::string& path, NodeNumber* file) const {
  MutexLock lock(&mutex_);
  const std::optional<NodeNumber> node = disk_.Find(path);
  if (!node.has_value() || disk_.IsDirectory(*node)) {
    return Missing(path);
  }
  *file = *node;
  return IOStatus::OK();
}

IOStatus FaultFileSystem::NewSequentialFile(const std::string& path, const rocksdb::FileOptions&,
                                            std::unique_ptr<rocksdb::FSSequentialFile>* file,
                                            IODebugContext*) {
  NodeNumber node = 0;
  const IOStatus found = FindFile(path, &node);
  if (found.ok()) {
    *file = std::make_unique<SequentialFile>(File(this, node));
  }
  return found;
}

IOStatus FaultFileSystem::NewRandomAccessFile(const std::string& path, const rocksdb::FileOptions&,
                                              std::unique_ptr<rocksdb::FSRandomAccessFile>* file,
                                              IODebugContext*) {
  NodeNumber node = 0;
  const IOStatus found = FindFile(path, &node);
  if (found.ok()) {
    *file = std::make_unique<RandomAccessFile>(File(this, node));
  }
  return found;
}

IOStatus FaultFileSystem::NewWritableFile(const std::string& path, const rocksdb::FileOptions&,
                                          std::unique_ptr<rocksdb::FSWritableFile>* file,
                                          IODebugContext*) {
  MutexLock lock(&mutex_);
  const std::optional<NodeNumber> old = disk_.Find(path);
  // What is there is emptied, not replaced.
  const IOStatus status = old.has_value()
                              ? DoLocked(DiskOperation::OnNode(Kind::kTruncate, *old))
                              : DoLocked(DiskOperation::OnPath(Kind::kCreateFile, path));
  if (status.ok()) {
    *file = std::make_unique<WritableFile>(File(this, *disk_.Find(path)));
  }
  return status;
}

IOStatus FaultFileSystem::NewRandomRWFile(const std::string& path, const rocksdb::FileOptions&,
                                          std::unique_ptr<rocksdb::FSRandomRWFile>* file,
                                          IODebugContext*) {
  NodeNumber node = 0;
  const IOStatus found = FindFile(path, &node);
  if (found.ok()) {
    *file = std::make_unique<RandomRwFile>(File(this, node));
  }
  return found;
}

IOStatus FaultFileSystem::NewDirectory(const std::string& path, const IOOptions&,
                                       std::unique_ptr<rocksdb::FSDirectory>* directory,
                                       IODebugContext*) {
  MutexLock lock(&mutex_);
  const std::optional<NodeNumber> node = disk_.Find(path);
  if (!node.has_value() || !disk_.IsDirectory(*node)) {
    return Missing(path);
  }
  *directory = std::make_unique<Directory>(this, *node);
  return IOStatus::OK();
}

// RocksDB logs to our log (InfoLog), so it opens no file for that.
IOStatus FaultFileSystem::NewLogger(const std::string&, const IOOptions&,
                                    std::shared_ptr<rocksdb::Logger>*, IODebugContext*) {
  return IOStatus::NotSupported("NewLogger");
}

IOStatus FaultFileSystem::FileExists(const std::string& path, const IOOptions&, IODebugContext*) {
  MutexLock lock(&mutex_);
  return disk_.Find(path).has_value() ? IOStatus::OK() : IOStatus::NotFound(path);
}

IOStatus FaultFileSystem::GetChildren(const std::string& path, const IOOptions&,
                                      std::vector<std::string>* names, IODebugContext*) {
  MutexLock lock(&mutex_);
  names->clear();
  const std::optional<NodeNumber> node = disk_.Find(path);
  if (!node.has_value() || !disk_.IsDirectory(*node)) {
    return IOStatus::NotFound(path);
  }
  for (const auto& [name, child] : disk_.List(*node)) {
    names->push_back(name);
  }
  return IOStatus::OK();
}

IOStatus FaultFileSystem::GetChildrenFileAttributes(
    const std::string& path, const IOOptions& options,
    std::vector<rocksdb::Env::FileAttributes>* files, IODebugContext* dbg) {
  return rocksdb::FileSystem::GetChildrenFileAttributes(path, options, files, dbg);
}

IOStatus FaultFileSystem::IsDirectory(const std::string& path, const IOOptions&, bool* is_directory,
                                      IODebugContext*) {
  MutexLock lock(&mutex_);
  const std::optional<NodeNumber> node = disk_.Find(path);
  if (!node.has_value()) {
    return Missing(path);
  }
  *is_directory = disk_.IsDirectory(*node);
  return IOStatus::OK();
}

IOStatus FaultFileSystem::GetFileSize(const std::string& path, const IOOptions&, uint64_t* size,
                                      IODebugContext*) {
  NodeNumber node = 0;
  const IOStatus found = FindFile(path, &node);
  if (found.ok()) {
    MutexLock lock(&mutex_);
    *size = disk_.Contents(node).size();
  }
  return found;
}

IOStatus FaultFileSystem::GetFileModificationTime(const std::string&, const IOOptions&,
                                                  uint64_t* time, IODebugContext*) {
  *time = 0;
  return IOStatus::OK();
}

IOStatus FaultFileSystem::GetFreeSpace(const std::string&, const IOOptions&, uint64_t* bytes,
                                       IODebugContext*) {
  *bytes = uint64_t{1} << 40;
  return IOStatus::OK();
}

IOStatus FaultFileSystem::CreateDir(const std::string& path, const IOOptions&, IODebugContext*) {
  MutexLock lock(&mutex_);
  return disk_.Find(path).has_value()
             ? IOStatus::IOError("it exists", path)
             : DoLocked(DiskOperation::OnPath(Kind::kCreateDirectory, path));
}

IOStatus FaultFileSystem::CreateDirIfMissing(const std::string& path, const IOOptions&,
                                             IODebugContext*) {
  MutexLock lock(&mutex_);
  return disk_.Find(path).has_value()
             ? IOStatus::OK()
             : DoLocked(DiskOperation::OnPath(Kind::kCreateDirectory, path));
}

IOStatus FaultFileSystem::DeleteFile(const std::string& path, const IOOptions&, IODebugContext*) {
  MutexLock lock(&mutex_);
  return disk_.Find(path).has_value() ? DoLocked(DiskOperation::OnPath(Kind::kDelete, path))
                                      : Missing(path);
}

IOStatus FaultFileSystem::DeleteDir(const std::string& path, const IOOptions& options,
                                    IODebugContext* dbg) {
  return DeleteFile(path, options, dbg);
}

IOStatus FaultFileSystem::RenameFile(const std::string& from, const std::string& to,
                                     const IOOptions&, IODebugContext*) {
  MutexLock lock(&mutex_);
  return disk_.Find(from).has_value() ? DoLocked(DiskOperation::OnPath(Kind::kRename, from, to))
                                      : Missing(from);
}

IOStatus FaultFileSystem::Truncate(const std::string& path, size_t size, const IOOptions&,
                                   IODebugContext*) {
  NodeNumber node = 0;
  const IOStatus found = FindFile(path, &node);
  return found.ok() ? Do(DiskOperation::OnNode(Kind::kTruncate, node, size)) : found;
}

IOStatus FaultFileSystem::LockFile(const std::string&, const IOOptions&, rocksdb::FileLock** lock,
                                   IODebugContext*) {
  *lock = new NoLock;
  return IOStatus::OK();
}

IOStatus FaultFileSystem::UnlockFile(rocksdb::FileLock* lock, const IOOptions&, IODebugContext*) {
  delete lock;
  return IOStatus::OK();
}

IOStatus FaultFileSystem::ReopenWritableFile(const std::string& path, const rocksdb::FileOptions&,
                                             std::unique_ptr<rocksdb::FSWritableFile>* file,
                                             IODebugContext*) {
  NodeNumber node = 0;
  const IOStatus found = FindFile(path, &node);
  if (found.ok()) {
    MutexLock lock(&mutex_);
    *file = std::make_unique<WritableFile>(File(this, node), disk_.Contents(node).size());
  }
  return found;
}

IOStatus FaultFileSystem::ReuseWritableFile(const std::string&, const std::string&,
                                            const rocksdb::FileOptions&,
                                            std::unique_ptr<rocksdb::FSWritableFile>*,
                                            IODebugContext*) {
  return IOStatus::NotSupported("ReuseWritableFile");
}

IOStatus FaultFileSystem::LinkFile(const std::string& from, const std::string& to, const IOOptions&,
                                   IODebugContext*) {
  MutexLock lock(&mutex_);
  if (disk_.Find(to).has_value()) {
    return IOStatus::IOError("it exists", to);
  }
  return disk_.Find(from).has_value() ? DoLocked(DiskOperation::OnPath(Kind::kLink, from, to))
                                      : Missing(from);
}

}  // namespace raftkv::storage
