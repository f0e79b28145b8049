#pragma once
// Where the elements of fragments lie in their matrices.
//
// All shapes of mma.sync but one, and wgmma, share one pattern. Lane = 4 g + t;
// an element number counts through the registers of a lane, `pack` of them to
// a register (see packOf):
//
//   A (m × k):  register r    row g + 8 (r mod 2)    columns 4 pack (r / 2) + pack t …
//               of an 8-row A row g                  columns 4 pack r       + pack t …
//   B (k × n):  register r    column g               rows    4 pack r       + pack t …
//   C (m × n):  element  e    row g + 8 (e/2 mod 2)  column  8 (e / 4) + 2 t + e mod 2
//
// The exception is m8n8k4 of f16: four products of 8 × 8 × 4, each of a quad
// pair (lanes 4 q … 4 q + 3 and 16 + 4 q … 16 + 4 q + 3).

namespace vgpu::tensor {

struct Cell {
  int row, column;
  bool operator==(const Cell &) const = default;
};

constexpr Cell cellOfA(int rows, int pack, int lane, int element) {
  int g = lane / 4, t = lane % 4, r = element / pack;
  bool isTall = rows > 8;
  return {g + (isTall ? 8 * (r % 2) : 0),
          4 * pack * (isTall ? r / 2 : r) + pack * t + element % pack};
}

constexpr Cell cellOfB(int pack, int lane, int element) {
  return {4 * pack * (element / pack) + pack * (lane % 4) + element % pack, lane / 4};
}

constexpr Cell cellOfC(int lane, int element) {
  return {lane / 4 + 8 * (element / 2 % 2), 8 * (element / 4) + 2 * (lane % 4) + element % 2};
}

/// Where rows of unpacked elements have a column of B or C: of each eight, the even
/// ones come first, so that four neighbours belong to one register.
constexpr int placeOfColumn(int column) { return column / 8 * 8 + column % 2 * 4 + column % 8 / 2; }

// --- m8n8k4 of f16. Every lane holds four elements of A and of B, eight of C.

constexpr int quadPairOf(int lane) { return lane % 16 / 4; }

/// The position of the lane along the side of 8: of A's rows and B's columns.
constexpr int quadPairSide(int lane) { return lane % 4 + (lane < 16 ? 0 : 4); }

constexpr Cell quadPairCellOfA(bool isRowMajor, int lane, int element) {
  if (isRowMajor)
    return {quadPairSide(lane), element};
  return {element + (lane < 16 ? 0 : 4), lane % 4};
}

constexpr Cell quadPairCellOfB(bool isRowMajor, int lane, int element) {
  if (isRowMajor)
    return {lane % 4, element + (lane < 16 ? 0 : 4)};
  return {element, quadPairSide(lane)};
}

constexpr Cell quadPairCellOfC(bool isF32, int lane, int element) {
  if (!isF32)
    return {quadPairSide(lane), element};
  return {(lane & 1) + (element & 2) + (lane < 16 ? 0 : 4),
          (element & 4) + (lane & 2) + (element & 1)};
}

} // namespace vgpu::tensor
