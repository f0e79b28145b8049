// Kernels of products for a device, and what they are launched with.
#pragma once

#include "lib/kernels/cuda/HopperMatmul.h"
#include "test/unit/kernels/device_program.h"
#include "test/unit/kernels/matmul_cases.h"
#include "gtest/gtest.h"

namespace moec::test {

/// Of a product: the weights, the rows of x, and how weights are quantised.
struct Operands {
  WeightType weights;
  moec_element_type rows = MOEC_F32;
  int64_t block = 0;
  WeightType scales = WeightType::f32;
  bool hasZeros = false;
};

class CudaMatmulTest : public testing::Test {
protected:
  CudaMatmulTest() { context.loadDialect<moe::MoeDialect>(); }

  mlir::Type typeOf(moec_element_type type) {
    mlir::Builder b(&context);
    return type == MOEC_F32   ? mlir::Type(b.getF32Type())
           : type == MOEC_F16 ? mlir::Type(b.getF16Type())
                              : mlir::Type(b.getBF16Type());
  }

  cuda::Matmul matmulOf(const Operands &operands, int64_t groups, int64_t n, int64_t k,
                        GateRows gate = GateRows::none) {
    PackedLayout layout{groups, n, k, cuda::kPanel, gate, operands.weights};
    layout.together = cuda::Matmul::columnsOfWord(operands.weights);
    layout.block = operands.block;
    cuda::Matmul matmul{.layout = layout,
                        .x = typeOf(operands.rows),
                        .y = typeOf(MOEC_F32),
                        .scales = operands.scales,
                        .hasZeros = operands.hasZeros};
    EXPECT_TRUE(matmul.isSupported());
    return matmul;
  }

  static MatrixTypes matricesOf(const cuda::Matmul &matmul) {
    return {matmul.layout, matmul.scales,
            matmul.hasZeros ? std::optional(WeightType::int8) : std::nullopt};
  }

  /// A program of the kernel with the tile of a size, alone; in bands of the given
  /// tokens instead of its own, if any.
  static std::string textOf(cuda::Matmul matmul, cuda::TileSize size, int64_t bandTokens = 0) {
    matmul.tile = matmul.tileOf(size);
    if (bandTokens)
      matmul.tile.bandTokens = bandTokens;
    // Types of the kernel's own context are not those of the program's.
    return launchText(
        [&](mlir::OpBuilder &builder) {
          cuda::declareSharedMemory(builder, builder.getUnknownLoc());
          cuda::Matmul known = inContext(matmul, builder);
          mlir::func::FuncOp kernel = known.build(builder);
          if (mlir::func::FuncOp variant = known.buildForHopper(builder))
            cuda::addVariant(kernel, variant, "sm_90a");
          return kernel;
        },
        matmul.hasRows ? 1 : 0,
        [&](mlir::OpBuilder &builder, mlir::Value rows) {
          return matmul.grid(builder, builder.getUnknownLoc(), rows);
        });
  }
  static std::unique_ptr<DeviceProgram> programOf(const cuda::Matmul &matmul, cuda::TileSize size,
                                                  int64_t bandTokens = 0) {
    return std::make_unique<DeviceProgram>(textOf(matmul, size, bandTokens), testedCudaChip());
  }
  /// Of the tile that the chip's kernel of a size has.
  static int64_t tokensOf(const cuda::Matmul &matmul, cuda::TileSize size) {
    cuda::Matmul sized = matmul;
    sized.tile = matmul.tileOf(size);
    bool isHopper = testedCudaChip() == "sm_90a" && cuda::hasHopperKernel(sized);
    return isHopper ? cuda::kHopperTokens : sized.tile.tokens;
  }

  static cuda::Matmul inContext(cuda::Matmul matmul, mlir::Builder &b) {
    auto translate = [&](mlir::Type type) {
      return type.isF32()   ? mlir::Type(b.getF32Type())
             : type.isF16() ? mlir::Type(b.getF16Type())
                            : mlir::Type(b.getBF16Type());
    };
    matmul.x = translate(matmul.x);
    matmul.y = translate(matmul.y);
    if (moe::ActivationAttr given = matmul.activation)
      matmul.activation =
          moe::ActivationAttr::get(b.getContext(), given.getFunction(), given.getGate(),
                                   given.getAlpha(), given.getBeta(), given.getLimit());
    return matmul;
  }

  mlir::MLIRContext context;
  std::mt19937 random{20240611};
};

inline constexpr cuda::TileSize kSizes[] = {cuda::TileSize::few, cuda::TileSize::some,
                                            cuda::TileSize::many};

inline std::vector<Array> join(std::vector<Array> list, const std::vector<Array> &more) {
  list.insert(list.end(), more.begin(), more.end());
  return list;
}

} // namespace moec::test
