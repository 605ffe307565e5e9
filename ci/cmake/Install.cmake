# What `cmake --install` and `cpack` lay down. Nothing in it knows where it was built, and the prefix can be moved:
#   bin/bitnet-parity             the command
#   libexec/bitnet-parity         the runners
#   lib/bitnet-parity             shared libraries of our own: llama.cpp, and those that no Debian 12 and 13 both have
#   share/bitnet-parity           models, recorded captures, docs, licenses; what a runner is compiled from
#   share/...                     completion for bash, zsh and fish; the manual page
#   lib, include, lib/cmake       for programs that read or write captures: find_package(bitnet_parity)
# The runner of bitnet.cpp is installed too, with the libraries of the user's build, but is in no package: they were
# compiled for this machine.

set(CMAKE_INSTALL_DEFAULT_COMPONENT_NAME bitnet-parity)
set(own_libraries lib/bitnet-parity)
set(share share/bitnet-parity)

# parity_install_program(TARGET DESTINATION COMPONENT LIBRARIES REGEX): with the shared libraries whose names match.
function(parity_install_program target destination component libraries regex)
  file(RELATIVE_PATH to_libraries /${destination} /${libraries})
  set_target_properties(${target} PROPERTIES INSTALL_RPATH "$ORIGIN/${to_libraries}")
  set(dependencies "")
  if(NOT CMAKE_CROSSCOMPILING)  # else CMake cannot tell them
    set(dependencies RUNTIME_DEPENDENCIES PRE_INCLUDE_REGEXES ${regex} PRE_EXCLUDE_REGEXES ".*")
  endif()
  install(TARGETS ${target} ${dependencies}
    RUNTIME DESTINATION ${destination} COMPONENT ${component}
    LIBRARY DESTINATION ${libraries} COMPONENT ${component})
endfunction()

parity_install_program(bitnet-parity bin bitnet-parity ${own_libraries} "^lib(fmt|hwy|cpp-httplib)\\.")
if(TARGET llama_cpp_runner)
  parity_install_program(llama_cpp_runner libexec/bitnet-parity bitnet-parity ${own_libraries} "^lib(fmt|hwy|llama|ggml)")
  # Its plugins, which no loader knows of.
  get_target_property(libraries llama_cpp INTERFACE_LINK_LIBRARIES)
  list(FILTER libraries INCLUDE REGEX "/libllama\\.")
  cmake_path(GET libraries PARENT_PATH directory)
  file(GLOB plugins ${directory}/libggml-cpu-*.so)
  install(FILES ${plugins} DESTINATION ${own_libraries})
endif()
if(TARGET bitnet_cpp_runner)
  parity_install_program(bitnet_cpp_runner libexec/bitnet-parity bitnet_cpp ${own_libraries}/bitnet_cpp
    "^lib(fmt|hwy|llama|ggml)")
endif()

# What a runner is compiled from where the environment names a checkout (reference/engines/runner_build.h): our sources,
# and the headers of libraries that few machines have.
set(runner ${share}/runner)
foreach(file reference/engines/serve.cc reference/engines/serve.h reference/llama_family/api.h)
  cmake_path(GET file PARENT_PATH place)
  install(FILES ${CMAKE_SOURCE_DIR}/${file} DESTINATION ${runner}/${place})
endforeach()
foreach(file main run engine observer node_map)
  file(GLOB files ${CMAKE_SOURCE_DIR}/reference/llama_family/${file}.cc ${CMAKE_SOURCE_DIR}/reference/llama_family/${file}.h)
  install(FILES ${files} DESTINATION ${runner}/reference/llama_family)
endforeach()
install(FILES ${CMAKE_SOURCE_DIR}/engine/graph/graph.h DESTINATION ${runner}/engine/graph)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/reference/capture DESTINATION ${runner}/reference FILES_MATCHING PATTERN *.h
  PATTERN *_for_test.h EXCLUDE)
foreach(header fmt/format.h nlohmann/json.hpp CLI/CLI.hpp)
  find_path(folder NAMES ${header} NO_CACHE REQUIRED)
  cmake_path(GET header PARENT_PATH library)
  install(DIRECTORY ${folder}/${library} DESTINATION ${runner}/include)
  unset(folder)
endforeach()

# Where bash, zsh, fish and man look.
set(shell ${CMAKE_BINARY_DIR}/parity_tests/cli/shell)
install(FILES ${shell}/bitnet-parity.bash DESTINATION share/bash-completion/completions RENAME bitnet-parity)
install(FILES ${shell}/_bitnet-parity DESTINATION share/zsh/site-functions)
install(FILES ${shell}/bitnet-parity.fish DESTINATION share/fish/vendor_completions.d)
install(FILES ${shell}/bitnet-parity.1 DESTINATION share/man/man1)

install(DIRECTORY ${CMAKE_BINARY_DIR}/fixtures/models/ DESTINATION ${share}/models FILES_MATCHING PATTERN *.gguf)
install(FILES ${CMAKE_SOURCE_DIR}/fixtures/models/kjv-tokenizer.json DESTINATION ${share}/models)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/fixtures/recorded ${CMAKE_SOURCE_DIR}/fixtures/recorded_builds DESTINATION ${share})
install(DIRECTORY ${CMAKE_SOURCE_DIR}/fixtures/example_engine DESTINATION ${share} FILES_MATCHING PATTERN *.py
  PATTERN *.md)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/fixtures/not_exact_engine DESTINATION ${share} FILES_MATCHING PATTERN *.[ch]
  PATTERN *.md)
