# Fails if a C++ source belongs to no target: a test that nobody builds passes always.
# SKIPPED are those that need what this machine lacks.
# cmake -D SOURCES=FOLDER -D BUILD=FOLDER -D SKIPPED=FILES -P EverySourceIsCompiled.cmake
file(READ ${BUILD}/compile_commands.json commands)
file(GLOB_RECURSE sources
  ${SOURCES}/dialects/*.cpp ${SOURCES}/lib/*.cpp ${SOURCES}/passes/*.cpp
  ${SOURCES}/runtime/*.cpp ${SOURCES}/test/*.cpp ${SOURCES}/tools/*.cpp)
list(REMOVE_ITEM sources ${SKIPPED})
foreach(source IN LISTS sources)
  string(FIND "${commands}" "\"file\": \"${source}\"" place)
  if(place EQUAL -1)
    message(SEND_ERROR "${source} is a source of no target")
  endif()
endforeach()
