#ifndef NETWORK_OPS_H_
#define NETWORK_OPS_H_

#include "tensorflow/lite/c/common.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"

/* Adds the operations of network.tflite to a resolver that has room for exactly these. */
inline TfLiteStatus network_add_ops(tflite::MicroMutableOpResolver<1> &resolver) {
  // each operation
  TF_LITE_ENSURE_STATUS(resolver.AddConv2D());
  // end
  return kTfLiteOk;
}

#endif /* NETWORK_OPS_H_ */
