// Each operator makes the mistakes that it is named for, and no others.
#include "mutate/InstructionText.h"
#include "mutate/Survey.h"
#include "ptx/Parser.h"

#include <gtest/gtest.h>

#include <algorithm>

using namespace vgpu;

namespace {

/// "mistake: after" for each mutant of a kernel with these instructions.
std::vector<std::string> mistakesIn(const std::string &instructions) {
  auto module = ptx::parse(R"(
    .version 8.7
    .target sm_90a
    .address_size 64
    .shared .align 16 .b8 left[64];
    .shared .align 16 .b8 right[64];
    .visible .entry k(.param .u64 a, .param .u32 n, .param .u64 b) {
      .reg .pred %p<4>;
      .reg .b32 %r<8>;
      .reg .b64 %rd<4>;
      .reg .f32 %f<4>;
  )" + instructions + "\n loop: ret;\n }");
  const ptx::Function &kernel = *module->function("k");
  std::vector<std::string> mistakes;
  for (const Mutant &mutant : mutantsOf(*module, kernel))
    mistakes.push_back(std::string(nameOf(mutant.mistake)) + ": " + mutant.after(kernel));
  return mistakes;
}

using Mistakes = std::vector<std::string>;

TEST(Mutants, Barriers) {
  EXPECT_EQ(mistakesIn("bar.sync 0;"),
            (Mistakes{"drop-barrier: ", "drop-barrier: bar.warp.sync 4294967295;"}));
  EXPECT_EQ(mistakesIn("bar.warp.sync 15;"), Mistakes{"drop-barrier: "});
  EXPECT_EQ(mistakesIn("barrier.cta.arrive 1, 64;"), Mistakes{"drop-barrier: "});
  // Its result would be missing.
  EXPECT_EQ(mistakesIn("bar.red.popc.u32 %r1, 0, %p1;"), Mistakes{});
}

TEST(Mutants, Waits) {
  EXPECT_EQ(mistakesIn("cp.async.wait_group 1;"), Mistakes{"loosen-wait: cp.async.wait_group 2;"});
  EXPECT_EQ(mistakesIn("wgmma.wait_group.sync.aligned 0;"),
            Mistakes{"loosen-wait: wgmma.wait_group.sync.aligned 1;"});
  EXPECT_EQ(mistakesIn("cp.async.wait_all;"), Mistakes{"loosen-wait: "});
  EXPECT_EQ(mistakesIn("mbarrier.try_wait.parity.shared.b64 %p1, [%r1], %r2;"),
            Mistakes{"loosen-wait: setp.eq.u32 %p, 0, 0;"});
}

TEST(Mutants, Bytes) {
  EXPECT_EQ(mistakesIn("mbarrier.arrive.expect_tx.shared.b64 _, [%r1], 4096;"),
            Mistakes{"change-bytes: mbarrier.arrive.expect_tx.shared.b64 _, [%r], 2048;"});
  EXPECT_EQ(mistakesIn("mbarrier.expect_tx.relaxed.cta.shared.b64 [%r1], %r2;"),
            Mistakes{"change-bytes: shr.u32 %mutated, %r, 1; "
                     "mbarrier.expect_tx.relaxed.cta.shared.b64 [%r], %mutated;"});
  Mistakes copy = mistakesIn("cp.async.cg.shared.global [%r1], [%rd1+32], 16;");
  EXPECT_EQ(copy[0], "change-bytes: cp.async.cg.shared.global [%r], [%rd+32], 16, 8;");
  // Half of nothing is no mistake.
  for (const std::string &mistake : mistakesIn("cp.async.cg.shared.global [%r1], [%rd1], 16, 0;"))
    EXPECT_FALSE(mistake.starts_with("change-bytes")) << mistake;
}

TEST(Mutants, IndicesAndAlignment) {
  EXPECT_EQ(mistakesIn("ld.global.f32 %f1, [%rd1+8];"),
            Mistakes{"shift-index: ld.global.f32 %f, [%rd+12];"});
  EXPECT_EQ(mistakesIn("st.shared.v2.b32 [%r1], {%r2, %r3};"),
            (Mistakes{"shift-index: st.shared.v2.b32 [%r+8], {%r, %r};",
                      "misalign: st.shared.v2.b32 [%r+4], {%r, %r};"}));
  EXPECT_EQ(mistakesIn("ld.param.u32 %r1, [n];"), Mistakes{});
  EXPECT_EQ(mistakesIn("setp.lt.s32 %p1, %r1, 8;"),
            Mistakes{"shift-index: setp.le.s32 %p, %r, 8;"});
  EXPECT_EQ(mistakesIn("setp.lt.f32 %p1, %f1, %f2;"), Mistakes{});
  EXPECT_EQ(mistakesIn("cp.async.bulk.tensor.1d.shared::cluster.global.tile"
                       ".mbarrier::complete_tx::bytes [%r1], [%rd1, {%r2}], [%r3];")
                .back(),
            "misalign: cp.async.bulk.tensor.1d.shared::cluster.global.tile"
            ".mbarrier::complete_tx::bytes [%r+8], [%rd, {%r}], [%r];");
}

TEST(Mutants, Fences) {
  EXPECT_EQ(mistakesIn("fence.proxy.async;"), Mistakes{"drop-fence: "});
  EXPECT_EQ(mistakesIn("membar.gl;"), Mistakes{"drop-fence: "});
  EXPECT_EQ(mistakesIn("wgmma.fence.sync.aligned;"), Mistakes{"drop-fence: "});
  EXPECT_EQ(mistakesIn("ld.acquire.gpu.global.u32 %r1, [%rd1];").back(),
            "drop-fence: ld.relaxed.gpu.global.u32 %r, [%rd];");
}

TEST(Mutants, Buffers) {
  EXPECT_EQ(mistakesIn("mov.u32 %r1, left;"), Mistakes{"swap-buffers: mov.u32 %r, right;"});
  EXPECT_EQ(mistakesIn("ld.param.u64 %rd1, [a];"),
            Mistakes{"swap-buffers: ld.param.u64 %rd, [b];"});
  EXPECT_EQ(mistakesIn("ld.param.u64 %rd1, [b];"),
            Mistakes{"swap-buffers: ld.param.u64 %rd, [a];"});
}

TEST(Mutants, Predicates) {
  EXPECT_EQ(mistakesIn("@!%p1 bra loop;"), Mistakes{"drop-predicate: bra label;"});
}

/// Labels stay at their instructions where there are more or fewer before them.
TEST(Mutants, LabelsStayWhereTheyWere) {
  auto module = ptx::parse(R"(
    .version 8.7
    .target sm_90a
    .address_size 64
    .visible .entry k() {
      .reg .b32 %r<4>;
      bar.sync 0;
      before: mbarrier.expect_tx.relaxed.cta.shared.b64 [%r1], %r2;
      after: ret;
    })");
  const ptx::Function &kernel = *module->function("k");
  auto namesOf = [](const ptx::Function &function) {
    std::vector<std::string> names(function.labels.size());
    std::transform(function.labels.begin(), function.labels.end(), names.begin(),
                   [&](int label) { return function.instructions[label].opcode; });
    return names;
  };
  std::vector<Mutant> mutants = mutantsOf(*module, kernel);
  ASSERT_EQ(mutants.size(), 3u);
  EXPECT_EQ(namesOf(mutants[0].applyTo(kernel)), (std::vector<std::string>{"mbarrier", "ret"}));
  EXPECT_EQ(namesOf(mutants[2].applyTo(kernel)), (std::vector<std::string>{"shr", "ret"}));
  EXPECT_EQ(namesOf(surveyOf(kernel, {&mutants[2]})), (std::vector<std::string>{"setp", "ret"}));
}

/// Each mark comes where its mistake would be noticed first, under the guard of
/// what is mistaken, and with registers of its own.
TEST(Mutants, SurveyMarksWhereMistakesMakeADifference) {
  auto module = ptx::parse(R"(
    .version 8.7
    .target sm_90a
    .address_size 64
    .visible .entry k() {
      .reg .pred %p<4>;
      .reg .b32 %r<4>;
      setp.lt.s32 %p1, %r1, 8;
      mbarrier.expect_tx.relaxed.cta.shared.b64 [%r1], %r2;
      @%p1 st.shared.b32 [%r1], %r2;
      ret;
    })");
  const ptx::Function &kernel = *module->function("k");
  std::vector<Mutant> mutants = mutantsOf(*module, kernel);
  std::vector<const Mutant *> all(mutants.size());
  std::transform(mutants.begin(), mutants.end(), all.begin(),
                 [](const Mutant &mutant) { return &mutant; });
  ptx::Function survey = surveyOf(kernel, all);
  std::vector<std::string> texts(survey.instructions.size());
  std::transform(survey.instructions.begin(), survey.instructions.end(), texts.begin(),
                 [&](const ptx::Instruction &instruction) { return textOf(instruction, survey); });
  EXPECT_EQ(texts, (std::vector<std::string>{"setp.lt.s32 %p, %r, 8;", "setp.le.s32 %other, %r, 8;",
                                             "xor.pred %other, %other, %p;", "@%other pmevent 0;",
                                             "setp.ne.u32 %differs, %r, 0;", "@%differs pmevent 1;",
                                             "mbarrier.expect_tx.relaxed.cta.shared.b64 [%r], %r;",
                                             "@%p pmevent 2;", "@!%p pmevent 3;",
                                             "@%p st.shared.b32 [%r], %r;", "ret;"}));
}

} // namespace
