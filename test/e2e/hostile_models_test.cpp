// A damaged model, whatever is damaged, is an error or another model: it never
// crashes or hangs the compiler. The damage is pseudo-random but always the
// same; MOEC_TEST_DAMAGES are tried with each model.
#include "dialects/rt/RtDialect.h"
#include "lib/import/Import.h"
#include "moec/InitAll.h"
#include "passes/Passes.h"
#include "test/e2e/IsolatedRuns.h"

#include "mlir/IR/MLIRContext.h"
#include "mlir/Pass/PassManager.h"
#include "gtest/gtest.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <numeric>
#include <random>

using namespace moec;

namespace {

std::string readFile(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Imports and raises `bytes`, which would be at `path`, and selects kernels.
/// Returns a complaint when the outcome and the diagnostics do not agree.
std::string compile(const std::string &bytes, const std::string &path) {
  mlir::DialectRegistry registry;
  registerAllDialects(registry);
  mlir::MLIRContext context(registry, mlir::MLIRContext::Threading::DISABLED);
  size_t errors = 0;
  context.getDiagEngine().registerHandler([&](mlir::Diagnostic &diagnostic) {
    errors += diagnostic.getSeverity() == mlir::DiagnosticSeverity::Error;
    return mlir::success();
  });
  mlir::OwningOpRef<mlir::ModuleOp> module =
      importOnnx(llvm::MemoryBufferRef(bytes, path), context);
  if (module)
    stateContribSemantics(*module, "ort-cpu");
  mlir::PassManager passes(&context);
  buildRaisePipeline(passes);
  buildFusePipeline(passes, {"cpu", "x86-64-v3"});
  bool compiled = module && mlir::succeeded(passes.run(*module));
  if (compiled == (errors == 0))
    return "";
  return compiled ? "compiled in spite of an error" : "failed without an error";
}

/// Where a model has structure: outside of weights.
std::vector<size_t> structure(const std::string &bytes, const std::string &path) {
  mlir::DialectRegistry registry;
  registerAllDialects(registry);
  mlir::MLIRContext context(registry);
  mlir::OwningOpRef<mlir::ModuleOp> module =
      importOnnx(llvm::MemoryBufferRef(bytes, path), context);
  std::vector<bool> isWeight(bytes.size());
  if (!module)
    return {};
  for (rt::WeightOp weight : module->getOps<rt::WeightOp>()) {
    auto number = [&](const char *name) {
      return weight.getSource().getAs<mlir::IntegerAttr>(name).getInt();
    };
    if (weight.getSource().getAs<mlir::StringAttr>("file").empty())
      std::fill_n(isWeight.begin() + number("offset"), number("length"), true);
  }
  std::vector<size_t> places;
  for (size_t at = 0; at < bytes.size(); ++at)
    if (!isWeight[at])
      places.push_back(at);
  return places;
}

/// Compiles `count` variants, each in a process that may die.
void expectSound(size_t count, const std::string &path,
                 const std::function<std::string(size_t)> &variant) {
  std::vector<std::string> results =
      e2e::runIsolated(count, [&](size_t i) { return compile(variant(i), path); },
                       {.jobs = 2, .timeoutSeconds = 60});
  for (size_t i = 0; i < count; ++i)
    if (!results[i].empty()) {
      std::string kept = testing::TempDir() + "hostile-" + std::to_string(i) + ".onnx";
      std::ofstream(kept, std::ios::binary) << variant(i);
      ADD_FAILURE() << kept << " in the place of " << path << ": " << results[i];
    }
}

/// How often to damage a model.
size_t damages(size_t usual) {
  const char *count = std::getenv("MOEC_TEST_DAMAGES");
  return count ? std::strtoul(count, nullptr, 10) : usual;
}

std::string damage(std::string model, const std::vector<size_t> &places, size_t seed) {
  std::mt19937 random(seed);
  for (int flips = 1 + seed % 3; flips > 0; --flips)
    model[places[random() % places.size()]] = static_cast<char>(random());
  return model;
}

struct HostileModelsTest : testing::TestWithParam<const char *> {
  std::string path = MOEC_TEST_MODELS + std::string("/exports/") + GetParam() + "/model.onnx";
  std::string model = readFile(path);
};

TEST_P(HostileModelsTest, Truncated) {
  constexpr size_t kStep = 97;
  expectSound(model.size() / kStep, path, [&](size_t i) { return model.substr(0, i * kStep); });
}

TEST_P(HostileModelsTest, Damaged) {
  std::vector<size_t> places = structure(model, path);
  ASSERT_GT(places.size(), 1000u);
  expectSound(damages(150), path, [&](size_t i) { return damage(model, places, i); });
}

// Every operator is in one of ONNX's own tests.
TEST(HostileNodesTest, Damaged) {
  std::vector<std::string> paths, models;
  for (const auto &entry : std::filesystem::recursive_directory_iterator(MOEC_NODE_TESTS))
    if (entry.path().filename() == "model.onnx")
      paths.push_back(entry.path());
  ASSERT_GT(paths.size(), 1000u);
  llvm::sort(paths);
  for (const std::string &path : paths)
    models.push_back(readFile(path));
  expectSound(damages(1) * models.size(), MOEC_NODE_TESTS, [&](size_t i) {
    const std::string &model = models[i % models.size()];
    std::vector<size_t> places(model.size());
    std::iota(places.begin(), places.end(), 0);
    return damage(model, places, i);
  });
}

INSTANTIATE_TEST_SUITE_P(All, HostileModelsTest,
                         testing::Values("gpt-oss-genai", "gpt-oss-genai-int4", "mixtral-fused",
                                         "mixtral-mobius"),
                         [](const auto &info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

} // namespace
