#include "mutate/Survey.h"

namespace vgpu {
namespace {

using ptx::Instruction;
using ptx::Operand;

class SurveyBuilder {
public:
  explicit SurveyBuilder(const ptx::Function &kernel) : kernel(kernel), survey(kernel) {
    survey.instructions.clear();
  }

  ptx::Function build(const std::vector<const Mutant *> &mutants) {
    std::vector<int> places;
    size_t next = 0;
    for (size_t index = 0; index < kernel.instructions.size(); ++index) {
      places.push_back(place());
      size_t begin = next;
      for (; next < mutants.size() && mutants[next]->index == index; ++next)
        append(mutants[next]->probeBefore, *mutants[next], next);
      survey.instructions.push_back(kernel.instructions[index]);
      for (size_t number = begin; number < next; ++number)
        append(mutants[number]->probeAfter, *mutants[number], number);
    }
    places.push_back(place());
    for (int &label : survey.labels)
      label = places[label];
    return std::move(survey);
  }

private:
  int place() const { return static_cast<int>(survey.instructions.size()); }

  /// With registers of its own, and a number for its mark.
  void append(std::vector<Instruction> probe, const Mutant &mutant, size_t number) {
    if (probe.empty())
      return;
    first = static_cast<int>(kernel.registers.size());
    distance = static_cast<int>(survey.registers.size()) - first;
    for (Instruction &instruction : probe) {
      renumber(instruction.guard);
      for (Operand &operand : instruction.operands)
        renumber(operand);
    }
    Operand mark;
    mark.kind = Operand::Kind::Integer;
    mark.bits = number;
    probe.back().operands = {mark};
    survey.instructions.insert(survey.instructions.end(), probe.begin(), probe.end());
    survey.registers.insert(survey.registers.end(), mutant.registers.begin(),
                            mutant.registers.end());
  }

  void renumber(int &index) const {
    if (index >= first)
      index += distance;
  }
  void renumber(Operand &operand) const {
    if (operand.kind == Operand::Kind::Register)
      renumber(operand.index);
    for (Operand &element : operand.elements)
      renumber(element);
  }

  const ptx::Function &kernel;
  ptx::Function survey;
  int first = 0, distance = 0; ///< of the registers of a probe
};

} // namespace

ptx::Function surveyOf(const ptx::Function &kernel, const std::vector<const Mutant *> &mutants) {
  return SurveyBuilder(kernel).build(mutants);
}

} // namespace vgpu
