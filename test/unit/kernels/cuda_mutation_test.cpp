// Kernels as they are shipped, launched so that they do all that they can: on rows
// that begin where vectors can be read and on others, with tiles that are full and
// parts, with groups of every size. That results are right is for other tests;
// vgpu-mutate asks whether mistakes in the kernels would change anything.
#include "test/unit/kernels/attention_cases.h"
#include "test/unit/kernels/cuda_matmul_cases.h"
#include "llvm/Support/FormatVariadic.h"
#include <numeric>

using namespace moec;
using namespace moec::test;

namespace {

std::string nameOf(moec_element_type type) {
  return type == MOEC_F32 ? "f32" : type == MOEC_F16 ? "f16" : "bf16";
}

/// The program on tensors %arg0 that are columns 1 to `columns` of larger ones: their
/// rows begin where no vector can be read.
std::string onSlices(std::string text, int64_t columns, moec_element_type type) {
  std::string given = llvm::formatv("%arg0: tensor<?x{0}x{1}>", columns, nameOf(type));
  std::string whole = llvm::formatv("tensor<?x{0}x{1}>", columns + 1, nameOf(type));
  size_t at = text.find(given), end = text.find('\n', at);
  if (at == std::string::npos)
    return "";
  std::string slice =
      llvm::formatv("\n%first = arith.constant 0 : index\n%rows = tensor.dim %whole, %first : {0}\n"
                    "%arg0 = tensor.extract_slice %whole[0, 1] [%rows, {1}] [1, 1] : {0} to "
                    "tensor<?x{1}x{2}>",
                    whole, columns, nameOf(type));
  text.insert(end, slice);
  return text.replace(at, given.size(), "%whole: " + whole);
}

void expectRuns(DeviceProgram &program, const std::vector<Array> &inputs) {
  ASSERT_TRUE(program.valid());
  EXPECT_FALSE(program.run(inputs).empty());
}

struct Product {
  const char *name;
  Operands operands;
};
using enum WeightType;
const Product kProducts[] = {{"f32", {f32}},
                             {"bf16", {bf16}},
                             {"bf16_by_bf16", {bf16, MOEC_BF16}},
                             {"f16_by_f16", {f16, MOEC_F16}},
                             {"int8", {int8}},
                             {"int8_by_bf16", {int8, MOEC_BF16, 128, bf16, true}},
                             {"int4", {int4, MOEC_F32, 64, f32, true}},
                             {"int4_by_f16", {int4, MOEC_F16, 32, f16}}};

class MutatedMatmul : public CudaMatmulTest,
                      public testing::WithParamInterface<std::tuple<Product, cuda::TileSize>> {
protected:
  const Operands &operands() const { return std::get<0>(GetParam()).operands; }
  cuda::TileSize size() const { return std::get<1>(GetParam()); }
};

TEST_P(MutatedMatmul, Dense) {
  constexpr int64_t kColumns = 83, kDepth = 200;
  cuda::Matmul matmul = matmulOf(operands(), 1, kColumns, kDepth);
  std::vector<Array> matrices =
      packed(randomMatrices(random, matricesOf(matmul)), matricesOf(matmul));
  std::string text = textOf(matmul, size());
  DeviceProgram aligned(text, testedCudaChip());
  DeviceProgram sliced(onSlices(text, kDepth, operands().rows), testedCudaChip());
  for (int64_t rows : {70, 1, 130})
    expectRuns(aligned, join({randomArray(random, {rows, kDepth}, operands().rows)}, matrices));
  for (int64_t rows : {70, 3})
    expectRuns(sliced, join({randomArray(random, {rows, kDepth + 1}, operands().rows)}, matrices));
}

TEST_P(MutatedMatmul, Grouped) {
  constexpr int64_t kGroups = 5, kInner = 70, kDepth = 128;
  cuda::Matmul matmul = matmulOf(operands(), kGroups, 2 * kInner, kDepth, GateRows::halves);
  matmul.hasRows = matmul.hasOffsets = matmul.hasBias = true;
  matmul.rowDivisor = 2;
  using llvm::APFloat;
  matmul.activation = moe::ActivationAttr::get(&context, moe::Function::silu, moe::Gate::halves,
                                               APFloat(1.702), APFloat(1.0), APFloat(1.5));
  std::vector<Array> matrices =
      packed(randomMatrices(random, matricesOf(matmul)), matricesOf(matmul));
  Array bias = randomArray(random, {kGroups, 2 * kInner});
  std::string text = textOf(matmul, size());
  DeviceProgram aligned(text, testedCudaChip());
  DeviceProgram sliced(onSlices(text, kDepth, operands().rows), testedCudaChip());
  auto run = [&](DeviceProgram &program, int64_t columns, std::vector<double> offsets) {
    int64_t tokens = static_cast<int64_t>(offsets.back()) / 2 + 1;
    std::vector<double> slots(2 * tokens);
    std::iota(slots.begin(), slots.end(), 0);
    std::shuffle(slots.begin(), slots.end(), random);
    Array x = randomArray(random, {tokens, columns}, operands().rows);
    expectRuns(program, join(join({x, array({2 * tokens}, slots, MOEC_I32),
                                   array({kGroups + 1}, offsets, MOEC_I32)},
                                  matrices),
                             {bias}));
  };
  run(aligned, kDepth, {0, 70, 71, 71, 80, 150});
  run(aligned, kDepth, {0, 0, 1, 9, 17, 17});
  run(sliced, kDepth + 1, {0, 9, 40, 41, 41, 110});
}

std::string nameOfCase(const testing::TestParamInfo<MutatedMatmul::ParamType> &info) {
  constexpr const char *kNames[] = {"few", "some", "many"};
  auto [product, size] = info.param;
  return std::string(product.name) + "_" + kNames[static_cast<int>(size)];
}
INSTANTIATE_TEST_SUITE_P(Kernels, MutatedMatmul,
                         testing::Combine(testing::ValuesIn(kProducts), testing::ValuesIn(kSizes)),
                         nameOfCase);

class MutatedAttention : public testing::Test {
protected:
  void attend(Form form, const Sizes &sizes, moec_element_type type) {
    form = withSizes(form, sizes);
    form.type = nameOf(type);
    DeviceProgram program(form.source(), testedCudaChip());
    std::vector<Array> inputs = randomInputs(random, form, sizes, type);
    expectRuns(program, inputs);
    Sizes fewer = sizes;
    fewer.queries = 1, fewer.keys = 70;
    expectRuns(program, randomInputs(random, form, fewer, type));
  }
  std::mt19937 random{7};
};

TEST_F(MutatedAttention, InF32) {
  attend({.mask = true, .lengths = true, .offsets = true, .right = 0}, {2, 5, 6, 2, 150, 24, 16},
         MOEC_F32);
}
TEST_F(MutatedAttention, InBf16) {
  attend({.sink = true, .lengths = true, .offsets = true, .left = 90, .right = 0},
         {2, 20, 6, 2, 150, 24, 16}, MOEC_BF16);
}
/// So many tiles that chunks are merged in registers; o has two parts.
TEST_F(MutatedAttention, OfManyTiles) {
  attend({.sink = true, .lengths = true, .offsets = true, .right = 0}, {70, 5, 4, 4, 140, 16, 136},
         MOEC_BF16);
}

} // namespace
