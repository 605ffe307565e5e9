# The official BLAKE3 C code, which Debian ships as source inside librust-blake3-dev.
file(GLOB BLAKE3_SOURCE_CANDIDATES /usr/share/cargo/registry/blake3-*/c)
find_path(BLAKE3_SOURCE_DIR blake3.h HINTS ${BLAKE3_SOURCE_CANDIDATES})
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(BLAKE3
  REQUIRED_VARS BLAKE3_SOURCE_DIR
  REASON_FAILURE_MESSAGE "install librust-blake3-dev, or set BLAKE3_SOURCE_DIR to the folder with blake3.h and blake3.c")
if(BLAKE3_FOUND AND NOT TARGET BLAKE3::BLAKE3)
  add_library(blake3 STATIC
    ${BLAKE3_SOURCE_DIR}/blake3.c ${BLAKE3_SOURCE_DIR}/blake3_dispatch.c ${BLAKE3_SOURCE_DIR}/blake3_portable.c
    ${BLAKE3_SOURCE_DIR}/blake3_sse2.c ${BLAKE3_SOURCE_DIR}/blake3_sse41.c
    ${BLAKE3_SOURCE_DIR}/blake3_avx2.c ${BLAKE3_SOURCE_DIR}/blake3_avx512.c)
  set_source_files_properties(${BLAKE3_SOURCE_DIR}/blake3_sse2.c PROPERTIES COMPILE_OPTIONS -msse2)
  set_source_files_properties(${BLAKE3_SOURCE_DIR}/blake3_sse41.c PROPERTIES COMPILE_OPTIONS -msse4.1)
  set_source_files_properties(${BLAKE3_SOURCE_DIR}/blake3_avx2.c PROPERTIES COMPILE_OPTIONS -mavx2)
  set_source_files_properties(${BLAKE3_SOURCE_DIR}/blake3_avx512.c PROPERTIES COMPILE_OPTIONS "-mavx512f;-mavx512vl")
  target_include_directories(blake3 SYSTEM PUBLIC ${BLAKE3_SOURCE_DIR})
  target_compile_options(blake3 PRIVATE -O3 -w)
  add_library(BLAKE3::BLAKE3 ALIAS blake3)
endif()
