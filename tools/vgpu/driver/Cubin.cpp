#include "driver/Cubin.h"

#include <cstring>
#include <elf.h>
#include <optional>
#include <vector>

namespace vgpu {
namespace {

/// An attribute in the section .nv.info. Others than of the format `kSized` hold their
/// value in `size`.
struct Attribute {
  uint8_t format, number;
  uint16_t size;
};
constexpr uint8_t kSized = 4, kRegisterCount = 0x2f;

/// Reads of a file, which say if they would leave it.
class Elf {
public:
  explicit Elf(std::string_view bytes) : bytes(bytes) {
    std::optional<Elf64_Ehdr> header = at<Elf64_Ehdr>(0);
    if (!header || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0)
      return;
    for (uint64_t number = 0; number < header->e_shnum; ++number)
      if (auto section = at<Elf64_Shdr>(header->e_shoff + number * sizeof(Elf64_Shdr)))
        sections.push_back(*section);
    names = header->e_shstrndx;
  }

  template <class T> std::optional<T> at(uint64_t offset) const {
    T value;
    if (offset > bytes.size() || sizeof value > bytes.size() - offset)
      return std::nullopt;
    std::memcpy(&value, bytes.data() + offset, sizeof value);
    return value;
  }

  std::string_view text(uint64_t section, uint64_t offset) const {
    if (section >= sections.size() || sections[section].sh_offset + offset >= bytes.size())
      return "";
    std::string_view rest = bytes.substr(sections[section].sh_offset + offset);
    return rest.substr(0, rest.find('\0'));
  }

  const Elf64_Shdr *find(std::string_view name) const {
    for (const Elf64_Shdr &section : sections)
      if (text(names, section.sh_name) == name)
        return &section;
    return nullptr;
  }

private:
  std::string_view bytes;
  std::vector<Elf64_Shdr> sections;
  uint64_t names = 0;
};

} // namespace

std::map<std::string, int, std::less<>> registersOf(std::string_view cubin) {
  std::map<std::string, int, std::less<>> registers;
  Elf elf(cubin);
  const Elf64_Shdr *symbols = elf.find(".symtab"), *info = elf.find(".nv.info");
  if (!symbols || !info)
    return registers;
  const uint64_t end = info->sh_offset + info->sh_size;
  for (uint64_t next = info->sh_offset; next < end;) {
    std::optional<Attribute> attribute = elf.at<Attribute>(next);
    if (!attribute)
      break;
    next += sizeof *attribute;
    if (attribute->format != kSized)
      continue;
    auto symbol = elf.at<uint32_t>(next), count = elf.at<uint32_t>(next + 4);
    next += attribute->size;
    if (attribute->number != kRegisterCount || !symbol || !count)
      continue;
    if (auto named = elf.at<Elf64_Sym>(symbols->sh_offset + *symbol * sizeof(Elf64_Sym)))
      registers[std::string(elf.text(symbols->sh_link, named->st_name))] = static_cast<int>(*count);
  }
  return registers;
}

} // namespace vgpu
