#include "driver/SharedEvent.h"

#include <new>
#include <sys/mman.h>

namespace vgpu {

SharedEvent::SharedEvent()
    : SharedEvent(std::make_shared<PageFile>("vgpu event", PageFile::kPage)) {}

SharedEvent::SharedEvent(std::shared_ptr<const PageFile> pages) : file(std::move(pages)) {
  void *mapped =
      file->bytes() < sizeof(State)
          ? MAP_FAILED
          : mmap(nullptr, sizeof(State), PROT_READ | PROT_WRITE, MAP_SHARED, file->descriptor(), 0);
  if (mapped == MAP_FAILED)
    throw std::bad_alloc();
  state = static_cast<State *>(mapped); // zeros are a state
}

SharedEvent::~SharedEvent() { munmap(state, sizeof *state); }

} // namespace vgpu
