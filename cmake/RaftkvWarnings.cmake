# Warnings are errors in our own code; raftkv_own_code carries them, so generated code is left alone.
add_library(raftkv_own_code INTERFACE)
target_include_directories(raftkv_own_code INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(raftkv_own_code INTERFACE -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Werror)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # False alarms of gcc 12 when it optimises: moved variants "uninitialized", assigned strings "overlapping".
  target_compile_options(raftkv_own_code INTERFACE -Wno-maybe-uninitialized -Wno-restrict)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  target_compile_options(raftkv_own_code INTERFACE -Wthread-safety)
endif()

# address,undefined or thread; everything is built with it, generated code included.
set(RAFTKV_SANITIZE "" CACHE STRING "Sanitizers to build with")
if(RAFTKV_SANITIZE)
  add_compile_options(-fsanitize=${RAFTKV_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -O1 -g1)
  add_link_options(-fsanitize=${RAFTKV_SANITIZE})
endif()
