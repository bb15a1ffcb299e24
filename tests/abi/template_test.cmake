# Installs what a plugin author needs, builds the installed template against it as a project of its
# own, installs that plugin, and runs a batch through it.
function(step)
    execute_process(COMMAND ${ARGV} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
    if(NOT result EQUAL 0)
        string(REPLACE ";" " " command "${ARGV}")
        message(FATAL_ERROR "${command}\nanswered ${result}:\n${output}")
    endif()
endfunction()

file(REMOVE_RECURSE ${WORK_DIR})
set(prefix ${WORK_DIR}/prefix)
set(source ${prefix}/${DATA_DIR}/sluice/template)
step(${CMAKE_COMMAND} --install ${BUILD_DIR} --component devel --prefix ${prefix})
step(${CMAKE_COMMAND} -S ${source} -B ${WORK_DIR}/build -G ${GENERATOR}
    -D CMAKE_PREFIX_PATH=${prefix} -D CMAKE_C_COMPILER=${C_COMPILER}
    -D CMAKE_C_FLAGS=-Wall\ -Wextra\ -Werror)
step(${CMAKE_COMMAND} --build ${WORK_DIR}/build)
step(${CMAKE_COMMAND} --install ${WORK_DIR}/build --prefix ${prefix})

file(GLOB_RECURSE plugin ${prefix}/*/sluice/my_sink.so)
if(NOT plugin)
    message(FATAL_ERROR "my_sink.so was not installed below ${prefix}")
endif()
get_filename_component(plugin_dir ${plugin} DIRECTORY)
step(chmod go-w ${plugin} ${plugin_dir})  # under a umask of 002

# It works, and the template is as short as promised.
step(${RUN} ${plugin} ${WORK_DIR}/values.txt)
file(READ ${source}/my_sink.c text)
string(REGEX MATCHALL "\n" lines "${text}")
list(LENGTH lines count)
if(count GREATER_EQUAL 60)
    message(FATAL_ERROR "my_sink.c has ${count} lines; a whole sink is under 60")
endif()
