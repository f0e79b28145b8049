// Loops of different lengths, nested branches, switches and early exits.
extern "C" __global__ void collatz(const unsigned *in, unsigned *steps, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  unsigned value = in[i], count = 0;
  while (value != 1) {
    value = value % 2 ? 3 * value + 1 : value / 2;
    ++count;
  }
  steps[i] = count;
}
extern "C" __global__ void interpreter(const unsigned char *program, int *out, int length) {
  int i = threadIdx.x, value = i;
  for (int pc = 0; pc < length; ++pc) {
    switch (program[(pc + i) % length]) {
    case 0: value += 3; break;
    case 1: value *= 5; break;
    case 2: value ^= 0x55; break;
    case 3: if (value & 1) continue; value >>= 1; break;
    case 4: value = value < 0 ? -value : value; break;
    case 5: for (int k = 0; k < (value & 3); ++k) value += k; break;
    case 6: if (value > 1000) { out[i] = value; return; } break;
    default: value = ~value; break;
    }
  }
  out[i] = value;
}
