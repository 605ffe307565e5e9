// Compiled at configure time: does this engine have the API that the runner needs?
#ifndef PARITY_ENGINE_API
#define PARITY_ENGINE_API "reference/llama_family/api_llama_cpp.h"
#endif
#include PARITY_ENGINE_API

int main() {
  llama_model* model = parity::api::LoadModel("", true);
  llama_context* context = parity::api::NewContext(model, 256, 256, 1, nullptr, nullptr);
  parity::api::FreeContext(context);
  parity::api::FreeModel(model);
  return parity::api::HaveCpuDevice() ? parity::api::TokenToPiece(model, 0, nullptr, 0) : 0;
}
