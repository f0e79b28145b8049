#include "dialects/moe/MoeDialect.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

#include "dialects/moe/MoeDialect.cpp.inc"
#include "dialects/moe/MoeEnums.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/moe/MoeTypes.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/moe/MoeAttrs.cpp.inc"

using namespace mlir;

namespace moec::moe {

void MoeDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/moe/MoeAttrs.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/moe/MoeOps.cpp.inc"
      >();
}

void MoeDialect::getCanonicalizationPatterns(RewritePatternSet &patterns) const {
  addRefinement(patterns, getNamespace());
}

FailureOr<llvm::APFloat> parseDouble(AsmParser &parser) {
  double value;
  if (parser.parseFloat(value))
    return failure();
  return llvm::APFloat(value);
}

using Emit = function_ref<InFlightDiagnostic()>;

LogicalResult RouterAttr::verify(Emit emit, int64_t topK, Score score, int64_t groups,
                                 int64_t keptGroups, GroupScore, Masked, Normalize normalize,
                                 llvm::APFloat, llvm::APFloat, llvm::APFloat, llvm::APFloat, Ties) {
  if (topK < 1)
    return emit() << "requires a positive top_k, but it is " << topK;
  if (groups < 1 || keptGroups < 1 || keptGroups > groups)
    return emit() << "requires 1 <= kept_groups <= groups, but they are " << keptGroups << " and "
                  << groups;
  if (score == Score::sparse_mixer && (groups > 1 || normalize != Normalize::keep))
    return emit() << "requires the sparse mixer to have neither groups nor a normalisation";
  return success();
}

LogicalResult ActivationAttr::verify(Emit emit, Function, Gate gate, llvm::APFloat,
                                     llvm::APFloat beta, llvm::APFloat limit) {
  if (gate == Gate::none && (!beta.isZero() || !limit.isInfinity()))
    return emit() << "requires a gate for beta and limit";
  if (limit.isNegative() || limit.isNaN())
    return emit() << "requires a limit that is not negative";
  return success();
}

LogicalResult QuantAttr::verify(Emit emit, int64_t bits, int64_t block) {
  if (bits != 2 && bits != 4 && bits != 8)
    return emit() << "requires 2, 4 or 8 bits, but they are " << bits;
  if (block < 0)
    return emit() << "requires a block that is not negative, but it is " << block;
  return success();
}

} // namespace moec::moe
