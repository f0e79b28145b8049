// Lanes that look at each other.
extern "C" __global__ void votes(const int *in, unsigned *out) {
  int value = in[threadIdx.x], lane = threadIdx.x;
  out[0 * 32 + lane] = __ballot_sync(0xffffffff, value > 4);
  out[1 * 32 + lane] = __any_sync(0xffffffff, value == 7);
  out[2 * 32 + lane] = __all_sync(0xffffffff, value < 10);
  out[3 * 32 + lane] = __match_any_sync(0xffffffff, value);
  int agree;
  out[4 * 32 + lane] = __match_all_sync(0xffffffff, value / 100, &agree);
  out[5 * 32 + lane] = agree;
  out[6 * 32 + lane] = __reduce_add_sync(0xffffffff, value);
  out[7 * 32 + lane] = __reduce_max_sync(0xffffffff, value);
  out[8 * 32 + lane] = __shfl_sync(0xffffffff, value, (lane * 5) % 32, 16);
  out[9 * 32 + lane] = __popc(value) + __clz(value) + __ffs(value) + __brev(value);
  if (value & 1)
    out[10 * 32 + lane] = __reduce_add_sync(__activemask(), 1u);
  else
    out[10 * 32 + lane] = 0;
}
extern "C" __global__ void half_warps(int *out) {
  // Members of different masks execute the same instruction.
  unsigned mask = threadIdx.x < 16 ? 0x0000ffff : 0xffff0000;
  int sum = threadIdx.x;
  for (int offset = 8; offset > 0; offset /= 2)
    sum += __shfl_xor_sync(mask, sum, offset);
  out[threadIdx.x] = sum;
}
