#include "parity_tests/locate/prefix.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "parity_tests/judge/ladder.h"

namespace parity {

std::string_view SideName(Side side) { return side == Side::kCandidate ? "candidate" : "reference"; }

PrefixRuns::PrefixRuns(Backend& candidate, Backend& reference, Request request, const Capture& whole,
                       std::function<void(const std::string&)> progress)
    : tokens(whole.tokens),
      pieces(whole.pieces),
      n_prompt(whole.tokens.size()),
      candidate_(candidate),
      reference_(reference),
      request_(std::move(request)),
      progress_(std::move(progress)) {
  request_.trace = "none";
  request_.raw_tensors = false;
  // A prefix runs in the same context as the whole.
  if (request_.n_ctx == 0) request_.n_ctx = whole.shapes.n_ctx;
}

Request PrefixRuns::Prefix(size_t length) const {
  Request request = request_;
  const size_t prompt = std::min(length, n_prompt);
  request.token_ids.emplace(tokens.begin(), tokens.begin() + static_cast<ptrdiff_t>(prompt));
  request.positions = 0;
  request.max_tokens = length > n_prompt ? static_cast<int>(length - n_prompt) + 1 : 0;
  return request;
}

Request PrefixRuns::Traced(size_t length, const std::string& points, bool raw_tensors) const {
  Request request = Prefix(length);
  request.trace = fmt::format("{};seq=0-{}", points, length - 1);
  request.raw_tensors = raw_tensors;
  return request;
}

Capture PrefixRuns::One(Side side, const Request& request, const std::string& what) {
  Backend& backend = side == Side::kCandidate ? candidate_ : reference_;
  if (progress_) progress_(fmt::format("{}: {} ({})", what, SideName(side), backend.name()));
  ++count;
  return backend.Run(request);
}

Captures PrefixRuns::Both(const Request& request, const std::string& what) {
  Captures both;
  both.reference = One(Side::kReference, request, what);
  both.candidate = One(Side::kCandidate, request, what);
  return both;
}

void PrefixRuns::AppendGenerated(const Capture& reference, size_t n) {
  for (size_t i = 0; i < n && i < reference.generated.size(); ++i) {
    tokens.push_back(reference.generated[i]);
    pieces.push_back(reference.generated_pieces[i]);
  }
}

int64_t FirstOver(const Captures& both, const Profile& profile) {
  for (const Rung rung : {Rung::kFirstLogit, Rung::kPositions}) {
    const RungResult result = JudgeRung(rung, both.candidate, both.reference, {.profile = profile, .piece_of = {}});
    if (result.status == Status::kFail) return std::max<int64_t>(result.first_over, 0);
  }
  return -1;
}

std::optional<Prefix> FindPrefix(PrefixRuns& runs, const Captures& whole, const Profile& profile) {
  const int64_t over = FirstOver(whole, profile);
  if (over < 0) return std::nullopt;
  Prefix found{runs.n_prompt, whole};
  size_t passes = 0;  // 0 tokens cannot differ; all of them do
  const auto narrow = [&](size_t length) {
    Captures both = runs.Both(runs.Prefix(length), fmt::format("prefix of {} tokens", length));
    const bool fails = FirstOver(both, profile) >= 0;
    runs.Step(fmt::format("prefix of {} tokens: {}", length, fails ? "fails" : "passes"));
    if (fails) {
      found = {length, std::move(both)};
    } else {
      passes = length;
    }
  };
  const size_t guess = static_cast<size_t>(over) + 1;
  if (guess < found.length) narrow(guess);
  if (found.length - passes > 1 && found.length == guess) narrow(guess - 1);
  while (found.length - passes > 1) narrow(passes + (found.length - passes) / 2);
  return found;
}

}  // namespace parity
