#include "test/e2e/TestModel.h"

#include "lib/weights/Quantize.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "moec/InitAll.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/ErrorHandling.h"
#include "llvm/Support/SourceMgr.h"
#include "gtest/gtest.h"

#include <cstdlib>
#include <unistd.h>

namespace moec::test {

CompileOptions testedOptions() {
  CompileOptions options;
  if (const char *target = std::getenv("MOEC_TEST_TARGET"))
    options.target = target;
  if (const char *chip = std::getenv("MOEC_TEST_CHIP"))
    options.chip = chip;
  return options;
}

int testedRounds(int standard) {
  const char *rounds = std::getenv("MOEC_TEST_ROUNDS");
  int count = standard;
  if (rounds && !llvm::to_integer(rounds, count))
    llvm::report_fatal_error("MOEC_TEST_ROUNDS is no number");
  return count;
}

Model compileAndLoad(const std::filesystem::path &onnx, CompileOptions options) {
  mlir::DialectRegistry registry;
  registerAllDialects(registry);
  mlir::MLIRContext context(registry);
  llvm::SourceMgr sources;
  mlir::SourceMgrDiagnosticHandler printer(sources, &context, llvm::errs());
  options.modelPath = onnx;
  std::filesystem::path folder =
      std::filesystem::path(testing::TempDir()) / ("moec-test-" + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  std::filesystem::path artifact = folder / "model.moec";
  moec_model *model = nullptr;
  if (mlir::succeeded(compileFile(artifact.string(), EmitFormat::moec, options, context)) &&
      moec_model_load(artifact.c_str(), nullptr, &model) != MOEC_OK)
    std::fprintf(stderr, "%s\n", moec_last_error());
  // What is mapped stays; the names may go.
  std::filesystem::remove_all(folder);
  return Model(model);
}

Session createSession(moec_model *model, const moec_session_options &options) {
  moec_session *session = nullptr;
  EXPECT_EQ(moec_session_create(model, &options, &session), MOEC_OK) << moec_last_error();
  return Session(session);
}

Session createSession(moec_model *model, int threads) {
  moec_session_options options = {};
  options.threads = threads;
  return createSession(model, options);
}

tools::Array readArray(const std::filesystem::path &path, int32_t type) {
  tools::Array array;
  if (runtime::Status error = tools::readNpy(path, type, array))
    ADD_FAILURE() << error.message();
  return array;
}

std::vector<double> readNumbers(const std::filesystem::path &path) {
  tools::Array array;
  for (int32_t type : {MOEC_F64, MOEC_F32, MOEC_I64})
    if (!tools::readNpy(path, type, array))
      return toNumbers(array.tensor());
  ADD_FAILURE() << "cannot read numbers from " << path;
  return {};
}

std::vector<double> toNumbers(const moec_tensor &tensor) {
  std::vector<double> numbers;
  int64_t count = 1;
  for (int32_t dim = 0; dim < tensor.rank; ++dim)
    count *= tensor.sizes[dim];
  bool isDense = tensor.rank == 0 || tensor.strides[tensor.rank - 1] == 0;
  for (int64_t i = 0; i < count; ++i) {
    int64_t offset = i;
    if (!isDense) {
      offset = 0;
      int64_t rest = i;
      for (int32_t dim = tensor.rank - 1; dim >= 0; --dim) {
        offset += rest % tensor.sizes[dim] * tensor.strides[dim];
        rest /= tensor.sizes[dim];
      }
    }
    switch (tensor.type) {
    case MOEC_F32:
      numbers.push_back(static_cast<const float *>(tensor.data)[offset]);
      break;
    case MOEC_F16:
      numbers.push_back(fromHalf(static_cast<const uint16_t *>(tensor.data)[offset]));
      break;
    case MOEC_F64:
      numbers.push_back(static_cast<const double *>(tensor.data)[offset]);
      break;
    case MOEC_I64:
      numbers.push_back(static_cast<double>(static_cast<const int64_t *>(tensor.data)[offset]));
      break;
    default:
      ADD_FAILURE() << "type " << tensor.type << " is no number here";
      return {};
    }
  }
  return numbers;
}

double calcDiff(const std::vector<double> &x, const std::vector<double> &y) {
  EXPECT_EQ(x.size(), y.size());
  double product = 0, squares = 0;
  for (size_t i = 0; i < std::min(x.size(), y.size()); ++i) {
    product += x[i] * y[i];
    squares += x[i] * x[i] + y[i] * y[i];
  }
  return squares == 0 ? 0 : 1 - 2 * product / squares;
}

} // namespace moec::test
