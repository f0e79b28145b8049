// Runs MLIR source through every stage of the compiler and the module ABI.
#pragma once

#include "mlir/IR/MLIRContext.h"
#include "moec/Compiler.h"
#include "llvm/Support/JSON.h"
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace moec::test {

/// A tensor as doubles, stored in `type` while a program runs.
struct Array {
  moec_element_type type = MOEC_F32;
  std::vector<int64_t> shape;
  std::vector<double> values;

  int64_t count() const;
  /// The element at the given indices.
  double &at(std::initializer_list<int64_t> indices);
  double at(std::initializer_list<int64_t> indices) const;
};

/// The values, rounded to `type`.
Array array(std::vector<int64_t> shape, std::vector<double> values,
            moec_element_type type = MOEC_F32);
/// Zeros.
Array zeros(std::vector<int64_t> shape, moec_element_type type = MOEC_F32);
/// Values from a normal distribution, rounded to `type`.
Array randomArray(std::mt19937 &random, std::vector<int64_t> shape,
                  moec_element_type type = MOEC_F32, double deviation = 1);
/// Integers from [low, high].
Array randomIntegers(std::mt19937 &random, std::vector<int64_t> shape, int64_t low, int64_t high,
                     moec_element_type type = MOEC_I64);

/// An array as a program takes it, and back.
std::vector<char> toBytes(const Array &array);
Array fromBytes(const void *bytes, std::vector<int64_t> shape, moec_element_type type);

/// The array as a type and as a constant of MLIR's text, which has 6 digits
/// behind the point.
std::string typeOf(const Array &x, const std::string &element);
std::string denseOf(const Array &x, const std::string &element);

class Program {
public:
  /// Compiles @main, after running `passes` (textual); `valid()` is false after
  /// an error.
  explicit Program(const std::string &source, const std::string &passes = "",
                   const std::string &chip = "native");
  bool valid() const { return model != nullptr; }

  /// Memory of an input for `size` elements along a dimension, in which the first
  /// output belongs, too.
  struct Room {
    size_t input, dim;
    int64_t size;
  };
  /// Executes @main with each kernel's range cut into pieces of `split`. Empty
  /// after a failed check.
  std::vector<Array> run(const std::vector<Array> &inputs, int64_t split = 3,
                         std::optional<Room> room = std::nullopt);

private:
  void loadWeights(const llvm::json::Object &metadata);

  mlir::MLIRContext context;
  std::vector<moec_element_type> outputTypes;
  std::vector<int> outputRanks, kernelOfSite;
  std::unique_ptr<CompiledModel> model;
  /// The weights file, and where the slots are in it.
  std::vector<uint64_t> weights;
  std::vector<void *> slots;
};

/// The largest |actual - expected|, relative to values above 1.
double difference(const Array &actual, const Array &expected);
/// Whether shapes and bits are equal.
bool identical(const Array &lhs, const Array &rhs);

} // namespace moec::test
