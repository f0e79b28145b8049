# What `cmake --install BUILD --component runtime` puts into a prefix: enough to
# build a program around a compiled model.
include(CMakePackageConfigHelpers)

install(TARGETS moec_runtime EXPORT moecTargets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime)
install(TARGETS moec_runtime_shared
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime)
install(FILES include/moec/artifact.h include/moec/module_abi.h include/moec/runtime.h
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/moec COMPONENT runtime)

set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/moec)
install(EXPORT moecTargets NAMESPACE moec:: DESTINATION ${package_folder} COMPONENT runtime)
configure_package_config_file(cmake/moecConfig.cmake.in moecConfig.cmake
  INSTALL_DESTINATION ${package_folder})
write_basic_package_version_file(moecConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/moecConfig.cmake ${PROJECT_BINARY_DIR}/moecConfigVersion.cmake
  DESTINATION ${package_folder} COMPONENT runtime)

# The prefix may be chosen when installing, so the file is made then.
install(CODE "
  set(CMAKE_INSTALL_LIBDIR ${CMAKE_INSTALL_LIBDIR})
  set(CMAKE_INSTALL_INCLUDEDIR ${CMAKE_INSTALL_INCLUDEDIR})
  set(PROJECT_VERSION ${PROJECT_VERSION})
  get_filename_component(CMAKE_INSTALL_PREFIX \"\${CMAKE_INSTALL_PREFIX}\" ABSOLUTE)
  configure_file(${PROJECT_SOURCE_DIR}/cmake/moec.pc.in
    \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_LIBDIR}/pkgconfig/moec.pc\" @ONLY)
  " COMPONENT runtime)

install(TARGETS moec moec-runtime RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT tools)
