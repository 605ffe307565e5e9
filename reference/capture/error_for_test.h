// The message of an error, for tests.
#ifndef BITNET_PARITY_REFERENCE_CAPTURE_ERROR_FOR_TEST_H_
#define BITNET_PARITY_REFERENCE_CAPTURE_ERROR_FOR_TEST_H_

#include <exception>
#include <string>

namespace parity {

// What the exception that `call` throws says; "no error" if it throws none.
template <typename Call>
std::string ErrorOf(Call&& call) {
  try {
    call();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace parity

#endif  // BITNET_PARITY_REFERENCE_CAPTURE_ERROR_FOR_TEST_H_
