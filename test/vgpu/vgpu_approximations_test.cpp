// Approximations lie within the errors that PTX documents, and the adversarial
// ones use them.
#include "Gpu.h"

#include <cmath>
#include <cstdlib>
#include <random>
#include <string_view>

namespace {

/// A unit in the last place of f32.
double ulp(double value) { return std::ldexp(1.0, std::max(std::ilogb(value), -126) - 23); }

struct Approximation {
  const char *instruction; ///< reads %a and %b, writes %d
  float low, high;         ///< of the arguments
  double (*exact)(double a, double b);
  double (*error)(double exact, double a);
};

double twoUlp(double exact, double) { return 2 * ulp(exact); }
double ofLog2(double exact, double a) {
  return std::ldexp(a > 0.5 && a < 2 ? 1 : std::abs(exact), -22);
}
double ofSine(double, double a) { return std::exp2(std::abs(a) <= 2 * M_PI ? -20.5 : -14.7); }
double quotient(double a, double b) { return a / b; }
double log2Of(double a, double) { return std::log2(a); }

constexpr Approximation kApproximations[] = {
    {"ex2.approx.ftz.f32 %d, %a;", -120, 120, [](double a, double) { return std::exp2(a); },
     twoUlp},
    {"lg2.approx.f32 %d, %a;", 0.001f, 1e6f, log2Of, ofLog2},
    {"lg2.approx.ftz.f32 %d, %a;", 0.5f, 2, log2Of, ofLog2},
    {"sin.approx.f32 %d, %a;", -6.28f, 6.28f, [](double a, double) { return std::sin(a); }, ofSine},
    {"sin.approx.f32 %d, %a;", 6.3f, 314, [](double a, double) { return std::sin(a); }, ofSine},
    {"cos.approx.f32 %d, %a;", -6.28f, 6.28f, [](double a, double) { return std::cos(a); }, ofSine},
    {"tanh.approx.f32 %d, %a;", -4, 4, [](double a, double) { return std::tanh(a); },
     [](double exact, double) { return std::ldexp(std::abs(exact), -11); }},
    {"rsqrt.approx.f32 %d, %a;", 1e-6f, 1e6f, [](double a, double) { return 1 / std::sqrt(a); },
     [](double exact, double) { return exact * std::exp2(-22.9); }},
    {"sqrt.approx.f32 %d, %a;", 1e-6f, 1e6f, [](double a, double) { return std::sqrt(a); },
     [](double exact, double) { return std::ldexp(exact, -23); }},
    {"rcp.approx.ftz.f32 %d, %a;", -1e6f, 1e6f, [](double a, double) { return 1 / a; },
     [](double exact, double) { return ulp(exact); }},
    {"div.approx.f32 %d, %a, %b;", -1e6f, 1e6f, quotient, twoUlp},
    {"div.full.f32 %d, %a, %b;", -1e6f, 1e6f, quotient, twoUlp},
};

class Approximations : public GpuTest {
protected:
  static constexpr unsigned kValues = 1024;

  std::vector<float> run(const std::string &instruction, const std::vector<float> &a,
                         const std::vector<float> &b) {
    std::string ptx = ".version 8.0\n.target sm_90a\n.address_size 64\n.visible .entry test("
                      ".param .u64 out, .param .u64 a, .param .u64 b) {\n"
                      ".reg .b32 %i;\n.reg .b64 %o, %p;\n.reg .f32 %a, %b, %d;\n"
                      "mov.u32 %i, %tid.x;\nmul.wide.u32 %o, %i, 4;\n";
    for (const char *name : {"a", "b"})
      ptx.append("ld.param.u64 %p, [")
          .append(name)
          .append("];\nadd.u64 %p, %p, %o;\nld.global.f32 %")
          .append(name)
          .append(", [%p];\n");
    ptx += instruction + "\nld.param.u64 %p, [out];\nadd.u64 %p, %p, %o;\n"
                         "st.global.f32 [%p], %d;\nret;\n}\n";
    Buffer<float> da(a), db(b), out(kValues);
    EXPECT_EQ(launch(kernel(loadText(ptx), "test"), {1}, {kValues}, 0, out.address, da.address,
                     db.address),
              CUDA_SUCCESS);
    return out.get();
  }
};

TEST_F(Approximations, LieWithinTheDocumentedError) {
  const char *numerics = std::getenv("VGPU_NUMERICS");
  bool isAdversarial = numerics && std::string_view(numerics) == "adversarial";
  std::mt19937 random(11);
  for (const Approximation &each : kApproximations) {
    SCOPED_TRACE(each.instruction);
    std::uniform_real_distribution<float> values(each.low, each.high);
    std::vector<float> a(kValues), b(kValues);
    for (unsigned i = 0; i < kValues; ++i)
      a[i] = values(random), b[i] = values(random);
    std::vector<float> results = run(each.instruction, a, b);
    double worst = 0;
    for (unsigned i = 0; i < kValues; ++i) {
      double exact = each.exact(a[i], b[i]);
      worst = std::max(worst, std::abs(results[i] - exact) / each.error(exact, a[i]));
    }
    EXPECT_LE(worst, 1);
    EXPECT_EQ(worst > 0.6, isAdversarial) << worst;
  }
}

// What PTX's tables promise for special arguments stays exact.
TEST_F(Approximations, SpecialArgumentsAreExact) {
  std::vector<float> zeros(kValues, 0.0f), infinities(kValues, INFINITY);
  EXPECT_EQ(run("ex2.approx.ftz.f32 %d, %a;", zeros, zeros)[0], 1);
  EXPECT_EQ(run("cos.approx.f32 %d, %a;", zeros, zeros)[0], 1);
  EXPECT_EQ(run("sin.approx.f32 %d, %a;", zeros, zeros)[0], 0);
  EXPECT_EQ(run("tanh.approx.f32 %d, %a;", infinities, zeros)[0], 1);
  EXPECT_EQ(run("rcp.approx.f32 %d, %a;", infinities, zeros)[0], 0);
  EXPECT_EQ(run("lg2.approx.f32 %d, %a;", zeros, zeros)[0], -INFINITY);
}

} // namespace
