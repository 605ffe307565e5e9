#include "reference/capture/quote.h"

#include <gtest/gtest.h>

#include <string>

namespace parity {
namespace {

TEST(Quote, KeepsWhatIsReadable) {
  EXPECT_EQ(Quote(""), "\"\"");
  EXPECT_EQ(Quote(" capital"), "\" capital\"");
  EXPECT_EQ(Quote("\u00e9\u4f60\U0001F469"), "\"\u00e9\u4f60\U0001F469\"");
}

TEST(Quote, EscapesWhatWouldBreakALine) {
  EXPECT_EQ(Quote("a\n\r\t\"\\"), R"("a\n\r\t\"\\")");
  EXPECT_EQ(Quote(std::string("\0\x1b\x7f", 3)), R"("\x00\x1B\x7F")");
  EXPECT_EQ(Quote("\u202e\u2028\u0085"), R"("\u202E\u2028\u0085")");
}

TEST(Quote, EscapesBytesThatAreNotUtf8) {
  EXPECT_EQ(Quote("\xe4\xbd"), R"("\xE4\xBD")");  // the start of a sequence
  EXPECT_EQ(Quote("\xbd"
                  "a"),
            R"("\xBDa")");                                        // the end of one
  EXPECT_EQ(Quote("\xc0\x80"), R"("\xC0\x80")");                  // overlong
  EXPECT_EQ(Quote("\xe0\x80\x80"), R"("\xE0\x80\x80")");          // overlong
  EXPECT_EQ(Quote("\xed\xa0\x80"), R"("\xED\xA0\x80")");          // a surrogate
  EXPECT_EQ(Quote("\xf4\x90\x80\x80"), R"("\xF4\x90\x80\x80")");  // beyond U+10FFFF
  EXPECT_EQ(Quote("\xff"), R"("\xFF")");
}

TEST(Utf8, ReplacesWhatIsNotTextAndNothingElse) {
  EXPECT_EQ(Utf8("a \"b\"\n\u00e9\u4f60"), "a \"b\"\n\u00e9\u4f60");
  EXPECT_EQ(Utf8("\xe4\xbd!"), "\uFFFD\uFFFD!");
  EXPECT_EQ(Utf8("\x1b[31m\r\u202e\x7f"), "\uFFFD[31m\uFFFD\uFFFD\uFFFD");
}

}  // namespace
}  // namespace parity
