# sluice_add_sink(<name> <sources…>)
# A sink plugin: a MODULE with hidden visibility that exports the one symbol of the ABI, installed
# beside the others (component `plugins`). <name> is the plugin's name, the target and the file.
# Used inside this tree and, through find_package(sluice), by plugin authors, in projects of C, C++ or
# both.
include(GNUInstallDirs)
set(_sluice_sink_dir ${CMAKE_CURRENT_LIST_DIR})

function(sluice_add_sink name)
    add_library(${name} MODULE ${ARGN})
    set_target_properties(${name} PROPERTIES
        PREFIX "" SUFFIX ".so"
        C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
        LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib/sluice
        LINK_DEPENDS ${_sluice_sink_dir}/sink.map)
    # What the headers ask for, of the languages that the project has.
    get_property(languages GLOBAL PROPERTY ENABLED_LANGUAGES)
    if(C IN_LIST languages)
        target_compile_features(${name} PRIVATE c_std_11)
    endif()
    if(CXX IN_LIST languages)
        target_compile_features(${name} PRIVATE cxx_std_17)
    endif()
    target_link_libraries(${name} PRIVATE sluice::headers)
    target_link_options(${name} PRIVATE
        -Wl,--version-script=${_sluice_sink_dir}/sink.map -Wl,--no-undefined)
    # The loader refuses what others than the owner may write, which a umask of 002 would allow.
    add_custom_command(TARGET ${name} POST_BUILD VERBATIM
        COMMAND chmod go-w $<TARGET_FILE:${name}> $<TARGET_FILE_DIR:${name}>)
    install(TARGETS ${name} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/sluice COMPONENT plugins)
endfunction()
