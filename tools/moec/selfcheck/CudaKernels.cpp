#include "tools/moec/selfcheck/CudaKernels.h"

namespace moec::tools {
namespace {

/// index, which is of a block of `threads` threads, in %rd0; the kernel ends
/// where it is not below the grid.
constexpr const char *kGeneralPtx = R"(
.version 7.0
.target sm_80
.address_size 64

// Element i of `in` is (a, b, c, -); of `out` it is fma(a, b, c), a + b, a - b,
// a * b, a / b, sqrt(|a|), a as f16 beside b as bf16, and fma(a, b, c) by f64.
.visible .entry arithmetic(.param .align 8 .b8 table[16], .param .u64 grid)
{
  .reg .pred %p;
  .reg .b16 %h<2>;
  .reg .b32 %r<4>;
  .reg .f32 %f<12>;
  .reg .f64 %d<4>;
  .reg .b64 %rd<8>;
  mov.u32 %r0, %ctaid.x;
  mov.u32 %r1, %ntid.x;
  mov.u32 %r2, %tid.x;
  mad.lo.u32 %r0, %r0, %r1, %r2;
  cvt.u64.u32 %rd0, %r0;
  ld.param.u64 %rd1, [grid];
  setp.ge.u64 %p, %rd0, %rd1;
  @%p bra END;
  ld.param.u64 %rd2, [table];
  ld.param.u64 %rd3, [table+8];
  shl.b64 %rd4, %rd0, 4;
  add.u64 %rd2, %rd2, %rd4;
  shl.b64 %rd4, %rd0, 5;
  add.u64 %rd3, %rd3, %rd4;
  ld.global.v4.f32 {%f0, %f1, %f2, %f3}, [%rd2];
  fma.rn.f32 %f4, %f0, %f1, %f2;
  add.rn.f32 %f5, %f0, %f1;
  sub.rn.f32 %f6, %f0, %f1;
  mul.rn.f32 %f7, %f0, %f1;
  st.global.v4.f32 [%rd3], {%f4, %f5, %f6, %f7};
  div.rn.f32 %f4, %f0, %f1;
  abs.f32 %f5, %f0;
  sqrt.rn.f32 %f5, %f5;
  cvt.rn.f16.f32 %h0, %f0;
  cvt.rn.bf16.f32 %h1, %f1;
  mov.b32 %r3, {%h0, %h1};
  mov.b32 %f6, %r3;
  cvt.f64.f32 %d0, %f0;
  cvt.f64.f32 %d1, %f1;
  cvt.f64.f32 %d2, %f2;
  fma.rn.f64 %d3, %d0, %d1, %d2;
  cvt.rn.f32.f64 %f7, %d3;
  st.global.v4.f32 [%rd3+16], {%f4, %f5, %f6, %f7};
END:
  ret;
}

// Reads 8 times 16 bytes in each of `passes` passes; the threads of the grid
// read what lies together. Stores only what zeros never give.
.visible .entry read(.param .align 8 .b8 table[24], .param .u64 grid)
{
  .reg .pred %p;
  .reg .b32 %r<8>;
  .reg .b32 %a<4>, %b<4>, %c<4>, %d<4>, %e<4>, %f<4>, %g<4>, %h<4>;
  .reg .b64 %rd<8>;
  mov.u32 %r0, %ctaid.x;
  mov.u32 %r1, %ntid.x;
  mov.u32 %r2, %tid.x;
  mad.lo.u32 %r0, %r0, %r1, %r2;
  mov.u32 %r3, %nctaid.x;
  mul.lo.u32 %r1, %r1, %r3;
  ld.param.u64 %rd0, [table];
  ld.param.u64 %rd1, [table+8];
  ld.param.u32 %r4, [table+16];
  mul.wide.u32 %rd2, %r0, 16;
  add.u64 %rd0, %rd0, %rd2;
  mul.wide.u32 %rd2, %r1, 16;
  mov.u32 %r5, 0;
PASS:
  ld.global.nc.v4.b32 {%a0, %a1, %a2, %a3}, [%rd0];
  add.u64 %rd0, %rd0, %rd2;
  ld.global.nc.v4.b32 {%b0, %b1, %b2, %b3}, [%rd0];
  add.u64 %rd0, %rd0, %rd2;
  ld.global.nc.v4.b32 {%c0, %c1, %c2, %c3}, [%rd0];
  add.u64 %rd0, %rd0, %rd2;
  ld.global.nc.v4.b32 {%d0, %d1, %d2, %d3}, [%rd0];
  add.u64 %rd0, %rd0, %rd2;
  ld.global.nc.v4.b32 {%e0, %e1, %e2, %e3}, [%rd0];
  add.u64 %rd0, %rd0, %rd2;
  ld.global.nc.v4.b32 {%f0, %f1, %f2, %f3}, [%rd0];
  add.u64 %rd0, %rd0, %rd2;
  ld.global.nc.v4.b32 {%g0, %g1, %g2, %g3}, [%rd0];
  add.u64 %rd0, %rd0, %rd2;
  ld.global.nc.v4.b32 {%h0, %h1, %h2, %h3}, [%rd0];
  add.u64 %rd0, %rd0, %rd2;
  lop3.b32 %a0, %a0, %a1, %a2, 0x96;
  lop3.b32 %a3, %a3, %b0, %b1, 0x96;
  lop3.b32 %b2, %b2, %b3, %c0, 0x96;
  lop3.b32 %c1, %c1, %c2, %c3, 0x96;
  lop3.b32 %d0, %d0, %d1, %d2, 0x96;
  lop3.b32 %d3, %d3, %e0, %e1, 0x96;
  lop3.b32 %e2, %e2, %e3, %f0, 0x96;
  lop3.b32 %f1, %f1, %f2, %f3, 0x96;
  lop3.b32 %g0, %g0, %g1, %g2, 0x96;
  lop3.b32 %g3, %g3, %h0, %h1, 0x96;
  lop3.b32 %h2, %h2, %h3, %r5, 0x96;
  lop3.b32 %a0, %a0, %a3, %b2, 0x96;
  lop3.b32 %c1, %c1, %d0, %d3, 0x96;
  lop3.b32 %e2, %e2, %f1, %g0, 0x96;
  lop3.b32 %r5, %g3, %h2, %a0, 0x96;
  lop3.b32 %r5, %r5, %c1, %e2, 0x96;
  add.u32 %r4, %r4, -1;
  setp.ne.u32 %p, %r4, 0;
  @%p bra PASS;
  setp.eq.u32 %p, %r5, 0;
  @%p bra END;
  st.global.b32 [%rd1], %r5;
END:
  ret;
}

// data[i] = data[i] * factor + 1, which in another order is another number.
.visible .entry step(.param .align 8 .b8 table[16], .param .u64 grid)
{
  .reg .pred %p;
  .reg .b32 %r<3>;
  .reg .f32 %f<3>;
  .reg .b64 %rd<4>;
  mov.u32 %r0, %ctaid.x;
  mov.u32 %r1, %ntid.x;
  mov.u32 %r2, %tid.x;
  mad.lo.u32 %r0, %r0, %r1, %r2;
  cvt.u64.u32 %rd0, %r0;
  ld.param.u64 %rd1, [grid];
  setp.ge.u64 %p, %rd0, %rd1;
  @%p bra END;
  ld.param.u64 %rd2, [table];
  ld.param.f32 %f1, [table+8];
  mul.lo.u64 %rd3, %rd0, 4;
  add.u64 %rd2, %rd2, %rd3;
  ld.global.f32 %f0, [%rd2];
  mov.f32 %f2, 0f3F800000;
  fma.rn.f32 %f0, %f0, %f1, %f2;
  st.global.f32 [%rd2], %f0;
END:
  ret;
}

.visible .entry empty(.param .align 8 .b8 table[8], .param .u64 grid)
{
  ret;
}
)";

/// d = a b + c of one tile by one warp. a is 16 rows, b 8 columns, of 16 elements
/// that lie together; c and d are 16 rows of 8. Lane 4 g + t holds rows g and g +
/// 8 of a, column g of b, and of d columns 2 t and 2 t + 1 of its rows.
constexpr const char *kMmaPtx = R"(
.visible .entry mma_TYPE(.param .align 8 .b8 table[32], .param .u64 grid)
{
  .reg .b32 %a<4>, %b<2>, %r<4>;
  .reg .f32 %c<4>;
  .reg .b64 %rd<8>;
  mov.u32 %r0, %tid.x;
  shr.u32 %r1, %r0, 2;
  and.b32 %r2, %r0, 3;
  shl.b32 %r1, %r1, 5;
  shl.b32 %r3, %r2, 2;
  add.u32 %r3, %r3, %r1;
  cvt.u64.u32 %rd4, %r3;
  shl.b32 %r3, %r2, 3;
  add.u32 %r3, %r3, %r1;
  cvt.u64.u32 %rd5, %r3;
  ld.param.u64 %rd0, [table];
  ld.param.u64 %rd1, [table+8];
  ld.param.u64 %rd2, [table+16];
  ld.param.u64 %rd3, [table+24];
  add.u64 %rd0, %rd0, %rd4;
  add.u64 %rd1, %rd1, %rd4;
  add.u64 %rd2, %rd2, %rd5;
  add.u64 %rd3, %rd3, %rd5;
  ld.global.b32 %a0, [%rd0];
  ld.global.b32 %a1, [%rd0+256];
  ld.global.b32 %a2, [%rd0+16];
  ld.global.b32 %a3, [%rd0+272];
  ld.global.b32 %b0, [%rd1];
  ld.global.b32 %b1, [%rd1+16];
  ld.global.v2.f32 {%c0, %c1}, [%rd2];
  ld.global.v2.f32 {%c2, %c3}, [%rd2+256];
  mma.sync.aligned.m16n8k16.row.col.f32.TYPE.TYPE.f32
    {%c0, %c1, %c2, %c3}, {%a0, %a1, %a2, %a3}, {%b0, %b1}, {%c0, %c1, %c2, %c3};
  st.global.v2.f32 [%rd3], {%c0, %c1};
  st.global.v2.f32 [%rd3+256], {%c2, %c3};
  ret;
}
)";

