# `cpack -G DEB` in a built release tree makes raftkv_<version>_<architecture>.deb there: server, ctl, unit, user,
# configuration. packaging/test.sh proves it.
set(CMAKE_SKIP_INSTALL_ALL_DEPENDENCY ON)
install(TARGETS raftkvd raftkvctl RUNTIME DESTINATION bin)
install(FILES config/one_node.yaml DESTINATION /etc/raftkv RENAME raftkv.yaml)
install(FILES config/three_nodes.yaml DESTINATION share/doc/raftkv/examples)
install(FILES packaging/raftkv.service DESTINATION /lib/systemd/system)
install(FILES packaging/raftkv.sysusers DESTINATION lib/sysusers.d RENAME raftkv.conf)
install(FILES README.md docs/API.md docs/CLIENTS.md docs/METRICS.md docs/OPERATIONS.md packaging/copyright
  DESTINATION share/doc/raftkv)
install(FILES packaging/lintian-overrides DESTINATION share/lintian/overrides RENAME raftkv)

# What is made of other things at the time of the installation.
file(WRITE ${CMAKE_BINARY_DIR}/install_made_files.cmake "
set(share \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/share\")
function(install_output file)
  get_filename_component(folder \"\${file}\" DIRECTORY)
  file(MAKE_DIRECTORY \"\${folder}\")
  execute_process(COMMAND \${ARGN} OUTPUT_FILE \"\${file}\" COMMAND_ERROR_IS_FATAL ANY)
  file(CHMOD \"\${file}\" PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
endfunction()
set(ctl \"${CMAKE_BINARY_DIR}/client/ctl/raftkvctl\")
install_output(\"\${share}/bash-completion/completions/raftkvctl\" \"\${ctl}\" completion bash)
install_output(\"\${share}/zsh/vendor-completions/_raftkvctl\" \"\${ctl}\" completion zsh)
install_output(\"\${share}/fish/vendor_completions.d/raftkvctl.fish\" \"\${ctl}\" completion fish)
install_output(\"\${share}/doc/raftkv/changelog.gz\" gzip -9nc \"${CMAKE_SOURCE_DIR}/packaging/changelog\")
")
install(SCRIPT ${CMAKE_BINARY_DIR}/install_made_files.cmake)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME raftkv)
set(CPACK_PACKAGE_CONTACT "The raftkv authors <authors@raftkv.dev>")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION database)
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION "distributed, strongly consistent key-value store
Each write goes through Raft to a majority of the members and is kept on
disk by each: of three nodes any one can be lost at any moment, without
losing what was acknowledged or reading what is stale. Clients use gRPC,
HTTP or raftkvctl. The package runs a store of one member;
/etc/raftkv/raftkv.yaml makes it a member of a cluster.")
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# What makes the user; systemd itself is not needed to run the server.
set(CPACK_DEBIAN_PACKAGE_DEPENDS "systemd | systemd-standalone-sysusers | systemd-sysusers")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
  ${CMAKE_SOURCE_DIR}/packaging/conffiles ${CMAKE_SOURCE_DIR}/packaging/postinst
  ${CMAKE_SOURCE_DIR}/packaging/prerm ${CMAKE_SOURCE_DIR}/packaging/postrm)
include(CPack)
