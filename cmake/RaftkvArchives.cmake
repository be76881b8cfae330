# raftkv_link_archives(program): it has gRPC, Protobuf, Abseil and RocksDB within itself, as Debian builds them, instead
# of in shared libraries (docs/adr/0044). All else stays shared, OpenSSL above all, and so does what sanitizers watch.
# Tests and tools stay with the shared ones, which link faster.
function(raftkv_link_archives program)
  if(NOT RAFTKV_SANITIZE)
    set_target_properties(${program} PROPERTIES RAFTKV_LINKS_ARCHIVES ON)
    target_link_options(${program} PRIVATE -Wl,--gc-sections)
  endif()
endfunction()

# Replaces in `list` the names of those libraries by expressions that ask the program how it wants them.
function(raftkv_or_archives list)
  set(result "")
  foreach(library IN LISTS ${list})
    if(library MATCHES "^(gRPC|absl|protobuf|RocksDB)::")
      list(APPEND result
        "$<IF:$<BOOL:$<TARGET_PROPERTY:RAFTKV_LINKS_ARCHIVES>>,raftkv_archives,${library}>")
    else()
      list(APPEND result ${library})
    endif()
  endforeach()
  set(${list} ${result} PARENT_SCOPE)
endfunction()

# Makes raftkv_archives: the archives of these imported targets and of all that they need of the same libraries; the
# rest as it is.
function(raftkv_add_archives)
  set(targets
    gRPC::grpc++ gRPC::grpc++_reflection protobuf::libprotobuf absl::cleanup absl::cord absl::flat_hash_map absl::hash
    absl::inlined_vector absl::span absl::status absl::statusor absl::str_format absl::strings absl::synchronization
    absl::time)
  set(seen "")
  set(archives "")
  set(others RocksDB::rocksdb)
  while(targets)
    list(POP_FRONT targets target)
    if(target IN_LIST seen)
      continue()
    endif()
    list(APPEND seen ${target})
    if(NOT target MATCHES "^(gRPC|absl|protobuf)::")
      list(APPEND others ${target})
      continue()
    endif()
    get_target_property(type ${target} TYPE)
    if(NOT type STREQUAL "INTERFACE_LIBRARY")
      get_target_property(shared ${target} LOCATION)
      string(REGEX REPLACE "\\.so[.0-9]*$" ".a" archive ${shared})
      list(APPEND archives ${archive})
    endif()
    get_target_property(needs ${target} INTERFACE_LINK_LIBRARIES)
    if(needs)
      string(REGEX REPLACE "\\$<LINK_ONLY:([^>]*)>" "\\1" needs "${needs}")
      list(APPEND targets ${needs})
    endif()
  endwhile()
  list(JOIN archives "," group)
  add_library(raftkv_archives INTERFACE)
  target_link_libraries(raftkv_archives INTERFACE "$<LINK_GROUP:RESCAN,${group}>" ${others})
endfunction()
