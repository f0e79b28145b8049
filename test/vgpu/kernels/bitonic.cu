// Sorts 1024 keys of a block in dynamic shared memory.
extern "C" __global__ void bitonic(int *keys) {
  extern __shared__ int shared[];
  int i = threadIdx.x, *block = keys + blockIdx.x * blockDim.x;
  shared[i] = block[i];
  __syncthreads();
  for (int size = 2; size <= blockDim.x; size *= 2)
    for (int stride = size / 2; stride > 0; stride /= 2) {
      int other = i ^ stride;
      if (other > i) {
        bool ascending = (i & size) == 0;
        int a = shared[i], b = shared[other];
        if ((a > b) == ascending) {
          shared[i] = b;
          shared[other] = a;
        }
      }
      __syncthreads();
    }
  block[i] = shared[i];
}
