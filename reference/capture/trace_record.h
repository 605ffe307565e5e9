// The record of one traced tensor, and its JSON (docs/capture-format.md).
#ifndef BITNET_PARITY_REFERENCE_CAPTURE_TRACE_RECORD_H_
#define BITNET_PARITY_REFERENCE_CAPTURE_TRACE_RECORD_H_

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "reference/capture/capture.h"
#include "reference/capture/json_fields.h"

namespace parity {

// The record of one tensor: hash, RMS (summed in double) and number of elements of `data`, which is row-major float32
// of this shape.
TraceRecord MakeTraceRecord(int position, int layer, std::string_view stage, std::vector<int64_t> shape,
                            std::span<const float> data);

nlohmann::json ToJson(const TraceRecord& record);

// Throws std::runtime_error, naming the origin and the key, unless every key is right and agrees with the others (or
// collects what is wrong, where `fields` do).
// seq, layer and stage may be missing together: the name says them. blake3 and rms may be missing beside a tensor_file;
// then they are empty and 0 until FillHashAndRms.
TraceRecord ReadTraceRecord(JsonFields fields);

// Sets blake3 and rms from the tensor's numbers.
void FillHashAndRms(TraceRecord* record, std::span<const float> data);

// Sorts by position, and within one in the order of the forward pass: embeddings, the layers, the output.
std::tuple<int, int, int, std::string> ComputationOrder(const TraceRecord& record);

// "t0_blk0_attn_norm" of "t0/blk0/attn_norm".
std::string TraceFileStem(const std::string& trace_name);

// Throws std::runtime_error unless `name`, found at `key`, names a file below the directory that it is relative to.
void CheckFileInside(const std::string& name, const JsonFields& fields, const std::string& key);

}  // namespace parity

#endif  // BITNET_PARITY_REFERENCE_CAPTURE_TRACE_RECORD_H_
