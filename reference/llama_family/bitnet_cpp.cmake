include(FindBitnetCpp.cmake)

# The sources are llama.cpp's runner; api.h is what differs.
if(PARITY_BITNET_CPP_USABLE)
  set(runner ../llama_cpp)
  parity_program(bitnet_cpp_runner
    SOURCES ${runner}/main.cc ${runner}/run.cc ${runner}/engine.cc ${runner}/observer.cc
    DEPS capture stage_map bitnet_cpp CLI11::CLI11)
  target_compile_definitions(bitnet_cpp_runner PRIVATE ${bitnet_cpp_definitions})

  parity_unit_test(bitnet_cpp_runner_test SOURCES runner_test.cc DEPS backends)
  target_compile_definitions(bitnet_cpp_runner_test PRIVATE
    RUNNER="$<TARGET_FILE:bitnet_cpp_runner>"
    GENERATE_MODEL="$<TARGET_FILE:generate_model>")
  add_dependencies(bitnet_cpp_runner_test bitnet_cpp_runner generate_model)
endif()
