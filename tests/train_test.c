/* Whole runs through cb_run_train, on threads (cb_comm_launch): what the observer is told, evaluations when they are
 * due, a wish to stop, the summary, and files: with the shards fixed, every layout saves the same weights and logits,
 * byte for byte, and goes on from another's. */
#include "base/map.h"
#include "support/files.h"
#include "support/ranks.h"

typedef struct log_of_run {
    int steps;
    cb_step_report report[RANKS_MOST_STEPS];
    int64_t done;
    double val_loss, bubble;
    int ranks, rows, out_of_row;
    int64_t events, bytes_off, silent; /* ranks whose memory is not as predicted; ranks that sent nothing */
    volatile sig_atomic_t stop;
    bool stopped;
    int stop_at; /* told to stop when this step is reported; -1: never */
} log_of_run;

static void on_step(void *arg, const cb_step_report *report) {
    log_of_run *log = arg;
    log->report[log->steps++ % RANKS_MOST_STEPS] = *report;
    if (report->step == log->stop_at) log->stop = 1;
}

static void on_summary(void *arg, const cb_run_summary *s) {
    log_of_run *log = arg;
    log->done = s->steps;
    log->val_loss = s->val_loss;
    log->stopped = s->stopped;
    log->ranks = s->ranks;
    log->bubble = s->bubble;
    for (int r = 0; r < s->ranks; r++) {
        int64_t messages = 0;
        for (int p = 0; p < CB_PURPOSES; p++) {
            for (int k = 0; k < CB_KINDS; k++) messages += s->rank[r].traffic[p][k].messages;
        }
        for (int k = 0; k < CB_MEM_KINDS; k++) {
            log->bytes_off += llabs(s->rank[r].predicted_bytes[k] - s->rank[r].used_bytes[k]);
        }
        log->silent += messages == 0;
    }
    if (!s->timeline) return;
    log->rows = s->timeline->rows;
    log->events = s->timeline->count;
    for (int64_t i = 0; i < s->timeline->count; i++) {
        const cb_event *e = &s->timeline->events[i];
        log->out_of_row += e->row < 0 || e->row >= s->ranks || e->begin_s > e->end_s || e->begin_s < 0;
    }
}

static bool make_run(const ranks_case *c, cb_run *run, cb_tokens **tokens, log_of_run *log) {
    *log = (log_of_run){.stop_at = -1};
    bool ok = CHECK_OK(ranks_run_make(run, tokens, c));
    run->observer = (cb_observer){.arg = log, .on_step = on_step, .on_summary = on_summary};
    run->stop = &log->stop;
    return ok;
}

static const ranks_case layouts[] = {
    {.shards = 8, .data_shards = 4, .batch = 8, .B = 1, .steps = 5, .eval = 16, .clip = 0.5},
    {.shards = 8, .data_shards = 4, .batch = 8, .B = 1, .steps = 5, .eval = 16, .clip = 0.5, .dp = 2, .tp = 2, .pp = 2},
    {.shards = 8,
     .data_shards = 4,
     .batch = 8,
     .B = 1,
     .steps = 5,
     .eval = 16,
     .clip = 0.5,
     .dp = 4,
     .pp = 2,
     .schedule = "gpipe"},
    {.shards = 8, .data_shards = 4, .batch = 8, .B = 1, .steps = 5, .eval = 16, .clip = 0.5, .tp = 8},
    {.shards = 8,
     .data_shards = 4,
     .batch = 8,
     .B = 1,
     .steps = 5,
     .eval = 16,
     .clip = 0.5,
     .pp = 5,
     .order = "pp-dp-tp"},
};
enum { LAYOUTS = sizeof layouts / sizeof *layouts };

static void check_log(const log_of_run *log, const log_of_run *first) {
    CHECK_INT(log->steps, 5);
    CHECK_INT(log->done, 5);
    for (int s = 0; s < 5; s++) {
        const cb_step_report *a = &log->report[s], *b = &first->report[s];
        CHECK_INT(a->step, s);
        CHECK(a->loss == b->loss && a->grad_norm == b->grad_norm && a->lr == b->lr);
        CHECK(a->step_s > 0 && !a->nonfinite && !a->stop);
        bool due = s == 1 || s == 3; /* every two steps, but at the end it is the summary's */
        CHECK(due ? a->val_loss == b->val_loss && a->val_loss > 0 : isnan(a->val_loss));
    }
    CHECK(log->val_loss == first->val_loss && isfinite(log->val_loss));
}

