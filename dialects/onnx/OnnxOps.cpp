#include "dialects/onnx/OnnxDialect.h"

#define GET_OP_CLASSES
#include "dialects/onnx/OnnxOps.cpp.inc"

using namespace mlir;

namespace moec::onnx {

LogicalResult NodeOp::verify() {
  // C1
  if (static_cast<int64_t>(getVersion()) <= 0)
    return emitOpError("requires a positive version, but version is ") << getVersion();
  return success();
}

} // namespace moec::onnx
