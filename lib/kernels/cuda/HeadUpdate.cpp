#include "lib/kernels/cuda/HeadUpdate.h"

#include "lib/kernels/cuda/HeadUnits.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;

namespace moec::cuda {

std::string HeadUpdate::name() const { return queries.name() + "_" + keys.name(); }

func::FuncOp HeadUpdate::build(OpBuilder &builder) const {
  SmallVector<SmallVector<Type>> inputs{queries.inputTypes(builder), keys.inputTypes(builder),
                                        values.inputTypes(builder)};
  SmallVector<Type> types;
  for (ArrayRef<Type> ofPart : inputs)
    llvm::append_range(types, ofPart);
  types.append({queries.outputType(), keys.outputType(), values.outputType()});
  return defineBlockKernel(
      builder, name(), types, {kHeadThreads},
      [&](BlockBuilder &b, ValueRange arguments, Value block) {
        ValueRange outputs = arguments.take_back(inputs.size());
        SmallVector<SmallVector<Value>> parts;
        for (auto [ofPart, output] : llvm::zip_equal(inputs, outputs)) {
          SmallVector<Value> &part = parts.emplace_back(arguments.take_front(ofPart.size()));
          part.push_back(output);
          arguments = arguments.drop_front(ofPart.size());
        }
        Value ofQueries = b.toI32(queries.grid(b, parts[0]));
        Value ofKeys = b.toI32(keys.grid(b, parts[1])),
              ofValues = b.toI32(values.grid(b, parts[2]));
        Value afterQueries = b.sub(block, ofQueries), afterKeys = b.sub(afterQueries, ofKeys);
        b.ifElse(
            b.less(block, ofQueries), [&] { queries.emit(b, parts[0], block); },
            [&] {
              b.ifElse(
                  b.less(afterKeys, b.i32(0)),
                  [&] { keys.emit(b, parts[1], afterQueries, ofKeys); },
                  [&] { values.emit(b, parts[2], afterKeys, ofValues); });
            });
      });
}

} // namespace moec::cuda
