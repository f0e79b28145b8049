// Appends by units of heads write what the op's description says, in memory of
// their own and in that of a session's state, rotated on the way or not.
#include "test/unit/kernels/cache_append_cases.h"
#include "test/unit/kernels/device_program.h"
#include "test/unit/kernels/rope_cases.h"
#include "test/unit/kernels/typed_program.h"
#include "gtest/gtest.h"

using namespace moec;
using namespace moec::test;

namespace {

std::mt19937 random_{7};

TEST(CudaCacheAppendTest, CopiesWritesAndZeroes) {
  for (auto [element, depth, lengths] :
       {std::tuple(kFloats[0], 64, true), std::tuple(kFloats[0], 19, false),
        std::tuple(kFloats[2], 64, false), std::tuple(kFloats[2], 19, true)}) {
    DeviceProgram program(withType(cacheAppend(depth, lengths), element.name), testedCudaChip());
    ASSERT_TRUE(program.valid());
    // None before; room behind; none of them new.
    for (auto [past, update, present] : {std::tuple(130, 5, 135), std::tuple(0, 3, 70),
                                         std::tuple(4, 0, 4), std::tuple(6, 9, 8)}) {
      Array old = randomArray(random_, {3, 2, past, depth}, element.type);
      Array added = randomArray(random_, {3, update, 2, depth}, element.type);
      Array counts = randomIntegers(random_, {3}, 0, past);
      std::vector<Array> results = program.run({old, added, zeros({present}, MOEC_I64), counts});
      ASSERT_EQ(results.size(), 1u);
      Array expected = appended(old, added, present, [&](int64_t b) {
        return lengths ? int64_t(counts.values[b]) : past;
      });
      EXPECT_TRUE(identical(results[0], expected)) << past << " " << update;
    }
  }
}

/// A state of two rows that grows by what is rotated.
std::string rotated(int64_t depth, int64_t pairs) {
  return llvm::formatv(R"mlir(
    func.func @main(%past: tensor<2x2x?x{0}x!T>, %x: tensor<2x?x2x{0}x!T>, %cos: tensor<?x{1}x!T>, %sin: tensor<?x{1}x!T>,
                    %p: tensor<2x?xi64>, %size: tensor<?xi64>, %n: tensor<2xi64>) -> tensor<2x2x?x{0}x!T> {{
      %c0 = arith.constant 0 : index
      %t = tensor.dim %size, %c0 : tensor<?xi64>
      %dest = tensor.empty(%t) : tensor<2x2x?x{0}x!T>
      %new = attn.rope %x, %cos, %sin positions(%p : tensor<2x?xi64>)
           : tensor<2x?x2x{0}x!T>, tensor<?x{1}x!T>, tensor<?x{1}x!T> -> tensor<2x?x2x{0}x!T>
      %y = attn.cache_append %past, %new lengths(%n : tensor<2xi64>) outs(%dest : tensor<2x2x?x{0}x!T>)
           : tensor<2x2x?x{0}x!T>, tensor<2x?x2x{0}x!T> -> tensor<2x2x?x{0}x!T>
      return %y : tensor<2x2x?x{0}x!T>
    })mlir",
                       depth, pairs)
      .str();
}

/// The state moves to more room, and grows in place.
TEST(CudaCacheAppendTest, RotatesIntoAState) {
  for (auto [element, depth, pairs] :
       {std::tuple(kFloats[0], 64, 24), std::tuple(kFloats[2], 32, 16)}) {
    Rotation form{false, true, 2, depth, pairs};
    DeviceProgram program(withType(rotated(depth, pairs), element.name), testedCudaChip());
    Program rotation(withType(form.source(), element.name), "moec-decompose");
    ASSERT_TRUE(program.valid() && rotation.valid());
    Array state = zeros({2, 2, 0, depth}, element.type);
    for (auto [update, present] :
         {std::pair(20, 20), std::pair(1, 21), std::pair(1, 22), std::pair(3, 30)}) {
      std::vector<Array> inputs = form.inputs(random_, element.type, 2, update);
      // The second row has less behind it at last.
      Array lengths = array(
          {2}, {double(state.shape[2]), double(std::min(state.shape[2], int64_t(21)))}, MOEC_I64);
      std::vector<Array> results = program.run(
          {{}, inputs[0], inputs[1], inputs[2], inputs[3], zeros({present}, MOEC_I64), lengths});
      ASSERT_EQ(results.size(), 1u);
      state = appended(state, rotation.run(inputs)[0], present,
                       [&](int64_t b) { return int64_t(lengths.values[b]); });
      EXPECT_TRUE(identical(results[0], state)) << present;
    }
  }
}

/// What precedes an attention, and the attention.
constexpr const char *kAttention = R"mlir(
    func.func @main(%pk: tensor<?x2x?x32x!T>, %pv: tensor<?x2x?x16x!T>, %q: tensor<?x?x6x32x!T>, %k: tensor<?x?x2x32x!T>, %v: tensor<?x?x2x16x!T>,
                    %cos: tensor<?x16x!T>, %sin: tensor<?x16x!T>, %p: tensor<?x?xi64>, %size: tensor<?xi64>, %n: tensor<?xi64>)
        -> (tensor<?x2x?x32x!T>, tensor<?x2x?x16x!T>, tensor<?x?x6x16x!T>) {
      %c0 = arith.constant 0 : index
      %b = tensor.dim %pk, %c0 : tensor<?x2x?x32x!T>
      %t = tensor.dim %size, %c0 : tensor<?xi64>
      %dk = tensor.empty(%b, %t) : tensor<?x2x?x32x!T>
      %dv = tensor.empty(%b, %t) : tensor<?x2x?x16x!T>
      %qr = attn.rope %q, %cos, %sin positions(%p : tensor<?x?xi64>) : tensor<?x?x6x32x!T>, tensor<?x16x!T>, tensor<?x16x!T> -> tensor<?x?x6x32x!T>
      %kr = attn.rope %k, %cos, %sin positions(%p : tensor<?x?xi64>) : tensor<?x?x2x32x!T>, tensor<?x16x!T>, tensor<?x16x!T> -> tensor<?x?x2x32x!T>
      %ka = attn.cache_append %pk, %kr lengths(%n : tensor<?xi64>) outs(%dk : tensor<?x2x?x32x!T>) : tensor<?x2x?x32x!T>, tensor<?x?x2x32x!T> -> tensor<?x2x?x32x!T>
      %va = attn.cache_append %pv, %v lengths(%n : tensor<?xi64>) outs(%dv : tensor<?x2x?x16x!T>) : tensor<?x2x?x16x!T>, tensor<?x?x2x16x!T> -> tensor<?x2x?x16x!T>
      %y = attn.attention %qr, %ka, %va q_offsets(%n : tensor<?xi64>) {scale = 0.25 : f64, right = 0} : tensor<?x?x6x32x!T>, tensor<?x2x?x32x!T>, tensor<?x2x?x16x!T> -> tensor<?x?x6x16x!T>
      return %ka, %va, %y : tensor<?x2x?x32x!T>, tensor<?x2x?x16x!T>, tensor<?x?x6x16x!T>
    })mlir";

