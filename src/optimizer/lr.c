/* Learning-rate schedules; see lr.h. Sources: Loshchilov and Hutter 2017 (cosine); Hu et al. 2024, MiniCPM (WSD). */
#include "optimizer/lr.h"

#include <math.h>

static double coefficient(const cb_lr *lr, int64_t step) {
    double span = (double)(lr->decay - lr->warmup), x = span > 0 ? (double)(step - lr->warmup) / span : 1;
    switch (lr->style) {
    case CB_DECAY_COSINE: return 0.5 * (1 + cos(acos(-1.0) * x));
    case CB_DECAY_LINEAR: return 1 - x;
    case CB_DECAY_CONSTANT: return 1;
    case CB_DECAY_WSD: {
        int64_t begin = lr->decay - lr->wsd_decay;
        return step < begin ? 1 : 1 - sqrt((double)(step - begin) / (double)lr->wsd_decay);
    }
    }
    return 1;
}

double cb_lr_at(const cb_lr *lr, int64_t step) {
    if (step < lr->warmup) return lr->peak * (double)(step + 1) / (double)lr->warmup;
    if (step >= lr->decay && lr->style != CB_DECAY_CONSTANT) return lr->least;
    return lr->least + coefficient(lr, step) * (lr->peak - lr->least);
}
