# Writes FILES (texts, without a NUL) into the C++ file OUTPUT, which defines ConsoleFiles
# (server/http/console_files.h):
#   cmake -DOUTPUT=out.cc "-DFILES=a.html;b.js" -P EmbedFiles.cmake
set(entries "")
foreach(file IN LISTS FILES)
  get_filename_component(name ${file} NAME)
  # By bytes: what CMake reads as text loses brackets and semicolons.
  file(READ ${file} hex HEX)
  string(REGEX REPLACE "(................................)" "\\1\n" hex "${hex}")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "\\\\x\\1" hex "${hex}")
  string(REPLACE "\n" "\"\n     \"" hex "${hex}")
  string(APPEND entries "    {\"${name}\",\n     \"${hex}\"},\n")
endforeach()
file(WRITE ${OUTPUT}
  "// Made by cmake/EmbedFiles.cmake.\n"
  "#include \"server/http/console_files.h\"\n\n"
  "namespace raftkv::server {\n\n"
  "const std::vector<ConsoleFile>& ConsoleFiles() {\n"
  "  static const auto* files = new std::vector<ConsoleFile>{\n${entries}  };\n"
  "  return *files;\n}\n\n"
  "}  // namespace raftkv::server\n")
