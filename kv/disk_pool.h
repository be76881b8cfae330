// DiskPool is where the store does what may wait for the disk: the loop never does.
#pragma once

#include <functional>

namespace raftkv::kv {

// Confined to the loop.
class DiskPool {
 public:
  // kLong: it may go over very many keys. Short work does not wait behind long work.
  enum class Length { kShort, kLong };
  // Runs anywhere but on the loop; what it returns runs on the loop.
  using Work = std::function<std::function<void()>()>;

  virtual ~DiskPool() = default;

  // Returns false, and nothing happens, when too much of its length waits already,
  // or the member stops.
  [[nodiscard]] virtual bool Submit(Length length, Work work) = 0;
};

}  // namespace raftkv::kv
