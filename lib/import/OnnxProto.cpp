#include "lib/import/OnnxProto.h"

#include "lib/import/Wire.h"
#include "llvm/Support/Endian.h"

using namespace llvm;
using moec::wire::Field;
using moec::wire::forEachField;
using moec::wire::forEachVarint;
using moec::wire::read;

namespace moec::proto {
namespace {

/// Graphs nest through attributes; deeper nesting than this is an attack on
/// the stack, not a model.
constexpr int kMaxDepth = 32;

class Parser {
public:
  Error parse(const Field &field, StringPair &pair) {
    return message(field, [&](const Field &f) -> Error {
      switch (f.number) {
      case 1:
        return read(f, pair.key);
      case 2:
        return read(f, pair.value);
      }
      return Error::success();
    });
  }

  Error parse(StringRef bytes, Tensor &tensor) {
    return forEachField(bytes, [&](const Field &f) -> Error {
      switch (f.number) {
      case 1:
        return forEachVarint(f, [&](uint64_t dim) { tensor.dims.push_back(dim); });
      case 2:
        return read(f, tensor.elementType);
      case 8:
        return read(f, tensor.name);
      case 9:
        return read(f, tensor.raw.emplace());
      case 13:
        return parse(f, tensor.externalData.emplace_back());
      case 14:
        tensor.external = f.value == 1;
        return Error::success();
      case 4:  // float_data
      case 5:  // int32_data
      case 6:  // string_data
      case 7:  // int64_data
      case 10: // double_data
      case 11: // uint64_data
        if (tensor.dataField && tensor.dataField != f.number)
          return createStringError("a tensor has data in fields %u and %u", tensor.dataField,
                                   f.number);
        tensor.dataField = f.number;
        tensor.data.push_back(f.bytes);
        return Error::success();
      }
      return Error::success();
    });
  }
  Error parse(const Field &field, Tensor &tensor) {
    StringRef bytes;
    if (Error error = read(field, bytes))
      return error;
    return parse(bytes, tensor);
  }

  Error parse(const Field &field, Dim &dim) {
    return message(field, [&](const Field &f) -> Error {
      switch (f.number) {
      case 1:
        return read(f, dim.value.emplace());
      case 2:
        return read(f, dim.parameter);
      }
      return Error::success();
    });
  }

  Error parseTensorType(const Field &field, Type &type) {
    type.kind = Type::Kind::Tensor;
    return message(field, [&](const Field &f) -> Error {
      switch (f.number) {
      case 1:
        return read(f, type.elementType);
      case 2:
        type.shape.emplace();
        return message(f, [&](const Field &dim) -> Error {
          return dim.number == 1 ? parse(dim, type.shape->emplace_back()) : Error::success();
        });
      }
      return Error::success();
    });
  }

  Error parse(const Field &field, Type &type) {
    return message(field, [&](const Field &f) -> Error {
      if (f.number == 1)
        return parseTensorType(f, type);
      for (auto [number, name] : {std::pair(4u, "sequence"), std::pair(5u, "map"),
                                  std::pair(8u, "sparse tensor"), std::pair(9u, "optional")})
        if (f.number == number) {
          type.kind = Type::Kind::Other;
          type.other = name;
        }
      return Error::success();
    });
  }

  Error parse(const Field &field, Value &value) {
    return message(field, [&](const Field &f) -> Error {
      switch (f.number) {
      case 1:
        return read(f, value.name);
      case 2:
        return parse(f, value.type);
      }
      return Error::success();
    });
  }

  Error parseFloats(const Field &field, std::vector<float> &floats) {
    if (field.bytes.size() % 4)
      return createStringError("a list of floats has %zu bytes", field.bytes.size());
    for (size_t at = 0; at < field.bytes.size(); at += 4)
      floats.push_back(support::endian::read<float, endianness::little>(field.bytes.data() + at));
    return Error::success();
  }

