// The fragment formulas say what the tables of the PTX manual say, element by
// element: here they are, each in the manual's own terms.
#include "tensor/Fragment.h"

#include <gtest/gtest.h>

#include <functional>

namespace {

using namespace vgpu::tensor;

struct Table {
  const char *name;
  int elements; ///< of a lane
  std::function<Cell(int lane, int i)> formula, manual;
};

void expectSame(const Table &table) {
  for (int lane = 0; lane < 32; ++lane)
    for (int i = 0; i < table.elements; ++i) {
      Cell got = table.formula(lane, i), want = table.manual(lane, i);
      EXPECT_EQ(got.row, want.row) << table.name << " lane " << lane << " element " << i;
      EXPECT_EQ(got.column, want.column) << table.name << " lane " << lane << " element " << i;
    }
}

std::function<Cell(int, int)> a(int rows, int pack) {
  return [=](int lane, int i) { return cellOfA(rows, pack, lane, i); };
}
std::function<Cell(int, int)> b(int pack) {
  return [=](int lane, int i) { return cellOfB(pack, lane, i); };
}

int group(int lane) { return lane >> 2; }
int inGroup(int lane) { return lane % 4; }

TEST(Fragment, AOfEveryShapeIsTheManuals) {
  const Table tables[] = {
      {"m16n8k8 f16", 4, a(16, 2),
       [](int lane, int i) {
         return Cell{i < 2 ? group(lane) : group(lane) + 8, inGroup(lane) * 2 + (i & 1)};
       }},
      {"m16n8k16 f16", 8, a(16, 2),
       [](int lane, int i) {
         bool isUpper = (0 <= i && i < 2) || (4 <= i && i < 6);
         return Cell{isUpper ? group(lane) : group(lane) + 8,
                     inGroup(lane) * 2 + (i & 1) + (i < 4 ? 0 : 8)};
       }},
      {"m16n8k4 tf32", 2, a(16, 1),
       [](int lane, int i) { return Cell{i == 0 ? group(lane) : group(lane) + 8, inGroup(lane)}; }},
      {"m16n8k8 tf32", 4, a(16, 1),
       [](int lane, int i) {
         return Cell{i == 0 || i == 2 ? group(lane) : group(lane) + 8,
                     i < 2 ? inGroup(lane) : inGroup(lane) + 4};
       }},
      {"m8n8k16 s8", 4, a(8, 4),
       [](int lane, int i) { return Cell{group(lane), inGroup(lane) * 4 + i}; }},
      {"m16n8k16 s8", 8, a(16, 4),
       [](int lane, int i) {
         return Cell{i < 4 ? group(lane) : group(lane) + 8, inGroup(lane) * 4 + (i & 3)};
       }},
      {"m16n8k32 s8 and e4m3", 16, a(16, 4),
       [](int lane, int i) {
         bool isUpper = (0 <= i && i < 4) || (8 <= i && i < 12);
         return Cell{isUpper ? group(lane) : group(lane) + 8,
                     inGroup(lane) * 4 + (i & 3) + (i < 8 ? 0 : 16)};
       }},
      {"m8n8k32 s4", 8, a(8, 8),
       [](int lane, int i) { return Cell{group(lane), inGroup(lane) * 8 + i}; }},
      {"m16n8k32 s4", 16, a(16, 8),
       [](int lane, int i) {
         return Cell{i < 8 ? group(lane) : group(lane) + 8, inGroup(lane) * 8 + (i & 7)};
       }},
      {"m16n8k64 s4", 32, a(16, 8),
       [](int lane, int i) {
         bool isUpper = (0 <= i && i < 8) || (16 <= i && i < 24);
         return Cell{isUpper ? group(lane) : group(lane) + 8,
                     inGroup(lane) * 8 + (i & 7) + (i < 16 ? 0 : 32)};
       }},
      {"m8n8k128 b1", 32, a(8, 32),
       [](int lane, int i) { return Cell{group(lane), inGroup(lane) * 32 + i}; }},
      {"m16n8k128 b1", 64, a(16, 32),
       [](int lane, int i) {
         return Cell{i < 32 ? group(lane) : group(lane) + 8, inGroup(lane) * 32 + (i & 31)};
       }},
      {"m16n8k256 b1", 128, a(16, 32),
       [](int lane, int i) {
         bool isUpper = (0 <= i && i < 32) || (64 <= i && i < 96);
         return Cell{isUpper ? group(lane) : group(lane) + 8,
                     inGroup(lane) * 32 + (i & 31) + (i < 64 ? 0 : 128)};
       }},
      {"m8n8k4 f64", 1, a(8, 1), [](int lane, int) { return Cell{group(lane), inGroup(lane)}; }},
      {"m16n8k16 f64", 8, a(16, 1),
       [](int lane, int i) {
         if (i % 2 == 0)
           return Cell{group(lane), i * 2 + inGroup(lane)};
         return Cell{group(lane) + 8, i * 2 - 2 + inGroup(lane)};
       }},
  };
  for (const Table &table : tables)
    expectSame(table);
}

TEST(Fragment, BOfEveryShapeIsTheManuals) {
  const Table tables[] = {
      {"m16n8k8 f16", 2, b(2),
       [](int lane, int i) { return Cell{inGroup(lane) * 2 + i, group(lane)}; }},
      {"m16n8k16 f16", 4, b(2),
       [](int lane, int i) {
         return Cell{inGroup(lane) * 2 + (i & 1) + (i < 2 ? 0 : 8), group(lane)};
       }},
      {"m16n8k8 tf32", 2, b(1),
       [](int lane, int i) {
         return Cell{i == 0 ? inGroup(lane) : inGroup(lane) + 4, group(lane)};
       }},
      {"m16n8k32 s8", 8, b(4),
       [](int lane, int i) {
         return Cell{inGroup(lane) * 4 + (i & 3) + (i < 4 ? 0 : 16), group(lane)};
       }},
      {"m16n8k64 s4", 16, b(8),
       [](int lane, int i) {
         return Cell{inGroup(lane) * 8 + (i & 7) + (i < 8 ? 0 : 32), group(lane)};
       }},
      {"m16n8k256 b1", 64, b(32),
       [](int lane, int i) {
         return Cell{inGroup(lane) * 32 + (i & 31) + (i < 32 ? 0 : 128), group(lane)};
       }},
      {"m16n8k16 f64", 4, b(1),
       [](int lane, int i) { return Cell{inGroup(lane) + i * 4, group(lane)}; }},
  };
  for (const Table &table : tables)
    expectSame(table);
}

TEST(Fragment, AccumulatorsAreTheManuals) {
  expectSame({"m8n8k16 s32, m8n8k4 f64", 2, cellOfC,
              [](int lane, int i) { return Cell{group(lane), inGroup(lane) * 2 + i}; }});
  expectSame({"m16n8 f32, s32, f64", 4, cellOfC, [](int lane, int i) {
                return Cell{i < 2 ? group(lane) : group(lane) + 8, inGroup(lane) * 2 + (i & 1)};
              }});
  expectSame({"wgmma m64n256 f32", 128, cellOfC, [](int lane, int i) {
                return Cell{group(lane) + (i % 4 < 2 ? 0 : 8),
                            8 * (i / 4) + inGroup(lane) * 2 + (i & 1)};
              }});
}

TEST(Fragment, QuadPairsAreTheManuals) {
  expectSame({"A .row", 4, [](int lane, int i) { return quadPairCellOfA(true, lane, i); },
              [](int lane, int i) { return Cell{lane % 4 + (lane < 16 ? 0 : 4), i}; }});
  expectSame({"A .col", 4, [](int lane, int i) { return quadPairCellOfA(false, lane, i); },
              [](int lane, int i) { return Cell{i % 4 + (lane < 16 ? 0 : 4), lane % 4}; }});
  expectSame({"B .row", 4, [](int lane, int i) { return quadPairCellOfB(true, lane, i); },
              [](int lane, int i) { return Cell{lane % 4, i + (lane < 16 ? 0 : 4)}; }});
  expectSame({"B .col", 4, [](int lane, int i) { return quadPairCellOfB(false, lane, i); },
              [](int lane, int i) { return Cell{i, lane % 4 + (lane < 16 ? 0 : 4)}; }});
  expectSame({"C f16", 8, [](int lane, int i) { return quadPairCellOfC(false, lane, i); },
              [](int lane, int i) { return Cell{lane % 4 + (lane < 16 ? 0 : 4), i}; }});
  expectSame({"C f32", 8, [](int lane, int i) { return quadPairCellOfC(true, lane, i); },
              [](int lane, int i) {
                int x = (lane & 0b1) + (i & 0b10);
                return Cell{lane < 16 ? x : x + 4, (i & 0b100) + (lane & 0b10) + (i & 0b1)};
              }});
}

} // namespace
