# Targets as every room declares them.
#   parity_library(gguf SOURCES gguf_reader.cc ... DEPS fmt::fmt)
#   parity_program(bitnet-parity SOURCES main.cc ... DEPS ...)
#   parity_unit_test(gguf_reader_test SOURCES gguf_reader_test.cc DEPS gguf)     label: unit

add_library(parity_options INTERFACE)
target_include_directories(parity_options INTERFACE ${CMAKE_SOURCE_DIR})
# -Wrestrict of GCC 12 warns wrongly of std::string concatenation (GCC bug 105651).
target_compile_options(parity_options INTERFACE -Wall -Wextra -Wno-unused-parameter -Wno-restrict)
if(PARITY_WERROR)
  target_compile_options(parity_options INTERFACE -Werror)
endif()
# A rounding is part of the result: the compiler must not fuse a multiplication and an addition on its own.
target_compile_options(parity_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-ffp-contract=off>)

function(parity_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC parity_options ${ARG_DEPS})
endfunction()

function(parity_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE parity_options ${ARG_DEPS})
endfunction()

function(parity_unit_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE parity_options ${ARG_DEPS} GTest::gmock GTest::gtest_main)
  target_compile_definitions(${name} PRIVATE PARITY_SOURCE_DIR="${CMAKE_SOURCE_DIR}" PARITY_BINARY_DIR="${CMAKE_BINARY_DIR}")
  add_test(NAME unit.${name} COMMAND ${name})
  set_tests_properties(unit.${name} PROPERTIES LABELS unit)
endfunction()
