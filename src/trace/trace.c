/* Small questions about traced steps; see trace.h. */
#include "trace/trace.h"

#include <math.h>
#include <stdlib.h>

const char *cb_traced_part_name(cb_traced_part part) {
    static const char *const names[CB_TRACED_PARTS] = {"zero gradients", "data"};
    return names[part];
}

void cb_traced_free(cb_traced *traced) {
    for (int r = 0; traced->rank && r < traced->mesh.ranks; r++) {
        free(traced->rank[r].step);
        free(traced->rank[r].instr);
        free(traced->rank[r].span);
        free(traced->rank[r].comm);
    }
    free(traced->rank);
    free(traced->step);
    cb_schedule_free(&traced->schedule);
    *traced = (cb_traced){0};
}

int cb_traced_stage(const cb_traced *traced, int rank) {
    int coord[CB_DIMS];
    cb_mesh_coords(&traced->mesh, rank, coord);
    return coord[CB_PP];
}

int cb_traced_at_stage(const cb_traced *traced, int rank, int stage) {
    int coord[CB_DIMS];
    cb_mesh_coords(&traced->mesh, rank, coord);
    coord[CB_PP] = stage;
    return cb_mesh_rank(&traced->mesh, coord);
}

double cb_traced_step_begin_s(const cb_traced *traced, int step) {
    double begin_s = INFINITY;
    for (int r = 0; r < traced->mesh.ranks; r++) begin_s = fmin(begin_s, traced->rank[r].step[step].begin_s);
    return begin_s;
}

double cb_traced_step_end_s(const cb_traced *traced, int step) {
    double end_s = -INFINITY;
    for (int r = 0; r < traced->mesh.ranks; r++) end_s = fmax(end_s, traced->rank[r].step[step].end_s);
    return end_s;
}
