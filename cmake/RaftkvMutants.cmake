# Known bugs that can be switched on: what tests/mutants/list.txt names is compiled from a copy that has them woven in,
# below woven/ of the build directory. Never in anything that is released.
option(RAFTKV_WITH_MUTANTS "Compile the mutants of tests/mutants in" OFF)
if(NOT RAFTKV_WITH_MUTANTS)
  return()
endif()

find_package(Python3 REQUIRED COMPONENTS Interpreter)
set(RAFTKV_MUTANTS ${PROJECT_SOURCE_DIR}/tests/mutants)
execute_process(
  COMMAND ${Python3_EXECUTABLE} ${RAFTKV_MUTANTS}/weave.py --files
  OUTPUT_VARIABLE RAFTKV_MUTATED_FILES OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
string(REPLACE "\n" ";" RAFTKV_MUTATED_FILES "${RAFTKV_MUTATED_FILES}")
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${RAFTKV_MUTANTS}/list.txt)

# raftkv_weave(sources) puts the woven copies of what has mutants into a list of sources of the calling folder.
function(raftkv_weave sources)
  cmake_path(RELATIVE_PATH CMAKE_CURRENT_SOURCE_DIR BASE_DIRECTORY ${PROJECT_SOURCE_DIR} OUTPUT_VARIABLE folder)
  set(result "")
  foreach(source IN LISTS ${sources})
    set(file ${folder}/${source})
    if(file IN_LIST RAFTKV_MUTATED_FILES)
      set(woven ${PROJECT_BINARY_DIR}/woven/${file})
      add_custom_command(
        OUTPUT ${woven}
        COMMAND ${Python3_EXECUTABLE} ${RAFTKV_MUTANTS}/weave.py ${file} ${woven}
        DEPENDS ${PROJECT_SOURCE_DIR}/${file} ${RAFTKV_MUTANTS}/list.txt
          ${RAFTKV_MUTANTS}/mutant_list.py ${RAFTKV_MUTANTS}/weave.py
        COMMENT "Weaving the mutants of ${file}"
        VERBATIM)
      set_source_files_properties(${woven} PROPERTIES COMPILE_OPTIONS
        "-include;${PROJECT_SOURCE_DIR}/tests/mutants/chosen_mutant.h")
      set_property(GLOBAL APPEND PROPERTY RAFTKV_WOVEN_FILES ${file})
      list(APPEND result ${woven})
    else()
      list(APPEND result ${source})
    endif()
  endforeach()
  set(${sources} ${result} PARENT_SCOPE)
endfunction()
