// C (m × n) = A (m × k) × B (k × n), bf16 with f32 sums: a block computes 64 ×
// 64 with four warps, from three stages of shared memory that cp.async fills.
// m, n and k are multiples of 64, 64 and 32.
#include <cstdint>

constexpr int kTile = 64, kDepth = 32, kStages = 3, kPitch = kDepth + 8, kPitchB = kTile + 8;

__device__ uint32_t sharedAddress(const void *p) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(p));
}

__device__ void copyAsync(uint32_t to, const void *from, bool isValid) {
  int bytes = isValid ? 16 : 0;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(bytes)
               : "memory");
}

struct Stage {
  uint16_t a[kTile][kPitch];
  uint16_t b[kDepth][kPitchB];
};

__device__ void loadStage(Stage &stage, const uint16_t *a, const uint16_t *b, int n, int k, int at,
                          bool isValid) {
  for (int piece = threadIdx.x; piece < kTile * kDepth / 8; piece += blockDim.x) {
    int row = piece / (kDepth / 8), column = piece % (kDepth / 8) * 8;
    copyAsync(sharedAddress(&stage.a[row][column]),
              a + (blockIdx.y * kTile + row) * static_cast<size_t>(k) + at + column, isValid);
  }
  for (int piece = threadIdx.x; piece < kDepth * kTile / 8; piece += blockDim.x) {
    int row = piece / (kTile / 8), column = piece % (kTile / 8) * 8;
    copyAsync(sharedAddress(&stage.b[row][column]),
              b + (at + row) * static_cast<size_t>(n) + blockIdx.x * kTile + column, isValid);
  }
  asm volatile("cp.async.commit_group;" ::: "memory");
}

extern "C" __global__ void gemm_sm80(const uint16_t *a, const uint16_t *b, float *c, int m, int n,
                                     int k) {
  __shared__ __align__(128) Stage stages[kStages];
  int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  float sums[2][4][4] = {};
  int steps = k / kDepth;
  for (int step = 0; step < kStages - 1; ++step)
    loadStage(stages[step], a, b, n, k, step < steps ? step * kDepth : 0, step < steps);
  for (int step = 0; step < steps; ++step) {
    asm volatile("cp.async.wait_group 1;" ::: "memory");
    __syncthreads();
    int ahead = step + kStages - 1;
    loadStage(stages[ahead % kStages], a, b, n, k, ahead < steps ? ahead * kDepth : 0,
              ahead < steps);
    Stage &stage = stages[step % kStages];
    for (int part = 0; part < kDepth; part += 16) {
      uint32_t left[2][4], right[4][2];
      for (int block = 0; block < 2; ++block) {
        int row = warp / 2 * 32 + block * 16 + lane % 16, column = part + lane / 16 * 8;
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                     : "=r"(left[block][0]), "=r"(left[block][1]), "=r"(left[block][2]),
                       "=r"(left[block][3])
                     : "r"(sharedAddress(&stage.a[row][column])));
      }
      for (int block = 0; block < 4; block += 2) {
        int row = part + lane % 16, column = warp % 2 * 32 + block * 8 + lane / 16 * 8;
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                     : "=r"(right[block][0]), "=r"(right[block][1]), "=r"(right[block + 1][0]),
                       "=r"(right[block + 1][1])
                     : "r"(sharedAddress(&stage.b[row][column])));
      }
      for (int i = 0; i < 2; ++i)
        for (int j = 0; j < 4; ++j)
          asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, "
                       "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                       : "+f"(sums[i][j][0]), "+f"(sums[i][j][1]), "+f"(sums[i][j][2]),
                         "+f"(sums[i][j][3])
                       : "r"(left[i][0]), "r"(left[i][1]), "r"(left[i][2]), "r"(left[i][3]),
                         "r"(right[j][0]), "r"(right[j][1]));
    }
  }
  asm volatile("cp.async.wait_all;" ::: "memory");
  for (int i = 0; i < 2; ++i)
    for (int j = 0; j < 4; ++j)
      for (int half = 0; half < 2; ++half) {
        int row = blockIdx.y * kTile + warp / 2 * 32 + i * 16 + half * 8 + lane / 4;
        int column = blockIdx.x * kTile + warp % 2 * 32 + j * 8 + lane % 4 * 2;
        float2 pair = {sums[i][j][2 * half], sums[i][j][2 * half + 1]};
        *reinterpret_cast<float2 *>(c + row * static_cast<size_t>(n) + column) = pair;
      }
}