install(FILES ${CMAKE_SOURCE_DIR}/reference/writers/bitnet_parity_capture.py DESTINATION ${share}/writers)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/docs/ DESTINATION ${share}/docs FILES_MATCHING PATTERN *.md PATTERN *.json PATTERN *.yml PATTERN *.png)
install(FILES ${CMAKE_SOURCE_DIR}/README.md ${CMAKE_SOURCE_DIR}/CHANGELOG.md DESTINATION ${share})

# Ours, and those of what is in the binaries or beside them.
install(FILES ${CMAKE_SOURCE_DIR}/LICENSE ${CMAKE_SOURCE_DIR}/LICENSE-MIT ${CMAKE_SOURCE_DIR}/LICENSE-APACHE
  DESTINATION ${share}/licenses)
foreach(package libfmt-dev libhwy-dev libcpp-httplib-dev nlohmann-json3-dev libcli11-dev librust-blake3-dev)
  if(EXISTS /usr/share/doc/${package}/copyright)
    install(FILES /usr/share/doc/${package}/copyright DESTINATION ${share}/licenses RENAME ${package})
  endif()
endforeach()
if(EXISTS ${PARITY_LLAMA_CPP_SOURCE}/LICENSE)
  install(FILES ${PARITY_LLAMA_CPP_SOURCE}/LICENSE DESTINATION ${share}/licenses RENAME llama.cpp)
endif()

# find_package(bitnet_parity): targets bitnet_parity::capture, and bitnet_parity::writers for C.
set_target_properties(capture blake3 PROPERTIES POSITION_INDEPENDENT_CODE ON)
set_target_properties(capture PROPERTIES OUTPUT_NAME bitnet_parity_capture)
set_target_properties(blake3 PROPERTIES OUTPUT_NAME bitnet_parity_blake3)
target_compile_features(capture INTERFACE cxx_std_20)
target_include_directories(capture INTERFACE $<INSTALL_INTERFACE:include/bitnet_parity>)
install(TARGETS capture graph blake3 writers EXPORT bitnet_parity ARCHIVE DESTINATION lib)
install(FILES ${CMAKE_SOURCE_DIR}/engine/graph/graph.h DESTINATION include/bitnet_parity/engine/graph)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/reference/capture DESTINATION include/bitnet_parity/reference
  FILES_MATCHING PATTERN *.h PATTERN *_for_test.h EXCLUDE)
install(FILES ${CMAKE_SOURCE_DIR}/reference/writers/bitnet_parity_capture.h DESTINATION include/bitnet_parity)
install(EXPORT bitnet_parity NAMESPACE bitnet_parity:: DESTINATION lib/cmake/bitnet_parity
  FILE bitnet_parity-targets.cmake)
include(CMakePackageConfigHelpers)
file(WRITE ${CMAKE_BINARY_DIR}/bitnet_parity-config.cmake
"include(CMakeFindDependencyMacro)
find_dependency(fmt)
find_dependency(nlohmann_json)
include(\${CMAKE_CURRENT_LIST_DIR}/bitnet_parity-targets.cmake)
")
write_basic_package_version_file(${CMAKE_BINARY_DIR}/bitnet_parity-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/bitnet_parity-config.cmake ${CMAKE_BINARY_DIR}/bitnet_parity-config-version.cmake
  DESTINATION lib/cmake/bitnet_parity)

set(CPACK_GENERATOR DEB TGZ)
set(CPACK_PACKAGE_NAME bitnet-parity)
set(CPACK_PACKAGE_CONTACT "bitnet-parity maintainers <maintainers@bitnet-parity.invalid>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "Parity of 1-bit LLM inference engines, stage by stage")
set(CPACK_RESOURCE_FILE_LICENSE ${CMAKE_SOURCE_DIR}/LICENSE)
set(CPACK_INSTALL_CMAKE_PROJECTS "${CMAKE_BINARY_DIR};bitnet-parity;bitnet-parity;/")
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
include(CPack)

set(reference recorded)
set(llama_cpp_folder "")
if(TARGET llama_cpp_runner)
  set(reference llama.cpp)
  set(llama_cpp_folder ${directory})
endif()
add_test(NAME Install.CanBeMoved
  COMMAND ${CMAKE_COMMAND} -DBUILD=${CMAKE_BINARY_DIR} -DSOURCE=${CMAKE_SOURCE_DIR}
    -DWORK=${CMAKE_BINARY_DIR}/install_test -DREFERENCE=${reference}
    "-DLLAMA_SOURCE=${PARITY_LLAMA_CPP_SOURCE}" "-DLLAMA_LIBRARIES=${llama_cpp_folder}" -P ${CMAKE_CURRENT_LIST_DIR}/InstallTest.cmake)
set_tests_properties(Install.CanBeMoved PROPERTIES LABELS install)
