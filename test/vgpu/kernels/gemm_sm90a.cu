// C (m × n) = A (m × k) × B (n × k)ᵀ, bf16 with f32 sums: TMA fills a ring of
// stages, a consumer warpgroup multiplies by wgmma. A block computes 64 × 128;
// warps 0 to 3 consume, warp 4 produces. m, n and k are multiples of 64, 128, 64.
#include <cstdint>
#include <cuda.h>

constexpr int kRows = 64, kColumns = 128, kDepth = 64, kStages = 3;
constexpr int kBytesA = kRows * kDepth * 2, kBytesB = kColumns * kDepth * 2;

__device__ uint32_t sharedAddress(const void *p) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(p));
}

__device__ void wait(uint32_t barrier, uint32_t parity) {
  asm volatile("{\n.reg .pred p;\nAGAIN:\n"
               "mbarrier.try_wait.parity.shared::cta.b64 p, [%0], %1;\n"
               "@p bra DONE;\nbra AGAIN;\nDONE:\n}" ::"r"(barrier),
               "r"(parity)
               : "memory");
}

__device__ void load(uint32_t to, const CUtensorMap *map, int x, int y, uint32_t barrier) {
  asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes "
               "[%0], [%1, {%2, %3}], [%4];" ::"r"(to),
               "l"(map), "r"(x), "r"(y), "r"(barrier)
               : "memory");
}

/// A tile whose rows of 128 bytes lie along K, swizzled.
__device__ uint64_t descriptor(uint32_t address) {
  return uint64_t{address >> 4} | uint64_t{1} << 16 | uint64_t{1024 >> 4} << 32 | uint64_t{1} << 62;
}

__device__ void multiply(float (&d)[64], uint64_t a, uint64_t b, int accumulates) {
  asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %66, 0;\n"
               "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {"
               "%0, %1, %2, %3, %4, %5, %6, %7, "
               "%8, %9, %10, %11, %12, %13, %14, %15, "
               "%16, %17, %18, %19, %20, %21, %22, %23, "
               "%24, %25, %26, %27, %28, %29, %30, %31, "
               "%32, %33, %34, %35, %36, %37, %38, %39, "
               "%40, %41, %42, %43, %44, %45, %46, %47, "
               "%48, %49, %50, %51, %52, %53, %54, %55, "
               "%56, %57, %58, %59, %60, %61, %62, %63}, "
               "%64, %65, p, 1, 1, 0, 0;\n}"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]), "+f"(d[6]),
                 "+f"(d[7]), "+f"(d[8]), "+f"(d[9]), "+f"(d[10]), "+f"(d[11]), "+f"(d[12]),
                 "+f"(d[13]), "+f"(d[14]), "+f"(d[15]), "+f"(d[16]), "+f"(d[17]), "+f"(d[18]),
                 "+f"(d[19]), "+f"(d[20]), "+f"(d[21]), "+f"(d[22]), "+f"(d[23]), "+f"(d[24]),
                 "+f"(d[25]), "+f"(d[26]), "+f"(d[27]), "+f"(d[28]), "+f"(d[29]), "+f"(d[30]),
                 "+f"(d[31]), "+f"(d[32]), "+f"(d[33]), "+f"(d[34]), "+f"(d[35]), "+f"(d[36]),
                 "+f"(d[37]), "+f"(d[38]), "+f"(d[39]), "+f"(d[40]), "+f"(d[41]), "+f"(d[42]),
                 "+f"(d[43]), "+f"(d[44]), "+f"(d[45]), "+f"(d[46]), "+f"(d[47]), "+f"(d[48]),
                 "+f"(d[49]), "+f"(d[50]), "+f"(d[51]), "+f"(d[52]), "+f"(d[53]), "+f"(d[54]),
                 "+f"(d[55]), "+f"(d[56]), "+f"(d[57]), "+f"(d[58]), "+f"(d[59]), "+f"(d[60]),
                 "+f"(d[61]), "+f"(d[62]), "+f"(d[63])
               : "l"(a), "l"(b), "r"(accumulates));
}

__device__ void produce(const CUtensorMap *a, const CUtensorMap *b, uint32_t tiles, uint32_t full,
                        uint32_t empty, int steps) {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 40;");
  if (threadIdx.x % 32 != 0)
    return;
#pragma unroll 1
  for (int step = 0; step < steps; ++step) {
    int stage = step % kStages;
    uint32_t to = tiles + stage * (kBytesA + kBytesB);
    wait(empty + 8 * stage, (step / kStages & 1) ^ 1);
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(full + 8 * stage),
                 "r"(kBytesA + kBytesB)
                 : "memory");
    load(to, a, step * kDepth, blockIdx.y * kRows, full + 8 * stage);
    load(to + kBytesA, b, step * kDepth, blockIdx.x * kColumns, full + 8 * stage);
  }
}

extern "C" __global__ void __launch_bounds__(160, 1)
    gemm_sm90a(const __grid_constant__ CUtensorMap a, const __grid_constant__ CUtensorMap b,
               float *c, int n, int k) {
  extern __shared__ __align__(1024) uint8_t tiles[];
  __shared__ __align__(8) uint64_t full[kStages], empty[kStages];
  int warp = threadIdx.x / 32, lane = threadIdx.x % 32, steps = k / kDepth;
  if (threadIdx.x == 0) {
    for (int stage = 0; stage < kStages; ++stage) {
      asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(sharedAddress(full + stage)));
      asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(sharedAddress(empty + stage)));
    }
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
  __syncthreads();
  if (warp == 4)
    return produce(&a, &b, sharedAddress(tiles), sharedAddress(full), sharedAddress(empty), steps);
  asm volatile("setmaxnreg.inc.sync.aligned.u32 232;");
  float sums[64];
#pragma unroll 1
  for (int step = 0; step < steps; ++step) {
    int stage = step % kStages;
    wait(sharedAddress(full + stage), step / kStages & 1);
    uint32_t tile = sharedAddress(tiles) + stage * (kBytesA + kBytesB);
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
    for (int part = 0; part < kDepth / 16; ++part)
      multiply(sums, descriptor(tile + 32 * part), descriptor(tile + kBytesA + 32 * part),
               step + part > 0);
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
    asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
    if (threadIdx.x == 0)
      asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(sharedAddress(empty + stage))
                   : "memory");
  }
  for (int i = 0; i < 64; i += 2) {
    int row = blockIdx.y * kRows + warp * 16 + lane / 4 + i / 2 % 2 * 8;
    int column = blockIdx.x * kColumns + i / 4 * 8 + lane % 4 * 2;
    float2 pair = {sums[i], sums[i + 1]};
    *reinterpret_cast<float2 *>(c + row * static_cast<size_t>(n) + column) = pair;
  }
}
