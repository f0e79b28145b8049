// What instructions do besides arithmetic: branches by an index, special registers,
// spaces, clusters of one block, hints, matrices that move, wide atomics. The programs of
// kernels/ do the rest.
#include "Instructions.h"

#include <algorithm>

namespace {

/// A formula of the thread's number.
template <class D> std::function<D()> byThread(D (*formula)(uint32_t)) {
  return [formula, thread = 0u]() mutable { return formula(thread++); };
}

TEST_F(Instructions, IndexedBranches) {
  check(
      "and.b32 %t0, %a, 3;\nTARGETS: .branchtargets L0, L1, L2, L1;\nbrx.idx %t0, TARGETS;\n"
      "L0: mov.u32 %d, 10; bra END;\nL1: mov.u32 %d, 20; bra END;\nL2: mov.u32 %d, 30;\nEND:",
      +[](uint32_t a) {
        const uint32_t results[] = {10, 20, 30, 20};
        return results[a & 3];
      });
}

TEST_F(Instructions, MasksOfLanes) {
  auto read = [&](const std::string &name, uint32_t (*formula)(uint32_t)) {
    check("mov.u32 %d, %lanemask_" + name + ";", byThread(formula));
  };
  read("eq", +[](uint32_t thread) { return 1u << thread % 32; });
  read("lt", +[](uint32_t thread) { return (1u << thread % 32) - 1; });
  read("le", +[](uint32_t thread) { return ~0u >> (31 - thread % 32); });
  read("gt", +[](uint32_t thread) { return thread % 32 == 31 ? 0 : ~0u << (thread % 32 + 1); });
  read("ge", +[](uint32_t thread) { return ~0u << thread % 32; });
}

TEST_F(Instructions, ClocksGoOn) {
  check("mov.u64 %w0, %clock64; nanosleep.u32 20; mov.u64 %w1, %clock64;"
        "setp.gt.u64 %q0, %w1, %w0; mov.u64 %w0, %globaltimer; mov.u64 %w1, %globaltimer;"
        "setp.ge.and.u64 %q0, %w1, %w0, %q0; setp.gt.and.u64 %q0, %w0, 0, %q0;"
        "selp.u32 %d, 1, 0, %q0;",
        byThread(+[](uint32_t) { return 1u; }));
}

TEST_F(Instructions, SpacesOfAddresses) {
  // A bit for each space that the address is in: global, shared, local, const, param.
  const std::string test = "isspacep.global %q0, %w0; selp.u32 %d, 1, 0, %q0;"
                           "isspacep.shared %q0, %w0; @%q0 or.b32 %d, %d, 2;"
                           "isspacep.local %q0, %w0; @%q0 or.b32 %d, %d, 4;"
                           "isspacep.const %q0, %w0; @%q0 or.b32 %d, %d, 8;"
                           "isspacep.param %q0, %w0; @%q0 or.b32 %d, %d, 16;";
  auto expect = [&](const std::string &address, uint32_t (*formula)(uint32_t)) {
    check(address + test, std::function<uint32_t(uint32_t)>(formula));
  };
  expect("mov.u64 %w0, %p;", +[](uint32_t) { return 1u; });
  expect(
      ".shared .b32 word; mov.u64 %w0, word; cvta.shared.u64 %w0, %w0;",
      +[](uint32_t) { return 2u; });
  expect(
      ".local .b32 word; mov.u64 %w0, word; cvta.local.u64 %w0, %w0;",
      +[](uint32_t) { return 4u; });
  expect("mov.u64 %w0, out; cvta.param.u64 %w0, %w0;", +[](uint32_t) { return 16u; });
}

TEST_F(Instructions, ConstantsAreNotGlobal) {
  CUmodule module = loadText(R"(
.version 7.0
.target sm_80
.address_size 64
.const .b32 constants[4] = {1, 2, 3, 4};
.visible .entry f(.param .u64 out) {
  .reg .pred %p<2>;
  .reg .b32 %r<2>;
  .reg .b64 %d<3>;
  ld.param.u64 %d0, [out];
  mov.u64 %d1, constants;
  cvta.const.u64 %d1, %d1;
  isspacep.const %p0, %d1;
  isspacep.global %p1, %d1;
  selp.u32 %r0, 1, 0, %p0;
  selp.u32 %r1, 2, 0, %p1;
  or.b32 %r0, %r0, %r1;
  st.global.u32 [%d0], %r0;
  ret;
})");
  Buffer<uint32_t> out(1);
  GPU_CHECK(launch(kernel(module, "f"), {1}, {1}, 0, out.address));
  EXPECT_EQ(out.get()[0], 1u);
}

TEST_F(Instructions, ClustersOfOneBlock) {
  check(
      ".shared .b32 words[256]; mov.u32 %t0, words; mad.lo.u32 %t0, %i, 4, %t0;"
      "st.shared.u32 [%t0], %a; mapa.shared::cluster.u32 %t1, %t0, 0;"
      "barrier.cluster.arrive.aligned; barrier.cluster.wait.aligned;"
      "ld.shared::cluster.u32 %d, [%t1]; getctarank.shared::cluster.u32 %t2, %t1;"
      "mov.u32 %t3, %cluster_ctarank; add.u32 %t2, %t2, %t3; mov.u32 %t3, %cluster_nctarank;"
      "add.u32 %t2, %t2, %t3; add.u32 %d, %d, %t2;",
      +[](uint32_t a) { return a + 1; });
}

TEST_F(Instructions, LeadersOfWarps) {
  check("elect.sync %t0|%q0, 0xffffffff; selp.u32 %d, 100, 7, %q0; add.u32 %d, %d, %t0;",
        byThread(+[](uint32_t thread) { return thread % 32 ? 7u : 100u; }));
}

// Nothing of it changes what is loaded.
TEST_F(Instructions, Hints) {
  check(
      "createpolicy.fractional.L2::evict_last.b64 %w0, 0.5; prefetch.global.L2 [%p];"
      "prefetchu.L1 [%p]; applypriority.global.L2::evict_normal [%p], 128;"
      "griddepcontrol.wait; griddepcontrol.launch_dependents; fence.acq_rel.gpu; fence.sc.cta;"
      "membar.sys; fence.proxy.alias; fence.proxy.async.global; fence.acquire.cluster;"
      "ld.global.nc.L1::no_allocate.L2::cache_hint.u32 %d, [%p], %w0;",
      +[](uint32_t a) { return a; });
}

TEST_F(Instructions, DiscardedMemoryIsNotRead) {
  CUmodule module = loadText(R"(
.version 8.3
.target sm_90a
.address_size 64
.visible .entry f(.param .u64 data) {
  .reg .b32 %r<2>;
  .reg .b64 %d<2>;
  ld.param.u64 %d0, [data];
  discard.global.L2 [%d0+128], 128;
  ld.global.u32 %r0, [%d0+124];
  ld.global.u32 %r1, [%d0+252];
  st.global.u32 [%d0], %r1;
  ret;
})");
  Buffer<uint32_t> data(std::vector<uint32_t>(64, 5));
  GPU_CHECK(launch(kernel(module, "f"), {1}, {1}, 0, data.address));
  GPU_CHECK(cuCtxSynchronize());
  std::string findings = takeFindings();
  EXPECT_NE(findings.find("uninitialized"), std::string::npos);
  EXPECT_NE(findings.find("\"line\": 11"), std::string::npos) << findings;
}

/// Lane 4 g + t of a warp holds the elements (g, 2 t) and (g, 2 t + 1), which are
/// 8 row + column, of a matrix and of its transpose.
uint32_t heldOf(uint32_t thread) {
  uint32_t first = 8 * (thread % 32 / 4) + 2 * (thread % 4);
  return first | (first + 1) << 16;
}
uint32_t heldOfTranspose(uint32_t thread) {
  uint32_t first = 8 * 2 * (thread % 4) + thread % 32 / 4;
  return first | (first + 8) << 16;
}

TEST_F(Instructions, MatricesMove) {
  // %t0: what the lane holds; %t1: its row of the warp's tile; %t2: its word there.
  const std::string begin =
      ".shared .align 16 .b8 tile[1024]; and.b32 %t0, %i, 31; shl.b32 %t0, %t0, 1;"
      "add.u32 %t1, %t0, 1; shl.b32 %t1, %t1, 16; or.b32 %t0, %t0, %t1; mov.u32 %t2, tile;"
      "mad.lo.u32 %t2, %i, 4, %t2; mov.u32 %t3, tile; shr.b32 %t1, %i, 5;"
      "mad.lo.u32 %t3, %t1, 128, %t3; and.b32 %t1, %i, 7; mad.lo.u32 %t1, %t1, 16, %t3;";
  check(begin + "mov.u32 %d, %t0;", byThread(heldOf));
  check(begin + "movmatrix.sync.aligned.m8n8.trans.b16 %d, %t0;", byThread(heldOfTranspose));
  check(begin + "stmatrix.sync.aligned.m8n8.x1.shared.b16 [%t1], {%t0};"
                "bar.warp.sync 0xffffffff; ld.shared.u32 %d, [%t2];",
        byThread(heldOf));
  check(begin + "stmatrix.sync.aligned.m8n8.x1.trans.shared.b16 [%t1], {%t0};"
                "bar.warp.sync 0xffffffff; ld.shared.u32 %d, [%t2];",
        byThread(heldOfTranspose));
  check(begin + "st.shared.u32 [%t2], %t0; bar.warp.sync 0xffffffff;"
                "ldmatrix.sync.aligned.m8n8.x1.trans.shared.b16 {%d}, [%t1];",
        byThread(heldOfTranspose));
}

TEST_F(Instructions, AtomicsOf128Bits) {
  const std::string begin =
      ".reg .b128 %x<3>; .shared .align 16 .b8 words[4096]; mov.u32 %t0, words;"
      "mad.lo.u32 %t0, %i, 16, %t0; st.shared.v2.b64 [%t0], {%a, %b};"
      "mov.b128 %x0, {%a, %c}; mov.b128 %x1, {%c, %a};";
  // It is exchanged where b and c agree; the old value comes back.
  check(begin + "atom.shared.cas.b128 %x2, [%t0], %x0, %x1; mov.b128 {%w0, %w1}, %x2;"
                "ld.shared.v2.b64 {%w2, %w3}, [%t0]; sub.u64 %d, %w1, %w0; xor.b64 %d, %d, %w2;"
                "xor.b64 %d, %d, %w3;",
        std::function<uint64_t(uint64_t, uint64_t, uint64_t)>(
            [](uint64_t a, uint64_t b, uint64_t c) { return (b - a) ^ (b == c ? c ^ a : a ^ b); }));
  check(begin + "atom.shared.exch.b128 %x2, [%t0], %x1; mov.b128 {%w0, %w1}, %x2;"
                "ld.shared.v2.b64 {%w2, %w3}, [%t0]; sub.u64 %d, %w1, %w0; sub.u64 %w2, %w2, %w3;"
                "xor.b64 %d, %d, %w2;",
        std::function<uint64_t(uint64_t, uint64_t, uint64_t)>(
            [](uint64_t a, uint64_t b, uint64_t c) { return (b - a) ^ (c - a); }));
}

TEST_F(Instructions, AtomicsOfVectors) {
  CUmodule module = loadText(R"(
.version 8.1
.target sm_90
.address_size 64
.visible .entry f(.param .u64 sums, .param .u64 old) {
  .reg .b32 %r<2>;
  .reg .b64 %d<4>;
  .reg .f32 %f<9>;
  ld.param.u64 %d0, [sums];
  ld.param.u64 %d1, [old];
  mov.u32 %r0, %tid.x;
  cvt.rn.f32.u32 %f0, %r0;
  mov.f32 %f1, 0f3F800000;
  atom.global.v4.f32.add {%f4, %f5, %f6, %f7}, [%d0], {%f0, %f1, %f1, %f0};
  red.global.v2.f32.add [%d0+16], {%f1, %f0};
  mul.wide.u32 %d2, %r0, 4;
  add.u64 %d3, %d1, %d2;
  st.global.f32 [%d3], %f5;
  ret;
})");
  Buffer<float> sums(std::vector<float>(6, 2)), old(64);
  GPU_CHECK(launch(kernel(module, "f"), {1}, {64}, 0, sums.address, old.address));
  EXPECT_EQ(sums.get(), (std::vector<float>{2018, 66, 66, 2018, 66, 2018}));
  std::vector<float> seen = old.get(), wanted(64);
  std::sort(seen.begin(), seen.end());
  for (int thread = 0; thread < 64; ++thread)
    wanted[thread] = static_cast<float>(2 + thread);
  EXPECT_EQ(seen, wanted);
}

// What needs several devices or blocks of a cluster, or what sm_90a does not have.
TEST_F(Instructions, WhatIsRefusedIsNamed) {
  const std::pair<const char *, const char *> refused[] = {
      {"multimem.red.relaxed.gpu.global.add.u32 [%w0], %t0;", "multimem"},
      {"wmma.load.a.sync.aligned.row.m16n16k16.shared.f16 {%t0, %t1, %t2, %t3, %t4, %t5, %t6, "
       "%t7}, "
       "[%w0];",
       "wmma"},
      {"mma.sp.sync.aligned.m16n8k32.row.col.f32.f16.f16.f32 {%t0, %t1, %t2, %t3}, {%t0, %t1, %t2, "
       "%t3}, {%t0, %t1, %t2, %t3}, {%t0, %t1, %t2, %t3}, %t4, 0;",
       "sparse"},
      {"cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes [%w0], [%w1], 16, "
       "[%w2];",
       "copies between blocks of a cluster"},
      {"st.async.release.gpu.global.u32 [%w0], %t0;", "sm_100"},
      {"ldmatrix.sync.aligned.m16n16.x1.trans.shared.b8 {%t0, %t1}, [%w0];", "sm_100a"},
      {"cp.async.bulk.tensor.2d.shared::cta.global.tile::gather4.mbarrier::complete_tx::bytes "
       "[%w0], [%w1, {%t0, %t1, %t2, %t3, %t0}], [%w2];",
       "sm_100a"}};
  for (auto [body, reason] : refused) {
    std::string text = std::string(".version 8.6\n.target sm_90a\n.address_size 64\n"
                                   ".visible .entry f() {\n.reg .b32 %t<8>;\n.reg .b64 %w<3>;\n") +
                       body + "\nret;\n}\n";
    testing::internal::CaptureStderr();
    CUfunction function;
    EXPECT_EQ(cuModuleGetFunction(&function, loadText(text), "f"), CUDA_ERROR_INVALID_PTX);
    EXPECT_NE(testing::internal::GetCapturedStderr().find(reason), std::string::npos) << body;
  }
}

} // namespace
