#include "lib/compiler/CompileReport.h"

#include "lib/codegen/Metadata.h"
#include "llvm/Support/FormatVariadic.h"

#include <sys/resource.h>

namespace moec {

void CompileReport::finished(llvm::StringRef stage) {
  Clock::time_point now = Clock::now();
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  stages.push_back(
      llvm::json::Object{{"name", stage},
                         {"seconds", std::chrono::duration<double>(now - last).count()},
                         {"process_peak", usage.ru_maxrss * 1024}});
  last = now;
}

void CompileReport::lowered(mlir::ModuleOp module) {
  llvm::json::Object description = describeModule(module);
  // A pair is told by the names of its tensors.
  const llvm::json::Array &inputs = *description.getArray("inputs");
  const llvm::json::Array &outputs = *description.getArray("outputs");
  auto nameIn = [](const llvm::json::Array &tensors, const llvm::json::Value &index) {
    return tensors[*index.getAsInteger()].getAsObject()->getString("name")->str();
  };
  for (const char *list : {"states", "plain_pairs"})
    for (llvm::json::Value &element : *description.getArray(list)) {
      llvm::json::Object &pair = *element.getAsObject();
      pair["input"] = nameIn(inputs, pair["input"]);
      pair["output"] = nameIn(outputs, pair["output"]);
    }
  for (const char *member : {"states", "plain_pairs", "plan"})
    root[member] = std::move(description[member]);
  root["kernels"] = description.getArray("kernels")->size();
  root["launches"] = description.getArray("sites")->size();
}

void CompileReport::deviceCode(llvm::json::Array list) {
  if (!list.empty())
    root["device_code"] = std::move(list);
}

std::string CompileReport::text() && {
  root["stages"] = std::move(stages);
  return llvm::formatv("{0:2}\n", llvm::json::Value(std::move(root)));
}

} // namespace moec
