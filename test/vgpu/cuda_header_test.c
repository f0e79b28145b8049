/* The virtual GPU declares its functions as the toolkit does: a difference
 * would not compile. */
#include <cuda.h>

#undef cuStreamGetCtx
#undef cuMemcpy2DUnaligned_v2

#include "driver/cuda_functions.h"
