# Read by ctest when it starts. With these variables of GoogleTest's in the environment a test would run a part of itself,
# or nothing, and pass.
foreach(variable GTEST_TOTAL_SHARDS GTEST_SHARD_INDEX GTEST_SHARD_STATUS_FILE GTEST_FILTER GTEST_REPEAT GTEST_LIST_TESTS
    TESTBRIDGE_TEST_ONLY)
  unset(ENV{${variable}})
endforeach()
