//===- LowerAsserts.cpp - a failed check ends the execution ---------------===//
#include "passes/Passes.h"

#include "dialects/rt/RtDialect.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/lower/Descriptors.h"

namespace moec {
#define GEN_PASS_DEF_LOWERASSERTSPASS
#include "passes/Passes.h.inc"
} // namespace moec

using namespace mlir;

namespace moec {
namespace {

struct LowerAssertsPass : impl::LowerAssertsPassBase<LowerAssertsPass> {
  void runOnOperation() override {
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      SmallVector<cf::AssertOp> checks;
      function.walk([&](cf::AssertOp check) { checks.push_back(check); });
      for (cf::AssertOp check : checks)
        lower(check, function);
    }
    OpBuilder builder(&getContext());
    SmallVector<Attribute> ordered;
    for (const auto &[message, number] : messages)
      ordered.push_back(message);
    getOperation()->setAttr("rt.messages", builder.getArrayAttr(ordered));
  }

  /// The message, in host code with the ONNX node that fails. A kernel serves
  /// many nodes: there the runtime adds the name of the launch.
  int64_t messageNumber(cf::AssertOp check, bool isKernel) {
    std::string text;
    if (auto name = check.getLoc()->findInstanceOf<NameLoc>(); name && !isKernel)
      text = ("node '" + name.getName().getValue() + "': ").str();
    auto message = StringAttr::get(&getContext(), text + check.getMsg());
    return messages.insert({message, messages.size()}).first->second;
  }

  void lower(cf::AssertOp check, func::FuncOp function) {
    Location loc = check.getLoc();
    Block *before = check->getBlock();
    Block *after = before->splitBlock(check->getNextNode());
    auto *failing = new Block();
    function.getBody().push_back(failing);
    OpBuilder builder(check);
    cf::CondBranchOp::create(builder, loc, check.getArg(), after, failing);
    builder.setInsertionPointToEnd(failing);
    bool isKernel = function->hasAttr(rt::LaunchOp::kKernelAttr);
    int64_t message = messageNumber(check, isKernel);
    if (isKernel)
      failKernel(builder, loc, function, message);
    else
      failHost(builder, loc, function, message);
    check.erase();
  }

  /// A kernel leaves the message's number + 1 where word 0 points to.
  void failKernel(OpBuilder &builder, Location loc, func::FuncOp kernel, int64_t message) {
    Type pointer = LLVM::LLVMPointerType::get(&getContext());
    Value status = loadWord(builder, loc, kernel.getArgument(0), pointer, 0);
    Value number = LLVM::ConstantOp::create(builder, loc, builder.getI32IntegerAttr(message + 1));
    LLVM::StoreOp::create(builder, loc, number, status);
    func::ReturnOp::create(builder, loc);
  }

  /// moec_services.fail does not return.
  void failHost(OpBuilder &builder, Location loc, func::FuncOp main, int64_t message) {
    Type pointer = LLVM::LLVMPointerType::get(&getContext());
    constexpr int64_t kFail = 5;
    Value fail = loadWord(builder, loc, main.getArgument(1), pointer, kFail);
    Value number = LLVM::ConstantOp::create(builder, loc, builder.getI32IntegerAttr(message));
    auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(&getContext()),
                                            {pointer, builder.getI32Type()});
    LLVM::CallOp::create(builder, loc, type, ValueRange{fail, main.getArgument(0), number});
    Value one = LLVM::ConstantOp::create(builder, loc, builder.getI32IntegerAttr(1));
    func::ReturnOp::create(builder, loc, one);
  }

  llvm::MapVector<StringAttr, int64_t> messages;
};

} // namespace
} // namespace moec
