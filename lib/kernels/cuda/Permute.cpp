#include "lib/kernels/cuda/Permute.h"

#include "lib/kernels/cuda/RowFloats.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;

namespace moec::cuda {
namespace {

constexpr int64_t kWarps = 32;

class PermuteEmitter {
public:
  PermuteEmitter(BlockBuilder &b, const Permute &op, ValueRange arguments)
      : b(b), op(op), buckets(op.experts + 1), ids(b.globalMemory(arguments[0])),
        offsets(b.globalMemory(arguments[1])), slots(b.globalMemory(arguments[2])),
        positions(b.globalMemory(arguments[3])), counts(b.sharedMemory()) {
    count = b.mul(b.toI32(b.sizeOf(arguments[0], 0)), b.i32(op.topK));
    lane = b.lane();
    warp = b.warp();
  }

  void emit() {
    // Ranges of whole steps, but for the last.
    Value each = b.mul(b.ceilDivided(count, kWarps * kWarp), b.i32(kWarp));
    first = b.min(b.mul(warp, each), count);
    end = b.min(b.add(first, each), count);
    b.forEach(b.thread(), b.i32(kWarps * buckets), kWarps * kWarp,
              [&](Value at) { b.store(b.i32(0), entry(at)); });
    b.barrier();
    forSlots([](Value, Value, const Peers &) {});
    b.barrier();
    sumByWarp();
    b.barrier();
    sumByExpert();
    b.barrier();
    forSlots([&](Value slot, Value isSlot, const Peers &peers) {
      b.ifTrue(isSlot, [&] { place(slot, peers); });
    });
  }

private:
  /// The lanes of a warp whose slots have the same expert.
  struct Peers {
    Value bucket;
    /// How many slots of the expert came before: those of earlier steps, and of
    /// lower lanes.
    Value before, below;
  };

  /// An entry of the warps' counts, or of the starts of experts behind them.
  Value entry(Value number) { return b.at(counts, b.mul(number, b.i32(4))); }
  Value countOf(Value warp, Value bucket) {
    return entry(b.add(b.mul(warp, b.i32(buckets)), bucket));
  }
  Value startOf(Value bucket) { return entry(b.add(bucket, b.i32(kWarps * buckets))); }
  Value load(Value pointer) { return b.load(b.getI32Type(), pointer); }
  void synchronise() { NVVM::SyncWarpOp::create(b, b.i32(-1)); }

  /// Calls `body` for each step of the warp's slots, and counts them.
  void forSlots(function_ref<void(Value, Value, const Peers &)> body) {
    b.forEach(first, end, kWarp, [&](Value step) {
      Value slot = b.add(step, lane), isSlot = b.less(slot, end);
      Value id = b.loadIf(isSlot, b.getI32Type(), b.at(ids, b.mul(b.toI64(slot), b.i64(4))),
                          b.i32(op.experts));
      // Lanes behind the last slot are among themselves.
      Peers peers;
      peers.bucket = arith::MinUIOp::create(b, id, b.i32(op.experts));
      Value key = b.select(isSlot, peers.bucket, b.i32(buckets));
      Value same =
          NVVM::MatchSyncOp::create(b, b.getI32Type(), b.i32(-1), key, NVVM::MatchSyncKind::any);
      Value lower = b.sub(arith::ShLIOp::create(b, b.i32(1), lane), b.i32(1));
      peers.below = math::CtPopOp::create(b, arith::AndIOp::create(b, same, lower));
      Value counter = countOf(warp, peers.bucket);
      peers.before = load(counter);
      body(slot, isSlot, peers);
      synchronise();
      Value isFirst = b.both(isSlot, b.equal(peers.below, b.i32(0)));
      b.ifTrue(isFirst,
               [&] { b.store(b.add(peers.before, math::CtPopOp::create(b, same)), counter); });
      synchronise();
    });
  }

  /// Each thread sums the counts of an expert: a warp's becomes the number of
  /// slots in the warps before.
  void sumByWarp() {
    b.forEach(b.thread(), b.i32(buckets), kWarps * kWarp, [&](Value bucket) {
      Value total = b.forEach(b.i32(0), b.i32(kWarps), 1, b.i32(0),
                              [&](Value warp, MutableArrayRef<Value> total) {
                                Value pointer = countOf(warp, bucket), mine = load(pointer);
                                b.store(total[0], pointer);
                                total[0] = b.add(total[0], mine);
                              })[0];
      b.store(total, startOf(bucket));
    });
  }

  /// The first warp sums the experts', 32 at a time.
  void sumByExpert() {
    b.ifTrue(b.equal(warp, b.i32(0)), [&] {
      b.forEach(b.i32(0), b.i32(buckets), kWarp, b.i32(0),
                [&](Value from, MutableArrayRef<Value> carried) {
                  Value bucket = b.add(from, lane), isBucket = b.less(bucket, b.i32(buckets));
                  Value mine = b.loadIf(isBucket, b.getI32Type(), startOf(bucket), b.i32(0));
                  Value upTo = mine;
                  for (int64_t distance = 1; distance < kWarp; distance *= 2) {
                    Value below = b.fromLaneBelow(upTo, distance);
                    Value isThere = b.less(b.i32(distance - 1), lane);
                    upTo = b.add(upTo, b.select(isThere, below, b.i32(0)));
                  }
                  Value start = b.add(carried[0], b.sub(upTo, mine));
                  b.ifTrue(isBucket, [&] {
                    b.store(start, startOf(bucket));
                    b.store(start, b.at(offsets, b.mul(bucket, b.i32(4))));
                  });
                  carried[0] = b.add(carried[0], b.fromLane(upTo, b.i32(kWarp - 1)));
                });
    });
  }

  void place(Value slot, const Peers &peers) {
    Value at = b.add(load(startOf(peers.bucket)), b.add(peers.before, peers.below));
    b.store(slot, b.at(slots, b.mul(b.toI64(at), b.i64(4))));
    Value isNone = b.equal(peers.bucket, b.i32(op.experts));
    b.store(b.select(isNone, b.i32(-1), at), b.at(positions, b.mul(b.toI64(slot), b.i64(4))));
  }

  BlockBuilder &b;
  const Permute &op;
  int64_t buckets;
  Value ids, offsets, slots, positions, counts;
  Value count, lane, warp, first, end;
};

} // namespace

int64_t Permute::sharedBytes() const { return 4 * (kWarps + 1) * (experts + 1); }

bool Permute::isSupported() const {
  // What every multiprocessor has.
  constexpr int64_t kMostBytes = 160 << 10;
  return sharedBytes() <= kMostBytes;
}

std::string Permute::name() const {
  return "permute_" + std::to_string(experts) + "_top" + std::to_string(topK);
}

func::FuncOp Permute::build(OpBuilder &builder) const {
  Type i32 = builder.getI32Type();
  constexpr int64_t kDynamic = ShapedType::kDynamic;
  auto ids = MemRefType::get({kDynamic, topK}, i32);
  SmallVector<Type> types{ids, MemRefType::get(experts + 1, i32), MemRefType::get(kDynamic, i32),
                          ids};
  return defineBlockKernel(builder, name(), types, {kWarps * kWarp, sharedBytes()},
                           [&](BlockBuilder &b, ValueRange arguments, Value) {
                             PermuteEmitter(b, *this, arguments).emit();
                           });
}

} // namespace moec::cuda
