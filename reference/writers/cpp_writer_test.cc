// The implementation, as C++.
#define BITNET_PARITY_CAPTURE_IMPLEMENTATION
#include "bitnet_parity_capture.h"
