// The mistakes that engines make, one row each: what it is, how to mend it, where it can be, and what it changes.
//
//   for (const Mistake& m : AllMistakes()) {
//     if (!m.points.Has(site.point)) continue;
//     for (const Change& change : m.changes(site)) {
//       Parameters p = ParametersOf(model, site.point, site.layer);
//       change.apply(p);                       // the operation with the mistake in it
//     }
//   }
//
// The oracle makes a mistake in a whole forward pass, the diagnosis looks for the one that gives a candidate's own
// output, and the pages that list mistakes are written from the same row.
#ifndef BITNET_PARITY_PARITY_TESTS_MISTAKES_MISTAKE_H_
#define BITNET_PARITY_PARITY_TESTS_MISTAKES_MISTAKE_H_

#include <bit>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/model/model.h"
#include "engine/tokenizer/tokenizer.h"
#include "parity_tests/findings/place.h"
#include "parity_tests/oracle/parameters.h"
#include "reference/capture/request.h"

namespace parity {

class PointSet {
 public:
  constexpr PointSet() = default;
  constexpr PointSet(std::initializer_list<Point> points) {
    for (const Point p : points) Add(p);
  }
  constexpr void Add(Point p) { bits_ |= uint64_t{1} << static_cast<unsigned>(p); }
  constexpr bool operator==(const PointSet&) const = default;
  constexpr bool Has(Point p) const { return p != Point::kUnknown && (bits_ >> static_cast<unsigned>(p) & 1u) != 0; }
  constexpr bool empty() const { return bits_ == 0; }
  constexpr int size() const { return std::popcount(bits_); }
  // The one that is computed first.
  Point first() const;

 private:
  static_assert(bitnet::kPointCount <= 64);
  uint64_t bits_ = 0;
};

// An operation that may be wrong.
struct Site {
  const bitnet::Model& model;
  Point point = Point::kUnknown;
  int layer = -1;
  size_t position = 0;  // whose output is looked at
};

// One way of making a mistake: "epsilon 0.01 in place of 1e-05".
struct Change {
  std::string how;
  std::function<void(Parameters&)> apply;
};

// A number that an engine may have otherwise than any way in the table: it can be solved for, between `low` and `high`,
// both positive.
struct Dial {
  std::string_view name;  // "epsilon"
  float low, high;
  float (*right)(const Parameters&);
  void (*set)(Parameters&, float);
};

// A prompt whose ids may be wrong.
struct TokenSite {
  const Request& request;
  std::span<const int32_t> right;                // the ids that it should have
  std::span<const int32_t> found = {};           // a candidate's; empty where the mistake is to be made
  const bitnet::Tokenizer* tokenizer = nullptr;  // nullptr where the model has none
  const bitnet::GgufFile* file = nullptr;        // that it was read from
};
struct TokenChange {
  std::string how;
  std::vector<int32_t> ids;
};

struct Mistake {
  std::string_view id;  // "rope_layout"
  std::string_view what;
  std::string_view remedy;
  PointSet points = {};  // the operations that it can be in
  // The ways of making it at a site, the usual one first. nullptr: it is recognized by other signs.
  std::vector<Change> (*changes)(const Site&) = nullptr;
  const Dial* dial = nullptr;
  // The same for a prompt's ids.
  std::vector<TokenChange> (*tokens)(const TokenSite&) = nullptr;
  // Which token is taken of a row of logits [n_vocab]; nullptr: the first of the largest.
  int32_t (*choose)(std::span<const float>) = nullptr;
  // Made by the oracle, it is in these operations of one layer; empty: in all of `points`.
  PointSet made_in = {};
  // An engine may do it everywhere, and mean to: then it is a habit, beside which everything else is judged.
  bool habit = false;
  // Of a habit that is no change: what an output may differ by, as a share of its row's largest magnitude.
  double slack = 0;
  bool tried = true;  // false: no output shows it by itself, so that the diagnosis does not try it
  // Where the ladder stops for an engine that has it, and the first place that it makes wrong there (position -1:
  // anywhere). `rung` empty: no engine of the test suite has it.
  std::string_view rung = {};
  int position = -1;
  Point place = Point::kUnknown;

  bool InLayer() const;  // made by the oracle, it is in one layer
};

std::span<const Mistake> AllMistakes();
const Mistake& FindMistake(std::string_view id);  // throws std::logic_error on an id that is none

// The families of the table.
std::span<const Mistake> TokenMistakes();
std::span<const Mistake> WeightMistakes();
std::span<const Mistake> ProductMistakes();
std::span<const Mistake> NormMistakes();
std::span<const Mistake> LayerMistakes();
std::span<const Mistake> RopeMistakes();
std::span<const Mistake> AttentionMistakes();
std::span<const Mistake> Habits();
std::span<const Mistake> OtherMistakes();

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_MISTAKES_MISTAKE_H_