/* The same for all layouts: what the observer sees is what ranks_train collects on one rank. */
static void observers_are_told(void) {
    log_of_run first, log;
    for (int i = 0; i < LAYOUTS; i++) {
        cb_run run;
        cb_tokens *tokens;
        if (make_run(&layouts[i], &run, &tokens, &log)) {
            run.eval_interval = 2;
            run.record = true;
            CHECK_OK(cb_run_train(&run));
            if (i == 0) first = log;
            check_log(&log, &first);
            CHECK_INT(log.ranks, run.mesh.ranks);
            CHECK_INT(log.rows, run.mesh.ranks);
            CHECK_INT(log.bytes_off, 0);
            CHECK_INT(log.out_of_row, 0);
            CHECK_INT(log.silent, run.mesh.ranks == 1);
            CHECK(log.bubble >= 0 && log.bubble < 1);
            /* F and B of each microbatch on every rank, four messages per boundary and microbatch, the end of the step
             */
            int64_t boundaries = (run.placement.stages - 1) * (run.mesh.ranks / run.placement.stages);
            int64_t ends = run.placement.stages > 1 ? 2 * (run.mesh.ranks / run.placement.stages) : 0;
            CHECK_INT(log.events,
                      run.micro_batches * (2 * run.mesh.ranks + 4 * boundaries) + 2 * run.mesh.ranks + ends);
        }
        cb_tokens_close(tokens);
    }
}

static void a_wish_to_stop(void) {
    for (int i = 0; i < LAYOUTS; i++) {
        cb_run run;
        cb_tokens *tokens;
        log_of_run log;
        if (make_run(&layouts[i], &run, &tokens, &log)) {
            log.stop_at = 1;
            CHECK_OK(cb_run_train(&run)); /* the wish is seen at the end of the next step */
            CHECK_INT(log.done, 3);
            CHECK_INT(log.steps, 3);
            CHECK(log.report[2].stop && !log.report[1].stop);
            CHECK(log.stopped && isnan(log.val_loss)); /* nothing is evaluated any more */
        }
        cb_tokens_close(tokens);
    }
}

static bool same_files(const char *a, const char *b) {
    cb_map x = {0}, y = {0};
    bool same = CHECK_OK(cb_map_open(&x, a)) && CHECK_OK(cb_map_open(&y, b));
    same = same && CHECK_INT(x.size, y.size) && CHECK(x.size > 0 && memcmp(x.bytes, y.bytes, (size_t)x.size) == 0);
    cb_map_close(&x);
    cb_map_close(&y);
    return same;
}

/* weights and logits of layout i: build/files/train_<i>/ and train_logits_<i>; first ones: of layout 0 */
static void files_are_the_same(void) {
    char weights[512], first_weights[512], logits[512], first_logits[512], a[600], b[600];
    for (int i = 0; i < LAYOUTS; i++) {
        cb_run run;
        cb_tokens *tokens;
        log_of_run log;
        char name[32];
        snprintf(name, sizeof name, "train_%d", i);
        files_path(name, i ? weights : first_weights);
        snprintf(name, sizeof name, "train_logits_%d", i);
        files_path(name, i ? logits : first_logits);
        if (make_run(&layouts[i], &run, &tokens, &log)) {
            run.save = i ? weights : first_weights;
            run.logits = i ? logits : first_logits;
            CHECK_OK(cb_run_train(&run));
            snprintf(a, sizeof a, "%s/model.safetensors", first_weights);
            snprintf(b, sizeof b, "%s/model.safetensors", run.save);
            same_files(a, b);
            same_files(first_logits, run.logits);
        }
        cb_tokens_close(tokens);
    }
}

/* Every layout starts from the weights that layout 0 saved in files_are_the_same, and sees the loss with which they
 * ended. */
static void any_layout_goes_on(void) {
    char weights[512];
    double expected = NAN;
    files_path("train_0", weights);
    for (int i = 0; i < LAYOUTS; i++) {
        cb_run run;
        cb_tokens *tokens;
        log_of_run log;
        if (i == 0 && make_run(&layouts[0], &run, &tokens, &log)) {
            CHECK_OK(cb_run_train(&run));
            expected = log.val_loss;
            cb_tokens_close(tokens);
        }
        if (make_run(&layouts[i], &run, &tokens, &log)) {
            run.steps = 0;
            run.init = weights;
            CHECK_OK(cb_run_train(&run));
            CHECK(log.val_loss == expected);
            CHECK_INT(log.steps + log.done, 0);
        }
        cb_tokens_close(tokens);
    }
}

static void files_that_cannot_be(void) {
    for (int i = 0; i < LAYOUTS; i++) {
        cb_run run;
        cb_tokens *tokens;
        log_of_run log;
        if (make_run(&layouts[i], &run, &tokens, &log)) {
            run.init = "/nonexistent/weights";
            CHECK_FAILS(cb_run_train(&run), CB_EIO, "/nonexistent/weights");
            run.init = NULL;
            run.save = "/proc/weights";
            CHECK_FAILS(cb_run_train(&run), CB_EIO, "/proc/weights");
            run.save = NULL;
            run.logits = "/nonexistent/logits";
            CHECK_FAILS(cb_run_train(&run), CB_EIO, "/nonexistent/logits");
        }
        cb_tokens_close(tokens);
    }
}

int main(void) {
    RUN(observers_are_told);
    RUN(a_wish_to_stop);
    RUN(files_are_the_same);
    RUN(any_layout_goes_on);
    RUN(files_that_cannot_be);
    return test_end();
}
