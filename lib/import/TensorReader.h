//===- TensorReader.h - the types and bytes of ONNX tensors ---------------===//
#pragma once

#include "lib/import/ExternalData.h"
#include "lib/import/OnnxProto.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Location.h"

namespace moec {

/// The element type of a TensorProto.DataType, with ONNX's signedness. Null
/// after an error at `loc`.
mlir::Type importElementType(mlir::Location loc, int32_t dataType);

/// Where the bytes of a tensor are: little-endian, row-major, elements of
/// fewer than 8 bits packed from the low bits up.
struct TensorBytes {
  /// The file, relative to the model's folder, empty for the model itself;
  /// none when the bytes exist only in `decoded`.
  std::optional<std::string> file;
  uint64_t offset = 0, length = 0;
  std::string decoded;
};

/// Reads tensors of one model. Errors are diagnostics at the given location,
/// which names the tensor.
class TensorReader {
public:
  /// `model` are the bytes that the tensors were parsed from.
  TensorReader(llvm::StringRef model, llvm::StringRef folder) : model(model), external(folder) {}

  mlir::FailureOr<mlir::RankedTensorType> type(mlir::Location loc, const proto::Tensor &tensor);

  /// Finds the bytes of a tensor, which are as many as its type needs.
  mlir::FailureOr<TensorBytes> locate(mlir::Location loc, const proto::Tensor &tensor,
                                      mlir::RankedTensorType type);

  /// The tensor as an attribute.
  mlir::FailureOr<mlir::DenseElementsAttr> elements(mlir::Location loc,
                                                    const proto::Tensor &tensor);
  mlir::FailureOr<mlir::DenseElementsAttr> elements(mlir::Location loc, const TensorBytes &bytes,
                                                    mlir::RankedTensorType type);

private:
  mlir::FailureOr<TensorBytes> locateExternal(mlir::Location loc, const proto::Tensor &tensor,
                                              uint64_t length);

  llvm::StringRef model;
  ExternalData external;
};

/// The number of bytes of a tensor in a file.
uint64_t packedBytes(mlir::RankedTensorType type);

/// Whether the product of the sizes of `shape` (dynamic ones aside) fits MLIR.
bool hasRepresentableSize(llvm::ArrayRef<int64_t> shape);

} // namespace moec
