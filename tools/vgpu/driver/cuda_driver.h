#ifndef VGPU_CUDA_DRIVER_H
#define VGPU_CUDA_DRIVER_H
/* The CUDA driver API as far as the virtual GPU implements it. */
#include "cuda_types.h"

#include "cuda_functions.h"
#endif
