// Names of graph nodes in the llama.cpp family -> points.
#ifndef BITNET_PARITY_REFERENCE_LLAMA_FAMILY_NODE_MAP_H_
#define BITNET_PARITY_REFERENCE_LLAMA_FAMILY_NODE_MAP_H_

#include <string>
#include <string_view>

#include "engine/graph/graph.h"

namespace parity {

using bitnet::Point;

struct NodeName {
  std::string base;  // "attn_norm"
  int layer = -1;    // 0 for "attn_norm-0"
};

// "attn_norm-3" -> {"attn_norm", 3}; "result_norm" -> {"result_norm", -1}. What follows a space ("(view)") stays in
// base. Of weights: "blk.3.attn_q.weight" -> {"attn_q.weight", 3}; of the cache: "cache_k_l3" -> {"cache_k", 3}.
NodeName ParseNodeName(std::string_view name);

enum class NodeKind {
  kPoint,     // the value of a point
  kInternal,  // known, and no point: views, cache writes, halves of an operation
  kUnknown,
};

struct MappedNode {
  NodeKind kind = NodeKind::kUnknown;
  Point point = Point::kUnknown;
  // The same numbers may have been seen under a node with arithmetic: keep those.
  bool is_view = false;
};

// `op` is ggml_op_name of the node, or SCALE for a MUL by one number: it tells the projection Qcur (MUL_MAT, or ADD and
// SCALE for a bias or a scale behind it) from the rotated one (ROPE). A product that the graph gives no name goes by
// that of its weights.
MappedNode MapNode(const NodeName& name, std::string_view op);

}  // namespace parity

#endif  // BITNET_PARITY_REFERENCE_LLAMA_FAMILY_NODE_MAP_H_
