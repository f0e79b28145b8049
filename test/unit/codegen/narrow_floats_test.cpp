// Conversions of narrow floats in generated code are those of APFloat: every
// code outwards, and inwards every leading half of a single with its tail just
// below, at and just above the middle.
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "moec/InitAll.h"
#include "test/e2e/ModuleHost.h"
#include "gtest/gtest.h"
#include <cmath>

using llvm::APFloat;
using moec::e2e::HostTensor;

namespace {

constexpr int64_t kCount = 3 * 65536;

struct Format {
  const char *name;
  const llvm::fltSemantics &(*semantics)();
};

class NarrowFloatsTest : public testing::TestWithParam<Format> {};

std::vector<float> roundTrip(const char *type, HostTensor input) {
  mlir::DialectRegistry registry;
  moec::registerAllDialects(registry);
  mlir::MLIRContext context(registry);
  std::string text = llvm::StringRef(R"mlir(
    func.func @main(%x: tensor<196608xf32> {onnx.type = 1 : i64})
        -> (tensor<196608xf32> {onnx.type = 1 : i64}) {
      %e = tensor.empty() : tensor<196608xf32>
      %y = linalg.map ins(%x : tensor<196608xf32>) outs(%e : tensor<196608xf32>) (%v: f32, %o: f32) {
        %n = arith.truncf %v : f32 to TYPE
        %w = arith.extf %n : TYPE to f32
        linalg.yield %w : f32
      }
      return %y : tensor<196608xf32>
    })mlir")
                         .str();
  for (size_t at; (at = text.find("TYPE")) != std::string::npos;)
    text.replace(at, 4, type);
  auto module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
  if (!module)
    return {};
  auto model = moec::compileInProcess(*module, {});
  std::vector<HostTensor> inputs{std::move(input)};
  if (!model)
    return {};
  auto outputs = moec::e2e::runModule(*model, inputs);
  if (!outputs) {
    llvm::consumeError(outputs.takeError());
    return {};
  }
  std::vector<float> values(kCount);
  std::memcpy(values.data(), outputs->front().bytes.data(), kCount * sizeof(float));
  return values;
}

TEST_P(NarrowFloatsTest, RoundLikeAPFloat) {
  std::vector<uint32_t> bits;
  for (uint32_t head = 0; head < 65536; ++head)
    for (uint32_t tail : {0x7fffu, 0x8000u, 0x8001u})
      // The middle between two values of a format may be any leading half.
      bits.push_back((head << 16) + (tail - 0x8000u));
  HostTensor input{MOEC_F32, {kCount}, std::vector<char>(kCount * sizeof(float))};
  std::memcpy(input.bytes.data(), bits.data(), input.bytes.size());
  std::vector<float> values = roundTrip(GetParam().name, std::move(input));
  ASSERT_EQ(values.size(), static_cast<size_t>(kCount));
  const llvm::fltSemantics &semantics = GetParam().semantics();
  for (int64_t i = 0; i < kCount; ++i) {
    APFloat expected(APFloat::IEEEsingle(), llvm::APInt(32, bits[i]));
    bool losesInfo;
    if (!APFloat::semanticsHasNaN(semantics) && expected.isNaN())
      expected = APFloat::getZero(semantics, /*Negative=*/true);
    else if (!APFloat::semanticsHasNaN(semantics) && expected.isInfinity())
      expected = APFloat::getLargest(semantics, expected.isNegative());
    expected.convert(semantics, APFloat::rmNearestTiesToEven, &losesInfo);
    expected.convert(APFloat::IEEEsingle(), APFloat::rmNearestTiesToEven, &losesInfo);
    float wanted = expected.convertToFloat();
    ASSERT_TRUE(std::isnan(wanted)
                    ? std::isnan(values[i])
                    : wanted == values[i] && std::signbit(wanted) == std::signbit(values[i]))
        << std::hex << bits[i] << ": " << values[i] << ", expected " << wanted;
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, NarrowFloatsTest,
                         testing::Values(Format{"f8E4M3FN", APFloat::Float8E4M3FN},
                                         Format{"f8E4M3FNUZ", APFloat::Float8E4M3FNUZ},
                                         Format{"f8E5M2", APFloat::Float8E5M2},
                                         Format{"f8E5M2FNUZ", APFloat::Float8E5M2FNUZ},
                                         Format{"f4E2M1FN", APFloat::Float4E2M1FN}),
                         [](const auto &info) { return std::string(info.param.name); });

} // namespace
