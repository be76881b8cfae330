# raftkv_library(name SOURCES a.cc b.cc DEPENDS lib...) makes the static library `raftkv_<name>`: one folder, one
# target.
function(raftkv_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS" ${ARGN})
  add_library(raftkv_${name} STATIC ${ARG_SOURCES})
  target_link_libraries(raftkv_${name} PUBLIC raftkv_own_code ${ARG_DEPENDS})
endfunction()

# raftkv_test(name FAST SOURCES a_test.cc DEPENDS lib... [LABELS l...] [TIMEOUT s]) makes the gtest binary `name` and
# one ctest entry of that name. FAST tests need no server process and also run under the sanitizers.
function(raftkv_test name)
  cmake_parse_arguments(ARG "FAST" "TIMEOUT" "SOURCES;DEPENDS;LABELS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE raftkv_own_code ${ARG_DEPENDS} GTest::gmock GTest::gtest GTest::gtest_main)
  add_test(NAME ${name} COMMAND ${name})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  set(labels ${ARG_LABELS})
  if(ARG_FAST)
    list(APPEND labels fast)
    add_dependencies(fast_tests ${name})
  endif()
  set_tests_properties(${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${labels}")
endfunction()
