// http://HOST:PORT[/PATH]: a server that answers. Which API it speaks is seen from its path, or asked:
//
//   /completion            llama-server (llama.cpp, bitnet.cpp): token ids by /tokenize, the likeliest tokens
//   /v1/completions        OpenAI's, with logprobs where it gives them
//   /v1/chat/completions   the same for a chat: the server applies its own template
//
// Without a path the first of these that answers is taken.
#ifndef BITNET_PARITY_REFERENCE_ENGINES_HTTP_BACKEND_H_
#define BITNET_PARITY_REFERENCE_ENGINES_HTTP_BACKEND_H_

#include <memory>
#include <string>

#include "reference/engines/backend.h"

namespace parity {

// Throws std::runtime_error where `url` is none, and where it is of another machine and `allow_remote` is false.
std::unique_ptr<Backend> MakeHttpBackend(const std::string& url, bool allow_remote);

}  // namespace parity

#endif  // BITNET_PARITY_REFERENCE_ENGINES_HTTP_BACKEND_H_
