# raftkv_few_pieces(target) compiles several of its files at a time where RAFTKV_FEW_PIECES says so.
function(raftkv_few_pieces target)
  if(RAFTKV_FEW_PIECES)
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 10)
  endif()
endfunction()

# raftkv_library(name SOURCES a.cc b.cc DEPENDS lib...) makes the static library `raftkv_<name>`: one folder, one
# target.
function(raftkv_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS" ${ARGN})
  if(RAFTKV_WITH_MUTANTS)
    raftkv_weave(ARG_SOURCES)
  endif()
  raftkv_or_archives(ARG_DEPENDS)
  add_library(raftkv_${name} STATIC ${ARG_SOURCES})
  target_link_libraries(raftkv_${name} PUBLIC raftkv_own_code ${ARG_DEPENDS})
  raftkv_few_pieces(raftkv_${name})
endfunction()

# raftkv_test_headers(name HEADERS h... DEPENDS lib...) compiles once what many tests include. Only tests have it: the
# product's files must include what they use.
function(raftkv_test_headers name)
  cmake_parse_arguments(ARG "" "" "HEADERS;DEPENDS" ${ARGN})
  file(GENERATE OUTPUT ${CMAKE_BINARY_DIR}/cmake/${name}.cc CONTENT "")
  add_library(${name} OBJECT ${CMAKE_BINARY_DIR}/cmake/${name}.cc)
  target_link_libraries(${name} PRIVATE
    raftkv_own_code ${ARG_DEPENDS} absl::statusor absl::strings GTest::gmock GTest::gtest)
  target_compile_options(${name} PRIVATE -O0 -pthread)
  target_precompile_headers(${name} PRIVATE
    <gmock/gmock.h> <gtest/gtest.h>
    <absl/status/status.h> <absl/status/statusor.h> <absl/strings/str_cat.h> <absl/strings/str_format.h>
    <deque> <functional> <map> <memory> <optional> <set> <string> <variant> <vector> ${ARG_HEADERS})
endfunction()

# raftkv_test_executable(name [OPTIMISED] SOURCES a_test.cc DEPENDS lib...) makes the gtest binary `name`. Its own files
# are not optimised, whatever the tree: what they test lies in libraries, and they are most of what there is to compile.
# But of a template that both use the linker keeps the test's copy, so a test that computes for seconds is OPTIMISED.
function(raftkv_test_executable name)
  cmake_parse_arguments(ARG "OPTIMISED" "" "SOURCES;DEPENDS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE
    raftkv_own_code ${ARG_DEPENDS} GTest::gmock GTest::gtest GTest::gtest_main)
  raftkv_few_pieces(${name})
  if(ARG_OPTIMISED)
    return()
  endif()
  set(headers raftkv_test_headers)
  if(raftkv_test_support IN_LIST ARG_DEPENDS)
    set(headers raftkv_process_test_headers)
  endif()
  if(NOT TARGET raftkv_test_headers)
    raftkv_test_headers(raftkv_test_headers)
  endif()
  if(headers STREQUAL raftkv_process_test_headers AND NOT TARGET ${headers})
    raftkv_test_headers(${headers}
      HEADERS <filesystem> <thread> ${CMAKE_SOURCE_DIR}/tests/support/single_node.h
        ${CMAKE_SOURCE_DIR}/tests/support/test_cluster.h
      DEPENDS raftkv_test_support)
  endif()
  target_compile_options(${name} PRIVATE -O0 -pthread)
  target_precompile_headers(${name} REUSE_FROM ${headers})
endfunction()

# raftkv_test_group(name [FAST] DEPENDS lib...) makes the gtest binary `name` of files that raftkv_grouped_test names.
function(raftkv_test_group name)
  cmake_parse_arguments(ARG "FAST" "" "DEPENDS" ${ARGN})
  raftkv_test_executable(${name} SOURCES ${CMAKE_SOURCE_DIR}/tests/support/test_file_main.cc DEPENDS ${ARG_DEPENDS})
  set_target_properties(${name} PROPERTIES RAFTKV_TEST_LABELS "")
  if(ARG_FAST)
    set_target_properties(${name} PROPERTIES RAFTKV_TEST_LABELS fast)
    add_dependencies(fast_tests ${name})
  endif()
endfunction()

# raftkv_grouped_test(group name [ARGUMENTS a...] [TIMEOUT s] [LABELS l...]) adds name.cc to the binary `group`, and a
# ctest entry `name` that runs this file's tests.
function(raftkv_grouped_test group name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "ARGUMENTS;LABELS" ${ARGN})
  target_sources(${group} PRIVATE ${name}.cc)
  add_test(NAME ${name} COMMAND ${group} --file=${name}.cc ${ARG_ARGUMENTS})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 240)
  endif()
  get_target_property(labels ${group} RAFTKV_TEST_LABELS)
  set_tests_properties(${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${labels};${ARG_LABELS}")
endfunction()

# raftkv_test(name FAST [OPTIMISED] SOURCES a_test.cc DEPENDS lib... [LABELS l...] [TIMEOUT s]) makes the gtest binary
# `name` and one ctest entry of that name. FAST tests need no server process and also run under the sanitizers.
function(raftkv_test name)
  cmake_parse_arguments(ARG "FAST;OPTIMISED" "TIMEOUT" "SOURCES;DEPENDS;LABELS" ${ARGN})
  set(optimised "")
  if(ARG_OPTIMISED)
    set(optimised OPTIMISED)
  endif()
  raftkv_test_executable(${name} ${optimised} SOURCES ${ARG_SOURCES} DEPENDS ${ARG_DEPENDS})
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
