// Stands in for libFuzzer where it is not linked: runs the fuzz target over the files that the
// arguments name, a directory standing for all in it. So the targets are built and their corpora
// replayed by every test run.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

std::vector<std::string> FilesOf(const std::string& path) {
  if (!std::filesystem::is_directory(path)) {
    return {path};
  }
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

int main(int argc, char** argv) {
  size_t count = 0;
  for (int place = 1; place < argc; ++place) {
    for (const std::string& path : FilesOf(argv[place])) {
      std::ifstream file(path, std::ios::binary);
      const std::string bytes{std::istreambuf_iterator<char>(file), {}};
      if (!file) {
        std::cerr << path << ": cannot be read\n";
        return 1;
      }
      std::cerr << path << "\n";  // The last one named is the one that failed.
      LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
      ++count;
    }
  }
  std::cerr << count << " inputs replayed\n";
  return count > 0 ? 0 : 1;
}
