#include "parity_tests/mistakes/pages.h"

#include <fmt/format.h>

#include <stdexcept>

#include "parity_tests/mistakes/mistake.h"

namespace parity {

std::string PlaybookTable() {
  std::string table =
      "| cause | stage of the ladder | first wrong operation | what it is | do |\n| --- | --- | --- | --- | --- |\n";
  for (const Mistake& m : AllMistakes()) {
    const std::string_view rung = m.rung.empty() ? "any" : m.rung;
    const std::string where = m.position > 0 && m.place != Point::kUnknown ? fmt::format(", from {}", m.position) : "";
    table += fmt::format("| `{}` | {}{} | {} | {} | {} |\n", m.id, rung, where, PointText(m.place), m.what, m.remedy);
  }
  return table;
}

std::string WithSection(const std::string& page, std::string_view name, const std::string& body) {
  const std::string begin = fmt::format("<!-- {} -->\n", name), end = fmt::format("<!-- end of {} -->\n", name);
  const size_t from = page.find(begin), to = page.find(end);
  if (from == std::string::npos || to == std::string::npos || to < from) {
    throw std::runtime_error(fmt::format("the page has no section between \"{}\" and \"{}\"",
                                         begin.substr(0, begin.size() - 1), end.substr(0, end.size() - 1)));
  }
  return page.substr(0, from + begin.size()) + "\n" + body + "\n" + page.substr(to);
}

}  // namespace parity
