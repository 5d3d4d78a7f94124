/* Timelines as trace-event JSON, which Perfetto and chrome://tracing load (Google, "Trace Event Format"): one process,
 * a thread per row, a complete event ("X") with times in microseconds for all that takes time. See timeline.h. */
#include "timeline/layout.h"

/* A JSON string, quoted. Bytes from 128 on are taken to be UTF-8 and passed on. */
static void put_string(FILE *to, const char *text) {
    fputc('"', to);
    for (const char *p = text; *p; p++) {
        if (*p == '"' || *p == '\\') {
            fprintf(to, "\\%c", *p);
        } else if ((unsigned char)*p < 32) {
            fprintf(to, "\\u%04x", (unsigned)*p);
        } else {
            fputc(*p, to);
        }
    }
    fputc('"', to);
}

/* What a process or thread is called: a metadata event ("M"). */
static void put_name(FILE *to, const char *what, int row, const char *name) {
    fprintf(to, "{\"ph\":\"M\",\"pid\":0,\"tid\":%d,\"name\":\"%s\",\"args\":{\"name\":", row, what);
    put_string(to, name);
    fputs("}}", to);
}

const char *cb_timeline_category(int32_t kind) {
    static const char *const names[CB_INSTR_KINDS] = {"forward", "backward", "weight gradient", "message", "message",
                                                      "message", "message",  "reduction",       "message", "optimizer"};
    return names[kind];
}

static void put_event(FILE *to, const cb_bar *bar, const cb_schedule *naming) {
    char name[24];
    cb_instr instr = {.kind = (cb_instr_kind)bar->kind, .micro_batch = bar->micro_batch, .chunk = bar->chunk};
    fprintf(to, ",\n{\"ph\":\"X\",\"pid\":0,\"tid\":%d,\"ts\":%.3f,\"dur\":%.3f,\"name\":\"%s\",\"cat\":\"%s\"",
            bar->row, bar->begin_s * 1e6, (bar->end_s - bar->begin_s) * 1e6, cb_instr_text(naming, instr, name),
            cb_timeline_category(bar->kind));
    if (bar->kind < CB_REDUCE_GRADS) {
        fprintf(to, ",\"args\":{\"microbatch\":%d,\"chunk\":%d}", bar->micro_batch, bar->chunk);
    }
    fputs("}", to);
}

/* Less than a nanosecond would be written as 0.000, an event of no length. */
static bool takes_time(const cb_bar *bar) {
    return bar->end_s - bar->begin_s >= 1e-9;
}

cb_err cb_timeline_chrome(const cb_timeline *timeline, FILE *to) {
    cb_drawing drawing;
    cb_schedule naming = {.chunks = 1};
    if (timeline->words && timeline->words->kind)
        return cb_fail(CB_EINVAL, "timeline '%s': its kinds are not a training step's", timeline->title);
    TRY(cb_drawing_make(&drawing, timeline));
    fputs("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n", to);
    put_name(to, "process_name", 0, timeline->title);
    for (int row = 0; row < timeline->rows; row++) {
        fputs(",\n", to);
        put_name(to, "thread_name", row, cb_drawing_row_name(&drawing, row));
        fprintf(to,
                ",\n{\"ph\":\"M\",\"pid\":0,\"tid\":%d,\"name\":\"thread_sort_index\",\"args\":{\"sort_index\":%d}}",
                row, row);
    }
    for (int64_t i = 0; i < timeline->count; i++) {
        if (drawing.bars[i].chunk > 0) naming.chunks = 2; /* names then tell the chunk */
    }
    for (int64_t i = 0; i < timeline->count; i++) {
        if (takes_time(&drawing.bars[i])) put_event(to, &drawing.bars[i], &naming);
    }
    fputs("\n]}\n", to);
    cb_drawing_free(&drawing);
    return fflush(to) || ferror(to) ? cb_fail(CB_EIO, "timeline '%s': writing its trace events failed", timeline->title)
                                    : CB_OK;
}
