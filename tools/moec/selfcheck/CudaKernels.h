//===- CudaKernels.h - PTX whose results self-checks look at ---------------===//
#pragma once

#include <string>

namespace moec::tools {

// Every kernel takes its argument table by value and the size of its grid, as
// generated kernels do.

/// For sm_80 and later; the file says what each does:
///   arithmetic (in, out), read (in, out, passes), step (data, factor), empty (),
///   mma_bf16 and mma_f16 (a, b, c, d).
std::string generalPtx();

constexpr int kArithmeticResults = 8;
/// Bytes that a thread of `read` reads in a pass.
constexpr int kReadBytes = 8 * 16;

/// Depth of the products of `wgmma`, and rows of their left operand.
constexpr int kWgmmaDepth = 64, kWgmmaRows = 64;
/// Bytes of the operands, as the kernel copies them to shared memory.
constexpr int wgmmaImageBytes(int columns) { return 2 * kWgmmaDepth * (kWgmmaRows + columns); }

/// Where the left operand of `wgmma` is.
enum class Source { sharedMemory, registers };

/// For sm_90a: wgmma_N (image, d) for every N = 8, 16, ... 256, with operands of
/// a type, "bf16" or "f16".
std::string wgmmaPtx(const std::string &type, Source source);

} // namespace moec::tools
