// Text becomes syntax, and syntax becomes a program with the right
// reconvergence points.
#include "exec/Selectors.h"
#include "program/Decoder.h"
#include "program/RegisterPlaces.h"
#include "ptx/Parser.h"

#include <gtest/gtest.h>

using namespace vgpu;

namespace {

constexpr const char *kHeader = ".version 8.0\n.target sm_80\n.address_size 64\n";

std::unique_ptr<ptx::Module> parse(const std::string &body) { return ptx::parse(kHeader + body); }

std::shared_ptr<const Program> decodeKernel(const ptx::Module &module, const std::string &name) {
  return decode(module, *module.function(name), {}, selectors());
}

std::string errorOf(const std::function<void()> &action) {
  try {
    action();
  } catch (const ptx::SyntaxError &error) {
    return error.what();
  }
  return "no error";
}

TEST(Ptx, OpcodesKeepTheirDots) {
  std::vector<ptx::Token> tokens = ptx::tokenize("ld.shared::cta.v2.f32 {%f1, %tid.x}; // end");
  ASSERT_EQ(tokens.size(), 8u);
  EXPECT_EQ(tokens[0].text, "ld.shared::cta.v2.f32");
  EXPECT_EQ(tokens[4].text, "%tid.x");
}

// The toolkit's half-precision header writes them without a space.
TEST(Ptx, DirectivesEndAtTheNextDot) {
  std::vector<ptx::Token> tokens = ptx::tokenize(".reg.b16 a;");
  EXPECT_EQ(tokens[0].text, ".reg");
  EXPECT_EQ(tokens[1].text, ".b16");
}

TEST(Ptx, CommentsCountTheirLines) {
  std::vector<ptx::Token> tokens = ptx::tokenize("/* one\ntwo */ // three\nfour");
  EXPECT_EQ(tokens[0].line, 3);
}

TEST(Ptx, InitialValues) {
  auto module = parse(".global .align 4 .b8 bytes[6] = {1, 2, 255};\n"
                      ".const .f32 one = 0f3F800000;\n.global .u64 table[2] = {bytes, bytes+4};\n");
  EXPECT_EQ(module->variables[0].initial, (std::vector<uint8_t>{1, 2, 255, 0, 0, 0}));
  EXPECT_EQ(module->variables[1].initial, (std::vector<uint8_t>{0, 0, 0x80, 0x3f}));
  ASSERT_EQ(module->variables[2].relocations.size(), 2u);
  EXPECT_EQ(module->variables[2].relocations[1].addend, 4);
}

// The inner register hides the outer one, and the inner label is another label.
TEST(Ptx, ScopesHideNames) {
  auto module = parse(".visible .entry f() {\n.reg .b32 %r;\nL: { .reg .b64 %r; mov.b64 %r, 1;\n"
                      "bra L;\nL: }\nmov.b32 %r, 2;\nret;\n}\n");
  const ptx::Function &function = *module->function("f");
  EXPECT_EQ(function.registers[function.instructions[0].operands[0].index].type, ptx::Type::B64);
  EXPECT_EQ(function.labels[function.instructions[1].operands[0].index], 2);
  EXPECT_EQ(function.registers[function.instructions[2].operands[0].index].type, ptx::Type::B32);
}

TEST(Ptx, ErrorsNameTheLine) {
  EXPECT_EQ(errorOf([] { parse(".visible .entry f() {\n  add.s32 1 2;\n}"); }),
            "ptx line 5: expected ';', but found '2'");
  EXPECT_EQ(errorOf([] { parse(".visible .entry f() {\n"); }),
            "ptx line 5: the text ends too early");
  auto wrongWidth = parse(".visible .entry f() {\n.reg .b64 %a;\nadd.s32 %a, %a, 1;\n}");
  EXPECT_EQ(errorOf([&] { decodeKernel(*wrongWidth, "f"); }),
            "ptx line 6: add.s32: register %a does not hold a value of type s32");
  auto unknown = parse(".visible .entry f() {\nwmma.load.a.sync.row.m16n16k16.f16 1;\n}");
  EXPECT_NE(errorOf([&] { decodeKernel(*unknown, "f"); }).find("not supported"), std::string::npos);
}

TEST(Ptx, VersionsAreTwoNumbers) {
  EXPECT_EQ(ptx::parse(".version 8.7\n.target sm_90a")->version, 87);
  for (const char *text : {"8", "x.8", "8.10"})
    EXPECT_EQ(errorOf([=] { ptx::parse(std::string(".version ") + text); }),
              std::string("ptx line 1: expected a version such as 8.0, but found ") + text);
}

TEST(Ptx, ParametersAreAligned) {
  auto module = parse(".visible .entry f(.param .u8 a, .param .u64 b, .param .align 16 .b8 c[20],"
                      " .param .u32 d) { ret; }");
  auto program = decodeKernel(*module, "f");
  EXPECT_EQ(program->parameterOffsets, (std::vector<uint32_t>{0, 8, 16, 36}));
  EXPECT_EQ(program->parameterBytes, 40u);
}

// Only what a kernel and its callees use takes space; dynamic memory follows.
TEST(Ptx, SharedMemoryIsLaidOut) {
  auto module = parse(".shared .align 4 .b8 used[10];\n.shared .align 4 .b8 unused[1000];\n"
                      ".extern .shared .align 64 .b8 dynamic[];\n.visible .entry f() {\n"
                      ".reg .b64 %a;\nmov.u64 %a, used;\nmov.u64 %a, dynamic;\nret;\n}\n");
  auto program = decodeKernel(*module, "f");
  EXPECT_EQ(program->sharedStaticBytes, 10u);
  EXPECT_EQ(program->sharedDynamicBase, kSharedBase + 64);
}

// if (p) { A } else { B } C: both branches meet at C. A loop's exit meets behind it.
TEST(Ptx, BranchesMeetAtPostDominators) {
  auto module = parse(".visible .entry f() {\n.reg .pred %p;\n.reg .b32 %r;\n"
                      "@%p bra ELSE;\nmov.b32 %r, 1;\nbra JOIN;\nELSE: mov.b32 %r, 2;\n"
                      "JOIN: mov.b32 %r, 3;\nLOOP: @%p bra DONE;\nmov.b32 %r, 4;\nbra LOOP;\n"
                      "DONE: @%p ret;\nmov.b32 %r, 5;\nret;\n}\n");
  auto program = decodeKernel(*module, "f");
  const std::vector<Instruction> &code = program->functions[0]->code;
  EXPECT_EQ(code[0].target, 3u);
  EXPECT_EQ(code[0].reconvergence, 4u);
  EXPECT_EQ(code[5].target, 8u);
  EXPECT_EQ(code[5].reconvergence, 8u);
}

TEST(Ptx, LanesThatOnlyLeaveNeverMeet) {
  auto module = parse(".visible .entry f() {\n.reg .pred %p;\n@%p bra A;\nexit;\nA: exit;\n}\n");
  auto program = decodeKernel(*module, "f");
  EXPECT_EQ(program->functions[0]->code[0].reconvergence, Function::kNever);
}

/// Where the registers of a kernel of one text live, by their numbers.
class Places {
public:
  explicit Places(const std::string &body)
      : module(parse(".visible .entry f() {\n.reg .pred %p;\n.reg .b32 %r<9>;\n"
                     ".reg .b64 %d<9>;\n" +
                     body + "ret;\n}\n")),
        places(shareRegisters(*module->function("f"))) {}

