#pragma once

/// For functions whose loops are hot: compiled once more for wider vectors; the
/// best version is chosen when the program starts.
#if defined(__x86_64__) && defined(__linux__)
#define VGPU_VECTORIZED __attribute__((target_clones("default", "arch=x86-64-v3")))
#else
#define VGPU_VECTORIZED
#endif
