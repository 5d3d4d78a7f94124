/* Fill and drain of a pipeline in closed form. tests/planner_bubble_test.c holds each against cb_schedule_simulate for
 * every small number of stages and microbatches. Sources: Narayanan et al., arXiv:2104.04473 (1F1B, interleaved); Qi et
 * al., arXiv:2401.10241 (zero bubble). */
#include "planner/terms.h"

double cb_pipeline_bubble_s(cb_split_schedule schedule, int stages, int chunks, double micro_batches,
                            const cb_stage_times *all, const cb_stage_times *slowest) {
    double others = (all->forward_s - slowest->forward_s) + (all->input_s - slowest->input_s);
    double weights = all->weight_s - slowest->weight_s;
    double most = micro_batches < stages ? micro_batches - 1 : stages - 1; /* stages whose W fills a gap */
    switch (schedule) {
    case CB_SPLIT_INTERLEAVED:
        return (others + weights) / chunks;
    case CB_SPLIT_ZB_H1: {
        double hidden = stages > 1 ? weights * most / (stages - 1) : 0;
        return others > hidden ? others - hidden : 0;
    }
    case CB_SPLIT_ZB_H2:
        return others > 2 * weights ? others - 2 * weights : 0;
    default:
        return others + weights;
    }
}
