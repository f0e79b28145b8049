#include "lib/weights/Pack.h"

#include "lib/weights/MatrixReader.h"
#include "lib/weights/Quantize.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/STLExtras.h"
#include <cstring>

using namespace llvm;
using mlir::Attribute;
using mlir::Builder;
using mlir::DictionaryAttr;

namespace moec {
namespace {

/// Weights are read in slices of about this size.
constexpr int64_t kSliceBytes = 8 << 20;

constexpr StringLiteral kElements = "pack", kScales = "pack_scales";
constexpr StringLiteral kGates[] = {"none", "interleaved", "halves"};

/// Packs consecutive panels of one group.
class PanelPacker {
public:
  PanelPacker(const PackStep &step, MatrixReader::Open open)
      : step(step), layout(step.layout), packed(step.packed()), open(open),
        isQuantising(isInteger(layout.element) && isa<mlir::FloatType>(step.parts[0].element)) {}

  /// Fills `slice` with panels [first, last) of `group`.
  Error pack(int64_t group, int64_t first, int64_t last, MutableArrayRef<char> slice) {
    lanes.assign((last - first) * layout.width * layout.k, 0.0f);
    if (Error error = read(group, first, last))
      return error;
    fill(slice, 0);
    for (int64_t panel = 0; panel < last - first; ++panel)
      for (int64_t lane = 0; lane < layout.width; ++lane) {
        ArrayRef<float> row(&lanes[(panel * layout.width + lane) * layout.k], layout.k);
        MutableArrayRef<char> bytes = slice.slice(panel * packed.panelBytes(), packed.panelBytes());
        if (Error error = isQuantising ? quantiseRow(row, lane, bytes) : moveRow(row, lane, bytes))
          return error;
      }
    return Error::success();
  }

private:
  /// Reads the rows of the panels, lane by lane.
  Error read(int64_t group, int64_t first, int64_t last) {
    int64_t begin = first * layout.resultWidth();
    int64_t end = std::min(last * layout.resultWidth(), layout.resultColumns());
    // Interleaved rows of g and l lie together: they are read together.
    if (layout.gate == GateRows::interleaved)
      return readRows(group, 2 * begin, 2 * end, first);
    for (int64_t half = 0; half < (layout.isGated() ? 2 : 1); ++half)
      if (Error error = readRows(group, layout.matrixRow(begin, half),
                                 layout.matrixRow(end - 1, half) + 1, first))
        return error;
    return Error::success();
  }

  Error readRows(int64_t group, int64_t begin, int64_t end, int64_t firstPanel) {
    for (const MatrixPart &part : step.parts) {
      int64_t from = std::max(begin, part.row), to = std::min(end, part.row + part.rows);
      if (from >= to || group < part.group || group >= part.group + part.groups)
        continue;
      if (Error error =
              MatrixReader(part, open)
                  .readRows(
                      group, from, to, layout.k,
                      [&](int64_t row) { return laneOf(row, firstPanel) * layout.k; }, lanes))
        return error;
    }
    return Error::success();
  }

  /// The lane of a matrix row, counted from those of a panel.
  int64_t laneOf(int64_t row, int64_t firstPanel) const {
    int64_t column = row, half = 0;
    if (layout.gate == GateRows::interleaved) {
      column = row / 2;
      half = row % 2;
    } else if (layout.gate == GateRows::halves) {
      column = row % layout.resultColumns();
      half = row / layout.resultColumns();
    }
    int64_t panel = column / layout.resultWidth() - firstPanel;
    return panel * layout.width + half * layout.resultWidth() + column % layout.resultWidth();
  }

  Error moveRow(ArrayRef<float> row, int64_t lane, MutableArrayRef<char> panel) const {
    for (auto [k, value] : enumerate(row))
      put(value, lane, k, panel);
    return Error::success();
  }

  Error quantiseRow(ArrayRef<float> row, int64_t lane, MutableArrayRef<char> panel) const {
    int64_t block = layout.block ? layout.block : layout.k;
    for (int64_t begin = 0; begin < layout.k; begin += block) {
      ArrayRef<float> values = row.slice(begin, std::min(block, layout.k - begin));
      Expected<float> scale = chooseScale(values, layout.element);
      if (!scale)
        return scale.takeError();
      if (step.scales) {
        put(*scale, lane, begin / block, panel);
        continue;
      }
      for (auto [k, value] : enumerate(values))
        put(quantise(value, *scale, layout.element), lane, begin + k, panel);
    }
    return Error::success();
  }

  /// Sets an element of the packed panel, which was 0.
  void put(float value, int64_t lane, int64_t k, MutableArrayRef<char> panel) const {
    int64_t place = k % packed.together, bits = bitsOf(packed.element);
    char *word =
        panel.data() + k / packed.together * packed.wordBytes() + lane * packed.together * bits / 8;
    auto set = [&](auto element) {
      std::memcpy(word + place * sizeof(element), &element, sizeof(element));
    };
    switch (packed.element) {
    case WeightType::f32:
      return set(value);
    case WeightType::f16:
      return set(toHalf(value));
    case WeightType::bf16:
      return set(toBfloat(value));
    case WeightType::int8:
    case WeightType::int4:
    case WeightType::int2:
      int64_t bytes = packed.together * bits / 8;
      word[place % bytes] |= static_cast<char>(static_cast<int>(value) << place / bytes * bits);
    }
  }

