// Checks of a page as markup.
#ifndef BITNET_PARITY_PARITY_TESTS_REPORT_HTML_FOR_TEST_H_
#define BITNET_PARITY_PARITY_TESTS_REPORT_HTML_FOR_TEST_H_

#include <regex>
#include <string>
#include <string_view>
#include <vector>

namespace parity {

// What is wrong with `page` as XML: tags that do not match, attributes without quotes, bare ampersands; "" if nothing.
inline std::string Malformed(std::string page) {
  constexpr std::string_view kType = "<!DOCTYPE html>";
  if (!page.starts_with(kType)) return "no document type";
  page.erase(0, kType.size());
  static const std::regex tag(R"re(<(/?)([a-z][a-z0-9-]*)((?: [a-zA-Z-]+="[^"<]*")*)(/?)>)re"),
      entity("&(amp|lt|gt|quot);");
  std::vector<std::string> open;
  for (size_t i = 0; i < page.size(); ++i) {
    const auto rest = page.cbegin() + static_cast<int64_t>(i);
    std::smatch match;
    if (page[i] == '&' &&
        !std::regex_search(rest, page.cend(), match, entity, std::regex_constants::match_continuous)) {
      return "a bare ampersand: " + page.substr(i, 40);
    }
    if (page[i] != '<') continue;
    if (!std::regex_search(rest, page.cend(), match, tag, std::regex_constants::match_continuous)) {
      return "no tag: " + page.substr(i, 40);
    }
    if (match[1].length() == 0 && match[4].length() == 0) open.push_back(match[2]);
    if (match[1].length() == 0) continue;
    if (open.empty() || open.back() != match[2]) return "unexpected " + match.str();
    open.pop_back();
  }
  return open.empty() ? "" : "not closed: " + open.back();
}

inline size_t Occurrences(const std::string& text, const std::string& of) {
  size_t n = 0;
  for (size_t at = text.find(of); at != std::string::npos; at = text.find(of, at + of.size())) ++n;
  return n;
}

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_REPORT_HTML_FOR_TEST_H_