TEST(CudaCacheAppendTest, OneKernelUpdatesWhatAttentionReads) {
  const ElementType element = kFloats[0];
  DeviceProgram program(withType(kAttention, element.name), testedCudaChip());
  Program plain(withType(kAttention, element.name), "moec-decompose");
  ASSERT_TRUE(program.valid() && plain.valid());
  for (auto [past, added] : {std::pair(0, 40), std::pair(40, 1), std::pair(3, 2)}) {
    auto random = [&](std::vector<int64_t> shape) {
      return randomArray(random_, std::move(shape), element.type);
    };
    std::vector<Array> inputs{random({3, 2, past, 32}),
                              random({3, 2, past, 16}),
                              random({3, added, 6, 32}),
                              random({3, added, 2, 32}),
                              random({3, added, 2, 16}),
                              random({64, 16}),
                              random({64, 16}),
                              randomIntegers(random_, {3, added}, 0, 63),
                              zeros({past + added}, MOEC_I64),
                              array({3}, std::vector<double>(3, past), MOEC_I64)};
    std::vector<Array> results = program.run(inputs), expected = plain.run(inputs);
    ASSERT_EQ(results.size(), 3u);
    EXPECT_TRUE(identical(results[0], expected[0])) << past;
    EXPECT_TRUE(identical(results[1], expected[1])) << past;
    EXPECT_LT(difference(results[2], expected[2]), element.threshold) << past;
  }
}

} // namespace
