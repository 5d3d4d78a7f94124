/* A layout under mpiexec: the same program, started as `cuboid train` with a log of digests. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/digest_log.h"
#include "cli/mpiexec.h"
#include "cli/verify_logs.h"
#include "cli/verify_run.h"

/* The caller's words but for verify's own options and those that a layout decides. */
static void add_train_words(cb_words *w, int argc, char **argv) {
    static const char *const with_value[] = {"--layouts",
                                             "--schedules",
                                             "--most-ranks",
                                             "--mpiexec",
                                             "--against",
                                             "--log",
                                             "--ranks",
                                             "--schedule-file",
                                             "--virtual",
                                             "--virtual-pipeline-model-parallel-size",
                                             "--num-virtual-stages-per-pipeline-rank",
                                             "--group",
                                             "--microbatch-group-size-per-virtual-pipeline-stage"};
    for (int i = 0; i < argc; i++) {
        bool own = strcmp(argv[i], "--mpi") == 0 || strcmp(argv[i], "--no-mpi") == 0;
        for (size_t k = 0; k < sizeof with_value / sizeof *with_value; k++) {
            size_t n = strlen(with_value[k]);
            if (strncmp(argv[i], with_value[k], n) != 0 || (argv[i][n] && argv[i][n] != '=')) continue;
            own = true;
            if (!argv[i][n]) i++;
            break;
        }
        if (!own && i < argc) cb_words_add(w, argv[i]);
    }
}

/* Lists of one's own, and chunks: as this layout has them. */
static void add_schedule(cb_words *w, const cb_options *o, const cb_layout *l) {
    cb_options own = cb_layout_options(o, l);
    cb_words_add(w, "--schedule");
    cb_words_add(w, l->schedule);
    if (own.chunks) cb_words_add_number(w, "--virtual", own.chunks);
    if (own.group) cb_words_add_number(w, "--group", own.group);
    if (!own.schedule_file) return;
    cb_words_add(w, "--schedule-file");
    cb_words_add(w, own.schedule_file);
}

static void make_command(cb_words *w, const cb_options *o, const cb_layout *l, const char *mpiexec, const char *self,
                         const char *log, int argc, char **argv) {
    cb_words_split(w, mpiexec);
    cb_words_add_number(w, NULL, (long long)l->dp * l->tp * l->pp);
    cb_words_add(w, self);
    cb_words_add(w, "train");
    add_train_words(w, argc, argv);
    cb_words_add_number(w, "--dp", l->dp);
    cb_words_add_number(w, "--tp", l->tp);
    cb_words_add_number(w, "--pp", l->pp);
    add_schedule(w, o, l);
    const char *const pairs[][2] = {{"--shards", o->shards}, {"--log", log}, {"--comm", "mpi"}};
    for (int i = 0; i < 3; i++) {
        cb_words_add(w, pairs[i][0]);
        cb_words_add(w, pairs[i][1]);
    }
    cb_words_add_number(w, "--data-shards", o->data_shards);
    cb_words_add_number(w, "--global-batch-size", o->global_batch_size);
    cb_words_add_number(w, "--steps", o->steps);
    cb_words_add_number(w, "--digest-every", 1);
    cb_words_add_number(w, "--eval-iters", 0);
    cb_words_add_number(w, "--peak-flops", 1000000000);
}

/* Steps in a log count from 1. */
static cb_err compare(const cb_trace *reference, const cb_digest_log *log) {
    for (int64_t i = 0; i < log->count && i < reference->steps; i++) {
        if (log->entry[i].step == i + 1 && log->entry[i].digest == reference->state[i]) continue;
        return cb_fail(CB_EMISMATCH, "step %lld: digest %016llx under MPI, %016llx on one rank", (long long)log->entry[i].step,
                       (unsigned long long)log->entry[i].digest, (unsigned long long)reference->state[i]);
    }
    if (log->count == reference->steps) return CB_OK;
    return cb_fail(CB_EMISMATCH, "%lld steps under MPI, %lld on one rank", (long long)log->count, (long long)reference->steps);
}

static void print_same(const cb_layout *layout, const cb_digest_log *log, double run_s) {
    char name[64];
    printf("%-34s %016llx  under mpiexec %24.1f s  same bits\n", cb_layout_text(layout, name),
           (unsigned long long)log->entry[log->count - 1].digest, run_s);
    fflush(stdout);
}

static cb_err run_and_compare(cb_words *w, const cb_trace *reference, const cb_layout *layout, const char *log_path) {
    cb_digest_log log = {0};
    double begin_s = cb_now_s();
    cb_err e = cb_words_run(w, NULL);
    if (!e) e = cb_digest_log_read(&log, log_path);
    if (!e) e = compare(reference, &log);
    if (!e) print_same(layout, &log, cb_now_s() - begin_s);
    cb_digest_log_free(&log);
    return e;
}

cb_err cb_verify_mpi_check(const char *mpiexec) {
    cb_words w = {.count = 0};
    char self[1024];
    TRY(cb_own_path(self));
    cb_words_split(&w, mpiexec);
    cb_words_add_number(&w, NULL, 1);
    cb_words_add(&w, self);
    cb_words_add(&w, "--version");
    return cb_err_context(cb_words_run(&w, NULL), "--mpi with --mpiexec '%s'", mpiexec);
}

cb_err cb_verify_mpi(const cb_options *options, const cb_trace *reference, const cb_layout *layout, const char *mpiexec, int argc,
                     char **argv) {
    cb_words w = {.count = 0};
    char name[64], self[1024], log_path[512];
    TRY(cb_own_path(self));
    TRY(cb_temporary(log_path));
    make_command(&w, options, layout, mpiexec, self, log_path, argc, argv);
    cb_err e = run_and_compare(&w, reference, layout, log_path);
    unlink(log_path);
    return cb_err_context(e, "%s under mpiexec", cb_layout_text(layout, name));
}
