# The test Install.CanBeMoved: installs, moves the prefix, and uses what is there.
#   cmake -DBUILD=... -DSOURCE=... -DWORK=... -DREFERENCE=llama.cpp|recorded -DLLAMA_SOURCE=... -DLLAMA_LIBRARIES=...
#     -P InstallTest.cmake
set(prefix ${WORK}/moved)
file(REMOVE_RECURSE ${WORK})

# run(WHAT COMMAND...): its output in `output`.
function(run what)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE text ERROR_VARIABLE text)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "${what}: exit code ${result}\n${text}")
  endif()
  set(output "${text}" PARENT_SCOPE)
endfunction()

run("install" ${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/first --component bitnet-parity)
file(RENAME ${WORK}/first ${prefix})

# No path of this machine.
file(GLOB_RECURSE files ${prefix}/bin/* ${prefix}/libexec/* ${prefix}/lib/*.a ${prefix}/lib/*.cmake ${prefix}/include/*)
foreach(file IN LISTS files)
  foreach(path ${SOURCE} ${BUILD})
    file(STRINGS ${file} found REGEX "${path}/")
    if(found)
      message(FATAL_ERROR "${file} names ${path}: ${found}")
    endif()
  endforeach()
endforeach()

# What shells, man and editors look for.
foreach(file share/bash-completion/completions/bitnet-parity share/zsh/site-functions/_bitnet-parity
    share/fish/vendor_completions.d/bitnet-parity.fish share/man/man1/bitnet-parity.1
    share/bitnet-parity/docs/schemas/verdict.schema.json)
  if(NOT EXISTS ${prefix}/${file})
    message(FATAL_ERROR "${prefix}/${file} is not there")
  endif()
endforeach()

set(parity ${CMAKE_COMMAND} -E env --unset=LD_LIBRARY_PATH --unset=PARITY_LLAMA_CPP_RUNNER ${prefix}/bin/bitnet-parity)
run("--version" ${parity} --version)
if(REFERENCE STREQUAL "llama.cpp")
  run("preflight" ${parity} preflight --verbose)
  if(NOT output MATCHES "found ${prefix}/libexec/bitnet-parity/llama_cpp_runner")
    message(FATAL_ERROR "preflight found another runner than the one beside it:\n${output}")
  endif()
endif()
run("matrix" ${parity} matrix --reference ${REFERENCE} --model kjv-bitnet.tq2_0 --prompt hello --format json)

# A checkout of the user's is named, and no more: its runner is compiled when it is first asked for. The libraries are the
# package's own, laid out as each engine lays out its build.
if(REFERENCE STREQUAL "llama.cpp")
  set(checkout ${WORK}/llama_checkout)
  file(MAKE_DIRECTORY ${checkout}/build ${WORK}/bitnet_checkout/3rdparty ${WORK}/bitnet_checkout/build)
  file(COPY ${LLAMA_SOURCE}/include ${LLAMA_SOURCE}/ggml DESTINATION ${checkout})
  file(CREATE_LINK ${LLAMA_LIBRARIES} ${checkout}/build/bin SYMBOLIC)
  set(named ${CMAKE_COMMAND} -E env --unset=LD_LIBRARY_PATH --unset=PARITY_LLAMA_CPP_RUNNER --unset=PARITY_BITNET_CPP_RUNNER
    --unset=PARITY_RUNNER_ANSWERS XDG_CACHE_HOME=${WORK}/cache LLAMA_CPP_DIR=${checkout}
    BITNET_CPP_DIR=${WORK}/bitnet_checkout)
  set(parity ${named} ${prefix}/bin/bitnet-parity)
  run("preflight with LLAMA_CPP_DIR" ${parity} preflight --verbose)
  if(NOT output MATCHES "found ${WORK}/cache/bitnet-parity/runners/llama.cpp-[0-9a-f]+/runner")
    message(FATAL_ERROR "LLAMA_CPP_DIR: no runner was compiled for it:\n${output}")
  endif()
  if(NOT output MATCHES "include/llama.h is not there")
    message(FATAL_ERROR "BITNET_CPP_DIR: a folder that is no checkout was taken for one:\n${output}")
  endif()
  set(ladder ${parity} ladder --model ${prefix}/share/bitnet-parity/models/kjv-bitnet.tq2_0.gguf --prompt Hello --threads 1
    --max-tokens 2)
  run("ladder with LLAMA_CPP_DIR" ${ladder} --reference llama.cpp --profile exact)

  # bitnet.cpp's layout since July 2026. Its orders are not known: nothing is claimed of its bits.
  file(CREATE_LINK ${checkout} ${WORK}/bitnet_checkout/3rdparty/llama.cpp SYMBOLIC)
  file(CREATE_LINK ${LLAMA_LIBRARIES} ${WORK}/bitnet_checkout/build/bin SYMBOLIC)
  run("preflight with BITNET_CPP_DIR" ${parity} preflight --verbose)
  if(NOT output MATCHES "generation: since July 2026" OR NOT output MATCHES "known fault: .*issues/588")
    message(FATAL_ERROR "BITNET_CPP_DIR: its generation is not told:\n${output}")
  endif()
  run("ladder with BITNET_CPP_DIR" ${ladder} --reference bitnet.cpp)
  if(NOT output MATCHES "the native engine does not follow")
    message(FATAL_ERROR "equal bits were expected of a build whose order is not known:\n${output}")
  endif()

  # The compiler's first error, and what to do.
  file(APPEND ${checkout}/include/llama.h "\n#error of another generation\n")
  execute_process(COMMAND ${parity} preflight OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT output MATCHES "does not compile against ${checkout}: .*error: #error of another generation"
      OR NOT output MATCHES "to do: .*compiler.txt has all that the compiler said")
    message(FATAL_ERROR "a checkout that does not compile is not explained:\n${output}")
  endif()
  set(parity ${CMAKE_COMMAND} -E env --unset=LD_LIBRARY_PATH --unset=PARITY_LLAMA_CPP_RUNNER ${prefix}/bin/bitnet-parity)
endif()

# The library, from outside.
run("configure example_writer" ${CMAKE_COMMAND} -S ${SOURCE}/fixtures/example_writer -B ${WORK}/writer
  -DCMAKE_PREFIX_PATH=${prefix} -DCMAKE_BUILD_TYPE=Debug)
run("build example_writer" ${CMAKE_COMMAND} --build ${WORK}/writer)
file(GLOB captures ${prefix}/share/bitnet-parity/recorded/*.hello.batch)
list(GET captures 0 capture)
run("copy_capture" ${WORK}/writer/copy_capture ${capture} ${WORK}/copy somebody)
run("check-capture" ${parity} check-capture ${WORK}/copy)

# Adapters in C++, C and Python.
file(WRITE ${WORK}/request.json [[{"schema": "bitnet-parity/request/1", "model": "toy.gguf", "token_ids": [2, 0, 3],
  "max_tokens": 5, "trace": "full"}]])
foreach(adapter adapter c_adapter)
  run("${adapter}" ${WORK}/writer/${adapter} ${WORK}/request.json ${WORK}/${adapter})
  run("check-capture" ${parity} check-capture ${WORK}/${adapter})
endforeach()
find_program(python3 python3)
if(python3)
  file(WRITE ${WORK}/request.json "{\"schema\": \"bitnet-parity/request/1\", \"text\": \"Hi\", \"max_tokens\": 1,
    \"model\": \"${prefix}/share/bitnet-parity/models/kjv-bitnet.f16.gguf\", \"trace\": \"core\"}")
  run("example_engine" ${python3} ${prefix}/share/bitnet-parity/example_engine/example_engine.py ${WORK}/request.json
    ${WORK}/python)
  run("check-capture" ${parity} check-capture ${WORK}/python)
endif()
file(REMOVE_RECURSE ${WORK})
