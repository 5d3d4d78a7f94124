/* Internal: sums and maxima of a row in 32 lanes, joined by a fixed tree: they vectorise without leave to reassociate,
 * and their order depends on n alone. Four vectors of eight hide the adder's latency. */
#ifndef CB_COMPUTE_LANES_H
#define CB_COMPUTE_LANES_H

#include <math.h>
#include <stdint.h>

enum { CB_LANES = 32 };

static inline float cb_lanes_sum(float *lane) {
    for (int half = CB_LANES / 2; half > 0; half /= 2) {
        for (int l = 0; l < half; l++) lane[l] += lane[l + half];
    }
    return lane[0];
}

static inline float cb_lanes_max(float *lane) {
    for (int half = CB_LANES / 2; half > 0; half /= 2) {
        for (int l = 0; l < half; l++) lane[l] = lane[l + half] > lane[l] ? lane[l + half] : lane[l];
    }
    return lane[0];
}

static inline float cb_row_sum(const float *x, int64_t n) {
    float lane[CB_LANES] = {0};
    int64_t i = 0;
    for (; i + CB_LANES <= n; i += CB_LANES) {
        for (int l = 0; l < CB_LANES; l++) lane[l] += x[i + l];
    }
    for (int l = 0; i + l < n; l++) lane[l] += x[i + l];
    return cb_lanes_sum(lane);
}

/* NaN is passed over; -INFINITY for n = 0. */
static inline float cb_row_max(const float *x, int64_t n) {
    float lane[CB_LANES];
    for (int l = 0; l < CB_LANES; l++) lane[l] = -INFINITY;
    int64_t i = 0;
    for (; i + CB_LANES <= n; i += CB_LANES) {
        for (int l = 0; l < CB_LANES; l++) lane[l] = x[i + l] > lane[l] ? x[i + l] : lane[l];
    }
    for (int l = 0; i + l < n; l++) lane[l] = x[i + l] > lane[l] ? x[i + l] : lane[l];
    return cb_lanes_max(lane);
}

#endif
