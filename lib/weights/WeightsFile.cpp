#include "lib/weights/WeightsFile.h"

#include "dialects/rt/RtDialect.h"
#include "lib/weights/FileSlices.h"
#include "lib/weights/Pack.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SHA256.h"

using namespace llvm;
using mlir::Attribute;
using mlir::FailureOr;
using mlir::ModuleOp;
using mlir::RankedTensorType;

namespace moec {
namespace {

constexpr uint64_t kAlignment = 64;
constexpr uint64_t kSliceBytes = 8 << 20;

/// safetensors' name of an element type.
StringRef dtypeName(mlir::Type type) {
  if (type.isF64())
    return "F64";
  if (type.isF32())
    return "F32";
  if (type.isF16())
    return "F16";
  if (type.isBF16())
    return "BF16";
  switch (type.getIntOrFloatBitWidth()) {
  case 64:
    return "I64";
  case 32:
    return "I32";
  case 16:
    return "I16";
  case 1:
    return "BOOL";
  default:
    return "U8";
  }
}

uint64_t bytesOf(RankedTensorType type) {
  return divideCeil(type.getElementTypeBitWidth(), 8) * type.getNumElements();
}

/// The elements as they are in memory, each of whole bytes.
std::vector<char> bytesOf(mlir::DenseElementsAttr data) {
  unsigned width = divideCeil(data.getElementType().getIntOrFloatBitWidth(), 8);
  std::vector<char> bytes;
  auto append = [&](const APInt &value) {
    uint64_t word = value.getZExtValue();
    const char *start = reinterpret_cast<const char *>(&word);
    bytes.insert(bytes.end(), start, start + width);
  };
  if (isa<mlir::FloatType>(data.getElementType()))
    for (const APFloat &value : data.getValues<APFloat>())
      append(value.bitcastToAPInt());
  else
    for (const APInt &value : data.getValues<APInt>())
      append(value);
  return bytes;
}

/// Elements of `bits` bits, the lowest of a byte first, a byte each; at most
/// `count` of them.
std::vector<char> unpacked(ArrayRef<char> bytes, int64_t bits, int64_t count) {
  std::vector<char> elements;
  elements.reserve(bytes.size() * 8 / bits);
  for (char byte : bytes)
    for (int64_t shift = 0; shift < 8 && static_cast<int64_t>(elements.size()) < count;
         shift += bits)
      elements.push_back(
          static_cast<char>(static_cast<uint8_t>(byte) >> shift & ((1 << bits) - 1)));
  return elements;
}

std::string hex(ArrayRef<uint8_t> digest) { return toHex(digest, /*LowerCase=*/true); }

/// Places of the tensors in the file, and its header.
struct Layout {
  explicit Layout(ArrayRef<WeightSpec> weights) {
    json::Object tensors;
    uint64_t end = 0;
    auto place = [&](StringRef name, StringRef dtype, json::Array shape, uint64_t bytes) {
      tensors[name.str()] = json::Object{{"dtype", dtype},
                                         {"shape", std::move(shape)},
                                         {"data_offsets", json::Array{end, end + bytes}}};
      end += bytes;
    };
    for (const WeightSpec &weight : weights) {
      offsets.push_back(end);
      json::Array shape;
      for (int64_t size : weight.type.getShape())
        shape.push_back(size);
      place(weight.name, dtypeName(weight.type.getElementType()), std::move(shape),
            bytesOf(weight.type));
      // The format allows no holes: what aligns the next tensor is a tensor too.
      if (uint64_t padding = offsetToAlignment(end, Align(kAlignment)))
        place("__padding_" + std::to_string(end), "U8", json::Array{static_cast<int64_t>(padding)},
              padding);
    }
    dataBytes = end;
    raw_string_ostream(header) << json::Value(std::move(tensors));
    // Spaces after the header align the data.
    header.append(offsetToAlignment(8 + header.size(), Align(kAlignment)), ' ');
  }

  uint64_t dataStart() const { return 8 + header.size(); }

  SmallVector<uint64_t> offsets;
  std::string header;
  uint64_t dataBytes = 0;
};

class WeightsWriter {
public:
  WeightsWriter(ArrayRef<WeightSpec> weights, StringRef modelPath, raw_ostream &stream,
                const WeightsProgress &progress)
      : weights(weights), modelPath(modelPath), layout(weights), stream(stream),
        progress(progress) {}

  Error write() {
    uint64_t headerBytes = layout.header.size();
    std::string head(8, '\0');
    support::endian::write64le(head.data(), headerBytes);
    head += layout.header;
    stream << head;
    json::Array slots;
    for (auto [weight, offset] : zip(weights, layout.offsets)) {
      SHA256 digest;
      if (Error error = copy(weight, digest))
        return error;
      uint64_t bytes = bytesOf(weight.type);
      stream.write_zeros(offsetToAlignment(bytes, Align(kAlignment)));
      slots.push_back(json::Object{{"name", weight.name},
                                   {"offset", layout.dataStart() + offset},
                                   {"bytes", bytes},
                                   {"sha256", hex(digest.final())}});
    }
    SHA256 digest;
    digest.update(head);
    metadata = json::Object{{"length", layout.dataStart() + layout.dataBytes},
                            {"header_bytes", head.size()},
                            {"header_sha256", hex(digest.final())},
                            {"slots", std::move(slots)}};
    return Error::success();
  }

