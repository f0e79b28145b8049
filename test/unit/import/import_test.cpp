// The importer on bytes: where embedded weights are found, and that no damaged
// file does more than fail.
#include "dialects/rt/RtDialect.h"
#include "lib/import/Import.h"
#include "lib/import/Wire.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "gtest/gtest.h"
#include <fstream>
#include <random>
#include <sys/resource.h>

namespace {

std::string varint(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7)
    bytes += static_cast<char>(value | 0x80);
  return bytes + static_cast<char>(value);
}
std::string field(unsigned number, uint64_t value) { return varint(number << 3) + varint(value); }
std::string field(unsigned number, const std::string &bytes) {
  return varint(number << 3 | 2) + varint(bytes.size()) + bytes;
}

std::string tensor(const std::string &name, int64_t size, const std::string &raw) {
  return field(1, size) + field(2, 1) + field(8, name) + field(9, raw);
}
/// The start of a field whose `length` bytes follow.
std::string head(unsigned number, uint64_t length) {
  return varint(number << 3 | 2) + varint(length);
}
std::string value(const std::string &name) {
  std::string shape = field(1, field(2, "n")) + field(1, field(1, 4));
  return field(1, name) + field(2, field(1, field(1, 1) + field(2, shape)));
}

const std::string kOpset = field(8, field(2, 21));

/// A model with weights, a function, a subgraph, attributes and types.
std::string smallModel() {
  std::string attribute = field(1, "axes") + field(8, 1) + field(8, 2) + field(20, 7);
  std::string body = field(5, field(1, "body") + field(6, field(12, field(1, "x"))) + field(20, 5));
  std::string nodes =
      field(1, field(1, "x") + field(1, "w") + field(2, "a") + field(4, "Add")) +
      field(1, field(1, "a") + field(2, "b") + field(4, "F")) +
      field(1, field(1, "b") + field(2, "y") + field(4, "Loop") + field(5, attribute) + body);
  std::string graph = nodes + field(5, tensor("w", 2, std::string(8, 'w'))) +
                      field(5, tensor("v", 1024, std::string(4096, 'v'))) + field(11, value("x")) +
                      field(12, value("y"));
  std::string function = field(1, "F") + field(4, "p") + field(5, "q") + field(9, field(2, 21)) +
                         field(7, field(1, "p") + field(2, "q") + field(4, "Neg"));
  return kOpset + field(7, graph) + field(25, function);
}

class ImportTest : public testing::Test {
protected:
  ImportTest() {
    context.getDiagEngine().registerHandler([this](mlir::Diagnostic &diagnostic) {
      errors.push_back(diagnostic.str());
      return mlir::success();
    });
  }

  mlir::OwningOpRef<mlir::ModuleOp> import(const std::string &bytes) {
    errors.clear();
    return moec::importOnnx(llvm::MemoryBufferRef(bytes, "model.onnx"), context);
  }

  mlir::MLIRContext context;
  std::vector<std::string> errors;
};

TEST_F(ImportTest, EmbeddedWeightsAreFoundAtTheirOffset) {
  std::string model = smallModel();
  auto module = import(model);
  ASSERT_TRUE(module);
  auto weights = llvm::to_vector(module->getOps<moec::rt::WeightOp>());
  ASSERT_EQ(weights.size(), 1u);
  mlir::DictionaryAttr source = weights[0].getSource();
  EXPECT_EQ(source.getAs<mlir::StringAttr>("file"), "");
  EXPECT_EQ(source.getAs<mlir::IntegerAttr>("offset").getInt(),
            static_cast<int64_t>(model.find(std::string(4096, 'v'))));
  EXPECT_EQ(source.getAs<mlir::IntegerAttr>("length").getInt(), 4096);
}

TEST_F(ImportTest, MemoryDoesNotGrowWithEmbeddedWeights) {
  // A file of 2.5 GiB, almost all of it a hole: the data of one tensor.
  constexpr uint64_t kBytes = 5ull << 29;
  std::string tensorStart = field(1, kBytes) + field(2, 2) + field(8, "w") + head(9, kBytes);
  std::string graphStart = field(12, value("w")) + head(5, tensorStart.size() + kBytes);
  uint64_t graphBytes = graphStart.size() + tensorStart.size() + kBytes;
  std::string start = kOpset + head(7, graphBytes) + graphStart + tensorStart;
  llvm::SmallString<128> path;
  ASSERT_FALSE(llvm::sys::fs::createTemporaryFile("import", "onnx", path));
  llvm::FileRemover remove(path);
  std::ofstream(path.c_str()) << start;
  ASSERT_EQ(truncate(path.c_str(), start.size() + kBytes), 0);

  rusage before, after;
  getrusage(RUSAGE_SELF, &before);
  auto module = moec::importOnnx(llvm::StringRef(path), context);
  getrusage(RUSAGE_SELF, &after);
  ASSERT_TRUE(module);
  EXPECT_EQ((*module->getOps<moec::rt::WeightOp>().begin())
                .getSource()
                .getAs<mlir::IntegerAttr>("offset")
                .getInt(),
            static_cast<int64_t>(start.size()));
  EXPECT_LT(after.ru_maxrss - before.ru_maxrss, 64 << 10); // KiB
}

TEST_F(ImportTest, TruncationAnywhereIsAnErrorOrASmallerModel) {
  std::string model = smallModel();
  for (size_t length = 0; length < model.size(); ++length) {
    // Whole top-level fields may be missing at the end: the function.
    bool imported = static_cast<bool>(import(model.substr(0, length)));
    EXPECT_NE(imported, !errors.empty()) << "at " << length;
  }
}

TEST_F(ImportTest, DamageIsAnErrorOrAnotherModel) {
  std::string model = smallModel();
  std::mt19937 random(7);
  size_t refused = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string damaged = model;
    for (int flips = 1 + random() % 3; flips > 0; --flips) {
      // Bytes inside weights carry no structure; most hits should.
      size_t at = random() % damaged.size();
      if (damaged[at] != 'v' || i % 16 == 0)
        damaged[at] = static_cast<char>(random());
    }
    bool imported = static_cast<bool>(import(damaged));
    EXPECT_NE(imported, !errors.empty());
    refused += !imported;
  }
  EXPECT_GT(refused, 1000u);
}

TEST_F(ImportTest, DeepNestingIsAnError) {
  std::string graph;
  for (int depth = 0; depth < 10000; ++depth) {
    std::string attribute = field(1, "body") + field(6, graph) + field(20, 5);
    graph = field(1, field(4, "Loop") + field(5, attribute));
  }
  EXPECT_FALSE(import(kOpset + field(7, graph)));
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_EQ(errors[0], "is not an ONNX model: graphs are nested more than 32 deep");
}

TEST_F(ImportTest, FunctionsThatMultiplyAreAnError) {
  std::string model = kOpset;
  for (int i = 0; i < 40; ++i) {
    std::string call = field(7, field(4, "F" + std::to_string(i + 1)));
    model += field(25, field(1, "F" + std::to_string(i)) + field(9, field(2, 21)) + call + call);
  }
  model += field(25, field(1, "F40")) + field(7, field(1, field(4, "F0")));
  EXPECT_FALSE(import(model));
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_EQ(errors[0], "functions expand to more than 1048576 nodes");
}

} // namespace
