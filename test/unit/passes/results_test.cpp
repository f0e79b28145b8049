// Results keep their values when others are computed, wherever they are placed.
#include "test/unit/dialects/program.h"

#include "gtest/gtest.h"

using namespace moec::test;

namespace {

void expectResults(const std::string &source, const std::vector<Array> &inputs,
                   const std::vector<Array> &expected) {
  Program program(source);
  ASSERT_TRUE(program.valid());
  std::vector<Array> results = program.run(inputs);
  ASSERT_EQ(results.size(), expected.size());
  for (size_t i = 0; i < results.size(); ++i)
    EXPECT_EQ(results[i].values, expected[i].values) << i;
}

TEST(Results, OfSumsThatStartFromOneZero) {
  expectResults(R"mlir(
    func.func @main(%x: tensor<?x2xf32>, %z: tensor<?x2xf32>) -> (tensor<?xf32>, tensor<?xf32>) {
      %c0 = arith.constant 0 : index
      %zero = arith.constant 0.0 : f32
      %d = tensor.dim %x, %c0 : tensor<?x2xf32>
      %e = tensor.empty(%d) : tensor<?xf32>
      %f = linalg.fill ins(%zero : f32) outs(%e : tensor<?xf32>) -> tensor<?xf32>
      %y = linalg.reduce { arith.addf } ins(%x : tensor<?x2xf32>) outs(%f : tensor<?xf32>) dimensions = [1]
      %w = linalg.reduce { arith.addf } ins(%z : tensor<?x2xf32>) outs(%f : tensor<?xf32>) dimensions = [1]
      return %y, %w : tensor<?xf32>, tensor<?xf32>
    })mlir",
                {array({2, 2}, {1, 2, 3, 4}), array({2, 2}, {5, 6, 7, 8})},
                {array({2}, {3, 7}), array({2}, {11, 15})});
}

TEST(Results, OfConcatenationsThatStartAlike) {
  expectResults(R"mlir(
    func.func @main(%a: tensor<?xf32>, %b: tensor<?xf32>, %c: tensor<?xf32>) -> (tensor<?xf32>, tensor<?xf32>) {
      %c0 = arith.constant 0 : index
      %m = tensor.dim %a, %c0 : tensor<?xf32>
      %n = tensor.dim %b, %c0 : tensor<?xf32>
      %s = arith.addi %m, %n : index
      %e = tensor.empty(%s) : tensor<?xf32>
      %head = tensor.insert_slice %a into %e[0] [%m] [1] : tensor<?xf32> into tensor<?xf32>
      %y = tensor.insert_slice %b into %head[%m] [%n] [1] : tensor<?xf32> into tensor<?xf32>
      %z = tensor.insert_slice %c into %head[%m] [%n] [1] : tensor<?xf32> into tensor<?xf32>
      return %y, %z : tensor<?xf32>, tensor<?xf32>
    })mlir",
                {array({1}, {1}), array({2}, {2, 3}), array({2}, {4, 5})},
                {array({3}, {1, 2, 3}), array({3}, {1, 4, 5})});
}

TEST(Results, OfWhichOneStartsFromAnother) {
  expectResults(R"mlir(
    func.func @main(%x: tensor<?xf32>, %z: tensor<?x2xf32>) -> (tensor<?xf32>, tensor<?xf32>) {
      %c0 = arith.constant 0 : index
      %d = tensor.dim %x, %c0 : tensor<?xf32>
      %e = tensor.empty(%d) : tensor<?xf32>
      %y = linalg.negf ins(%x : tensor<?xf32>) outs(%e : tensor<?xf32>) -> tensor<?xf32>
      %w = linalg.reduce { arith.addf } ins(%z : tensor<?x2xf32>) outs(%y : tensor<?xf32>) dimensions = [1]
      return %w, %y : tensor<?xf32>, tensor<?xf32>
    })mlir",
                {array({2}, {1, 2}), array({2, 2}, {5, 6, 7, 8})},
                {array({2}, {10, 13}), array({2}, {-1, -2})});
}

TEST(Results, OfWhichOneIsAPartOfWhatAnotherStartsFrom) {
  expectResults(R"mlir(
    func.func @main(%x: tensor<?xf32>, %z: tensor<?x2xf32>) -> (tensor<?xf32>, tensor<1xf32>) {
      %c0 = arith.constant 0 : index
      %d = tensor.dim %x, %c0 : tensor<?xf32>
      %e = tensor.empty(%d) : tensor<?xf32>
      %y = linalg.negf ins(%x : tensor<?xf32>) outs(%e : tensor<?xf32>) -> tensor<?xf32>
      %part = tensor.extract_slice %y[1] [1] [1] : tensor<?xf32> to tensor<1xf32>
      %w = linalg.reduce { arith.addf } ins(%z : tensor<?x2xf32>) outs(%y : tensor<?xf32>) dimensions = [1]
      return %w, %part : tensor<?xf32>, tensor<1xf32>
    })mlir",
                {array({2}, {1, 2}), array({2, 2}, {5, 6, 7, 8})},
                {array({2}, {10, 13}), array({1}, {-2})});
}

} // namespace
