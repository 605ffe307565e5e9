# Read by ctest when it starts. With these variables of GoogleTest's in the environment a test would run a part of itself,
# or nothing, and pass.
foreach(variable GTEST_TOTAL_SHARDS GTEST_SHARD_INDEX GTEST_SHARD_STATUS_FILE GTEST_FILTER GTEST_REPEAT GTEST_LIST_TESTS
    TESTBRIDGE_TEST_ONLY)
  unset(ENV{${variable}})
endforeach()

# Traces are hundreds of small files, and to make one takes a disk a third of a millisecond: in memory where there is room.
if(NOT DEFINED ENV{TMPDIR} AND IS_DIRECTORY /dev/shm)
  execute_process(COMMAND df --output=avail /dev/shm OUTPUT_VARIABLE kilobytes ERROR_QUIET)
  string(REGEX MATCH "[0-9]+" kilobytes "${kilobytes}")
  if(kilobytes GREATER 2000000)
    set(ENV{TMPDIR} /dev/shm)
  endif()
endif()
