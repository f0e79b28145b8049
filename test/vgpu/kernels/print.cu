#include <cstdio>
#include <cassert>
extern "C" __global__ void print(int n) {
  if (threadIdx.x < n)
    printf("thread %d of %s: %5.2f %c %llx %%\n", threadIdx.x, "block", threadIdx.x * 0.25,
           'a' + threadIdx.x, 0x123456789abcull);
}
extern "C" __global__ void assertion(int limit) { assert(threadIdx.x < limit); }
extern "C" __global__ void heap(int **out) {
  int *memory = (int *)malloc(4 * sizeof(int));
  for (int i = 0; i < 4; ++i)
    memory[i] = threadIdx.x * i;
  out[threadIdx.x] = memory;
}
extern "C" __global__ void free_heap(int **in, int *sums) {
  int *memory = in[threadIdx.x], sum = 0;
  for (int i = 0; i < 4; ++i)
    sum += memory[i];
  sums[threadIdx.x] = sum;
  free(memory);
}
