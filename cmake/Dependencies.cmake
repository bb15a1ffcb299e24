# Every library sluice is built from, found once. `./run` installs them; see README.md, "Build".
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

# 2.8 is the oldest librdkafka that is tested (before 2.3 it stalls for a second whenever its queue was full). Where the system's is
# older, `./run deps` builds a newer one into build/deps.
if(EXISTS ${CMAKE_SOURCE_DIR}/build/deps/librdkafka/.complete)
    set(ENV{PKG_CONFIG_PATH} "${CMAKE_SOURCE_DIR}/build/deps/librdkafka/lib/pkgconfig:$ENV{PKG_CONFIG_PATH}")
    list(APPEND CMAKE_BUILD_RPATH ${CMAKE_SOURCE_DIR}/build/deps/librdkafka/lib)
    # Installed beside the programs that need it; plugins find it loaded.
    install(FILES ${CMAKE_SOURCE_DIR}/build/deps/librdkafka/lib/librdkafka.so.1
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/sluice/private)
    set(SLUICE_INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}/sluice/private")
endif()
pkg_check_modules(rdkafka REQUIRED IMPORTED_TARGET rdkafka>=2.8)

find_package(Boost 1.81 REQUIRED COMPONENTS json program_options)
find_package(yaml-cpp REQUIRED CONFIG)
find_package(RocksDB REQUIRED CONFIG)
find_package(spdlog REQUIRED CONFIG)
find_package(fmt REQUIRED CONFIG)
find_package(prometheus-cpp REQUIRED CONFIG)
find_package(ZLIB REQUIRED)
# Not under the prefix `zstd`: its cached variables would mislead RocksDB's own search for zstd from the
# second configuration on.
pkg_check_modules(libzstd REQUIRED IMPORTED_TARGET libzstd)
add_library(PkgConfig::zstd ALIAS PkgConfig::libzstd)
pkg_check_modules(libpq REQUIRED IMPORTED_TARGET libpq)  # plugins/postgres alone
pkg_check_modules(systemd IMPORTED_TARGET libsystemd)  # optional: notify and journal