/// d = a b of 64 rows by a warpgroup. The image is what shared memory holds: 8
/// rows of 16 bytes lie together, groups of 8 rows one after the other, and then
/// the next 16 bytes along the depth; first of a, then of b.
constexpr const char *kWgmmaBegin = R"(
.visible .entry wgmma_COLUMNS(.param .align 8 .b8 table[16], .param .u64 grid)
.reqntid 128
{
  .reg .pred %p<3>;
  .reg .b32 %r<8>, %v<4>, %a<4>;
  .reg .f32 %d<HALF>;
  .reg .b64 %rd<8>;
  ld.param.u64 %rd0, [table];
  ld.param.u64 %rd1, [table+8];
  mov.u32 %r0, %tid.x;
  mov.u32 %r1, tiles;
  // Warp w, lane 4 g + t: its row of a and d, and 8 more, is 16 w + g.
  shr.u32 %r5, %r0, 5;
  shl.b32 %r5, %r5, 4;
  and.b32 %r6, %r0, 31;
  shr.u32 %r4, %r6, 2;
  add.u32 %r5, %r5, %r4;
  and.b32 %r6, %r6, 3;
  shl.b32 %r2, %r0, 4;
COPY:
  cvt.u64.u32 %rd2, %r2;
  add.u64 %rd2, %rd0, %rd2;
  ld.global.v4.b32 {%v0, %v1, %v2, %v3}, [%rd2];
  add.u32 %r3, %r1, %r2;
  st.shared.v4.b32 [%r3], {%v0, %v1, %v2, %v3};
  add.u32 %r2, %r2, 2048;
  setp.lt.u32 %p0, %r2, IMAGE;
  @%p0 bra COPY;
  fence.proxy.async.shared::cta;
  bar.sync 0;
  // Descriptors: the address, the step along the depth, the step to 8 more rows.
  shr.u32 %r3, %r1, 4;
  cvt.u64.u32 %rd2, %r3;
  add.u64 %rd3, %rd2, DESCRIPTOR_A;
  add.u64 %rd4, %rd2, DESCRIPTOR_B;
  mul.wide.u32 %rd5, %r5, 16;
  mul.wide.u32 %rd6, %r6, 4;
  add.u64 %rd5, %rd5, %rd6;
  add.u64 %rd5, %rd5, %rd0;
  setp.ne.u32 %p1, %r0, %r0;
  setp.eq.u32 %p2, %r0, %r0;
  wgmma.fence.sync.aligned;
)";

