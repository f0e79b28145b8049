// Atomics of all scopes and types.
extern "C" __global__ void atomics(int *ints, unsigned *uints, unsigned long long *longs,
                                   float *floats, double *doubles) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  atomicAdd(&ints[0], i);
  atomicMin(&ints[1], -i);
  atomicMax(&ints[2], i);
  atomicXor(&ints[3], i * 2654435761u);
  atomicAnd_system(&ints[4], ~(1 << (i % 31)));
  atomicOr(&ints[5], 1 << (i % 31));
  atomicInc(&uints[0], 99);
  atomicDec(&uints[1], 99);
  atomicSub(&uints[2], 3);
  atomicAdd(&longs[0], (unsigned long long)i << 20);
  atomicMax(&longs[1], (unsigned long long)i << 33);
  atomicAdd(&floats[0], 1.0f);
  atomicAdd(&doubles[0], 0.5);
  // A maximum of floats by compare-and-swap.
  int old = *(volatile int *)&floats[1];
  while (__int_as_float(old) < (float)i) {
    int seen = atomicCAS((int *)&floats[1], old, __float_as_int((float)i));
    if (seen == old)
      break;
    old = seen;
  }
}
extern "C" __global__ void spin_lock(int *lock, int *counter) {
  // Each lane takes the lock: the lanes of a warp have to make progress apart.
  bool done = false;
  while (!done) {
    if (atomicCAS(lock, 0, 1) == 0) {
      *(volatile int *)counter = *(volatile int *)counter + 1;
      __threadfence();
      atomicExch(lock, 0);
      done = true;
    }
  }
}
