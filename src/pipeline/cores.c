/* Workers on cores; see cores.h. */
#include "pipeline/cores.h"

#include <math.h>
#include <stdlib.h>

/* The timer of Linux ticks 250 times a second (kernel/sched/fair.c). Of longer instructions every sixteenth is looked
 * at. */
static const double tick_s = 4e-3;
enum { TICKS = 16 };

struct cb_core {
    int workers;
    double taken, wanted; /* shares of its time: by stages before, and by the one looked at */
    int slowed;           /* at this tick: the last turn that has to wait */
};

cb_err cb_cores_make(cb_cores *all, int stages, int cores, const int *need, double longest_s) {
    size_t workers = 0;
    for (int s = 0; s < stages; s++) workers += (size_t)need[s];
    *all = (cb_cores){.stages = stages, .cores = cores, .need = need, .every_s = fmax(tick_s, longest_s / TICKS)};
    all->stage = calloc((unsigned)stages, sizeof *all->stage);
    all->core = calloc((unsigned)cores, sizeof *all->core);
    all->workers = calloc(workers, sizeof *all->workers);
    if (all->stage && all->core && all->workers) return CB_OK;
    return cb_fail(CB_ENOMEM, "not enough memory to simulate %d stages on %d cores", stages, cores);
}

void cb_cores_free(cb_cores *all) {
    free(all->stage);
    free(all->core);
    free(all->workers);
}

void cb_cores_begin(cb_cores *all, double phase) {
    int worker = 0;
    for (int s = 0; s < all->stages; s++) {
        all->stage[s] = (cb_placed){.core = &all->workers[worker], .rate = 1};
        for (int i = 0; i < all->need[s]; i++, worker++) all->workers[worker] = worker % all->cores;
    }
    for (int c = 0; c < all->cores; c++) all->core[c] = (struct cb_core){0};
    all->turns = 0;
    all->next_s = all->every_s * phase;
}

/* The core with fewest workers, if possible the one before. */
static int least_used(const cb_cores *all, int before) {
    int best = before;
    for (int c = 0; c < all->cores; c++)
        if (all->core[c].workers < all->core[best].workers) best = c;
    return best;
}

static void settle(cb_cores *all, int s) {
    cb_placed *stage = &all->stage[s];
    if (stage->works == stage->placed) return;
    for (int i = 0; i < all->need[s]; i++) {
        if (!stage->placed) stage->core[i] = least_used(all, stage->core[i]);
        all->core[stage->core[i]].workers += stage->placed ? -1 : 1;
    }
    stage->placed = !stage->placed;
    stage->turn = all->turns++;
}

/* A worker of the fullest core; NULL: none has more than one. */
static int *crowded(const cb_cores *all) {
    int *found = NULL, most = 1;
    for (int s = 0; s < all->stages; s++) {
        for (int i = 0; i < all->need[s] && all->stage[s].placed; i++) {
            int *at = &all->stage[s].core[i];
            if (all->core[*at].workers <= most) continue;
            most = all->core[*at].workers;
            found = at;
        }
    }
    return found;
}

/* The placed stage with the lowest turn from `turn` on; -1: none. */
static int next_in_turn(const cb_cores *all, int turn) {
    int found = -1;
    for (int s = 0; s < all->stages; s++) {
        const cb_placed *stage = &all->stage[s];
        if (stage->placed && stage->turn >= turn && (found < 0 || stage->turn < all->stage[found].turn)) found = s;
    }
    return found;
}

/* What the stages before leave of its cores; it is as slow as its slowest worker. */
static void set_rate(cb_cores *all, int s) {
    cb_placed *stage = &all->stage[s];
    const int need = all->need[s];
    const double busy = stage->busy;
    stage->rate = 1;
    for (int i = 0; i < need; i++) all->core[stage->core[i]].wanted = 0;
    for (int i = 0; i < need; i++) all->core[stage->core[i]].wanted += busy;
    for (int i = 0; i < need; i++) {
        const struct cb_core *core = &all->core[stage->core[i]];
        if (core->wanted > 0) stage->rate = fmin(stage->rate, fmax(0, 1 - core->taken) / core->wanted);
    }
    for (int i = 0; i < need; i++) all->core[stage->core[i]].taken += stage->rate * busy;
}

static void set_rates(cb_cores *all) {
    for (int c = 0; c < all->cores; c++) all->core[c].taken = 0;
    for (int s = next_in_turn(all, 0); s >= 0; s = next_in_turn(all, all->stage[s].turn + 1)) set_rate(all, s);
}

/* Of each core the last turn of those that do not get all of it that they want. */
static void find_slowed(cb_cores *all) {
    for (int c = 0; c < all->cores; c++) all->core[c].slowed = -1;
    for (int s = 0; s < all->stages; s++) {
        const cb_placed *stage = &all->stage[s];
        for (int i = 0; i < all->need[s] && stage->placed && stage->rate < 1; i++) {
            struct cb_core *core = &all->core[stage->core[i]];
            if (core->slowed < stage->turn) core->slowed = stage->turn;
        }
    }
}

static bool keeps_waiting(const cb_cores *all, int s) {
    for (int i = 0; i < all->need[s]; i++)
        if (all->core[all->stage[s].core[i]].slowed > all->stage[s].turn) return true;
    return false;
}

/* Who keeps others waiting lets them go first; cores without a worker take over one of the fullest. */
static void tick(cb_cores *all) {
    const int last = all->turns;
    find_slowed(all);
    for (int s = 0; s < all->stages; s++)
        all->stage[s].leaves = all->stage[s].placed && all->stage[s].rate > 0 && keeps_waiting(all, s);
    for (int s = next_in_turn(all, 0); s >= 0 && all->stage[s].turn < last;) {
        int turn = all->stage[s].turn;
        if (all->stage[s].leaves) all->stage[s].turn = all->turns++;
        s = next_in_turn(all, turn + 1);
    }
    for (int c = 0; c < all->cores; c++) {
        int *worker = all->core[c].workers ? NULL : crowded(all);
        if (!worker) continue;
        all->core[*worker].workers--;
        all->core[c].workers++;
        *worker = c;
    }
}

static bool some_wait(const cb_cores *all) {
    for (int s = 0; s < all->stages; s++)
        if (all->stage[s].placed && all->stage[s].rate < 1) return true;
    return false;
}

double cb_cores_place(cb_cores *all, double now_s) {
    for (int leaving = 1; leaving >= 0; leaving--)
        for (int s = 0; s < all->stages; s++)
            if (all->stage[s].placed == leaving) settle(all, s);
    set_rates(all);
    if (now_s >= all->next_s) {
        tick(all);
        set_rates(all);
        all->next_s += all->every_s * (floor((now_s - all->next_s) / all->every_s) + 1);
    }
    return some_wait(all) ? all->next_s : INFINITY;
}
