#include "reference/capture/npy.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <bit>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <stdexcept>

namespace parity {
namespace {

static_assert(std::endian::native == std::endian::little, "the bytes of a float are written as they stand in memory");

constexpr char kMagic[] = "\x93NUMPY";
constexpr size_t kMagicSize = 6;
constexpr size_t kMaxDimensions = 8;

[[noreturn]] void Fail(const std::string& path, const std::string& what) {
  throw std::runtime_error(fmt::format("{}: {}", path, what));
}

int64_t Product(const std::string& path, std::span<const int64_t> shape) {
  int64_t product = 1;
  for (int64_t n : shape) {
    if (n < 0) Fail(path, fmt::format("shape ({}): a dimension is negative", fmt::join(shape, ", ")));
    if (__builtin_mul_overflow(product, n, &product)) {
      Fail(path, fmt::format("shape ({}): the number of elements does not fit 64 bits", fmt::join(shape, ", ")));
    }
  }
  return product;
}

// The header is the text of a Python dictionary: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
class HeaderParser {
 public:
  HeaderParser(const std::string& path, const std::string& text) : path_(path), text_(text) {}

  std::vector<int64_t> Parse() {
    bool have_descr = false, have_order = false, have_shape = false;
    Expect('{');
    while (!Accept('}')) {
      const std::string key = QuotedString();
      Expect(':');
      if (key == "descr" && !have_descr) {
        const std::string descr = QuotedString();
        if (descr != "<f4") Bad(fmt::format("descr is '{}', expected '<f4' (save the array as float32)", descr));
        have_descr = true;
      } else if (key == "fortran_order" && !have_order) {
        const std::string order = Word();
        if (order != "False")
          Bad(fmt::format("fortran_order is {}, expected False (save the array in C order)", order));
        have_order = true;
      } else if (key == "shape" && !have_shape) {
        shape_ = Tuple();
        have_shape = true;
      } else {
        Bad(fmt::format("unexpected or repeated key '{}'", key));
      }
      if (!Accept(',')) {
        Expect('}');
        break;
      }
    }
    SkipSpace();
    if (at_ != text_.size()) Bad("text after the dictionary");
    if (!have_descr || !have_order || !have_shape) Bad("one of the keys descr, fortran_order, shape is missing");
    return shape_;
  }

 private:
  [[noreturn]] void Bad(const std::string& what) const { Fail(path_, fmt::format(".npy header: {}", what)); }

  void SkipSpace() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }

  bool Accept(char c) {
    SkipSpace();
    if (at_ < text_.size() && text_[at_] == c) {
      ++at_;
      return true;
    }
    return false;
  }

  void Expect(char c) {
    if (!Accept(c)) Bad(fmt::format("expected '{}' at byte {} of the dictionary", c, at_));
  }

  std::string QuotedString() {
    SkipSpace();
    if (at_ >= text_.size() || (text_[at_] != '\'' && text_[at_] != '"')) Bad("expected a quoted string");
    const size_t end = text_.find(text_[at_], at_ + 1);
    if (end == std::string::npos) Bad("a string does not end");
    std::string s = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    return s;
  }

  std::string Word() {
    SkipSpace();
    size_t end = at_;
    while (end < text_.size() && std::isalnum(static_cast<unsigned char>(text_[end]))) ++end;
    std::string word = text_.substr(at_, end - at_);
    at_ = end;
    return word;
  }

  std::vector<int64_t> Tuple() {
    std::vector<int64_t> values;
    Expect('(');
    while (!Accept(')')) {
      const std::string digits = Word();
      if (digits.empty() || digits.size() > 18 || digits.find_first_not_of("0123456789") != std::string::npos) {
        Bad(fmt::format("shape: '{}' is not a dimension", digits));
      }
      if (values.size() == kMaxDimensions) Bad(fmt::format("shape: more than {} dimensions", kMaxDimensions));
      values.push_back(std::stoll(digits));
      if (!Accept(',')) {
        Expect(')');
        break;
      }
    }
    return values;
  }

  const std::string& path_;
  const std::string& text_;
  size_t at_ = 0;
  std::vector<int64_t> shape_;
};

}  // namespace

void WriteNpy(const std::string& path, std::span<const int64_t> shape, std::span<const float> data) {
  if (Product(path, shape) != static_cast<int64_t>(data.size())) {
    Fail(path, fmt::format("shape ({}) does not hold the {} numbers given", fmt::join(shape, ", "), data.size()));
  }
  std::string dict = fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}{}), }}",
                                 fmt::join(shape, ", "), shape.size() == 1 ? "," : "");
  // The data starts at a multiple of 64 bytes; the header ends in a newline.
  const size_t before = kMagicSize + 2 + 2;
  dict.append((64 - (before + dict.size() + 1) % 64) % 64, ' ');
  dict += '\n';
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(kMagic, kMagicSize);
  const char version_and_length[4] = {1, 0, static_cast<char>(dict.size() & 0xff), static_cast<char>(dict.size() >> 8)};
  file.write(version_and_length, 4);
  file.write(dict.data(), static_cast<std::streamsize>(dict.size()));
  file.write(reinterpret_cast<const char*>(data.data()), static_cast<std::streamsize>(data.size_bytes()));
  file.close();
  if (!file) Fail(path, fmt::format("cannot write {} bytes: {}", data.size_bytes(), std::strerror(errno)));
}

NpyArray ReadNpy(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) Fail(path, "no such file (a .npy array was expected)");
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) Fail(path, fmt::format("cannot open: {}", std::strerror(errno)));
  const int64_t file_size = file.tellg();
  file.seekg(0);

  unsigned char start[kMagicSize + 6] = {};
  file.read(reinterpret_cast<char*>(start), kMagicSize + 2);
  if (!file || std::memcmp(start, kMagic, kMagicSize) != 0)
    Fail(path, "not a .npy file: found other bytes than \\x93NUMPY at its start; write it by numpy.save");
  const int version = start[kMagicSize];
  if (version < 1 || version > 3) Fail(path, fmt::format(".npy version {}, expected 1, 2 or 3", version));
  const int length_bytes = version == 1 ? 2 : 4;
  file.read(reinterpret_cast<char*>(start + kMagicSize + 2), length_bytes);
  int64_t header_size = 0;
  for (int i = length_bytes - 1; i >= 0; --i) header_size = header_size << 8 | start[kMagicSize + 2 + i];
  const int64_t header_end = static_cast<int64_t>(kMagicSize) + 2 + length_bytes + header_size;
  if (!file || header_end > file_size) {
    Fail(path, fmt::format("the .npy header should end at byte {}, the file at {}: truncated", header_end, file_size));
  }
  std::string header(static_cast<size_t>(header_size), '\0');
  file.read(header.data(), header_size);

  NpyArray array;
  array.shape = HeaderParser(path, header).Parse();
  const int64_t count = Product(path, array.shape);
  const int64_t found = file_size - header_end;
  if (count > std::numeric_limits<int64_t>::max() / 4 || found != count * 4) {
    Fail(path, fmt::format("shape ({}) takes {} numbers of 4 bytes, the file holds {} bytes of data: {}",
                           fmt::join(array.shape, ", "), count, found, "truncated, or not what its header says"));
  }
  array.data.resize(static_cast<size_t>(count));
  file.read(reinterpret_cast<char*>(array.data.data()), found);
  if (!file) Fail(path, fmt::format("cannot read {} bytes of data: {}", found, std::strerror(errno)));
  return array;
}

}  // namespace parity