  uint32_t count() const { return places.end / kWarpSize; } ///< as 32-bit registers
  int32_t of(const std::string &name) const {
    const auto &registers = module->function("f")->registers;
    for (size_t index = 0; index < registers.size(); ++index)
      if (registers[index].name == name)
        return places.words[index];
    return -1;
  }

private:
  std::unique_ptr<ptx::Module> module;
  RegisterPlaces places;
};

TEST(Ptx, RegistersOutOfUseGiveTheirPlacesAway) {
  Places places("mov.b32 %r1, 1;\nadd.s32 %r2, %r1, 1;\nadd.s32 %r3, %r2, 1;\n"
                "add.s32 %r4, %r3, %r2;\n");
  EXPECT_EQ(places.of("%r3"), places.of("%r1"));
  EXPECT_EQ(places.count(), 3u); // an instruction may write before it has read everything
}

TEST(Ptx, WidthsShareNoPlaces) {
  Places places("mov.b64 %d1, 1;\nmov.b64 {%r1, %r2}, %d1;\nmov.b32 %r3, %r1;\n");
  EXPECT_EQ(places.count(), 2u + 2u);
}

// %r8 takes the place of %r1, and not of an accumulator, or of what one becomes.
TEST(Ptx, RegistersInFlightShareNoPlaces) {
  Places places("mov.b32 %r1, 1;\nadd.s32 %r2, %r1, 1;\n"
                "wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%r3, %r4, %r5, %r6}, %d1, "
                "%d2, 1, 1, 1, 0, 0;\nmov.b32 %r7, %r3;\nmov.b32 %r8, 1;\n");
  EXPECT_EQ(places.of("%r8"), places.of("%r1"));
  EXPECT_EQ(places.count(), 2u + 5u + 2u * 2u);
}

// %r1 is not mentioned after the loop's middle, but read when it comes again; %r2 is
// written in every pass before it is read.
TEST(Ptx, LoopsKeepWhatTheyCarry) {
  Places places("mov.b32 %r1, 0;\nLOOP: mov.b32 %r2, %r1;\nadd.s32 %r1, %r2, 1;\n"
                "mov.b32 %r3, 2;\nsetp.lt.s32 %p, %r3, 3;\n@%p bra LOOP;\n"
                "mov.b32 %r4, 1;\n");
  EXPECT_EQ(places.count(), 2u);
  EXPECT_EQ(places.of("%r3"), places.of("%r2"));
  EXPECT_EQ(places.of("%r4"), places.of("%r1"));
}

// %r2 keeps its value where the guard or the branch does not hold.
TEST(Ptx, GuardedWritesMayLeaveWhatWasThere) {
  for (const char *write : {"@%p mov.b32 %r2, 1;\n", "@%p bra L;\nmov.b32 %r2, 1;\nL: "}) {
    Places places("mov.b32 %r1, 1;\nadd.s32 %r3, %r1, 1;\n" + std::string(write) +
                  "mov.b32 %r4, %r2;\n");
    for (const char *other : {"%r1", "%r3", "%r4"})
      EXPECT_NE(places.of("%r2"), places.of(other)) << write << other;
  }
}

TEST(Ptx, TablesOfBranchesLeadToAllTheirTargets) {
  Places places("mov.b32 %r1, 1;\nmov.b32 %r2, 2;\nmov.b32 %r3, 0;\n"
                "T: .branchtargets A, B;\nbrx.idx %r3, T;\n"
                "A: mov.b32 %r4, 1;\nmov.b32 %r5, %r1;\nret;\nB: mov.b32 %r6, 1;\n"
                "mov.b32 %r7, %r2;\n");
  EXPECT_NE(places.of("%r4"), places.of("%r1"));
  EXPECT_NE(places.of("%r6"), places.of("%r2"));
}

// The address of an indirect call without results is its first operand.
TEST(Ptx, CallsReadWhatTheyCall) {
  Places places("P: .callprototype _ (.param .b32 a);\nmov.b64 %d1, 16;\nmov.b64 %d2, 1;\n"
                "{ .param .b32 x;\nst.param.b32 [x], 1;\ncall %d1, (x), P; }\n");
  EXPECT_NE(places.of("%d2"), places.of("%d1"));
}

TEST(Ptx, TraitsTellOfCommunication) {
  auto module = parse(".visible .entry quiet(.param .u64 p) {\n.reg .b64 %a;\n.reg .b32 %r;\n"
                      "ld.param.u64 %a, [p];\nld.global.u32 %r, [%a];\nret;\n}\n"
                      ".visible .entry loud(.param .u64 p) {\n.reg .b64 %a;\n.reg .b32 %r;\n"
                      "ld.param.u64 %a, [p];\nld.volatile.global.u32 %r, [%a];\nret;\n}\n");
  EXPECT_FALSE(decodeKernel(*module, "quiet")->traits.hasGlobalAtomics);
  EXPECT_TRUE(decodeKernel(*module, "loud")->traits.hasGlobalAtomics);
}

} // namespace
