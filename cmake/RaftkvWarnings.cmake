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

# What protoc made. Undefined behaviour there would be protoc's, and checks for it are most of what compiling it takes.
add_library(raftkv_generated_code INTERFACE)

# address,undefined or thread; everything is built with it, but generated code without undefined.
set(RAFTKV_SANITIZE "" CACHE STRING "Sanitizers to build with")
if(RAFTKV_SANITIZE)
  add_compile_options(-fsanitize=${RAFTKV_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -O1 -g1)
  add_link_options(-fsanitize=${RAFTKV_SANITIZE})
  if(RAFTKV_SANITIZE MATCHES undefined)
    # A check at every access through a pointer, a quarter of the time to compile: the address sanitizer stops at null
    # and at the end of an object, and the processors that this runs on read what is not aligned.
    add_compile_options(-fno-sanitize=null,alignment,object-size)
    target_compile_options(raftkv_generated_code INTERFACE -fno-sanitize=undefined)
  endif()
endif()
