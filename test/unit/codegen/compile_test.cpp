// Tensors in, numbers out: the stages from fuse to machine code, executed
// through the module ABI by the smallest host there can be.
#include "mlir/IR/DialectRegistry.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "moec/Compiler.h"
#include "moec/InitAll.h"
#include "gtest/gtest.h"
#include <cmath>
#include <csetjmp>
#include <cstdlib>

struct moec_call {
  const moec_module_v1 *module;
  moec_view *outputs;
  std::vector<std::vector<float>> memory;
  int32_t failed = -1;
  std::jmp_buf exit;
  int64_t split = 1;
};

namespace {

void *grow(moec_call *call, int64_t bytes) {
  return call->memory.emplace_back((bytes + 3) / 4).data();
}

void output(moec_call *call, int32_t index, const int64_t *sizes, moec_view *view) {
  for (int dim = 1, stride = 1; dim >= 0; --dim) {
    view->sizes[dim] = sizes[dim];
    view->strides[dim] = stride;
    stride *= sizes[dim];
  }
  view->data = grow(call, view->sizes[0] * view->sizes[1] * 4);
  call->outputs[index] = *view;
}

[[noreturn]] void fail(moec_call *call, int32_t message) {
  call->failed = message;
  std::longjmp(call->exit, 1);
}

void launch(moec_call *call, int32_t site, uint64_t *arguments, int64_t, int64_t grid) {
  int32_t status = 0;
  arguments[0] = reinterpret_cast<uint64_t>(&status);
  for (int64_t begin = 0; begin < grid; begin += call->split)
    call->module->kernels[site](arguments, begin, std::min(begin + call->split, grid));
  if (status)
    fail(call, status - 1);
}

const moec_services kServices = {grow, grow,   [](moec_call *, void *) {}, output, launch,
                                 fail, nullptr};

class CompileTest : public testing::Test {
protected:
  CompileTest() {
    mlir::DialectRegistry registry;
    moec::registerAllDialects(registry);
    context.appendDialectRegistry(registry);
  }

  std::unique_ptr<moec::CompiledModel> compile(const char *source) {
    auto module = mlir::parseSourceString<mlir::ModuleOp>(source, &context);
    return module ? moec::compileInProcess(*module, {}) : nullptr;
  }

  mlir::MLIRContext context;
};

TEST_F(CompileTest, MatmulAndActivationMatchDouble) {
  auto model = compile(R"mlir(
    func.func @main(%x: tensor<?x16xf32>, %w: tensor<16x8xf32>) -> tensor<?x8xf32> {
      %c0 = arith.constant 0 : index
      %zero = arith.constant 0.0 : f32
      %d = tensor.dim %x, %c0 : tensor<?x16xf32>
      %e = tensor.empty(%d) : tensor<?x8xf32>
      %f = linalg.fill ins(%zero : f32) outs(%e : tensor<?x8xf32>) -> tensor<?x8xf32>
      %m = linalg.matmul ins(%x, %w : tensor<?x16xf32>, tensor<16x8xf32>)
                         outs(%f : tensor<?x8xf32>) -> tensor<?x8xf32>
      %t = linalg.map { math.tanh } ins(%m : tensor<?x8xf32>) outs(%e : tensor<?x8xf32>)
      return %t : tensor<?x8xf32>
    })mlir");
  ASSERT_TRUE(model);
  constexpr int64_t kRows = 5, kDepth = 16, kColumns = 8;
  std::vector<float> x(kRows * kDepth), w(kDepth * kColumns);
  for (float *value : {x.data(), w.data()})
    for (size_t i = 0; i < (value == x.data() ? x : w).size(); ++i)
      value[i] = std::rand() / float(RAND_MAX) - 0.5f;
  moec_view inputs[2] = {{x.data(), {kRows, kDepth}, {kDepth, 1}},
                         {w.data(), {kDepth, kColumns}, {kColumns, 1}}};
  moec_view outputs[1];
  moec_call call{model->module(), outputs, {}, -1, {}, 2};
  ASSERT_EQ(model->module()->entry(&call, &kServices, inputs, nullptr), 0);
  ASSERT_EQ(outputs[0].sizes[0], kRows);
  for (int64_t i = 0; i < kRows; ++i)
    for (int64_t j = 0; j < kColumns; ++j) {
      double sum = 0;
      for (int64_t k = 0; k < kDepth; ++k)
        sum += double(x[i * kDepth + k]) * w[k * kColumns + j];
      EXPECT_NEAR(static_cast<float *>(outputs[0].data)[i * kColumns + j], std::tanh(sum), 1e-6);
    }
}

TEST_F(CompileTest, PartsOfATensorAreWrittenAndReadAtTheirOffset) {
  auto model = compile(R"mlir(
    func.func @main(%x: tensor<4x5xf32>) -> tensor<4x8xf32> {
      %one = arith.constant 1.0 : f32
      %e = tensor.empty() : tensor<4x8xf32>
      %f = linalg.fill ins(%one : f32) outs(%e : tensor<4x8xf32>) -> tensor<4x8xf32>
      %y = tensor.insert_slice %x into %f[0, 3] [4, 5] [1, 1] : tensor<4x5xf32> into tensor<4x8xf32>
      return %y : tensor<4x8xf32>
    })mlir");
  ASSERT_TRUE(model);
  std::vector<float> x(4 * 5);
  for (size_t i = 0; i < x.size(); ++i)
    x[i] = 2 + i;
  moec_view inputs[1] = {{x.data(), {4, 5}, {5, 1}}};
  moec_view outputs[1];
  moec_call call{model->module(), outputs, {}, -1, {}, 1};
  ASSERT_EQ(model->module()->entry(&call, &kServices, inputs, nullptr), 0);
  for (int row = 0; row < 4; ++row)
    for (int column = 0; column < 8; ++column)
      EXPECT_EQ(static_cast<float *>(outputs[0].data)[row * 8 + column],
                column < 3 ? 1 : x[row * 5 + column - 3]);
}

TEST_F(CompileTest, FailedCheckEndsTheCallWithItsMessage) {
  auto model = compile(R"mlir(
    func.func @main(%x: tensor<?x16xf32>) -> tensor<?x16xf32> {
      %c0 = arith.constant 0 : index
      %c4 = arith.constant 4 : index
      %d = tensor.dim %x, %c0 : tensor<?x16xf32>
      %ok = arith.cmpi ule, %d, %c4 : index
      cf.assert %ok, "at most 4 rows"
      %e = tensor.empty(%d) : tensor<?x16xf32>
      %y = linalg.map { math.absf } ins(%x : tensor<?x16xf32>) outs(%e : tensor<?x16xf32>)
      return %y : tensor<?x16xf32>
    })mlir");
  ASSERT_TRUE(model);
  EXPECT_NE(std::string(model->module()->metadata).find("at most 4 rows"), std::string::npos);
  std::vector<float> x(5 * 16, -1.0f);
  for (int64_t rows : {4, 5}) {
    moec_view inputs[1] = {{x.data(), {rows, 16}, {16, 1}}};
    moec_view outputs[1];
    moec_call call{model->module(), outputs, {}, -1, {}, 1};
    if (setjmp(call.exit) == 0)
      model->module()->entry(&call, &kServices, inputs, nullptr);
    EXPECT_EQ(call.failed, rows == 4 ? -1 : 0);
  }
}

} // namespace
