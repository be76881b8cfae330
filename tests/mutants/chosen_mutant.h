// Included before each file that tests/mutants/weave.py wove: only a tree of the CMake preset
// `mutants` has such files.
#pragma once

#include <cstdlib>

namespace raftkv {

// Whether this process runs with the mutant of that number: the environment variable RAFTKV_MUTANT
// chooses one of list.txt, and none when it is not set.
inline bool IsMutant(int number) {
  static const int chosen = [] {
    const char* text = std::getenv("RAFTKV_MUTANT");
    return text == nullptr ? 0 : std::atoi(text);
  }();
  return chosen == number;
}

}  // namespace raftkv
