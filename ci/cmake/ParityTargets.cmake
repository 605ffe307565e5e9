# Targets as every room declares them.
#   parity_library(gguf SOURCES gguf_reader.cc ... DEPS fmt::fmt)
#   parity_program(bitnet-parity SOURCES main.cc ... DEPS ...)
#   parity_test_program(ladder_suites SOURCES ladder_suites.cc DEPS ...)             a test that the room registers itself
#   parity_unit_test(gguf_test SOURCES gguf_reader_test.cc ... DEPS gguf)            label: unit; one CTest test per TEST()
#
# UNITY after a name: its sources are compiled several at a time, in a third of the time. Names in the anonymous namespaces
# of such a room must differ.
# PARITY_FAST_BUILD=OFF compiles every file by itself and without precompiled headers, so that a missing include is seen.
option(PARITY_FAST_BUILD "Unity builds, and precompiled headers for tests" ON)

add_library(parity_options INTERFACE)
target_include_directories(parity_options INTERFACE ${CMAKE_SOURCE_DIR})
# -Wrestrict of GCC 12 warns wrongly of std::string concatenation (GCC bug 105651).
target_compile_options(parity_options INTERFACE -Wall -Wextra -Wno-unused-parameter -Wno-restrict)
if(CMAKE_CXX_FLAGS MATCHES "-fsanitize=")
  # Under the sanitizers GCC 12 warns wrongly of std::function in <regex> (GCC bug 105562).
  target_compile_options(parity_options INTERFACE -Wno-maybe-uninitialized)
endif()
if(PARITY_WERROR)
  target_compile_options(parity_options INTERFACE -Werror)
endif()
# No path of this machine in what is installed.
target_compile_options(parity_options INTERFACE -fmacro-prefix-map=${CMAKE_SOURCE_DIR}/=)
# A rounding is part of the result: the compiler must not fuse a multiplication and an addition on its own.
target_compile_options(parity_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-ffp-contract=off>)

# For code that only drives what is measured elsewhere (commands, tests): compiled in two thirds of the time.
# At -O1 GCC 12 warns wrongly of std::string literals (GCC bug 105329).
set(PARITY_LIGHT_OPTIMIZATION $<$<CONFIG:Release>:-O1;-Wno-array-bounds;-Wno-stringop-overflow;-Wno-stringop-overread>)

# Without GoogleTest the tests are declared, and not built.
if(NOT GTest_FOUND)
  message(STATUS "GoogleTest: not found, no test is built")
  foreach(name gtest gtest_main gmock)
    add_library(GTest::${name} INTERFACE IMPORTED GLOBAL)
  endforeach()
endif()

# Headers that every test includes, compiled once.
if(PARITY_FAST_BUILD AND GTest_FOUND)
  file(GENERATE OUTPUT ${CMAKE_BINARY_DIR}/parity_test_headers.cc CONTENT "")
  add_library(parity_test_headers OBJECT ${CMAKE_BINARY_DIR}/parity_test_headers.cc)
  target_link_libraries(parity_test_headers PRIVATE parity_options GTest::gmock fmt::fmt nlohmann_json::nlohmann_json)
  target_compile_options(parity_test_headers PRIVATE ${PARITY_LIGHT_OPTIMIZATION})
  target_precompile_headers(parity_test_headers PRIVATE
    <gmock/gmock.h> <gtest/gtest.h> <fmt/format.h> <nlohmann/json.hpp> <algorithm> <filesystem> <fstream> <map> <random>
    <span> <string> <vector>)
endif()

function(parity_unity name)
  set_target_properties(${name} PROPERTIES UNITY_BUILD ${PARITY_FAST_BUILD} UNITY_BUILD_BATCH_SIZE 8)
  # GCC warns of types of an anonymous namespace in a file that another one includes.
  target_compile_options(${name} PRIVATE -Wno-subobject-linkage)
endfunction()

function(parity_library name)
  cmake_parse_arguments(ARG "UNITY" "" "SOURCES;DEPS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC $<BUILD_INTERFACE:parity_options> ${ARG_DEPS})
  if(ARG_UNITY)
    parity_unity(${name})
  endif()
endfunction()

function(parity_program name)
  cmake_parse_arguments(ARG "UNITY" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE parity_options ${ARG_DEPS})
  if(ARG_UNITY)
    parity_unity(${name})
  endif()
endfunction()

# Tests alone know the source and build trees: nothing that is installed may be compiled with these paths.
function(parity_test_program name)
  parity_program(${name} ${ARGN})
  target_compile_options(${name} PRIVATE ${PARITY_LIGHT_OPTIMIZATION})
  set_target_properties(${name} PROPERTIES EXCLUDE_FROM_ALL $<NOT:$<BOOL:${GTest_FOUND}>>)
  if(PARITY_FAST_BUILD AND GTest_FOUND)
    target_link_libraries(${name} PRIVATE GTest::gmock fmt::fmt nlohmann_json::nlohmann_json)
    target_precompile_headers(${name} REUSE_FROM parity_test_headers)
  endif()
  target_compile_definitions(${name} PRIVATE
    PARITY_SOURCE_DIR="${CMAKE_SOURCE_DIR}" PARITY_BINARY_DIR="${CMAKE_BINARY_DIR}")
endfunction()

function(parity_unit_test name)
  cmake_parse_arguments(ARG "UNITY" "" "SOURCES;DEPS" ${ARGN})
  parity_test_program(${name} SOURCES ${ARG_SOURCES} DEPS ${ARG_DEPS} GTest::gmock GTest::gtest_main)
  if(ARG_UNITY)
    parity_unity(${name})
  endif()
  if(GTest_FOUND)
    gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST NO_PRETTY_VALUES PROPERTIES LABELS unit)
  endif()
endfunction()
