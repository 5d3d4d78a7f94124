/* Fill and drain in closed form against the simulation of the same schedule without cost of messages: all small numbers
 * of stages, microbatches and chunks, several costs. */
#include <math.h>
#include <stdlib.h>

#include "pipeline/simulate.h"
#include "planner/terms.h"
#include "support/test.h"

enum { STAGES = 7, MICRO_BATCHES = 15 };

static const double costs[][3] = {{10, 9, 8}, {1, 1, 1}, {2, 3, 1}, {4, 6, 3}, {7, 9, 5}};
enum { COSTS = sizeof costs / sizeof *costs };

static double simulated_s(const cb_schedule_spec *spec, const double *cost) {
    cb_schedule schedule;
    double f[STAGES], b[STAGES], w[STAGES], total_s;
    cb_span *spans[STAGES];
    for (int i = 0; i < STAGES; i++) f[i] = cost[0], b[i] = cost[1], w[i] = cost[2];
    CHECK_OK(cb_schedule_make_spec(&schedule, spec));
    CHECK_OK(cb_schedule_lower(&schedule));
    cb_durations durations = {.f_s = f, .b_s = b, .w_s = w};
    CHECK_OK(cb_schedule_simulate(&schedule, &durations, spans, &total_s, NULL));
    free(spans[0]);
    cb_schedule_free(&schedule);
    return total_s;
}

static double closed_s(cb_split_schedule kind, const cb_schedule_spec *spec, const double *cost) {
    int p = spec->stages;
    cb_stage_times slowest = {cost[0], cost[1], cost[2]}, all = {p * cost[0], p * cost[1], p * cost[2]};
    return spec->micro_batches * (cost[0] + cost[1] + cost[2]) +
           cb_pipeline_bubble_s(kind, p, spec->chunks ? spec->chunks : 1, spec->micro_batches, &all, &slowest);
}

static void compare(cb_split_schedule kind, cb_schedule_spec spec) {
    for (int i = 0; i < COSTS; i++) {
        double want = simulated_s(&spec, costs[i]), have = closed_s(kind, &spec, costs[i]);
        if (fabs(want - have) > 1e-9 * want) {
            printf("%s p %d m %d v %d cost %d: simulated %g, closed form %g\n", spec.name, spec.stages,
                   spec.micro_batches, spec.chunks, i, want, have);
        }
        CHECK(fabs(want - have) <= 1e-9 * want);
    }
}

static void gpipe_and_1f1b(void) {
    for (int p = 1; p <= STAGES; p++) {
        for (int m = 1; m <= MICRO_BATCHES; m++) {
            compare(CB_SPLIT_GPIPE, (cb_schedule_spec){.name = "gpipe", .stages = p, .micro_batches = m});
            compare(CB_SPLIT_1F1B, (cb_schedule_spec){.name = "1f1b", .stages = p, .micro_batches = m});
        }
    }
}

static void interleaved(void) {
    for (int p = 2; p <= STAGES; p++) {
        for (int m = p; m <= 3 * p; m += p) {
            for (int v = 2; v <= 4; v++) {
                compare(CB_SPLIT_INTERLEAVED,
                        (cb_schedule_spec){.name = "interleaved", .stages = p, .micro_batches = m, .chunks = v});
            }
        }
    }
}

static void zero_bubble(void) {
    for (int p = 1; p <= STAGES; p++) {
        for (int m = 1; m <= MICRO_BATCHES; m++) {
            compare(CB_SPLIT_ZB_H1, (cb_schedule_spec){.name = "zb-h1", .stages = p, .micro_batches = m});
        }
    }
}

/* ZB-H2 runs into the next step: its last stage begins late and ends late. The closed form is a stage's wait between
 * its own first and last instruction, (p-1) max(0, F+B-2W); from the first begin on any stage to the last end it is
 * (p-1) max(F, F+B-2W), which the simulation of one step sees (docs/pipeline.md). */
static void zb_h2(void) {
    for (int p = 2; p <= STAGES; p++) {
        for (int m = 2 * p - 1; m <= MICRO_BATCHES; m++) {
            for (int i = 0; i < COSTS; i++) {
                const double *c = costs[i];
                double x = c[0] + c[1] - 2 * c[2], skew = (p - 1) * (fmax(c[0], x) - fmax(0, x));
                cb_schedule_spec spec = {.name = "zb-h2", .stages = p, .micro_batches = m};
                CHECK_NEAR(simulated_s(&spec, c), closed_s(CB_SPLIT_ZB_H2, &spec, c) + skew, 1e-9);
            }
        }
    }
}

int main(void) {
    RUN(gpipe_and_1f1b);
    RUN(interleaved);
    RUN(zero_bubble);
    RUN(zb_h2);
    return test_end();
}