  Error parse(const Field &field, Attribute &attribute) {
    return message(field, [&](const Field &f) -> Error {
      switch (f.number) {
      case 1:
        return read(f, attribute.name);
      case 2:
        return read(f, attribute.f);
      case 3:
        return read(f, attribute.i);
      case 4:
        return read(f, attribute.s);
      case 5:
        return parse(f, *(attribute.tensor = std::make_unique<Tensor>()));
      case 6:
        return parse(f, *(attribute.graph = std::make_unique<Graph>()));
      case 7:
        return parseFloats(f, attribute.floats);
      case 8:
        return forEachVarint(f, [&](uint64_t value) { attribute.ints.push_back(value); });
      case 9:
        return read(f, attribute.strings.emplace_back());
      case 20:
        return read(f, attribute.kind);
      case 21:
        return read(f, attribute.reference);
      }
      return Error::success();
    });
  }

  Error parse(const Field &field, Node &node) {
    return message(field, [&](const Field &f) -> Error {
      switch (f.number) {
      case 1:
        return read(f, node.inputs.emplace_back());
      case 2:
        return read(f, node.outputs.emplace_back());
      case 3:
        return read(f, node.name);
      case 4:
        return read(f, node.operation);
      case 5:
        return parse(f, node.attributes.emplace_back());
      case 7:
        return read(f, node.domain);
      case 8:
        return read(f, node.overload);
      }
      return Error::success();
    });
  }

  Error parse(const Field &field, Graph &graph) {
    if (++depth > kMaxDepth)
      return createStringError("graphs are nested more than %d deep", kMaxDepth);
    Error error = message(field, [&](const Field &f) -> Error {
      switch (f.number) {
      case 1:
        return parse(f, graph.nodes.emplace_back());
      case 5:
        return parse(f, graph.initializers.emplace_back());
      case 11:
        return parse(f, graph.inputs.emplace_back());
      case 12:
        return parse(f, graph.outputs.emplace_back());
      case 13:
        return parse(f, graph.values.emplace_back());
      case 15:
        graph.hasSparseInitializers = true;
      }
      return Error::success();
    });
    --depth;
    return error;
  }

  Error parse(const Field &field, Opset &opset) {
    return message(field, [&](const Field &f) -> Error {
      switch (f.number) {
      case 1:
        return read(f, opset.domain);
      case 2:
        return read(f, opset.version);
      }
      return Error::success();
    });
  }

  Error parse(const Field &field, Function &function) {
    return message(field, [&](const Field &f) -> Error {
      switch (f.number) {
      case 1:
        return read(f, function.name);
      case 4:
        return read(f, function.inputs.emplace_back());
      case 5:
        return read(f, function.outputs.emplace_back());
      case 6:
        return read(f, function.attributes.emplace_back());
      case 7:
        return parse(f, function.nodes.emplace_back());
      case 9:
        return parse(f, function.opsets.emplace_back());
      case 10:
        return read(f, function.domain);
      case 11:
        return parse(f, function.defaults.emplace_back());
      case 13:
        return read(f, function.overload);
      }
      return Error::success();
    });
  }

  Error parse(StringRef bytes, Model &model) {
    return forEachField(bytes, [&](const Field &f) -> Error {
      switch (f.number) {
      case 7:
        if (model.graph)
          return createStringError("the model has two graphs");
        return parse(f, model.graph.emplace());
      case 8:
        return parse(f, model.opsets.emplace_back());
      case 20:
        model.hasTraining = true;
        return Error::success();
      case 25:
        return parse(f, model.functions.emplace_back());
      }
      return Error::success();
    });
  }

private:
  Error message(const Field &field, function_ref<Error(const Field &)> visit) {
    StringRef bytes;
    if (Error error = read(field, bytes))
      return error;
    return forEachField(bytes, visit);
  }

  int depth = 0;
};

} // namespace

Expected<Model> parseModel(StringRef bytes) {
  Model model;
  if (Error error = Parser().parse(bytes, model))
    return std::move(error);
  return model;
}

Expected<Tensor> parseTensor(StringRef bytes) {
  Tensor tensor;
  if (Error error = Parser().parse(bytes, tensor))
    return std::move(error);
  return tensor;
}

} // namespace moec::proto
