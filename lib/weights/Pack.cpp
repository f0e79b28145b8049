#include "lib/weights/Pack.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/bit.h"

using namespace llvm;
using mlir::Attribute;
using mlir::Builder;
using mlir::DictionaryAttr;

namespace moec {
namespace {

/// Packed bytes are made in slices of about this size.
constexpr int64_t kSliceBytes = 8 << 20;

constexpr StringLiteral kStep = "pack_f32";
constexpr StringLiteral kGates[] = {"none", "interleaved", "halves"};

/// Elements of a file as f32.
class ElementReader {
public:
  ElementReader(const FileSlices &file, const MatrixPart &part) : file(file), part(part) {}

  /// Elements [index, index + count) behind the part's offset.
  Error read(int64_t index, MutableArrayRef<float> out) {
    unsigned width = part.element.getIntOrFloatBitWidth() / 8;
    uint64_t offset = part.offset + index * width;
    auto *bytes = reinterpret_cast<char *>(out.data());
    if (part.element.isF32())
      return file.read(offset, {bytes, out.size() * width});
    narrow.resize(out.size());
    if (Error error = file.read(
            offset, {reinterpret_cast<char *>(narrow.data()), narrow.size() * sizeof(uint16_t)}))
      return error;
    for (auto [from, to] : zip(narrow, out))
      to = part.element.isBF16() ? bit_cast<float>(uint32_t(from) << 16)
                                 : APFloat(APFloat::IEEEhalf(), APInt(16, from)).convertToFloat();
    return Error::success();
  }

private:
  const FileSlices &file;
  const MatrixPart &part;
  std::vector<uint16_t> narrow;
};

/// Packs consecutive panels of one group.
class PanelPacker {
public:
  using Open = function_ref<Expected<const FileSlices *>(StringRef)>;
  PanelPacker(const PackStep &step, Open open) : step(step), layout(step.layout), open(open) {}

  /// Fills `slice` with panels [first, last) of `group`.
  Error pack(int64_t group, int64_t first, int64_t last, MutableArrayRef<float> slice) {
    fill(slice, 0.0f);
    int64_t begin = first * layout.resultWidth();
    int64_t end = std::min(last * layout.resultWidth(), layout.resultColumns());
    // Interleaved rows of g and l lie together: they are read together.
    if (layout.gate == GateRows::interleaved)
      return packRows(group, 2 * begin, 2 * end, first, slice);
    for (int64_t half = 0; half < (layout.isGated() ? 2 : 1); ++half)
      if (Error error = packRows(group, layout.matrixRow(begin, half),
                                 layout.matrixRow(end - 1, half) + 1, first, slice))
        return error;
    return Error::success();
  }

private:
  /// Reads rows [begin, end) and puts them where they belong.
  Error packRows(int64_t group, int64_t begin, int64_t end, int64_t firstPanel,
                 MutableArrayRef<float> slice) {
    for (const MatrixPart &part : step.parts) {
      int64_t from = std::max(begin, part.row), to = std::min(end, part.row + part.rows);
      if (from >= to || group < part.group || group >= part.group + part.groups)
        continue;
      auto file = open(part.file);
      if (!file)
        return file.takeError();
      ElementReader reader(**file, part);
      int64_t start = (group - part.group) * part.strides[0] + (from - part.row) * part.strides[1];
      // Lines are what is contiguous: rows, or columns of a transposed matrix.
      bool isTransposed = part.strides[2] != 1;
      int64_t lines = isTransposed ? layout.k : to - from;
      std::vector<float> line(isTransposed ? to - from : layout.k);
      for (int64_t i = 0; i < lines; ++i) {
        if (Error error = reader.read(start + i * part.strides[isTransposed ? 2 : 1], line))
          return error;
        for (auto [j, value] : enumerate(line)) {
          int64_t offset = isTransposed ? j : i, k = isTransposed ? i : j;
          slice[place(from + offset, firstPanel) + k * layout.width] = value;
        }
      }
    }
    return Error::success();
  }

  /// Where column 0 of a matrix row is, in a slice that starts with a panel.
  int64_t place(int64_t row, int64_t firstPanel) const {
    int64_t column = row, half = 0;
    if (layout.gate == GateRows::interleaved) {
      column = row / 2;
      half = row % 2;
    } else if (layout.gate == GateRows::halves) {
      column = row % layout.resultColumns();
      half = row / layout.resultColumns();
    }
    int64_t panel = column / layout.resultWidth() - firstPanel;
    int64_t lane = half * layout.resultWidth() + column % layout.resultWidth();
    return panel * layout.k * layout.width + lane;
  }

