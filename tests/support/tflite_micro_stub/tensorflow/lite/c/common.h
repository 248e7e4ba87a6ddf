// A stand-in for tests: see README.md beside it.
#ifndef STUB_COMMON_H_
#define STUB_COMMON_H_

#include <cstddef>
#include <cstdint>

enum TfLiteStatus { kTfLiteOk = 0, kTfLiteError = 1 };

struct TfLiteTensor {
  union {
    char *raw;
  } data;
  size_t bytes;
};

#define TF_LITE_ENSURE_STATUS(expression)            \
  do {                                               \
    const TfLiteStatus status = (expression);        \
    if (status != kTfLiteOk) return status;          \
  } while (0)

#endif
