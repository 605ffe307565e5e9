// Which mistake gives what a candidate computed, where it shows no tensors.
#ifndef BITNET_PARITY_PARITY_TESTS_REPORT_SEARCH_REPORT_H_
#define BITNET_PARITY_PARITY_TESTS_REPORT_SEARCH_REPORT_H_

#include <string>

#include "parity_tests/findings/search.h"

namespace parity {

// `verbose`: what cannot be told from the best, too.
std::string SearchText(const SearchResult& result, bool color, bool verbose);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_REPORT_SEARCH_REPORT_H_
