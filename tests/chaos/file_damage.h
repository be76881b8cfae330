// One file of a stopped member goes bad, as by a failing disk, a bad copy or a hand that slipped:
// one bit flips, a block becomes zeros, its end is cut off, it is empty or gone.
#pragma once

#include <optional>
#include <string>

#include "tests/simulation/dice.h"

namespace raftkv::chaos {

// Damage that was done, and what undoes it. Confined to one thread. REQUIRES, for all of it: no
// process uses the directory.
class FileDamage {
 public:
  // Damages a file of `data_dir`, after everything in there was copied to `copy_dir`, which must be
  // free. Nothing when the dice pick a file that is not there, or damage that changes nothing; then
  // there is no copy either.
  static std::optional<FileDamage> Do(const std::string& data_dir, const std::string& copy_dir,
                                      simulation::Dice* dice);

  // "bit 3 of byte 217 of db/MANIFEST-000018 flipped".
  const std::string& description() const { return description_; }

  // Puts the whole directory back as it was. REQUIRES: the member has not served since the damage,
  // or it would forget what it promised.
  void UndoAll() const;
  // Puts the bad file back when it is a table that is still there. All other files are read at a
  // start only, so a member that has served has taken them as they are.
  void UndoTable() const;
  // Deletes the copy.
  void Forget() const;

 private:
  FileDamage(std::string data_dir, std::string copy_dir, std::string file)
      : data_dir_(std::move(data_dir)), copy_dir_(std::move(copy_dir)), file_(std::move(file)) {}

  // False when that changes nothing.
  bool Strike(simulation::Dice* dice);

  std::string data_dir_;
  std::string copy_dir_;
  std::string file_;  // Below the directory.
  std::string description_;
};

}  // namespace raftkv::chaos
