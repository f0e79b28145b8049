#ifndef VGPU_H
#define VGPU_H
/* What the virtual GPU offers beyond the CUDA driver API: exported by its
 * libcuda.so.1 alone, so look it up by name. */
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Everything found since the last call, as JSON: an array of objects. Writes at
 * most `bytes` bytes with the final zero, and returns the length of all of it.
 * With a buffer, the findings are forgotten. Waits for nothing: synchronise first. */
size_t vgpuTakeFindings(char *buffer, size_t bytes);

/* As vgpuTakeFindings: what was done since the last call, {"launches": [...],
 * "graph_launches": ..., "total": {...}}. Launches are counted if the environment
 * variable VGPU_COUNTERS is set. */
size_t vgpuTakeCounters(char *buffer, size_t bytes);

#ifdef __cplusplus
}
#endif
#endif
