// Which of the mutants of list.inc is switched on in this process. Only a tree of the CMake preset
// `mutants` includes this, through base/mutant.h.
#pragma once

#include <cstdlib>

namespace raftkv {

enum class Mutant {
  kNone = 0,
#define MUTANT(number, name, row, breaks) name = number,
#include "tests/mutants/list.inc"
#undef MUTANT
};

// The one whose number is in the environment variable RAFTKV_MUTANT; none without it.
inline Mutant ChosenMutant() {
  static const Mutant chosen = [] {
    const char* number = std::getenv("RAFTKV_MUTANT");
    return static_cast<Mutant>(number == nullptr ? 0 : std::atoi(number));
  }();
  return chosen;
}

}  // namespace raftkv
