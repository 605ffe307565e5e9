// "did you mean ladder?": the known word that a misspelt one is nearest to.
//
//   throw std::runtime_error(fmt::format("no command '{}'{}", word, DidYouMean(word, names)));
#ifndef BITNET_PARITY_REFERENCE_CAPTURE_SUGGEST_H_
#define BITNET_PARITY_REFERENCE_CAPTURE_SUGGEST_H_

#include <string>
#include <string_view>
#include <vector>

namespace parity {

// The fewest letters to insert, leave out, replace, or change places with their neighbour (each pair once).
size_t EditDistance(std::string_view a, std::string_view b);

// The nearest of `known`, in either case of letters; "" where none is near: a third of its letters, and at least one,
// may be wrong, or `word` begins it.
std::string Nearest(std::string_view word, const std::vector<std::string>& known);

// "; did you mean 'ladder'?", or "".
std::string DidYouMean(std::string_view word, const std::vector<std::string>& known);

}  // namespace parity

#endif  // BITNET_PARITY_REFERENCE_CAPTURE_SUGGEST_H_
