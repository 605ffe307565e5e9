#include "parity_tests/report/report.h"
