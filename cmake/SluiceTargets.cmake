# Warnings and sanitizers, linked PRIVATE by every target of ours.
add_library(sluice_options INTERFACE)
target_compile_features(sluice_options INTERFACE cxx_std_20 c_std_11)
target_compile_options(sluice_options INTERFACE -Wall -Wextra -Wconversion -Wshadow)
# What GCC guesses from data flow differs by version and optimisation, and GCC 12 guesses wrong
# about std::string (its bugs 105651, 105562): a warning to developers, nothing to who builds to use.
if(SLUICE_WERROR)
    target_compile_options(sluice_options INTERFACE
        -Werror -Wno-error=restrict -Wno-error=maybe-uninitialized)
elseif(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_BUILD_TYPE STREQUAL "Release")
    target_compile_options(sluice_options INTERFACE -Wno-restrict -Wno-maybe-uninitialized)
endif()
if(SLUICE_FUZZ)
    if(NOT CMAKE_CXX_COMPILER_ID MATCHES Clang)
        message(FATAL_ERROR "SLUICE_FUZZ needs libFuzzer: configure with CXX=clang++ CC=clang")
    endif()
    # Coverage to steer by, in everything of ours; the fuzzers alone link libFuzzer's main().
    set(_fuzz fuzzer-no-link,address,undefined)
    target_compile_options(sluice_options INTERFACE
        -fsanitize=${_fuzz} -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
    target_link_options(sluice_options INTERFACE -fsanitize=${_fuzz})
endif()
if(SLUICE_SANITIZE)
    target_compile_options(sluice_options INTERFACE -fsanitize=${SLUICE_SANITIZE} -fno-omit-frame-pointer)
    target_link_options(sluice_options INTERFACE -fsanitize=${SLUICE_SANITIZE})
endif()

find_program(CCACHE ccache)
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
    set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
    set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
endif()

# sluice_unity(<target>)
# Compiles several sources as one, where SLUICE_UNITY is set: most of the time that a source takes is in the headers it
# shares with its neighbours. Names of one folder's sources must differ then, those in unnamed namespaces too; a target
# where they do not sets UNITY_BUILD OFF.
function(sluice_unity target)
    set_target_properties(${target} PROPERTIES UNITY_BUILD ${SLUICE_UNITY} UNITY_BUILD_BATCH_SIZE 6)
    # GCC takes what an included file keeps to itself for a header's.
    if(SLUICE_UNITY AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
        target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-Wno-subobject-linkage>)
    endif()
endfunction()

# sluice_module(<name> SOURCES a.cpp … [PUBLIC libs] [PRIVATE libs])
# A module: a folder, the static library sluice_<name>, the namespace sluice::<name>. Includes are
# written from the top of the tree: #include "daemon/plan/types.hpp".
function(sluice_module name)
    cmake_parse_arguments(arg "" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
    add_library(sluice_${name} STATIC ${arg_SOURCES})
    target_include_directories(sluice_${name} PUBLIC ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/include)
    target_link_libraries(sluice_${name} PUBLIC ${arg_PUBLIC} PRIVATE sluice_options ${arg_PRIVATE})
    sluice_unity(sluice_${name})
endfunction()
