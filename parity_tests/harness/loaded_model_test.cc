#include "parity_tests/harness/loaded_model.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "fixtures/generate.h"
#include "parity_tests/harness/native_backend.h"
#include "reference/capture/hash.h"
#include "reference/capture/temporary_directory.h"

namespace parity {
namespace {

const std::string kModel = PARITY_SOURCE_DIR "/fixtures/models/kjv-bitnet.tq2_0.gguf";

TEST(LoadModel, AModelStaysLoadedUntilItsFileChanges) {
  const TemporaryDirectory root;
  GenerateOptions options;
  options.n_vocab = 64;
  options.output = root.path() + "/model.gguf";
  GenerateModel(options);
  const auto first = LoadModel({options.output});
  EXPECT_EQ(LoadModel({options.output}), first);
  EXPECT_EQ(first->info.blake3, HashFile(options.output));
  options.seed += 1;
  GenerateModel(options);
  const auto second = LoadModel({options.output});
  EXPECT_NE(second, first);
  EXPECT_EQ(second->info.blake3, HashFile(options.output));
  EXPECT_NE(LoadModel({kModel}), second);
  std::filesystem::remove(options.output);
  EXPECT_THROW(LoadModel({options.output}), std::runtime_error);
}

TEST(LoadTokenizer, IsOfTheRequest) {
  const TemporaryDirectory root;
  GenerateOptions options;
  options.n_vocab = 64;
  options.output = root.path() + "/model.gguf";  // without a vocabulary
  GenerateModel(options);
  Request request;
  request.model = options.output;
  request.token_ids = {1};
  EXPECT_EQ(LoadTokenizer(request), nullptr);
  request.token_ids.reset();
  EXPECT_THROW(LoadTokenizer(request), std::runtime_error);
  request.model = kModel;
  const auto tokenizer = LoadTokenizer(request);
  EXPECT_EQ(LoadTokenizer(request), tokenizer);
  request.tokenizer = PARITY_SOURCE_DIR "/fixtures/models/kjv-tokenizer.json";
  EXPECT_NE(LoadTokenizer(request), tokenizer);
}

TEST(NativeBackend, ARunKnowsNothingOfTheOneBefore) {
  Request request;
  request.model = kModel;
  request.text = "In the beginning";
  request.max_tokens = 3;
  request.threads = 1;
  const auto backend = MakeNativeBackend();
  const Capture first = backend->Run(request), second = backend->Run(request);
  EXPECT_EQ(first.logits.data, second.logits.data);
  EXPECT_EQ(first.decode_logits.data, second.decode_logits.data);
}

TEST(PieceLookup, WithoutAVocabularyThereIsNoText) {
  Request request;
  request.model = "/nonexistent/model.gguf";
  EXPECT_EQ(PieceLookup(request)(5), "");
  request.tokenizer = PARITY_SOURCE_DIR "/fixtures/models/kjv-tokenizer.json";
  EXPECT_EQ(PieceLookup(request)(2032), "<|begin_of_text|>");
  EXPECT_EQ(PieceLookup(request)(1 << 30), "");
  EXPECT_EQ(PieceLookup(request)(-1), "");
}

}  // namespace
}  // namespace parity
