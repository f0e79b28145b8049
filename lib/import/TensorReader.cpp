#include "lib/import/TensorReader.h"

#include "dialects/onnx/ElementTypes.h"
#include "lib/import/Wire.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace moec {
namespace {

/// Bits of an element in a file.
unsigned storedBits(Type element) {
  return element.isInteger(1) ? 8 : element.getIntOrFloatBitWidth();
}

/// The typed data field of TensorProto that holds elements of a type.
uint32_t dataFieldOf(Type element) {
  if (element.isF32())
    return 4; // float_data
  if (element.isF64())
    return 10; // double_data
  if (element.isSignedInteger(64))
    return 7; // int64_data
  if (element.isUnsignedInteger(32) || element.isUnsignedInteger(64))
    return 11; // uint64_data
  return 5;    // int32_data
}

/// The elements of a typed varint field as they would stand in raw_data.
llvm::Expected<std::string> decodeVarints(ArrayRef<StringRef> pieces, unsigned width) {
  std::string bytes;
  for (StringRef piece : pieces)
    while (!piece.empty()) {
      llvm::Expected<uint64_t> value = wire::takeVarint(piece);
      if (!value)
        return value.takeError();
      char word[8];
      llvm::support::endian::write64le(word, *value);
      bytes.append(word, width);
    }
  return bytes;
}

} // namespace

Type importElementType(Location loc, int32_t dataType) {
  constexpr int32_t kString = 8, kComplex64 = 14, kComplex128 = 15;
  if (Type type = onnx::elementTypeOf(loc.getContext(), dataType))
    return type;
  if (dataType == kString)
    emitError(loc, "is a tensor of strings, which moec does not support");
  else if (dataType == kComplex64 || dataType == kComplex128)
    emitError(loc, "is a tensor of complex numbers, which moec does not support");
  else
    emitError(loc, "has the unknown element type ") << dataType;
  return {};
}

uint64_t packedBytes(RankedTensorType type) {
  return llvm::divideCeil(type.getNumElements() * storedBits(type.getElementType()), 8);
}

bool hasRepresentableSize(ArrayRef<int64_t> shape) {
  // 64 bits an element at most: the size in bits fits 63 bits, too.
  int64_t elements = 64;
  for (int64_t size : shape)
    if (size > 0 && llvm::MulOverflow(elements, size, elements))
      return false;
  return true;
}

FailureOr<RankedTensorType> TensorReader::type(Location loc, const proto::Tensor &tensor) {
  Type element = importElementType(loc, tensor.elementType);
  if (!element)
    return failure();
  for (int64_t size : tensor.dims)
    if (size < 0)
      return emitError(loc, "has the negative dimension ") << size;
  if (!hasRepresentableSize(tensor.dims))
    return emitError(loc, "has more elements than moec can count");
  return RankedTensorType::get(tensor.dims, element);
}

FailureOr<TensorBytes> TensorReader::locateExternal(Location loc, const proto::Tensor &tensor,
                                                    uint64_t length) {
  ExternalReference reference;
  for (auto [key, value] : tensor.externalData) {
    if (key == "location")
      reference.location = value;
    bool isNumber = key == "offset" || key == "length";
    uint64_t &number = key == "offset" ? reference.offset : reference.length;
    if (isNumber && value.getAsInteger(10, number))
      return emitError(loc, "has external data with the ") << key << " '" << value << "'";
  }
  if (reference.length == 0)
    reference.length = length;
  if (reference.length != length)
    return emitError(loc, "needs ")
           << length << " bytes, but its external data has " << reference.length;
  if (llvm::Error error = external.check(reference))
    return emitError(loc, llvm::toString(std::move(error)));
  return TensorBytes{reference.location.str(), reference.offset, length, {}};
}

FailureOr<TensorBytes> TensorReader::locate(Location loc, const proto::Tensor &tensor,
                                            RankedTensorType type) {
  uint64_t length = packedBytes(type);
  if (tensor.external)
    return locateExternal(loc, tensor, length);

  Type element = type.getElementType();
  uint32_t field = dataFieldOf(element);
  if (!tensor.raw && tensor.dataField && tensor.dataField != field)
    return emitError(loc, "has its data in field ") << tensor.dataField << ", but elements of type "
                                                    << element << " belong in field " << field;

  // Packed floats are encoded as raw data is; other typed fields are decoded.
  bool isFixed = field == 4 || field == 10;
  std::optional<StringRef> inFile = tensor.raw;
  if (!inFile && isFixed && tensor.data.size() == 1)
    inFile = tensor.data.front();
  TensorBytes bytes;
  if (inFile) {
    bytes.file = "";
    bytes.offset = inFile->data() - model.data();
    bytes.length = inFile->size();
  } else if (isFixed) {
    for (StringRef piece : tensor.data)
      bytes.decoded += piece;
    bytes.length = bytes.decoded.size();
  } else {
    unsigned width = llvm::divideCeil(storedBits(element), 8);
    llvm::Expected<std::string> decoded = decodeVarints(tensor.data, width);
    if (!decoded)
      return emitError(loc, llvm::toString(decoded.takeError()));
    bytes.decoded = std::move(*decoded);
    bytes.length = bytes.decoded.size();
  }
  if (bytes.length != length)
    return emitError(loc, "needs ") << length << " bytes, but has " << bytes.length;
  return bytes;
}

FailureOr<DenseElementsAttr> TensorReader::elements(Location loc, const TensorBytes &bytes,
                                                    RankedTensorType type) {
  std::vector<char> storage;
  ArrayRef<char> data(bytes.decoded.data(), bytes.decoded.size());
  if (bytes.file && bytes.file->empty()) {
    StringRef inModel = model.substr(bytes.offset, bytes.length);
    data = ArrayRef(inModel.data(), inModel.size());
  } else if (bytes.file) {
    storage.resize(bytes.length);
    if (llvm::Error error = external.read(*bytes.file, bytes.offset, storage))
      return emitError(loc, llvm::toString(std::move(error)));
    data = storage;
  }

  Type element = type.getElementType();
  unsigned bits = storedBits(element);
  if (type.getNumElements() == 0)
    return DenseElementsAttr::get(type, ArrayRef<Attribute>());
  if (element.isInteger(1)) {
    SmallVector<bool> values(llvm::map_range(data, [](char byte) { return byte != 0; }));
    return DenseElementsAttr::get(type, values);
  }
  if (bits >= 8)
    return DenseElementsAttr::getFromRawBuffer(type, data);
  SmallVector<APInt> values;
  for (int64_t i = 0, count = type.getNumElements(); i < count; ++i)
    values.emplace_back(bits, static_cast<uint8_t>(data[i * bits / 8]) >> (i * bits % 8),
                        /*isSigned=*/false, /*implicitTrunc=*/true);
  auto floatType = dyn_cast<FloatType>(element);
  if (!floatType)
    return DenseElementsAttr::get(type, values);
  SmallVector<APFloat> floats(llvm::map_range(
      values, [&](const APInt &value) { return APFloat(floatType.getFloatSemantics(), value); }));
  return DenseElementsAttr::get(type, floats);
}

FailureOr<DenseElementsAttr> TensorReader::elements(Location loc, const proto::Tensor &tensor) {
  FailureOr<RankedTensorType> tensorType = type(loc, tensor);
  if (failed(tensorType))
    return failure();
  FailureOr<TensorBytes> bytes = locate(loc, tensor, *tensorType);
  if (failed(bytes))
    return failure();
  return elements(loc, *bytes, *tensorType);
}

} // namespace moec