  json::Object metadata;

private:
  Error copy(const WeightSpec &weight, SHA256 &digest) {
    if (weight.recipe)
      return cook(weight, digest);
    if (weight.data) {
      emit(bytesOf(weight.data), digest);
      return Error::success();
    }
    Expected<const FileSlices *> source = open(weight.file);
    if (!source)
      return source.takeError();
    int64_t bits = weight.type.getElementTypeBitWidth();
    uint64_t stored = divideCeil(weight.type.getNumElements() * (bits == 1 ? 8 : bits), 8);
    if (weight.length != stored)
      return createStringError("weight '%s' has %llu bytes, but its type needs %llu",
                               weight.name.c_str(), (unsigned long long)weight.length,
                               (unsigned long long)stored);
    std::vector<char> slice(std::min(kSliceBytes, weight.length));
    for (uint64_t done = 0; done < weight.length;) {
      MutableArrayRef<char> part(slice.data(), std::min(kSliceBytes, weight.length - done));
      if (Error error = (*source)->read(weight.offset + done, part))
        return error;
      done += part.size();
      if (bits == 2 || bits == 4)
        emit(unpacked(part, bits, weight.type.getNumElements() - (done - part.size()) * 8 / bits),
             digest);
      else
        emit(part, digest);
    }
    return Error::success();
  }

  /// Writes what the weight's recipe makes.
  Error cook(const WeightSpec &weight, SHA256 &digest) {
    if (weight.recipe.size() != 1)
      return createStringError("weight '%s' has a recipe of %zu steps, but one is supported",
                               weight.name.c_str(), weight.recipe.size());
    Expected<PackStep> step = PackStep::parse(weight.recipe[0]);
    if (!step)
      return step.takeError();
    return pack(
        *step, [&](StringRef file) { return open(file); },
        [&](ArrayRef<char> bytes) { emit(bytes, digest); });
  }

  /// A file of the model's folder, the model itself, or one that the compiler made
  /// (by its absolute path); stays open.
  Expected<const FileSlices *> open(StringRef file) {
    auto known = files.find(file);
    if (known != files.end())
      return &known->second;
    SmallString<128> path(modelPath);
    if (sys::path::is_absolute(file)) {
      path = file;
    } else if (!file.empty()) {
      sys::path::remove_filename(path);
      sys::path::append(path, file);
    }
    Expected<FileSlices> opened = FileSlices::open(path);
    if (!opened)
      return opened.takeError();
    return &files.try_emplace(file, std::move(*opened)).first->second;
  }

  void emit(ArrayRef<char> bytes, SHA256 &digest) {
    stream.write(bytes.data(), bytes.size());
    digest.update(ArrayRef(reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size()));
    written += bytes.size();
    if (progress)
      progress(written, layout.dataBytes);
  }

  ArrayRef<WeightSpec> weights;
  StringRef modelPath;
  Layout layout;
  raw_ostream &stream;
  const WeightsProgress &progress;
  StringMap<FileSlices> files;
  uint64_t written = 0;
};

} // namespace

FailureOr<std::vector<WeightSpec>> takeWeights(ModuleOp module) {
  std::vector<WeightSpec> result;
  auto entry = module.lookupSymbol<mlir::LLVM::LLVMFuncOp>("moec_entry");
  for (Attribute slot : entry->getAttrOfType<mlir::ArrayAttr>("rt.weights")) {
    auto weight = module.lookupSymbol<rt::WeightOp>(cast<mlir::StringAttr>(slot));
    if (!weight)
      return entry.emitError("no weight is named ") << slot;
    WeightSpec spec;
    spec.name = weight.getSymName().str();
    spec.type = cast<RankedTensorType>(weight.getType());
    mlir::DictionaryAttr source = weight.getSource();
    spec.data = source.getAs<mlir::DenseElementsAttr>("data");
    if (!spec.data) {
      spec.file = source.getAs<mlir::StringAttr>("file").getValue().str();
      spec.offset = source.getAs<mlir::IntegerAttr>("offset").getInt();
      spec.length = source.getAs<mlir::IntegerAttr>("length").getInt();
    }
    if (auto stored = weight.getStored())
      spec.stored = cast<RankedTensorType>(*stored);
    spec.recipe = weight.getRecipeAttr();
    result.push_back(std::move(spec));
  }
  for (auto weight : make_early_inc_range(module.getOps<rt::WeightOp>()))
    weight.erase();
  return result;
}

Expected<json::Object> writeWeights(ArrayRef<WeightSpec> weights, StringRef modelPath,
                                    StringRef path, const WeightsProgress &progress) {
  json::Object metadata;
  Error error = writeFile(path, [&](raw_ostream &stream) -> Error {
    WeightsWriter writer(weights, modelPath, stream, progress);
    if (Error error = writer.write())
      return error;
    metadata = std::move(writer.metadata);
    return Error::success();
  });
  if (error)
    return std::move(error);
  return metadata;
}

} // namespace moec
