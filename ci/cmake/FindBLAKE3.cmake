# The official BLAKE3 C code, which Debian ships as source inside librust-blake3-dev.
file(GLOB BLAKE3_SOURCE_CANDIDATES /usr/share/cargo/registry/blake3-*/c)
find_path(BLAKE3_SOURCE_DIR blake3.h HINTS ${BLAKE3_SOURCE_CANDIDATES})
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(BLAKE3
  REQUIRED_VARS BLAKE3_SOURCE_DIR
  REASON_FAILURE_MESSAGE "install librust-blake3-dev, or set BLAKE3_SOURCE_DIR to the folder with blake3.h and blake3.c")
if(BLAKE3_FOUND AND NOT TARGET BLAKE3::BLAKE3)
  set(BLAKE3_FOR_CPU "")
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    # The assembly: twice as fast as what GCC makes of the intrinsics.
    enable_language(ASM)
    list(APPEND BLAKE3_FOR_CPU sse2_x86-64_unix.S sse41_x86-64_unix.S avx2_x86-64_unix.S avx512_x86-64_unix.S)
  elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
    list(APPEND BLAKE3_FOR_CPU neon.c)
  endif()
  list(TRANSFORM BLAKE3_FOR_CPU PREPEND ${BLAKE3_SOURCE_DIR}/blake3_)
  add_library(blake3 STATIC
    ${BLAKE3_SOURCE_DIR}/blake3.c ${BLAKE3_SOURCE_DIR}/blake3_dispatch.c ${BLAKE3_SOURCE_DIR}/blake3_portable.c
    ${BLAKE3_FOR_CPU})
  target_include_directories(blake3 SYSTEM PUBLIC ${BLAKE3_SOURCE_DIR})
  target_compile_options(blake3 PRIVATE -O3 -w)
  add_library(BLAKE3::BLAKE3 ALIAS blake3)
endif()