  const PackStep &step;
  const PackedLayout &layout;
  PackedLayout packed;
  MatrixReader::Open open;
  bool isQuantising;
  /// Rows of the slice's panels.
  std::vector<float> lanes;
};

DictionaryAttr toAttr(Builder &b, const MatrixPart &part) {
  auto number = [&](int64_t value) { return b.getI64IntegerAttr(value); };
  return b.getDictionaryAttr(
      {b.getNamedAttr("file", b.getStringAttr(part.file)),
       b.getNamedAttr("offset", number(part.offset)),
       b.getNamedAttr("element", mlir::TypeAttr::get(part.element)),
       b.getNamedAttr("group", number(part.group)), b.getNamedAttr("row", number(part.row)),
       b.getNamedAttr("groups", number(part.groups)), b.getNamedAttr("rows", number(part.rows)),
       b.getNamedAttr("signed", b.getBoolAttr(part.isSigned)),
       b.getNamedAttr("strides", b.getDenseI64ArrayAttr(part.strides)),
       b.getNamedAttr("bytes", b.getStringAttr(part.bytes))});
}

/// Members of dictionaries that only toAttr writes: they are there.
int64_t number(DictionaryAttr attr, StringRef name) {
  return attr.getAs<mlir::IntegerAttr>(name).getInt();
}
StringRef text(DictionaryAttr attr, StringRef name) {
  return attr.getAs<mlir::StringAttr>(name).getValue();
}

} // namespace

mlir::RankedTensorType packedType(mlir::MLIRContext *context, const PackedLayout &layout) {
  Builder b(context);
  auto element = [&]() -> mlir::Type {
    switch (layout.element) {
    case WeightType::f32:
      return b.getF32Type();
    case WeightType::f16:
      return b.getF16Type();
    case WeightType::bf16:
      return b.getBF16Type();
    case WeightType::int8:
    case WeightType::int4:
    case WeightType::int2:
      return b.getI8Type();
    }
    llvm_unreachable("a type without a case");
  };
  return mlir::RankedTensorType::get(layout.shape(), element());
}

PackedLayout PackStep::packed() const {
  return scales ? layout.perBlock(quantisationOf(layout.element).scale) : layout;
}

DictionaryAttr PackStep::toAttr(mlir::MLIRContext *context) const {
  Builder b(context);
  SmallVector<Attribute> list;
  for (const MatrixPart &part : parts)
    list.push_back(moec::toAttr(b, part));
  auto number = [&](int64_t value) { return b.getI64IntegerAttr(value); };
  return b.getDictionaryAttr(
      {b.getNamedAttr("step", b.getStringAttr(scales ? kScales : kElements)),
       b.getNamedAttr("groups", number(layout.groups)), b.getNamedAttr("n", number(layout.n)),
       b.getNamedAttr("k", number(layout.k)), b.getNamedAttr("width", number(layout.width)),
       b.getNamedAttr("gate", b.getStringAttr(kGates[static_cast<int>(layout.gate)])),
       b.getNamedAttr("element", b.getStringAttr(nameOf(layout.element))),
       b.getNamedAttr("together", number(layout.together)),
       b.getNamedAttr("block", number(layout.block)),
       b.getNamedAttr("parts", b.getArrayAttr(list))});
}

Expected<PackStep> PackStep::parse(Attribute attr) {
  auto dictionary = dyn_cast<DictionaryAttr>(attr);
  if (!dictionary || !is_contained({kElements, kScales}, text(dictionary, "step")))
    return createStringError("a recipe has a step that is not known");
  PackStep step;
  step.scales = text(dictionary, "step") == kScales;
  step.layout = {
      .groups = number(dictionary, "groups"),
      .n = number(dictionary, "n"),
      .k = number(dictionary, "k"),
      .width = number(dictionary, "width"),
      .gate = static_cast<GateRows>(find(kGates, text(dictionary, "gate")) - std::begin(kGates)),
      .element = weightTypeOf(text(dictionary, "element")),
      .together = number(dictionary, "together"),
      .block = number(dictionary, "block")};
  for (Attribute element : dictionary.getAs<mlir::ArrayAttr>("parts")) {
    auto part = cast<DictionaryAttr>(element);
    MatrixPart &to = step.parts.emplace_back();
    to.file = text(part, "file").str();
    to.offset = number(part, "offset");
    to.element = part.getAs<mlir::TypeAttr>("element").getValue();
    to.isSigned = part.getAs<mlir::BoolAttr>("signed").getValue();
    to.group = number(part, "group");
    to.row = number(part, "row");
    to.groups = number(part, "groups");
    to.rows = number(part, "rows");
    copy(part.getAs<mlir::DenseI64ArrayAttr>("strides").asArrayRef(), to.strides.begin());
    to.bytes = text(part, "bytes").str();
  }
  return step;
}

Error pack(const PackStep &step, function_ref<Expected<const FileSlices *>(StringRef)> open,
           function_ref<void(ArrayRef<char>)> emit) {
  const PackedLayout &layout = step.layout;
  // Panels are read as f32, which is the larger side.
  int64_t panelFloats = layout.width * layout.k, panelBytes = step.packed().panelBytes();
  int64_t perSlice = std::clamp<int64_t>(
      kSliceBytes / (panelFloats * static_cast<int64_t>(sizeof(float))), 1, layout.panels());
  std::vector<char> slice(perSlice * panelBytes);
  PanelPacker packer(step, open);
  for (int64_t group = 0; group < layout.groups; ++group)
    for (int64_t first = 0; first < layout.panels(); first += perSlice) {
      int64_t last = std::min(first + perSlice, layout.panels());
      auto part = MutableArrayRef(slice).take_front((last - first) * panelBytes);
      if (Error error = packer.pack(group, first, last, part))
        return error;
      emit(part);
    }
  return Error::success();
}

} // namespace moec
