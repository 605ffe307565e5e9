// Compiled at configure time, by TryApi.cmake: does this engine have the API that the runner needs?
#include "reference/llama_family/api.h"

int main() {
  llama_model* model = parity::api::LoadModel("", true);
  llama_context* context = parity::api::NewContext(model, 256, 256, 1, nullptr, nullptr);
  parity::api::FreeContext(context);
  parity::api::FreeModel(model);
  return parity::api::HaveCpuDevice() ? parity::api::TokenToPiece(model, 0, nullptr, 0) : 0;
}
