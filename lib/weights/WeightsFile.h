//===- WeightsFile.h - the weights of an artifact, as safetensors ---------===//
#pragma once

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/JSON.h"
#include <functional>

namespace moec {

/// One weight as the host program loads it.
struct WeightSpec {
  std::string name;
  mlir::RankedTensorType type;
  /// Where the source bytes are; an empty file is the model itself.
  std::string file;
  uint64_t offset = 0, length = 0;
  /// The elements of a constant, which has no source.
  mlir::DenseElementsAttr data;
  /// Source type and packing steps, null when the bytes are used as they are.
  mlir::RankedTensorType stored;
  mlir::ArrayAttr recipe;
};

/// Takes the weights of the slots out of a lowered module, in slot order.
/// Weights without a slot are dropped.
mlir::FailureOr<std::vector<WeightSpec>> takeWeights(mlir::ModuleOp module);

/// Called now and then with the bytes written so far and in all.
using WeightsProgress = std::function<void(uint64_t, uint64_t)>;

/// Writes the weights to `path`, which appears whole or not at all, and
/// returns the "weights" member of the metadata (docs/metadata.md). Sources
/// are read relative to `modelPath`'s folder, slice by slice: memory does not
/// grow with the weights. Tensors start at multiples of 64 bytes.
llvm::Expected<llvm::json::Object> writeWeights(llvm::ArrayRef<WeightSpec> weights,
                                                llvm::StringRef modelPath, llvm::StringRef path,
                                                const WeightsProgress &progress = {});

} // namespace moec
