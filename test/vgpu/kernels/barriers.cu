// Named barriers between producers and consumers, and barriers that reduce.
extern "C" __global__ void named(const int *in, int *out, int rounds) {
  __shared__ int buffer[2][64];
  int half = threadIdx.x / 64, i = threadIdx.x % 64;
  for (int round = 0; round < rounds; ++round) {
    int slot = round % 2;
    if (half == 0) {
      if (round >= 2)
        asm volatile("bar.sync %0, 128;" ::"r"(3 + slot) : "memory");
      buffer[slot][i] = in[round * 64 + i] * 2;
      asm volatile("bar.arrive %0, 128;" ::"r"(1 + slot) : "memory");
    } else {
      asm volatile("bar.sync %0, 128;" ::"r"(1 + slot) : "memory");
      out[round * 64 + i] = buffer[slot][63 - i];
      if (round + 2 < rounds)
        asm volatile("bar.arrive %0, 128;" ::"r"(3 + slot) : "memory");
    }
  }
}
extern "C" __global__ void reducing(int *out) {
  int i = threadIdx.x;
  out[3 * i] = __syncthreads_count(i % 3 == 0);
  out[3 * i + 1] = __syncthreads_and(i < 1000);
  out[3 * i + 2] = __syncthreads_or(i == 1000);
}
