# raftkv_library(name SOURCES a.cc b.cc DEPENDS lib...) makes the static library `raftkv_<name>`: one folder, one
# target.
function(raftkv_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS" ${ARGN})
  if(RAFTKV_WITH_MUTANTS)
    raftkv_weave(ARG_SOURCES)
  endif()
  add_library(raftkv_${name} STATIC ${ARG_SOURCES})
  target_link_libraries(raftkv_${name} PUBLIC raftkv_own_code ${ARG_DEPENDS})
  if(RAFTKV_SANITIZE)
    # Reading headers is most of the work there. The release tree shows that each file includes what it uses.
    set_target_properties(raftkv_${name} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 10)
  endif()
endfunction()

# What nearly every test includes, compiled once. Only tests have it: the product's files must include what they use.
function(raftkv_test_headers)
  file(GENERATE OUTPUT ${CMAKE_BINARY_DIR}/cmake/test_headers.cc CONTENT "")
  add_library(raftkv_test_headers OBJECT ${CMAKE_BINARY_DIR}/cmake/test_headers.cc)
  target_link_libraries(raftkv_test_headers PRIVATE
    raftkv_own_code absl::statusor absl::strings GTest::gmock GTest::gtest)
  target_compile_options(raftkv_test_headers PRIVATE -O0 -pthread)
  target_precompile_headers(raftkv_test_headers PRIVATE
    <gmock/gmock.h> <gtest/gtest.h>
    <absl/status/status.h> <absl/status/statusor.h> <absl/strings/str_cat.h> <absl/strings/str_format.h>
    <deque> <functional> <map> <memory> <optional> <set> <string> <variant> <vector>)
endfunction()

# raftkv_test_executable(name [OPTIMISED] SOURCES a_test.cc DEPENDS lib...) makes the gtest binary `name`. Its own files
# are not optimised, whatever the tree: what they test lies in libraries, and they are most of what there is to compile.
# But of a template that both use the linker keeps the test's copy, so a test that computes for seconds is OPTIMISED.
function(raftkv_test_executable name)
  cmake_parse_arguments(ARG "OPTIMISED" "" "SOURCES;DEPENDS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE
    raftkv_own_code ${ARG_DEPENDS} GTest::gmock GTest::gtest GTest::gtest_main)
  if(ARG_OPTIMISED)
    return()
  endif()
  if(NOT TARGET raftkv_test_headers)
    raftkv_test_headers()
  endif()
  target_compile_options(${name} PRIVATE -O0 -pthread)
  target_precompile_headers(${name} REUSE_FROM raftkv_test_headers)
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