constexpr const char *kWgmmaEnd = R"(
  wgmma.commit_group.sync.aligned;
  wgmma.wait_group.sync.aligned 0;
  // Columns 2 t and 2 t + 1 of 8.
  shl.b32 %r3, %r6, 3;
  mad.lo.u32 %r2, %r5, ROW, %r3;
  cvt.u64.u32 %rd2, %r2;
  add.u64 %rd1, %rd1, %rd2;
)";

std::string replaced(std::string text, const std::string &from, const std::string &to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
  return text;
}

std::string number(int value) { return std::to_string(value); }

/// Loads columns 2 t, 2 t + 1 and those 8 further of a thread's rows of a.
std::string loadFragment(int step) {
  constexpr int kColumns8 = 16 * kWgmmaRows, kRows8 = 16 * 8;
  std::string text;
  for (int i = 0; i < 4; ++i)
    text += "  ld.global.b32 %a" + number(i) + ", [%rd5+" +
            number((2 * step + i / 2) * kColumns8 + i % 2 * kRows8) + "];\n";
  return text;
}

/// A product of depth 16, the number `step` along the depth.
std::string wgmmaStep(const std::string &type, Source source, int columns, int step) {
  bool isInRegisters = source == Source::registers;
  std::string text;
  if (step > 0)
    text += "  add.u64 %rd3, %rd3, " + number(2 * kWgmmaRows) + ";\n  add.u64 %rd4, %rd4, " +
            number(2 * columns) + ";\n";
  if (isInRegisters)
    text += loadFragment(step) + "  wgmma.fence.sync.aligned;\n";
  text += "  wgmma.mma_async.sync.aligned.m64n" + number(columns) + "k16.f32." + type + "." + type +
          "\n    {";
  for (int i = 0; i < columns / 2; ++i)
    text += (i ? ", %d" : "%d") + number(i);
  text += std::string("},\n    ") + (isInRegisters ? "{%a0, %a1, %a2, %a3}" : "%rd3") + ", %rd4, " +
          (step ? "%p2" : "%p1") + ", 1, 1, " + (isInRegisters ? "0;\n" : "0, 0;\n");
  // The next step's fragment takes the same registers.
  if (isInRegisters)
    text += "  wgmma.commit_group.sync.aligned;\n  wgmma.wait_group.sync.aligned 0;\n";
  return text;
}

