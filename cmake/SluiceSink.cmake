# sluice_add_sink(<name> <sources…>)
# A sink plugin: a MODULE with hidden visibility that exports the one symbol of the ABI, installed
# beside the others. Used inside this tree and, through find_package(sluice), by plugin authors.
set(_sluice_sink_dir ${CMAKE_CURRENT_LIST_DIR})
function(sluice_add_sink name)
    add_library(${name} MODULE ${ARGN})
    set_target_properties(${name} PROPERTIES
        PREFIX "" C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
        LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib/sluice)
    target_link_libraries(${name} PRIVATE sluice::headers)
    target_link_options(${name} PRIVATE -Wl,--version-script=${_sluice_sink_dir}/sink.map -Wl,--no-undefined)
    install(TARGETS ${name} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/sluice)
endfunction()
