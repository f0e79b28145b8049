//===- OnnxProto.h - the messages of an ONNX file -------------------------===//
//
// What moec reads of onnx.proto (https://github.com/onnx/onnx), field by
// field. Strings and tensor bytes are views of the file.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <memory>
#include <optional>
#include <vector>

namespace moec::proto {

using llvm::StringRef;

struct Graph;

struct StringPair {
  StringRef key, value;
};

struct Tensor {
  StringRef name;
  std::vector<int64_t> dims;
  int32_t elementType = 0;
  std::optional<StringRef> raw;
  /// A typed data field (float_data, int32_data, ...): its number, 0 when
  /// there is none, and its elements as encoded, packed ones in one piece.
  uint32_t dataField = 0;
  std::vector<StringRef> data;
  bool external = false;
  std::vector<StringPair> externalData;
};

struct Dim {
  std::optional<int64_t> value;
  StringRef parameter;
};

struct Type {
  enum class Kind { None, Tensor, Other } kind = Kind::None;
  /// What kind Other is, for messages.
  const char *other = "";
  int32_t elementType = 0;
  std::optional<std::vector<Dim>> shape;
};

struct Value {
  StringRef name;
  Type type;
};

struct Attribute {
  enum Kind {
    Undefined,
    Float,
    Int,
    String,
    TensorKind,
    GraphKind,
    Floats,
    Ints,
    Strings,
    Tensors,
    Graphs,
    SparseTensor,
    SparseTensors,
    TypeKind,
    Types
  };
  StringRef name, reference;
  int32_t kind = Undefined;
  float f = 0;
  int64_t i = 0;
  StringRef s;
  std::vector<float> floats;
  std::vector<int64_t> ints;
  std::vector<StringRef> strings;
  std::unique_ptr<Tensor> tensor;
  std::unique_ptr<Graph> graph;
};

struct Node {
  StringRef name, operation, domain, overload;
  std::vector<StringRef> inputs, outputs;
  std::vector<Attribute> attributes;
};

struct Graph {
  std::vector<Node> nodes;
  std::vector<Tensor> initializers;
  std::vector<Value> inputs, outputs, values;
  bool hasSparseInitializers = false;
};

struct Opset {
  StringRef domain;
  int64_t version = 0;
};

struct Function {
  StringRef name, domain, overload;
  std::vector<StringRef> inputs, outputs;
  /// Attributes without a default, and those with one.
  std::vector<StringRef> attributes;
  std::vector<Attribute> defaults;
  std::vector<Node> nodes;
  std::vector<Opset> opsets;
};

struct Model {
  std::vector<Opset> opsets;
  std::optional<Graph> graph;
  std::vector<Function> functions;
  bool hasTraining = false;
};

/// Reads a ModelProto. The result refers to `bytes`.
llvm::Expected<Model> parseModel(StringRef bytes);

/// Reads a TensorProto. The result refers to `bytes`.
llvm::Expected<Tensor> parseTensor(StringRef bytes);

} // namespace moec::proto