std::string wgmmaKernel(const std::string &type, Source source, int columns) {
  constexpr uint64_t kBytesOf8Rows = 128;
  auto descriptor = [&](uint64_t start, uint64_t rows) {
    return std::to_string(start / 16 | rows << 16 | kBytesOf8Rows / 16 << 32);
  };
  std::string text = replaced(kWgmmaBegin, "COLUMNS", number(columns));
  text = replaced(text, "HALF", number(columns / 2));
  text = replaced(text, "IMAGE", number(wgmmaImageBytes(columns)));
  text = replaced(text, "DESCRIPTOR_A", descriptor(0, kWgmmaRows));
  text = replaced(text, "DESCRIPTOR_B", descriptor(wgmmaImageBytes(0), columns));
  for (int step = 0; step < kWgmmaDepth / 16; ++step)
    text += wgmmaStep(type, source, columns, step);
  text += replaced(kWgmmaEnd, "ROW", number(4 * columns));
  for (int i = 0; i < columns / 2; i += 2)
    text += "  st.global.v2.f32 [%rd1+" + number(i / 4 * 32 + i / 2 % 2 * 8 * 4 * columns) +
            "], {%d" + number(i) + ", %d" + number(i + 1) + "};\n";
  return text + "  ret;\n}\n";
}

} // namespace

std::string generalPtx() {
  return kGeneralPtx + replaced(kMmaPtx, "TYPE", "bf16") + replaced(kMmaPtx, "TYPE", "f16");
}

std::string wgmmaPtx(const std::string &type, Source source) {
  std::string text = ".version 8.0\n.target sm_90a\n.address_size 64\n"
                     ".extern .shared .align 128 .b8 tiles[];\n";
  for (int columns = 8; columns <= 256; columns += 8)
    text += wgmmaKernel(type, source, columns);
  return text;
}

} // namespace moec::tools
