// The implementation, as strict C99.
#define BITNET_PARITY_CAPTURE_IMPLEMENTATION
#include "bitnet_parity_capture.h"
