/* The cost model of every algorithm that was measured: terms off the algorithm, memory's time off its measured rate,
 * the rest fitted. See comm_fit.h. */
#include <math.h>
#include <stddef.h>

#include "base/os.h"
#include "cli/comm_report.h"

enum { LEAST_COUNTED_BYTES = 4096, MOST_MODELS = CB_COMM_MOST_ENTRIES + 8 };

static double memory_s(const cb_comm_report *r, const cb_terms *terms) {
    double rate = cb_memory_rate_at(&r->found.memory, terms->set_bytes);
    return rate > 0 ? terms->moved_bytes / rate : 0;
}

static double handed_s(const cb_comm_report *r, const cb_terms *terms) {
    return terms->sent_bytes * cb_memory_handover_at(&r->found.memory, terms->set_bytes);
}

static cb_fit_point point_of(const cb_comm_report *r, const cb_comm_row *row) {
    cb_step steps[CB_COMM_MOST_RANKS];
    cb_fit_point p = {.counts = row->bytes >= LEAST_COUNTED_BYTES, .time_s = cb_comm_row_time_s(row)};
    p.terms = cb_algorithm_terms(row->algorithm, r->ranks, row->count, r->plan.type, r->found.cores, steps);
    p.handed_s = handed_s(r, &p.terms);
    p.memory_s = memory_s(r, &p.terms);
    return p;
}

static bool belongs(const cb_comm_row *row, const cb_algorithm *algorithm) {
    return row->rounds > 0 && row->algorithm == algorithm && cb_comm_row_time_s(row) > 0;
}

static void predict(cb_comm_report *r, cb_comm_model *m) {
    cb_fit_point points[CB_FIT_MOST_POINTS];
    int n = 0;
    for (int i = 0; i < r->rows && n < CB_FIT_MOST_POINTS; i++)
        if (belongs(&r->row[i], m->algorithm)) points[n++] = point_of(r, &r->row[i]);
    m->fit = cb_fit_make(points, n, r->found.memory.reduce_s_per_byte);
    double worst = -1;
    for (int i = 0; i < r->rows; i++) {
        cb_comm_row *row = &r->row[i];
        if (!belongs(row, m->algorithm)) continue;
        cb_fit_point p = point_of(r, row);
        row->predicted_s = cb_fit_time(&m->fit, &p);
        double error = fabs(row->predicted_s / p.time_s - 1);
        if (!p.counts || error <= worst) continue;
        worst = error;
        m->worst_bytes = row->bytes;
    }
}

const cb_comm_model *cb_comm_report_model(const cb_comm_report *r, const cb_algorithm *algorithm) {
    for (int i = 0; i < r->models; i++)
        if (r->model[i].algorithm == algorithm) return &r->model[i];
    return NULL;
}

void cb_comm_report_predict(cb_comm_report *r) {
    r->models = 0;
    for (int i = 0; i < r->rows; i++) {
        cb_comm_row *row = &r->row[i];
        cb_terms least = cb_operation_least(row->kind, r->ranks, row->count, r->plan.type);
        if (row->rounds) row->floor_s = memory_s(r, &least);
        if (!row->rounds || !row->algorithm || r->models == MOST_MODELS || cb_comm_report_model(r, row->algorithm))
            continue;
        r->model[r->models] = (cb_comm_model){.algorithm = row->algorithm};
        predict(r, &r->model[r->models++]);
    }
}
