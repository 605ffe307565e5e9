#include "reference/engines/npy_backend.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <filesystem>
#include <optional>

#include "reference/capture/hash.h"
#include "reference/capture/npy.h"

namespace parity {
namespace {

// "0,4,-1"; nothing where it is no such list.
std::optional<std::vector<int>> ParsePositions(const std::string& text) {
  std::vector<int> positions;
  const char *at = text.data(), *end = at + text.size();
  while (true) {
    const auto [rest, error] = std::from_chars(at, end, positions.emplace_back());
    if (error != std::errc()) return std::nullopt;
    if (rest == end) return positions;
    if (*rest != ',') return std::nullopt;
    at = rest + 1;
  }
}

class NpyBackend : public Backend {
 public:
  NpyBackend(std::string file, std::string at) : file_(std::move(file)), at_(std::move(at)) {
    if (at_.empty() || at_ == "first" || at_ == "last") return;
    const std::optional<std::vector<int>> positions = ParsePositions(at_);
    if (!positions) {
      throw std::runtime_error(
          fmt::format("--logits-at: found '{}', expected first, last, or a position for each row, as 0,4,-1", at_));
    }
    positions_ = *positions;
  }

  std::string name() const override { return "npy:" + file_; }
  ProbeResult Probe() override {
    ProbeResult result;
    result.looked_in = {file_};
    result.available = std::filesystem::is_regular_file(file_);
    if (!result.available) {
      result.problem = fmt::format("{}: no such file", file_);
      result.remedy = "save float32 logits there, [positions, n_vocab], with numpy.save";
    }
    return result;
  }
  std::string Identity(const FileHasher& hash) override { return fmt::format("{} {} {}", name(), at_, hash(file_)); }
  bool live() const override { return false; }

  Capture Run(const Request& request) override {
    NpyArray array = ReadNpy(file_);
    const bool one_row = array.shape.size() == 1;
    if (one_row) array.shape.insert(array.shape.begin(), 1);
    if (array.shape.size() != 2 || array.shape[0] == 0 || array.shape[1] == 0) {
      throw std::runtime_error(fmt::format(
          "{}: shape: found [{}], expected [positions, n_vocab], or [n_vocab] for the last position; no dimension is 0",
          file_, fmt::join(array.shape, ", ")));
    }
    Capture capture;
    capture.backend.name = name();
    capture.model.path = request.model;
    capture.request = request;
    capture.shown = kNothingShown;
    capture.shown.logits = true;
    capture.shapes.logits = {static_cast<int>(array.shape[0]), static_cast<int>(array.shape[1])};
    capture.logits = {.rows = array.shape[0], .cols = array.shape[1], .data = std::move(array.data)};
    capture.positions = PositionsOf(static_cast<int>(array.shape[0]), one_row);
    return capture;
  }

 private:
  std::vector<int> PositionsOf(int rows, bool one_row) const {
    if (!positions_.empty()) {
      if (positions_.size() == static_cast<size_t>(rows)) return positions_;
      throw std::runtime_error(fmt::format("--logits-at: found {} positions, expected {}: one for each row of {}",
                                           positions_.size(), rows, file_));
    }
    std::vector<int> positions;
    if (at_ != "last" && !(one_row && at_.empty())) return positions;
    for (int i = 0; i < rows; ++i) positions.push_back(i - rows);
    return positions;
  }

  std::string file_, at_;
  std::vector<int> positions_;  // of the rows; empty: `at_` says
};

}  // namespace

std::unique_ptr<Backend> MakeNpyBackend(const std::string& file, const std::string& at) {
  return std::make_unique<NpyBackend>(file, at);
}

}  // namespace parity
