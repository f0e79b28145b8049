#pragma once
// What a process has of the driver: devices, contexts, and what lives in them.

#include "check/Finding.h"
#include "driver/Device.h"
#include "program/Program.h"

#include <map>
#include <set>
#include <unordered_map>

namespace vgpu {

struct Context;
struct Module;
struct Graph;
struct GraphCapture;
struct GraphExec;
class MutationRun;
class SharedEvent;

struct Kernel {
  Module &module;
  const ptx::Function &source;
  std::shared_ptr<const Program> program;
  int registers = 0;                      ///< of a thread; 0 where nothing says it
  int maxDynamicShared = kSharedPerBlock; ///< until the attribute allows more
};

struct Module {
  Context &context;
  std::shared_ptr<const ptx::Module> source;
  std::map<std::string, int, std::less<>> registers; ///< of kernels, where it is known
  std::map<std::string, uint64_t, std::less<>> variables;
  std::map<std::string, std::unique_ptr<Kernel>, std::less<>> kernels;
};

struct Stream {
  explicit Stream(Context &context);

  Context &context;
  bool isBlocking = true; ///< waits for the default stream, and it for this
  int priority = 0;
  std::shared_ptr<Task> last;
  std::shared_ptr<GraphCapture> capture;
  TaskOrder order; ///< of its last task
};

/// A point in a stream.
class Marker;

struct Event {
  Context &context;
  unsigned flags = 0;
  std::shared_ptr<SharedEvent> shared; ///< if other processes see it
  std::shared_ptr<Marker> marker;
  std::shared_ptr<GraphCapture> capture; ///< recorded while its stream was captured
  std::vector<size_t> captured;          ///< nodes that it stands for
};

/// Objects of one kind, by the handles that programs hold.
template <class T> class Handles {
public:
  template <class Handle> T *find(Handle handle) const {
    auto entry = objects.find(reinterpret_cast<const void *>(handle));
    return entry == objects.end() ? nullptr : entry->second.get();
  }
  template <class Handle> void add(std::unique_ptr<T> object, Handle *handle) {
    *handle = reinterpret_cast<Handle>(object.get());
    const void *key = object.get();
    objects[key] = std::move(object);
  }
  void remove(const T *object) { objects.erase(object); }
  size_t size() const { return objects.size(); }
  auto begin() const { return objects.begin(); }
  auto end() const { return objects.end(); }

private:
  std::unordered_map<const void *, std::unique_ptr<T>> objects;
};

/// An allocation of another process.
struct ImportedMemory {
  uint64_t pages, mappedBytes; ///< what is mapped
  uint64_t file;               ///< its number, and
  uint64_t offset;             ///< where in it the allocation is
  unsigned uses;
};

struct Context {
  explicit Context(Device &device);
  ~Context();

  Device &device;
  unsigned flags = 0;
  /// Sticky: what a kernel did wrong. All later work is dropped.
  std::atomic<CUresult> fault = CUDA_SUCCESS;
  Stream defaultStream;
  Handles<Stream> streams;
  Handles<Event> events;
  Handles<Module> modules;
  std::set<uint64_t> allocations, hostAllocations;
  std::map<uint64_t, ImportedMemory> imports; ///< by the addresses of allocations

  /// Appends to a stream; the default stream and blocking ones wait for each other.
  void submit(Stream &stream, std::shared_ptr<Task> task);
  std::vector<std::shared_ptr<Task>> lastTasks() const;
  CUresult synchronize();
  void closeImport(uint64_t address);
  /// The task's place: after its stream, what it waits for, and what the host has seen.
  TaskOrder orderOf(const Stream &stream, const Task &task) const;
};

class Driver {
public:
  Driver();
  ~Driver();
  /// Made by the first call, and never destroyed: programs call until the end.
  static Driver &get();

  CUresult initialize();
  bool isInitialized() const { return !devices.empty(); }
  Device *device(CUdevice ordinal) const;
  Context *primary(Device &device);
  /// Frees what the context owns, and the context.
  void release(Context &context);

  /// The calling thread's current context, or null.
  static std::vector<Context *> &currentStack();

  void report(FindingKind kind, const std::string &message);
  /// Something that a program would not see from an error code.
  void explain(const std::string &message);
  /// Leaks and findings; at the end of the process.
  void finish();
  /// What was counted since it was last forgotten, if VGPU_COUNTERS is set.
  CountReport counts(bool forgets);

  std::recursive_mutex mutex; ///< of everything but the engines
  Findings findings;
  Console console;
  std::vector<std::unique_ptr<Device>> devices;
  Handles<Context> contexts;
  Handles<PhysicalMemory> physicalMemory;
  Handles<Graph> graphs;
  Handles<GraphExec> graphExecs;
  std::map<int, Context *> primaries;
  std::map<int, unsigned> primaryUses;
  uint64_t launches = 0;
  uint64_t graphLaunches = 0;
  uint64_t seed = 0;                      ///< VGPU_SEED
  double timeoutSeconds = 0;              ///< VGPU_TIMEOUT; 0: none
  int errorExit = 0;                      ///< VGPU_ERROR_EXIT; 0: the program's own status
  std::unique_ptr<MutationRun> mutations; ///< if VGPU_MUTATE is set

private:
  static void beginCounting(Device &device);
  void finishCounters();
};

} // namespace vgpu
