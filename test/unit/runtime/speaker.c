/* A language model written by hand: the token that follows the last one, id,
 * after n tokens is (id + n) mod 256. The past holds the ids, [batch, past, 1],
 * of which the model reads what it needs from the present.
 */
#include "toy.h"

enum { kVocabulary = 256 };
enum { kMaskLength };

typedef struct Speak {
  int32_t *status;
  const int64_t *ids;
  int64_t rows;
  const float *past;
  int64_t pastRows, pastStride;
  float *present;
  int64_t presentStride;
  float *logits;
} Speak;

/* One index is one batch row. */
static void speak(const uint64_t *arguments, int64_t begin, int64_t end) {
  const Speak *a = (const Speak *)arguments;
  for (int64_t batch = begin; batch < end; ++batch) {
    float *present = a->present + batch * a->presentStride;
    if (a->past != a->present)
      for (int64_t row = 0; row < a->pastRows; ++row)
        present[row] = a->past[batch * a->pastStride + row];
    for (int64_t row = 0; row < a->rows; ++row) {
      present[a->pastRows + row] = (float)a->ids[batch * a->rows + row];
      int64_t count = a->pastRows + row + 1;
      int64_t next = ((int64_t)present[count - 1] + count) % kVocabulary;
      for (int64_t id = 0; id < kVocabulary; ++id)
        a->logits[(batch * a->rows + row) * kVocabulary + id] = id == next ? 5.0f : 0.0f;
    }
  }
}

static int32_t entry(moec_call *call, const moec_services *services, const moec_view *inputs,
                     void *const *weights) {
  (void)weights;
  const moec_view *ids = &inputs[0], *mask = &inputs[1], *past = &inputs[2];
  int64_t batch = ids->sizes[0], rows = ids->sizes[1], pastRows = past->sizes[1];
  if (mask->sizes[1] != pastRows + rows)
    services->fail(call, kMaskLength);
  moec_view logits, present;
  services->output(call, 0, (int64_t[]){batch, rows, kVocabulary}, &logits);
  services->output(call, 1, (int64_t[]){batch, pastRows + rows, 1}, &present);
  Speak table = {0,          ids->data,        rows,         past->data,
                 pastRows,   past->strides[0], present.data, present.strides[0],
                 logits.data};
  services->launch(call, 0, (uint64_t *)&table, sizeof table / sizeof(uint64_t), batch);
  return 0;
}

static const moec_kernel kernels[] = {speak};

static const char metadata[] =
    "{\"moec\": 1, \"target\": \"cpu\", \"inputs\": ["
    "{\"name\": \"input_ids\", \"type\": 7, \"dims\": [\"batch\", \"sequence\"]},"
    "{\"name\": \"attention_mask\", \"type\": 7, \"dims\": [\"batch\", \"total\"]},"
    "{\"name\": \"past\", \"type\": 1, \"dims\": [\"batch\", \"past\", 1]}],"
    "\"outputs\": ["
    "{\"name\": \"logits\", \"type\": 1, \"dims\": [\"batch\", \"sequence\", 256]},"
    "{\"name\": \"present\", \"type\": 1, \"dims\": [\"batch\", \"total\", 1]}],"
    "\"states\": [{\"input\": 2, \"output\": 1, \"axis\": 1}],"
    "\"kernels\": [\"speak\"],"
    "\"sites\": [{\"kernel\": 0, \"name\": \"/lm_head/MatMul\", \"op\": \"speak\"}],"
    "\"messages\": [\"attention_mask has the wrong length\"],"
    "\"blocks\": [{\"name\": \"/lm_head/MatMul\", \"form\": \"speaks\"}]}";

static const moec_module_v1 description = {MOEC_ABI_VERSION, 1, metadata, entry, kernels};

const moec_module_v1 *moec_module(void) { return &description; }
