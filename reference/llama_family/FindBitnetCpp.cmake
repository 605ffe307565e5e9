# Finds a bitnet.cpp that the user has built by its own README, with shared libraries. BITNET_CPP_DIR (cache or environment
# variable) names the checkout, BITNET_CPP_LIB_DIR where libllama.so and libggml.so are, if elsewhere than its build tree. Makes the
# target bitnet_cpp, if a program against it compiles and links.

set(BITNET_CPP_DIR "" CACHE PATH "A bitnet.cpp checkout; where empty, the environment's, or ~/.cache/bitnet_cpp")
set(BITNET_CPP_LIB_DIR "" CACHE PATH "bitnet.cpp's libraries, where not in its build tree")
foreach(name DIR LIB_DIR)
  string(TOLOWER bitnet_cpp_${name} variable)
  set(${variable} "${BITNET_CPP_${name}}")
  if(NOT ${variable})
    set(${variable} "$ENV{BITNET_CPP_${name}}")
  endif()
endforeach()
set(bitnet_cpp_named "${bitnet_cpp_dir}")
if(NOT bitnet_cpp_named)
  set(bitnet_cpp_dir "$ENV{HOME}/.cache/bitnet_cpp")
  if(CMAKE_CROSSCOMPILING)
    string(APPEND bitnet_cpp_dir "_${CMAKE_SYSTEM_PROCESSOR}")  # the other one is this machine's
  endif()
endif()
set(bitnet_cpp_llama ${bitnet_cpp_dir}/3rdparty/llama.cpp)
set(bitnet_cpp_skipped "the bitnet.cpp suites will be skipped")
if(NOT EXISTS ${bitnet_cpp_llama}/include/llama.h)
  if(bitnet_cpp_named)
    message(WARNING "bitnet.cpp: BITNET_CPP_DIR is ${bitnet_cpp_dir}, but 3rdparty/llama.cpp/include/llama.h is not there; "
      "${bitnet_cpp_skipped}. Give the folder of a checkout with its submodules")
  else()
    message(STATUS "bitnet.cpp: no checkout at ${bitnet_cpp_dir}, ${bitnet_cpp_skipped} (BITNET_CPP_DIR names one)")
  endif()
  return()
endif()

if(bitnet_cpp_lib_dir)
  set(bitnet_cpp_library_dirs ${bitnet_cpp_lib_dir})
else()
  set(bitnet_cpp_library_dirs ${bitnet_cpp_dir}/build/bin
    ${bitnet_cpp_dir}/build/3rdparty/llama.cpp/src ${bitnet_cpp_dir}/build/3rdparty/llama.cpp/ggml/src)
endif()
# Since July 2026 it stands on another llama.cpp, with a header of its own for GGUF and more libraries.
set(bitnet_cpp_names libllama.so libggml.so)
set(bitnet_cpp_generation "up to July 2026")
if(EXISTS ${bitnet_cpp_llama}/ggml/include/gguf.h)
  list(APPEND bitnet_cpp_names libggml-base.so libggml-cpu.so)
  set(bitnet_cpp_generation "since July 2026")
endif()
set(bitnet_cpp_libraries "")
foreach(name ${bitnet_cpp_names})
  set(found "")
  foreach(dir ${bitnet_cpp_library_dirs})
    if(EXISTS ${dir}/${name})
      set(found ${dir}/${name})
      break()
    endif()
  endforeach()
  if(NOT found)
    message(WARNING "bitnet.cpp (${bitnet_cpp_generation}): ${name} not found in ${bitnet_cpp_library_dirs}; build the checkout with "
      "BUILD_SHARED_LIBS=ON, or set BITNET_CPP_LIB_DIR. Until then ${bitnet_cpp_skipped}")
    return()
  endif()
  list(APPEND bitnet_cpp_libraries ${found})
endforeach()

# The commit of the checkout, and the compiler's signature in the library that computes.
set(bitnet_cpp_version "unknown commit")
find_package(Git QUIET)
if(GIT_FOUND AND EXISTS ${bitnet_cpp_dir}/.git)
  execute_process(COMMAND ${GIT_EXECUTABLE} -C ${bitnet_cpp_dir} rev-parse --short=7 HEAD
    OUTPUT_VARIABLE bitnet_cpp_commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE bitnet_cpp_git)
  if(bitnet_cpp_git EQUAL 0)
    set(bitnet_cpp_version ${bitnet_cpp_commit})
  endif()
  # The commit of the llama.cpp in it says which arithmetic it is.
  if(EXISTS ${bitnet_cpp_llama}/.git)
    execute_process(COMMAND ${GIT_EXECUTABLE} -C ${bitnet_cpp_llama} rev-parse --short=7 HEAD
      OUTPUT_VARIABLE bitnet_cpp_llama_commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE bitnet_cpp_git)
    if(bitnet_cpp_git EQUAL 0)
      string(APPEND bitnet_cpp_version ", llama.cpp ${bitnet_cpp_llama_commit}")
    endif()
  endif()
endif()
list(GET bitnet_cpp_libraries -1 bitnet_cpp_ggml)
file(STRINGS ${bitnet_cpp_ggml} bitnet_cpp_signatures REGEX "clang version [0-9]")
if(NOT bitnet_cpp_signatures)
  file(STRINGS ${bitnet_cpp_ggml} bitnet_cpp_signatures REGEX "^GCC: ")
endif()
set(bitnet_cpp_compiler "unknown compiler")
if(bitnet_cpp_signatures)
  list(GET bitnet_cpp_signatures 0 bitnet_cpp_compiler)
  string(REGEX REPLACE "[\"\\]" "" bitnet_cpp_compiler "${bitnet_cpp_compiler}")
  string(STRIP "${bitnet_cpp_compiler}" bitnet_cpp_compiler)
endif()
include(${CMAKE_CURRENT_LIST_DIR}/TryApi.cmake)
parity_try_api(bitnet_cpp bitnet.cpp ${bitnet_cpp_dir}
  INCLUDES ${bitnet_cpp_llama}/include ${bitnet_cpp_llama}/ggml/include
  LIBRARIES ${bitnet_cpp_libraries}
  DEFINITIONS
    PARITY_ENGINE_NAME="bitnet.cpp"
    PARITY_ENGINE_VERSION="${bitnet_cpp_version}"
    PARITY_ENGINE_COMPILER="${bitnet_cpp_compiler}")
if(bitnet_cpp_usable)
  message(STATUS "bitnet.cpp: ${bitnet_cpp_dir} (${bitnet_cpp_generation}; ${bitnet_cpp_version}; ${bitnet_cpp_compiler})")
endif()
