// The pages that list mistakes are written from the table.
#ifndef BITNET_PARITY_PARITY_TESTS_MISTAKES_PAGES_H_
#define BITNET_PARITY_PARITY_TESTS_MISTAKES_PAGES_H_

#include <string>
#include <string_view>

namespace parity {

// docs/playbook.md: a line for each mistake, as a Markdown table.
std::string PlaybookTable();

// A page with what stands between its lines "<!-- NAME -->" and "<!-- end of NAME -->" replaced by `body`. Throws
// std::runtime_error where the page has no such lines.
std::string WithSection(const std::string& page, std::string_view name, const std::string& body);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_MISTAKES_PAGES_H_
