// Inclusive scan with decoupled look-back: a block waits for the ones before it.
extern "C" __global__ void scan(const unsigned *in, unsigned *out, volatile unsigned *state,
                                unsigned *ticket, int n) {
  __shared__ unsigned warpSums[8], blockPrefix, tile;
  if (threadIdx.x == 0)
    tile = atomicAdd(ticket, 1u);
  __syncthreads();
  int i = tile * blockDim.x + threadIdx.x, lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  unsigned value = i < n ? in[i] : 0;
  for (int offset = 1; offset < 32; offset *= 2) {
    unsigned other = __shfl_up_sync(0xffffffff, value, offset);
    if (lane >= offset)
      value += other;
  }
  if (lane == 31)
    warpSums[warp] = value;
  __syncthreads();
  for (int before = 0; before < warp; ++before)
    value += warpSums[before];
  // state: 2 × value + 1 for a block's own sum, then the prefix in the second half.
  if (threadIdx.x == blockDim.x - 1) {
    unsigned prefix = 0;
    if (tile > 0) {
      while (state[2 * (tile - 1)] == 0) {
      }
      __threadfence();
      prefix = state[2 * (tile - 1) + 1];
    }
    state[2 * tile + 1] = prefix + value;
    __threadfence();
    state[2 * tile] = 1;
    blockPrefix = prefix;
  }
  __syncthreads();
  if (i < n)
    out[i] = value + blockPrefix;
}
