# Whether a program against an engine's C API compiles and links.
#   parity_try_api(NAME ENGINE WHERE INCLUDES dirs... LIBRARIES files... DEFINITIONS definitions...)
# ENGINE is its name in messages, WHERE the place that it was found at. On success the interface library NAME exists, and
# NAME_usable is TRUE in the caller; otherwise a warning has the compiler's or the linker's words.
function(parity_try_api name engine where)
  cmake_parse_arguments(ARG "" "" "INCLUDES;LIBRARIES;DEFINITIONS" ${ARGN})
  list(TRANSFORM ARG_DEFINITIONS PREPEND -D OUTPUT_VARIABLE flags)
  try_compile(compiles ${CMAKE_BINARY_DIR}/try_${name}
    SOURCES ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/try_api.cc
    CMAKE_FLAGS "-DINCLUDE_DIRECTORIES=${ARG_INCLUDES};${CMAKE_CURRENT_FUNCTION_LIST_DIR}/../.."
    COMPILE_DEFINITIONS ${flags}
    LINK_LIBRARIES ${ARG_LIBRARIES}
    CXX_STANDARD 20
    NO_CACHE
    OUTPUT_VARIABLE output)
  set(${name}_usable ${compiles} PARENT_SCOPE)
  if(NOT compiles)
    message(WARNING "${engine}: the runner does not compile against ${where}; its suites will be skipped:\n${output}")
    return()
  endif()
  add_library(${name} INTERFACE)
  target_include_directories(${name} SYSTEM INTERFACE ${ARG_INCLUDES})
  target_link_libraries(${name} INTERFACE ${ARG_LIBRARIES} ${CMAKE_DL_LIBS})
  target_compile_definitions(${name} INTERFACE ${ARG_DEFINITIONS})
endfunction()
