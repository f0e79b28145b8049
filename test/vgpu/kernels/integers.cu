// Integer instructions that arithmetic on one type does not reach.
extern "C" __global__ void integers(const unsigned *a, const unsigned *b, unsigned long long *out,
                                    int n) {
  int i = threadIdx.x;
  if (i >= n)
    return;
  unsigned x = a[i], y = b[i];
  int sx = (int)x, sy = (int)y;
  unsigned long long wide = ((unsigned long long)x << 32) | y;
  unsigned long long *o = out + i * 16;
  o[0] = __umulhi(x, y);
  o[1] = (unsigned)__mulhi(sx, sy);
  o[2] = __umul64hi(wide, wide ^ 0x5555555555555555ull);
  o[3] = wide / (y | 1);
  o[4] = (unsigned long long)((long long)wide % ((long long)sy | 1));
  o[5] = __byte_perm(x, y, 0x3175);
  o[6] = __funnelshift_l(x, y, x & 63);
  o[7] = __dp4a(sx, sy, 17);
  o[8] = __sad(sx, sy, 5u);
  o[9] = (unsigned)__mul24(sx, sy);
  o[10] = (unsigned short)(x * 3) / (unsigned short)((y & 0xff) + 1);
  o[11] = (unsigned)(signed char)(x >> 3) + (unsigned)(short)y;
  o[12] = __popcll(wide) + __clzll(wide) + __ffsll(wide);
  o[13] = sx / (sy | 1) + sx % (sy | 1);
  o[14] = (x >> (y & 31)) ^ (unsigned)(sx >> (y & 31)) ^ (x << (y & 31));
  o[15] = __vadd2(x, y) ^ min(sx, sy) ^ max(x, y) ^ abs(sx);
}
