#include "tests/chaos/file_damage.h"

#include <fcntl.h>
#include <glog/logging.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "tests/support/temp_dir.h"

namespace raftkv::chaos {
namespace {

using simulation::Dice;
namespace fs = std::filesystem;

// Lengths and kinds of what follows stand there.
constexpr size_t kHeadBytes = 64;
// What was written last is checked least: the last 8 to 512 bytes.
constexpr uint64_t kTailBytesMin = 8;
constexpr uint64_t kTailDoublings = 7;
constexpr size_t kDamageBlockBytes = 4096;

// Of the database folder: by how their names begin and end.
struct NamePattern {
  absl::string_view begin;
  absl::string_view end;
};

// All that match, oldest first: their numbers have leading zeros.
std::vector<std::string> Matching(const std::string& data_dir, const NamePattern& pattern) {
  std::vector<std::string> found;
  for (const auto& entry : fs::directory_iterator(data_dir + "/db")) {
    const std::string name = entry.path().filename();
    if (absl::StartsWith(name, pattern.begin) && absl::EndsWith(name, pattern.end)) {
      found.push_back("db/" + name);
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

// Below the directory; "" when there is none of the drawn kind.
std::string DrawFile(const std::string& data_dir, Dice* dice) {
  const uint64_t kind = dice->Below(10);
  if (kind >= 7) {
    static const std::vector<std::string> kSingle = {"FORMAT", "FENCE", "db/CURRENT",
                                                     "db/IDENTITY"};
    const std::string& file = dice->Pick(kSingle);
    return fs::exists(data_dir + "/" + file) ? file : "";
  }
  // Twice as often what RocksDB takes for a torn tail.
  static const std::vector<NamePattern> kPatterns = {
      {"MANIFEST-", ""}, {"MANIFEST-", ""}, {"", ".log"},    {"", ".log"},
      {"", ".sst"},      {"", ".sst"},      {"OPTIONS-", ""}};
  const std::vector<std::string> found = Matching(data_dir, kPatterns[kind]);
  if (found.empty()) {
    return "";
  }
  return kPatterns[kind].end == ".sst" ? dice->Pick(found) : found.back();
}

size_t DrawByte(size_t size, Dice* dice) {
  switch (dice->Below(3)) {
    case 0:
      return dice->Below(std::min(size, kHeadBytes));
    case 1:
      return size - 1 - dice->Below(std::min(size, kTailBytesMin << dice->Below(kTailDoublings)));
    default:
      return dice->Below(size);
  }
}

// But for what stands beside a member's files on a disk of its own.
void CopyFiles(const std::string& from, const std::string& to) {
  fs::create_directories(to);
  for (const auto& entry : fs::directory_iterator(from)) {
    if (entry.path().filename() != "lost+found") {
      fs::copy(entry.path(), to / entry.path().filename(), fs::copy_options::recursive);
    }
  }
}

// What a hand puts back is durable before the member goes on with it: a power cut that follows must
// not undo it.
void SyncAll(const std::string& folder) {
  const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  CHECK_GE(fd, 0) << folder;
  CHECK_EQ(syncfs(fd), 0) << folder;
  CHECK_EQ(close(fd), 0);
}

}  // namespace

std::optional<FileDamage> FileDamage::Do(const std::string& data_dir, const std::string& copy_dir,
                                         Dice* dice) {
  const std::string file = DrawFile(data_dir, dice);
  if (file.empty()) {
    return std::nullopt;
  }
  CopyFiles(data_dir, copy_dir);
  FileDamage damage(data_dir, copy_dir, file);
  if (!damage.Strike(dice)) {
    damage.Forget();
    return std::nullopt;
  }
  return damage;
}

bool FileDamage::Strike(Dice* dice) {
  const std::string path = absl::StrCat(data_dir_, "/", file_);
  const std::string good = integration::ReadFile(path);
  std::string bad = good;
  const uint64_t how = dice->Below(10);
  if (how == 0) {
    description_ = absl::StrCat(file_, " deleted");
    return fs::remove(path);
  }
  if (how == 1) {
    description_ = absl::StrCat(file_, " emptied");
    bad.clear();
  } else if (good.empty()) {
    return false;
  } else if (how == 2) {
    const size_t begin = DrawByte(good.size(), dice) / kDamageBlockBytes * kDamageBlockBytes;
    const size_t length = std::min(kDamageBlockBytes, good.size() - begin);
    bad.replace(begin, length, length, '\0');
    description_ = absl::StrCat("zeros from byte ", begin, " of ", file_);
  } else if (how == 3) {
    bad.resize(DrawByte(good.size(), dice));
    description_ = absl::StrCat(file_, " cut to ", bad.size(), " of ", good.size(), " bytes");
  } else {
    const size_t byte = DrawByte(good.size(), dice);
    const uint64_t bit = dice->Below(8);
    bad[byte] = static_cast<char>(bad[byte] ^ (1 << bit));
    description_ = absl::StrCat("bit ", bit, " of byte ", byte, " of ", file_, " flipped");
  }
  integration::WriteFile(path, bad);
  return bad != good;
}

void FileDamage::UndoAll() const {
  // The directory itself may be a mount point.
  for (const auto& entry : fs::directory_iterator(data_dir_)) {
    if (entry.path().filename() != "lost+found") {
      fs::remove_all(entry.path());
    }
  }
  CopyFiles(copy_dir_, data_dir_);
  SyncAll(data_dir_);
}

void FileDamage::UndoTable() const {
  const std::string path = absl::StrCat(data_dir_, "/", file_);
  if (absl::EndsWith(file_, ".sst") && fs::exists(path)) {
    fs::copy_file(absl::StrCat(copy_dir_, "/", file_), path, fs::copy_options::overwrite_existing);
    SyncAll(data_dir_);
  }
}

void FileDamage::Forget() const { fs::remove_all(copy_dir_); }

}  // namespace raftkv::chaos