  const PackStep &step;
  const PackedLayout &layout;
  Open open;
};

DictionaryAttr toAttr(Builder &b, const MatrixPart &part) {
  auto number = [&](int64_t value) { return b.getI64IntegerAttr(value); };
  return b.getDictionaryAttr(
      {b.getNamedAttr("file", b.getStringAttr(part.file)),
       b.getNamedAttr("offset", number(part.offset)),
       b.getNamedAttr("element", mlir::TypeAttr::get(part.element)),
       b.getNamedAttr("group", number(part.group)), b.getNamedAttr("row", number(part.row)),
       b.getNamedAttr("groups", number(part.groups)), b.getNamedAttr("rows", number(part.rows)),
       b.getNamedAttr("strides", b.getDenseI64ArrayAttr(part.strides))});
}

/// Members of dictionaries that only toAttr writes: they are there.
int64_t number(DictionaryAttr attr, StringRef name) {
  return attr.getAs<mlir::IntegerAttr>(name).getInt();
}
StringRef text(DictionaryAttr attr, StringRef name) {
  return attr.getAs<mlir::StringAttr>(name).getValue();
}

} // namespace

DictionaryAttr PackStep::toAttr(mlir::MLIRContext *context) const {
  Builder b(context);
  SmallVector<Attribute> list;
  for (const MatrixPart &part : parts)
    list.push_back(moec::toAttr(b, part));
  auto number = [&](int64_t value) { return b.getI64IntegerAttr(value); };
  return b.getDictionaryAttr(
      {b.getNamedAttr("step", b.getStringAttr(kStep)),
       b.getNamedAttr("groups", number(layout.groups)), b.getNamedAttr("n", number(layout.n)),
       b.getNamedAttr("k", number(layout.k)), b.getNamedAttr("width", number(layout.width)),
       b.getNamedAttr("gate", b.getStringAttr(kGates[static_cast<int>(layout.gate)])),
       b.getNamedAttr("parts", b.getArrayAttr(list))});
}

Expected<PackStep> PackStep::parse(Attribute attr) {
  auto dictionary = dyn_cast<DictionaryAttr>(attr);
  if (!dictionary || text(dictionary, "step") != kStep)
    return createStringError("a recipe has a step that is not known");
  PackStep step;
  step.layout = {
      .groups = number(dictionary, "groups"),
      .n = number(dictionary, "n"),
      .k = number(dictionary, "k"),
      .width = number(dictionary, "width"),
      .gate = static_cast<GateRows>(find(kGates, text(dictionary, "gate")) - std::begin(kGates))};
  for (Attribute element : dictionary.getAs<mlir::ArrayAttr>("parts")) {
    auto part = cast<DictionaryAttr>(element);
    MatrixPart &to = step.parts.emplace_back();
    to.file = text(part, "file").str();
    to.offset = number(part, "offset");
    to.element = part.getAs<mlir::TypeAttr>("element").getValue();
    to.group = number(part, "group");
    to.row = number(part, "row");
    to.groups = number(part, "groups");
    to.rows = number(part, "rows");
    copy(part.getAs<mlir::DenseI64ArrayAttr>("strides").asArrayRef(), to.strides.begin());
  }
  return step;
}

Error pack(const PackStep &step, function_ref<Expected<const FileSlices *>(StringRef)> open,
           function_ref<void(ArrayRef<char>)> emit) {
  const PackedLayout &layout = step.layout;
  int64_t panelElements = layout.k * layout.width;
  int64_t perSlice =
      std::max<int64_t>(1, kSliceBytes / (panelElements * static_cast<int64_t>(sizeof(float))));
  std::vector<float> slice(std::min(perSlice, layout.panels()) * panelElements);
  PanelPacker packer(step, open);
  for (int64_t group = 0; group < layout.groups; ++group)
    for (int64_t first = 0; first < layout.panels(); first += perSlice) {
      int64_t last = std::min(first + perSlice, layout.panels());
      MutableArrayRef<float> part(slice.data(), (last - first) * panelElements);
      if (Error error = packer.pack(group, first, last, part))
        return error;
      emit({reinterpret_cast<const char *>(part.data()), part.size() * sizeof(float)});
    }
  return Error::success();
}

} // namespace moec
