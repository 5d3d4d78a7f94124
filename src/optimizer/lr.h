/* The learning rate of a step: linear warm-up, then cosine, linear, constant, or WSD (warm-up, stable, decay). Pure. */
#ifndef CB_OPTIMIZER_LR_H
#define CB_OPTIMIZER_LR_H

#include <stdint.h>

typedef enum cb_decay { CB_DECAY_COSINE, CB_DECAY_LINEAR, CB_DECAY_CONSTANT, CB_DECAY_WSD } cb_decay;
#define CB_DECAY_CHOICES "cosine,linear,constant,wsd"

typedef struct cb_lr {
    double peak, least;      /* --lr, --min-lr */
    int64_t warmup, decay;   /* steps; decay: step at which `least` is reached */
    int64_t wsd_decay;       /* WSD: steps of the final decay */
    cb_decay style;
} cb_lr;

/* step counts from 0. Warm-up: peak * (step + 1) / warmup. Then, with x = (step - warmup) / (decay - warmup): cosine
 * (1 + cos(pi x)) / 2, linear 1 - x, wsd 1 until decay - wsd_decay and then 1 - sqrt(y) over the rest; between least and peak. */
double cb_lr_at(const cb_lr *lr, int64_t step);

#endif
