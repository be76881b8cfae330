#include "tests/simulation/trace.h"

#include <cinttypes>
#include <cstdio>

namespace raftkv::simulation {

uint64_t Mix(uint64_t number) {
  // SplitMix64.
  number += 0x9e3779b97f4a7c15;
  number = (number ^ (number >> 30)) * 0xbf58476d1ce4e5b9;
  number = (number ^ (number >> 27)) * 0x94d049bb133111eb;
  return number ^ (number >> 31);
}

void Trace::Add(std::initializer_list<uint64_t> numbers) {
  hash_ = Mix(hash_ ^ static_cast<uint64_t>(scheduler_.now()));
  for (const uint64_t number : numbers) {
    hash_ = Mix(hash_ ^ number);
  }
}

void Trace::Add(std::initializer_list<uint64_t> numbers, absl::FunctionRef<std::string()> line) {
  Add(numbers);
  if (print_) {
    const int64_t micros = scheduler_.now() / 1000;
    std::printf("%4" PRId64 ".%06" PRId64 "  %s\n", micros / 1'000'000, micros % 1'000'000,
                line().c_str());
  }
}

}  // namespace raftkv::simulation
