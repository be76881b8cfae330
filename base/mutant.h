// RAFTKV_MUTANT(kName) marks where a known bug of other systems could be put back into the code. It
// is the constant false, and gone from the binary, unless the tree is configured with the CMake
// preset `mutants`: there scripts/mutants.sh switches the bugs on, one at a time, to see whether
// the tests find them. tests/mutants/list.inc says what each breaks.
#pragma once

#ifdef RAFTKV_MUTANTS
#include RAFTKV_MUTANTS  // tests/mutants/chosen_mutant.h
#define RAFTKV_MUTANT(name) (::raftkv::ChosenMutant() == ::raftkv::Mutant::name)
#else
#define RAFTKV_MUTANT(name) false
#endif
