#include "reference/capture/npy.h"
#include "reference/capture/error_for_test.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <limits>
#include <sstream>

#include "reference/capture/temporary_directory.h"

namespace parity {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class NpyTest : public testing::Test {
 protected:
  std::string Path(const std::string& name = "a.npy") const { return directory_.path() + "/" + name; }

  static std::string ReadBytes(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::stringstream bytes;
    bytes << file.rdbuf();
    return bytes.str();
  }

  void WriteBytes(const std::string& bytes) const { std::ofstream(Path(), std::ios::binary) << bytes; }

  // A version 1.0 file with this dictionary and so many bytes of data.
  void WriteWith(const std::string& dict, size_t data_bytes, char version = 1) const {
    std::string bytes = std::string("\x93NUMPY") + version + '\0';
    bytes += static_cast<char>(dict.size() & 0xff);
    bytes += static_cast<char>(dict.size() >> 8);
    if (version > 1) bytes += std::string(2, '\0');
    WriteBytes(bytes + dict + std::string(data_bytes, '\0'));
  }

  std::string ErrorOfReading() const {
    return ErrorOf([this] { ReadNpy(Path()); });
  }

  TemporaryDirectory directory_;
};

TEST_F(NpyTest, KeepsShapeAndEveryBit) {
  const std::vector<float> data = {0.0f,
                                   -0.0f,
                                   1.0f / 3,
                                   std::numeric_limits<float>::infinity(),
                                   std::numeric_limits<float>::quiet_NaN(),
                                   std::numeric_limits<float>::denorm_min()};
  WriteNpy(Path(), std::vector<int64_t>{2, 3}, data);
  const NpyArray array = ReadNpy(Path());
  EXPECT_THAT(array.shape, ElementsAre(2, 3));
  ASSERT_EQ(array.data.size(), data.size());
  EXPECT_EQ(std::memcmp(array.data.data(), data.data(), data.size() * sizeof(float)), 0);
}

TEST_F(NpyTest, KeepsEmptyScalarAndOneDimensionalShapes) {
  for (const std::vector<int64_t>& shape : {std::vector<int64_t>{0, 128256}, {}, {1}, {7}, {2, 1, 3}}) {
    int64_t n = 1;
    for (int64_t d : shape) n *= d;
    WriteNpy(Path(), shape, std::vector<float>(static_cast<size_t>(n), 1.5f));
    EXPECT_EQ(ReadNpy(Path()).shape, shape);
  }
}

TEST_F(NpyTest, WritesTheBytesOfTheFormat) {
  WriteNpy(Path(), std::vector<int64_t>{1}, std::vector<float>{1.0f});
  const std::string bytes = ReadBytes(Path());
  ASSERT_EQ(bytes.size(), 128u + 4u);
  EXPECT_EQ(bytes.substr(0, 10), std::string("\x93NUMPY\x01\x00\x76\x00", 10));
  EXPECT_THAT(bytes, HasSubstr("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }"));
  EXPECT_EQ(bytes[127], '\n');
  EXPECT_EQ(bytes.substr(128), std::string("\x00\x00\x80\x3f", 4));
}

// NumPy itself where it is installed, else a reader that follows the format's definition with Python's own parser.
TEST_F(NpyTest, PythonReadsIt) {
  if (std::system("python3 -c '' 2>/dev/null") != 0) GTEST_SKIP() << "no python3";
  WriteNpy(Path(), std::vector<int64_t>{2, 3}, std::vector<float>{0, 1, 2, 3, 4, 5.25f});
  std::ofstream(Path("read.py")) << R"(
import ast, struct, sys
try:
    import numpy
    array = numpy.load(sys.argv[1])
    assert array.dtype == numpy.float32 and array.shape == (2, 3), (array.dtype, array.shape)
    values = array.reshape(-1).tolist()
except ImportError:
    raw = open(sys.argv[1], 'rb').read()
    assert raw[:8] == b'\x93NUMPY\x01\x00'
    size, = struct.unpack('<H', raw[8:10])
    assert (10 + size) % 64 == 0 and raw[9 + size:10 + size] == b'\n'
    header = ast.literal_eval(raw[10:10 + size].decode('ascii'))
    assert header == {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}, header
    values = list(struct.unpack('<6f', raw[10 + size:]))
assert values == [0, 1, 2, 3, 4, 5.25], values
)";
  EXPECT_EQ(std::system(fmt::format("python3 {} {}", Path("read.py"), Path()).c_str()), 0);
}

