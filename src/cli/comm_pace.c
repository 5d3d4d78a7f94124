/* Samples of one pace; see comm_pace.h. */
#include "cli/comm_pace.h"

#include "cli/bench.h"

#define SAME_PACE 1.4

cb_pace cb_pace_usual(double *pace_s, int n) {
    cb_pace usual = {0};
    if (n == 0) return usual;
    cb_bench_sort(pace_s, n);
    for (int first = 0, end = 0, most = 0; first < n; first++) {
        while (end < n && pace_s[end] <= SAME_PACE * pace_s[first]) end++;
        if (end - first <= most) continue;
        most = end - first;
        usual = (cb_pace){pace_s[first], pace_s[end - 1]};
    }
    return usual;
}

bool cb_pace_has(cb_pace pace, cb_paced sample) {
    return sample.pace_s >= pace.least_s && sample.pace_s <= pace.most_s;
}
