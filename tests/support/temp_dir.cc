#include "tests/support/temp_dir.h"

#include <glog/logging.h>
#include <stdlib.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>
#include <system_error>

namespace raftkv::integration {

TempDir::TempDir() {
  std::string pattern = std::filesystem::temp_directory_path().string() + "/raftkv_test.XXXXXX";
  PCHECK(mkdtemp(pattern.data()) != nullptr) << pattern;
  path_ = pattern;
}

TempDir::~TempDir() {
  if (std::getenv("RAFTKV_TEST_KEEP") != nullptr) {
    std::cerr << "kept " << path_ << "\n";
    return;
  }
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream content;
  content << in.rdbuf();
  return content.str();
}

std::string ReadWholeLines(const std::string& path) {
  std::string content = ReadFile(path);
  content.resize(content.rfind('\n') + 1);
  return content;
}

void WriteFile(const std::string& path, const std::string& content) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << content;
  CHECK(out.flush()) << path;
}

}  // namespace raftkv::integration
