// Compiled at configure time, with PARITY_ENGINE_API as reference/llama_family/api_bitnet_cpp.h. (CMake 3.25 wants a
// source of its own for each such attempt.)
#include "reference/llama_family/try_llama_cpp.cc"
