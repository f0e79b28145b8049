//===- GraphImporter.h - graphs, nodes and functions ----------------------===//
#pragma once

#include "lib/import/Import.h"
#include "lib/import/TensorReader.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringSet.h"

namespace moec {

/// The values that a graph's nodes can name; subgraphs see those around them.
class ValueScope {
public:
  explicit ValueScope(const ValueScope *parent = nullptr) : parent(parent) {}
  mlir::Value lookup(llvm::StringRef name) const;
  /// False when this graph already has a value of that name.
  bool define(llvm::StringRef name, mlir::Value value);
  /// Whether this graph, not one around it, has a value of that name.
  bool isLocal(llvm::StringRef name) const { return values.contains(name); }

private:
  const ValueScope *parent;
  llvm::StringMap<mlir::Value> values;
};

using OpsetVersions = llvm::StringMap<int64_t>;
using FunctionTable = llvm::StringMap<const proto::Function *>;
using FunctionArguments = llvm::StringMap<const proto::Attribute *>;

/// The default domain has two names; this is the shorter.
llvm::StringRef canonicalDomain(llvm::StringRef domain);
/// The key of a function in a FunctionTable.
std::string functionKey(llvm::StringRef domain, llvm::StringRef name, llvm::StringRef overload);

/// Imports the nodes of one model.
class GraphImporter {
public:
  GraphImporter(mlir::ModuleOp module, TensorReader &tensors, const FunctionTable &functions,
                const ImportOptions &options, mlir::Location file)
      : module(module), tensors(tensors), functions(functions), options(options), file(file),
        b(module.getContext()) {}

  /// Adds the function `main` to the module.
  mlir::LogicalResult importMain(const proto::Graph &graph, const OpsetVersions &opsets);

private:
  using Types = llvm::StringMap<mlir::Type>;

  /// What the nodes being imported are part of.
  struct Frame {
    const OpsetVersions &opsets;
    const Types &types;
    /// Set inside an inlined function.
    const proto::Function *function = nullptr;
    const FunctionArguments *arguments = nullptr;
    const Frame *caller = nullptr;
    std::string prefix = {};
    int depth = 0;
  };

  // Graphs: GraphImporter.cpp
  mlir::Location named(const Frame &frame, llvm::StringRef name);
  mlir::FailureOr<mlir::Type> importType(mlir::Location loc, const proto::Type &type);
  mlir::LogicalResult declareTypes(const proto::Graph &graph, const Frame &frame, Types &types);
  mlir::LogicalResult importGraph(const proto::Graph &graph, const Frame &frame, mlir::Block *block,
                                  ValueScope &scope, llvm::SmallVectorImpl<mlir::Value> &results);
  mlir::LogicalResult importInitializers(const proto::Graph &graph, const Frame &frame,
                                         ValueScope &scope);
  mlir::LogicalResult importBody(mlir::Location loc, const proto::Graph &graph, const Frame &frame,
                                 const ValueScope &outer, mlir::Region &region);
  mlir::LogicalResult define(mlir::Location loc, llvm::StringRef name, mlir::Value value,
                             const Frame &frame, ValueScope &scope);

  // Nodes: ImportNode.cpp
  struct NodeAttributes {
    mlir::NamedAttrList parameters;
    llvm::SmallVector<const proto::Graph *, 2> bodies;
  };
  mlir::LogicalResult importNode(const proto::Node &node, size_t index, const Frame &frame,
                                 ValueScope &scope);
  mlir::LogicalResult importOperands(mlir::Location loc, const proto::Node &node,
                                     const ValueScope &scope,
                                     llvm::SmallVectorImpl<mlir::Value> &operands);
  mlir::FailureOr<NodeAttributes> importAttributes(mlir::Location loc, const proto::Node &node,
                                                   const Frame &frame);
  mlir::FailureOr<mlir::Attribute> importAttribute(mlir::Location loc, llvm::StringRef name,
                                                   const proto::Attribute &attribute);
  /// The attribute that a node means: null when it refers to one that its
  /// function was not given.
  mlir::FailureOr<const proto::Attribute *>
  resolve(mlir::Location loc, const proto::Attribute &attribute, const Frame &frame);
  mlir::LogicalResult inlineFunction(mlir::Location loc, const proto::Node &node,
                                     const proto::Function &function, mlir::ValueRange inputs,
                                     const Frame &frame, ValueScope &scope);

  // Constants and weights: ImportConstant.cpp
  mlir::FailureOr<mlir::Value> importTensor(mlir::Location loc, llvm::StringRef name,
                                            const proto::Tensor &tensor);
  mlir::FailureOr<mlir::Value> importConstantNode(mlir::Location loc, const proto::Node &node,
                                                  const Frame &frame);
  std::string uniqueSymbol(llvm::StringRef name);

  mlir::ModuleOp module;
  TensorReader &tensors;
  const FunctionTable &functions;
  const ImportOptions &options;
  mlir::Location file;
  mlir::OpBuilder b;
  llvm::StringSet<> symbols;
  int64_t inlinedNodes = 0;
};

} // namespace moec
