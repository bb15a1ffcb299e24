# Installs sluice, builds each installed template against it as a project of its own, by the
# commands of include/sluice/AUTHORS.md, installs the plugin, and drives it through the installed kit.
function(step)
    execute_process(COMMAND ${ARGV} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
    if(NOT result EQUAL 0)
        string(REPLACE ";" " " command "${ARGV}")
        message(FATAL_ERROR "${command}\nanswered ${result}:\n${output}")
    endif()
    set(output "${output}" PARENT_SCOPE)
endfunction()

function(expect text)
    string(FIND "${output}" "${text}" found)
    if(found EQUAL -1)
        message(FATAL_ERROR "'${text}' is not in:\n${output}")
    endif()
endfunction()

file(REMOVE_RECURSE ${WORK_DIR})
set(prefix ${WORK_DIR}/prefix)
step(${CMAKE_COMMAND} --install ${BUILD_DIR} --prefix ${prefix})
set(SLUICE ${prefix}/${BIN_DIR}/sluice)

function(try_out template guarantee)
    set(source ${prefix}/${DATA_DIR}/sluice/${template})
    set(work ${WORK_DIR}/${template})
    step(${CMAKE_COMMAND} -S ${source} -B ${work} -G ${GENERATOR} -D CMAKE_PREFIX_PATH=${prefix}
        -D CMAKE_C_COMPILER=${C_COMPILER} -D CMAKE_CXX_COMPILER=${CXX_COMPILER}
        "-DCMAKE_C_FLAGS=-Wall -Wextra -Werror" "-DCMAKE_CXX_FLAGS=-Wall -Wextra -Werror")
    step(${CMAKE_COMMAND} --build ${work})
    step(${CMAKE_COMMAND} --install ${work} --prefix ${work}/installed)
    file(GLOB_RECURSE plugin ${work}/installed/*/sluice/my_sink.so)
    if(NOT plugin)
        message(FATAL_ERROR "my_sink.so was not installed below ${work}/installed")
    endif()
    get_filename_component(plugin_dir ${plugin} DIRECTORY)
    step(chmod go-w ${plugin} ${plugin_dir})  # under a umask of 002

    file(WRITE ${work}/sink.yaml "plugin: my_sink\npath: out\n")
    step(${SLUICE} sink-test ${plugin} ${work}/sink.yaml --rounds 4 --values json
        --reader "find ${work}/out -type f -not -name '.*' | xargs -r cat")
    expect("declared ${guarantee}, proven ${guarantee}")
    # Again, as the page says, into a target that has what the first run wrote.
    step(${SLUICE} sink-test ${plugin} ${work}/sink.yaml --scenario batches --values json
        --reader "find ${work}/out -type f -not -name '.*' | xargs -r cat")
    expect("this scenario found nothing against it")

    # Where it cannot write, it says so; the kit hears it.
    file(WRITE ${work}/nowhere.yaml "plugin: my_sink\npath: /dev/null/nowhere\n")
    execute_process(COMMAND ${SLUICE} sink-test ${plugin} ${work}/nowhere.yaml
        RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
    if(NOT result EQUAL 2)
        message(FATAL_ERROR "sink-test on a target that cannot be written answered ${result}:\n${output}")
    endif()
    expect("open() answered FATAL: ")
endfunction()

try_out(template idempotent)
try_out(template-cpp exactly-once)

# As short as promised.
foreach(file template/my_sink.c template-cpp/my_sink.cpp)
    file(READ ${prefix}/${DATA_DIR}/sluice/${file} text)
    string(REGEX MATCHALL "\n" lines "${text}")
    list(LENGTH lines count)
    if(count GREATER 90)
        message(FATAL_ERROR "${file} has ${count} lines; a whole sink has at most 90")
    endif()
endforeach()
