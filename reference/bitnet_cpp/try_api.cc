// Compiled at configure time, with PARITY_ENGINE_API as reference/bitnet_cpp/api.h. (CMake 3.25 wants a source of its
// own for each such attempt.)
#include "reference/llama_cpp/try_api.cc"
