# What another project needs to use the libraries: headers, targets ds::base and ds::ds, and the files that find_package(ds) reads.
include(CMakePackageConfigHelpers)
set(package ${CMAKE_INSTALL_LIBDIR}/cmake/ds)
set_target_properties(ds_base PROPERTIES EXPORT_NAME base)
install(TARGETS ds_base EXPORT ds_base_targets)
install(TARGETS ds EXPORT ds_engine_targets)
install(EXPORT ds_base_targets NAMESPACE ds:: FILE dsBaseTargets.cmake DESTINATION ${package})
install(EXPORT ds_engine_targets NAMESPACE ds:: FILE dsEngineTargets.cmake DESTINATION ${package})
# Not those that show libraries which stay inside: HDF5 and mustache.
install(DIRECTORY base engine DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/ds FILES_MATCHING PATTERN "*.h"
  PATTERN "hdf5.h" EXCLUDE PATTERN "sections.h" EXCLUDE)
configure_package_config_file(dsConfig.cmake.in ${PROJECT_BINARY_DIR}/generated/dsConfig.cmake INSTALL_DESTINATION ${package})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/generated/dsConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/generated/dsConfig.cmake ${PROJECT_BINARY_DIR}/generated/dsConfigVersion.cmake DESTINATION ${package})
install(FILES torch.cmake DESTINATION ${package} RENAME dsTorch.cmake)
