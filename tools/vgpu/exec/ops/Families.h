#pragma once
// The families of instructions: each adds its opcodes to the table.

#include "program/Decoding.h"

#ifndef VGPU_VARIANT
#define VGPU_VARIANT baseline
#endif

namespace vgpu::VGPU_VARIANT {

void addInteger(SelectorTable &table);    ///< add … mad24, addc, dp4a
void addVideo(SelectorTable &table);      ///< vadd, vabsdiff4 …
void addBits(SelectorTable &table);       ///< and … lop3, prmt, bfe
void addFloat(SelectorTable &table);      ///< what add, mul … are for floats; fma, sqrt, ex2
void addConvert(SelectorTable &table);    ///< cvt
void addCompare(SelectorTable &table);    ///< setp, set, selp, slct
void addMove(SelectorTable &table);       ///< mov, cvta, isspacep, special registers
void addLoadStore(SelectorTable &table);  ///< ld, st, prefetch …
void addAtomic(SelectorTable &table);     ///< atom, red
void addWarpWide(SelectorTable &table);   ///< shfl, vote, match, redux, elect, activemask
void addBarrier(SelectorTable &table);    ///< bar, barrier, fence
void addMatrix(SelectorTable &table);     ///< mma, ldmatrix, stmatrix, movmatrix
void addCopyAsync(SelectorTable &table);  ///< cp
void addMbarrier(SelectorTable &table);   ///< mbarrier
void addTensorMaps(SelectorTable &table); ///< tensormap
void addWarpgroup(SelectorTable &table);  ///< wgmma
void addControl(SelectorTable &table);    ///< bra, call, ret, exit, trap

/// fence.proxy and fence.mbarrier_init.
Handler selectProxyFence(Decoding &decoding);
/// st.async and red.async.
Handler selectAsyncStore(Decoding &decoding);
/// Float arithmetic shares its opcodes with integers.
Handler selectFloatArithmetic(Decoding &decoding);

} // namespace vgpu::VGPU_VARIANT