TEST_F(NpyTest, RefusesToWriteAShapeThatDoesNotFitTheData) {
  EXPECT_THROW(WriteNpy(Path(), std::vector<int64_t>{2, 2}, std::vector<float>(3)), std::runtime_error);
  EXPECT_THROW(WriteNpy(Path(), std::vector<int64_t>{-1, -3}, std::vector<float>(3)), std::runtime_error);
}

TEST_F(NpyTest, TellsWhenTheDiskIsFull) {
  if (!std::ifstream("/dev/full")) GTEST_SKIP() << "no /dev/full";
  EXPECT_THROW(WriteNpy("/dev/full", std::vector<int64_t>{100000}, std::vector<float>(100000)), std::runtime_error);
}

TEST_F(NpyTest, TruncationAtEveryByteIsAnError) {
  WriteNpy(Path(), std::vector<int64_t>{2, 3}, std::vector<float>(6, 1.0f));
  const std::string whole = ReadBytes(Path());
  for (size_t n = 0; n < whole.size(); ++n) {
    WriteBytes(whole.substr(0, n));
    EXPECT_THAT(ErrorOfReading(), HasSubstr(Path())) << n << " bytes";
  }
  WriteBytes(whole + "x");
  EXPECT_THAT(ErrorOfReading(), HasSubstr("shape (2, 3) takes 6 numbers"));
}

// One byte of the header changed: an error, or an array whose size the file bears out.
TEST_F(NpyTest, NoDamagedHeaderIsBelievedBeyondTheFile) {
  WriteNpy(Path(), std::vector<int64_t>{2, 3}, std::vector<float>(6, 1.0f));
  const std::string whole = ReadBytes(Path());
  int read = 0;
  for (size_t at = 0; at < 72; ++at) {
    for (const char value : {'\0', '9', ')', '-', '\'', '\xff'}) {
      std::string bytes = whole;
      bytes[at] = value;
      WriteBytes(bytes);
      try {
        EXPECT_LE(ReadNpy(Path()).data.size(), whole.size() / 4);
        ++read;
      } catch (const std::runtime_error&) {
      }
    }
  }
  EXPECT_GT(read, 0);
}

TEST_F(NpyTest, HeadersThatAreNotOursAreNamed) {
  const struct {
    const char* dict;
    const char* says;
  } cases[] = {
      {"{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }", "descr is '<f8', expected '<f4'"},
      {"{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }", "descr is '>f4'"},
      {"{'descr': '<f4', 'fortran_order': True, 'shape': (1,), }", "fortran_order is True"},
      {"{'descr': '<f4', 'fortran_order': False, }", "is missing"},
      {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", "repeated key 'descr'"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }", "is not a dimension"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }", "is not a dimension"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (999999999999,999999999999,), }", "does not fit 64 bits"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1), }", "more than 8 dimensions"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), } x", "text after the dictionary"},
      {"{'descr: 1", "a string does not end"},
      {"", "expected '{'"},
  };
  for (const auto& c : cases) {
    WriteWith(c.dict, 4);
    EXPECT_THAT(ErrorOfReading(), AllOf(HasSubstr(Path()), HasSubstr(c.says))) << c.dict;
  }
  WriteWith("{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904,), }", 0);
  EXPECT_THAT(ErrorOfReading(), HasSubstr("shape"));
}

TEST_F(NpyTest, ReadsVersionsTwoAndThreeAndNoOther) {
  const char* dict = "{\"shape\": (1,), 'fortran_order': False, 'descr': '<f4'}";
  for (char version : {'\2', '\3'}) {
    WriteWith(dict, 4, version);
    EXPECT_THAT(ReadNpy(Path()).shape, ElementsAre(1));
  }
  WriteWith(dict, 4, '\4');
  EXPECT_THAT(ErrorOfReading(), HasSubstr("version 4"));
}

}  // namespace
}  // namespace parity
