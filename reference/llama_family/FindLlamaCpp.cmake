# Finds llama.cpp: a checkout or build of the user's (LLAMA_CPP_DIR, a cache or environment variable), else the pinned npm
# package under package/node_modules. Sets
#   PARITY_LLAMA_CPP_SOURCE   folder with include/, ggml/include/ and models/ (cache), or "" where there is none
# and the target llama_cpp, if a program against it compiles and links.

set(LLAMA_CPP_DIR "" CACHE PATH "A llama.cpp checkout with a shared build, in place of the pinned package")
if(LLAMA_CPP_DIR)
  set(llama_cpp_dir ${LLAMA_CPP_DIR})
else()
  set(llama_cpp_dir $ENV{LLAMA_CPP_DIR})
endif()
set(PARITY_LLAMA_CPP_SOURCE "" CACHE INTERNAL "llama.cpp's headers and vocabularies")
set(llama_cpp_package ${CMAKE_CURRENT_LIST_DIR}/package/node_modules)
set(llama_cpp_bundle ${llama_cpp_package}/node-llama-cpp/llama/gitRelease.bundle)

if(llama_cpp_dir)
  set(PARITY_LLAMA_CPP_SOURCE ${llama_cpp_dir} CACHE INTERNAL "")
  set(llama_cpp_library_dirs ${llama_cpp_dir}/build/bin ${llama_cpp_dir}/build/src ${llama_cpp_dir}/build/ggml/src
    ${llama_cpp_dir}/build/lib ${llama_cpp_dir}/lib ${llama_cpp_dir}/lib64 ${llama_cpp_dir}/bin)
elseif(EXISTS ${llama_cpp_bundle})
  # Only what is compiled against and tested with is checked out. The stamp names the bundle that the folder came from.
  set(llama_cpp_extracted ${CMAKE_BINARY_DIR}/llama_cpp_source)
  file(SHA256 ${llama_cpp_bundle} llama_cpp_bundle_hash)
  set(llama_cpp_stamp ${llama_cpp_extracted}/bundle-${llama_cpp_bundle_hash})
  if(NOT EXISTS ${llama_cpp_stamp})
    find_package(Git QUIET)
    file(REMOVE_RECURSE ${llama_cpp_extracted})
    execute_process(
      COMMAND ${GIT_EXECUTABLE} clone --quiet --no-checkout ${llama_cpp_bundle} ${llama_cpp_extracted}
      RESULT_VARIABLE llama_cpp_cloned ERROR_VARIABLE llama_cpp_output)
    execute_process(
      COMMAND ${GIT_EXECUTABLE} -C ${llama_cpp_extracted} checkout --quiet HEAD -- include ggml/include models LICENSE
      RESULT_VARIABLE llama_cpp_checked_out ERROR_VARIABLE llama_cpp_output_2)
    if(NOT "${llama_cpp_cloned}${llama_cpp_checked_out}" STREQUAL "00")
      message(WARNING "llama.cpp: ${llama_cpp_bundle} cannot be unpacked with git; its suites will be skipped: "
        "${llama_cpp_output}${llama_cpp_output_2}")
      return()
    endif()
    file(REMOVE_RECURSE ${llama_cpp_extracted}/.git)
    file(WRITE ${llama_cpp_stamp} "")
  endif()
  set(PARITY_LLAMA_CPP_SOURCE ${llama_cpp_extracted} CACHE INTERNAL "")
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    set(llama_cpp_system linux-x64)
  elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
    set(llama_cpp_system linux-arm64)
  else()
    message(STATUS "llama.cpp: no package for ${CMAKE_SYSTEM_PROCESSOR}, its suites will be skipped (LLAMA_CPP_DIR names a build)")
    return()
  endif()
  set(llama_cpp_library_dirs ${llama_cpp_package}/@node-llama-cpp/${llama_cpp_system}/bins/${llama_cpp_system})
else()
  message(STATUS "llama.cpp: not found, its suites will be skipped (run `npm ci --ignore-scripts` in reference/llama_family/package, "
    "or set LLAMA_CPP_DIR)")
  return()
endif()

set(llama_cpp_libraries "")
foreach(name libllama libggml libggml-base)
  set(found "")
  foreach(dir ${llama_cpp_library_dirs})
    # libllama.so, or libllama.v0.5.0.so where only the versioned name is shipped; never libllama-common.so.
    file(GLOB candidates ${dir}/${name}.so ${dir}/${name}.*.so)
    if(candidates)
      list(GET candidates 0 found)
      break()
    endif()
  endforeach()
  if(NOT found)
    message(WARNING "llama.cpp: ${name}.so not found in ${llama_cpp_library_dirs}; build it with BUILD_SHARED_LIBS=ON. "
      "The llama.cpp suites will be skipped")
    return()
  endif()
  list(APPEND llama_cpp_libraries ${found})
endforeach()

include(${CMAKE_CURRENT_LIST_DIR}/TryApi.cmake)
parity_try_api(llama_cpp llama.cpp ${PARITY_LLAMA_CPP_SOURCE}
  INCLUDES ${PARITY_LLAMA_CPP_SOURCE}/include ${PARITY_LLAMA_CPP_SOURCE}/ggml/include
  LIBRARIES ${llama_cpp_libraries}
  DEFINITIONS PARITY_ENGINE_NAME="llama.cpp" PARITY_ENGINE_VERSION="" PARITY_ENGINE_COMPILER="")
if(llama_cpp_usable)
  list(GET llama_cpp_libraries 0 llama_cpp_first)
  message(STATUS "llama.cpp: ${llama_cpp_first}")
endif()
