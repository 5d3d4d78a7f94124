/* Timelines: a golden picture, well-formed SVG, the bubble, and the pictures in docs/.
 *
 * Those are drawn by `cuboid schedule`, as docs/pipeline.md says; here it is checked that they still are what is drawn.
 */
#include "timeline/timeline.h"

#include <jansson.h>
#include <stdlib.h>

#include "support/test.h"
#include "support/trace_events.h"

enum { MOST_ROWS = 64, TEXT_COLUMNS = 69 };

/* A simulated schedule with all that its timeline points to. */
typedef struct drawing {
    cb_schedule schedule;
    cb_timeline timeline;
    cb_event *events;
    char title[64], name[MOST_ROWS][16];
    const char *names[MOST_ROWS];
} drawing;

/* Forward 10 ms, backward 20 ms, half of it for the weight gradient; messages and the optimizer's step as given. */
static cb_err make_drawing(drawing *d, const char *name, int stages, int micro_batches, double message_s,
                           double step_s) {
    double f[MOST_ROWS], b[MOST_ROWS], w[MOST_ROWS], total_s;
    cb_schedule_spec spec = {.name = name, .stages = stages, .micro_batches = micro_batches};
    cb_span *spans[MOST_ROWS];
    *d = (drawing){0};
    TRY(cb_schedule_make_spec(&d->schedule, &spec));
    TRY(cb_schedule_lower(&d->schedule));
    for (int r = 0; r < stages; r++) {
        f[r] = 0.010;
        b[r] = w[r] = 0.010;
        snprintf(d->name[r], sizeof d->name[r], "p%d", r);
        d->names[r] = d->name[r];
    }
    cb_durations durations = {.f_s = f, .b_s = b, .w_s = w, .message_s = message_s, .step_s = step_s};
    TRY(cb_schedule_simulate(&d->schedule, &durations, spans, &total_s, NULL));
    snprintf(d->title, sizeof d->title, "%s, %d stages, %d microbatch%s%s", name, stages, micro_batches,
             micro_batches == 1 ? "" : "es", d->schedule.chunks == 2 ? ", 2 chunks" : "");
    d->timeline = (cb_timeline){.title = d->title, .rows = stages, .row_names = d->names};
    cb_err e = cb_timeline_of_schedule(&d->schedule, spans, &d->events, &d->timeline.count);
    d->timeline.events = d->events;
    free(spans[0]);
    return e;
}

static void free_drawing(drawing *d) {
    cb_schedule_free(&d->schedule);
    free(d->events);
}

/* form: 's' SVG, 't' text, 'c' coloured text, 'j' trace-event JSON. The caller frees the string. (Inlined, gcc 12
 * mistakes what open_memstream allocates for this function's own variable and warns of a dangling pointer.) */
__attribute__((noinline)) static char *draw_at(const cb_timeline *timeline, char form, int columns) {
    char *text = NULL;
    size_t length;
    FILE *to = open_memstream(&text, &length);
    if (form == 's') CHECK_OK(cb_timeline_svg(timeline, to));
    if (form == 'j') CHECK_OK(cb_timeline_chrome(timeline, to));
    if (form == 't' || form == 'c') CHECK_OK(cb_timeline_text(timeline, columns, form == 'c', to));
    fclose(to);
    return text;
}

static char *draw(const cb_timeline *timeline, char form) {
    return draw_at(timeline, form, TEXT_COLUMNS);
}

static void check_picture(const char *name, int stages, int micro_batches, const char *want) {
    drawing d;
    CHECK_OK(make_drawing(&d, name, stages, micro_batches, 0, 0));
    char *text = draw(&d.timeline, 't');
    if (!CHECK_STR(text, want)) fprintf(stderr, "got\n%sexpected\n%s", text, want);
    free(text);
    free_drawing(&d);
}

static void text_pictures(void) {
    check_picture("1f1b", 4, 8,
                  "1f1b, 4 stages, 8 microbatches: 330 ms, bubble 27.3%\n"
                  "p0 00112233............aaaa44bbbb55cccc66dddd77eeee..ffff..gggg..hhhh\n"
                  "p1 ..001122........aaaa33bbbb44cccc55dddd66eeee77ffff..gggg..hhhh....\n"
                  "p2 ....0011....aaaa22bbbb33cccc44dddd55eeee66ffff77gggg..hhhh........\n"
                  "p3 ......00aaaa11bbbb22cccc33dddd44eeee55ffff66gggg77hhhh............\n"
                  "   +-------------------+-------------------+-------------------+-----\n"
                  "   0                   100                 200                 300 ms\n"
                  "   0-9 forward  a-j backward  . waiting, messages  (microbatch mod 10)\n");
    check_picture("gpipe", 1, 11,
                  "gpipe, 1 stages, 11 microbatches: 330 ms, bubble 0.0%\n"
                  "p0 0011223344556677889900aaaabbbbccccddddeeeeffffgggghhhhiiiijjjjaaaa\n"
                  "   +-------------------+-------------------+-------------------+-----\n"
                  "   0                   100                 200                 300 ms\n"
                  "   0-9 forward  a-j backward  . waiting, messages  (microbatch mod 10)\n");
}

/* The n-th line that begins with `name`, behind it; NULL: there is none. */
static const char *row_of(const char *text, const char *name, int n) {
    for (const char *line = text; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        if (strncmp(line, name, strlen(name)) == 0 && n-- == 0) return line + strlen(name);
    return NULL;
}

/* Three pieces one below the other are the picture of three times the width. */
static void text_in_pieces(void) {
    enum { CELLS = 40, PIECES = 3 };
    static const char *const names[] = {"p0 ", "p1 ", "p2 "};
    drawing d;
    CHECK_OK(make_drawing(&d, "1f1b", 3, 7, 0.001, 0));
    char *wide = draw_at(&d.timeline, 't', 3 + PIECES * CELLS);
    d.timeline.pieces = PIECES;
    char *text = draw_at(&d.timeline, 't', 3 + CELLS);
    for (int row = 0; row < 3; row++)
        for (int piece = 0; piece < PIECES; piece++) {
            const char *whole = row_of(wide, names[row], 0), *part = row_of(text, names[row], piece);
            if (!CHECK(whole && part)) continue;
            CHECK(strncmp(whole + (size_t)piece * CELLS, part, CELLS) == 0 && part[CELLS] == '\n');
        }
    CHECK(!row_of(text, names[0], PIECES));
    CHECK(row_of(text, "   0-9 forward", 0) && !row_of(text, "   0-9 forward", 1));
    free(text);
    free(wide);
    free_drawing(&d);
}

/* The visible characters of a line, into out. */
static void strip_colours(const char *line, char *out, size_t size) {
    size_t n = 0;
    for (const char *p = line; *p && *p != '\n' && n + 1 < size; p++) {
        if (*p == '\033') {
            p = strchr(p, 'm');
        } else {
            out[n++] = *p;
        }
    }
    out[n] = 0;
}

static void coloured_text(void) {
    drawing d;
    char line[256];
    CHECK_OK(make_drawing(&d, "1f1b", 2, 12, 0, 0.005));
    char *text = draw(&d.timeline, 'c'), *row = strchr(text, '\n') + 1;
    CHECK(strstr(row, "\033[38;5;16;48;5;75m") != NULL);
    strip_colours(row, line, sizeof line);
    CHECK_INT(strlen(line), TEXT_COLUMNS);
    CHECK(strstr(line, "10") && strstr(line, "#")); /* a whole number where a bar has two cells, and the step */
    free(text);
    free_drawing(&d);
}

static cb_timeline many_rows(cb_event *events, int rows, const char *const *names) {
    for (int r = 0; r < rows; r++) events[r] = (cb_event){.row = r, .kind = CB_F, .micro_batch = r % 10, .end_s = 1};
    return (cb_timeline){.title = "many", .rows = rows, .row_names = names, .events = events, .count = rows};
}

static int count_lines(const char *text) {
    int lines = 0;
    for (; *text; text++) lines += *text == '\n';
    return lines;
}

/* More rows than a screen has: one per stage where the names tell stages, else evenly spaced ones, and the text says
 * so. */
static void many_rows_in_text(void) {
    enum { ROWS = 400 };
    static char name[ROWS][24];
    static const char *names[ROWS];
    static cb_event events[ROWS];
    for (int r = 0; r < ROWS; r++) {
        snprintf(name[r], sizeof name[r], "d%d p%d t%d", r / 2 % 25, r / 50, r % 2);
        names[r] = name[r];
    }
    cb_timeline timeline = many_rows(events, ROWS, names);
    char *text = draw(&timeline, 't');
    CHECK(strstr(text, "(8 of 400 rows: the first of each stage)") != NULL);
    CHECK(strstr(text, "d0 p7 t0") && !strstr(text, "d1 p7 t0"));
    CHECK_INT(count_lines(text), 1 + 8 + 3);
    free(text);
    timeline.row_names = NULL;
    text = draw(&timeline, 't');
    CHECK(strstr(text, "(32 of 400 rows: evenly spaced)") != NULL);
    CHECK_INT(count_lines(text), 1 + 32 + 3);
    free(text);
}

static void any_order_of_events(void) {
    drawing d;
    CHECK_OK(make_drawing(&d, "1f1b", 4, 8, 0.001, 0.003));
    char *text = draw(&d.timeline, 't'), *svg = draw(&d.timeline, 's');
    for (int64_t i = 0, j = d.timeline.count - 1; i < j; i++, j--) {
        cb_event e = d.events[i];
        d.events[i] = d.events[j];
        d.events[j] = e;
    }
    char *same_text = draw(&d.timeline, 't'), *same_svg = draw(&d.timeline, 's');
    CHECK_STR(text, same_text);
    CHECK_STR(svg, same_svg);
    free(text);
    free(svg);
    free(same_text);
    free(same_svg);
    free_drawing(&d);
}

static const char *entity_end(const char *p) {
    static const char *const entities[] = {"&amp;", "&lt;", "&gt;", "&quot;"};
    for (size_t i = 0; i < sizeof entities / sizeof *entities; i++) {
        if (strncmp(p, entities[i], strlen(entities[i])) == 0) return p + strlen(entities[i]);
    }
    return NULL;
}

/* Past one tag that begins at p, with quoted attributes; pushes or pops its name. NULL: not well-formed. */
static const char *pass_tag(const char *p, char open[][16], int *depth) {
    bool closes = p[1] == '/', quoted = false;
    const char *name = p + 1 + closes, *end = name;
    size_t length = strcspn(name, " />");
    for (; *end && (quoted || *end != '>'); end++) {
        if (*end == '"') quoted = !quoted;
        if (*end == '<') return NULL;
    }
    if (!*end || quoted || length == 0 || length > 15) return NULL;
    if (closes) {
        bool matches = *depth > 0 && strlen(open[*depth - 1]) == length && strncmp(open[*depth - 1], name, length) == 0;
        --*depth;
        return matches ? end + 1 : NULL;
    }
    if (end[-1] == '/') return end + 1;
    if (*depth == 8) return NULL;
    snprintf(open[(*depth)++], 16, "%.*s", (int)length, name);
    return end + 1;
}

static bool is_well_formed(const char *text) {
    char open[8][16];
    int depth = 0;
    for (const char *p = text; p && *p;) {
        if (depth == 0 && p != text) return strspn(p, "\n") == strlen(p);
        p = *p == '<' ? pass_tag(p, open, &depth) : *p == '&' ? entity_end(p) : p + 1;
        if (!p) return false;
    }
    return depth == 0 && *text == '<';
}

static void the_xml_checker(void) {
    CHECK(is_well_formed("<a b=\"<c\"/>") == false);
    CHECK(is_well_formed("<a b=\"c\"><d/>x &amp; y</a>\n"));
    CHECK(!is_well_formed("<a><b></a></b>"));
    CHECK(!is_well_formed("<a>&</a>"));
    CHECK(!is_well_formed("<a>"));
    CHECK(!is_well_formed("<a></a><b></b>"));
}

static void svg_is_well_formed(void) {
    static const int sizes[][2] = {{1, 1}, {4, 8}, {16, 64}, {40, 3}, {64, 2}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        drawing d;
        CHECK_OK(make_drawing(&d, "1f1b", sizes[i][0], sizes[i][1], 0.002, 0.004));
        char *svg = draw(&d.timeline, 's');
        CHECK(is_well_formed(svg));
        CHECK(strstr(svg, "xmlns=\"http://www.w3.org/2000/svg\"") && strstr(svg, ">optimizer</text>"));
        CHECK(!strstr(svg, "nan") && !strstr(svg, "inf"));
        free(svg);
        free_drawing(&d);
    }
}

static int count_of(const char *text, const char *what) {
    int n = 0;
    for (const char *at = text; (at = strstr(at, what)); at++) n++;
    return n;
}

/* Of 64 microbatches on 16 stages each bar has its number, whatever the schedule; of many more, none. */
static void numbers_fit(void) {
    for (const char *const *name = cb_schedule_names(); *name; name++) {
        for (int micro_batches = 64; micro_batches <= 2048; micro_batches *= 32) {
            drawing d;
            CHECK_OK(make_drawing(&d, *name, 16, micro_batches, 0, 0));
            int64_t bars = 16 * micro_batches * d.schedule.chunks * (d.schedule.split_backward ? 3 : 2);
            char *svg = draw(&d.timeline, 's');
            CHECK_INT(count_of(svg, "class=\"n\""), micro_batches == 64 ? bars : 0);
            CHECK(strtol(strstr(svg, "width=\"") + 7, NULL, 10) < 7700);
            free(svg);
            free_drawing(&d);
        }
    }
}

static void svg_escapes_names(void) {
    const char *names[] = {"<d0> & \"p1\"\x01"};
    cb_event event = {.kind = CB_F, .end_s = 2e-6};
    cb_timeline timeline = {.title = "a<b>&\"c\"", .rows = 1, .row_names = names, .events = &event, .count = 1};
    char *svg = draw(&timeline, 's');
    CHECK(is_well_formed(svg));
    CHECK(strstr(svg, ">a&lt;b&gt;&amp;&quot;c&quot;</text>") != NULL);
    CHECK(strstr(svg, ">&lt;d0&gt; &amp; &quot;p1&quot;</text>") != NULL);
    CHECK(strstr(svg, ">2 us, bubble 0.0%</text>") != NULL);
    free(svg);
}

/* A picture with kinds of its own: their names and colours, and lines below the legend; it is no trace of a step. */
static void kinds_of_ones_own(void) {
    static const cb_timeline_kind kinds[] = {
        {"work", CB_FILL_F}, {"all-reduce", CB_FILL_REDUCE}, {"all-gather", CB_FILL_GATHER}, {"never", CB_FILL_SCATTER}};
    cb_timeline_words words = {
        .kind = kinds, .kinds = 4, .waiting = "idle", .numbers = "step", .note = "forward: 0 work\nbackward: 1 < 2"};
    cb_event events[] = {{.kind = 0, .micro_batch = 7, .end_s = 1},
                         {.kind = 1, .micro_batch = 8, .begin_s = 1, .end_s = 2},
                         {.kind = 2, .micro_batch = 9, .begin_s = 2, .end_s = 3}};
    cb_timeline timeline = {.title = "t", .words = &words, .rows = 1, .events = events, .count = 3};
    char *svg = draw(&timeline, 's'), *text = draw_at(&timeline, 't', 24);
    CHECK(is_well_formed(svg) && strstr(svg, ">work</text>") && strstr(svg, ">all-reduce</text>"));
    CHECK(strstr(svg, ">all-gather</text>") && strstr(svg, ".fh{fill:") && strstr(svg, "class=\"fh\""));
    CHECK(!strstr(svg, "never") && !strstr(svg, ".fk{fill:"));
    CHECK(strstr(svg, ">forward: 0 work</text>") && strstr(svg, ">backward: 1 &lt; 2</text>"));
    CHECK(strstr(svg, "<title>work 7: 0 to 1 s") && strstr(svg, "<title>all-gather: 2 to 3 s"));
    CHECK(strstr(text, " 77777777") && strstr(text, "======="));
    CHECK(strstr(text, " 0-9 work  + all-reduce  = all-gather  . idle  (step mod 10)"));
    free(svg);
    free(text);
    CHECK_FAILS(cb_timeline_chrome(&timeline, stderr), CB_EINVAL, "its kinds are not a training step's");
    events[2].kind = 4;
    CHECK_FAILS(cb_timeline_svg(&timeline, stderr), CB_EINVAL, "event 2 is of kind 4; there are kinds 0 to 3");
}

static void bubbles(void) {
    static const char *const names[] = {"gpipe", "1f1b"};
    for (int n = 0; n < 2; n++) {
        for (int p = 1; p <= 8; p++) {
            for (int m = 1; m <= 16; m++) {
                drawing d;
                CHECK_OK(make_drawing(&d, names[n], p, m, 0, 0));
                CHECK_NEAR(cb_timeline_bubble(&d.timeline), (p - 1.0) / (m + p - 1), 1e-12);
                free_drawing(&d);
            }
        }
    }
    /* Reductions over dp and the step are work; messages, the tied embedding's too, are not; nor is time without
     * events. */
    cb_event events[] = {{.kind = CB_F, .begin_s = 10, .end_s = 11},
                         {.kind = CB_RECV_B, .begin_s = 11, .end_s = 12},
                         {.kind = CB_REDUCE_TIED, .begin_s = 12, .end_s = 13},
                         {.kind = CB_REDUCE_GRADS, .begin_s = 13, .end_s = 14},
                         {.kind = CB_STEP, .begin_s = 14, .end_s = 15}};
    cb_timeline timeline = {.title = "t", .rows = 2, .events = events, .count = 5};
    CHECK_NEAR(cb_timeline_bubble(&timeline), 0.7, 1e-12);
    timeline.count = 0;
    CHECK(cb_timeline_bubble(&timeline) == 0);
}

static void bad_timelines(void) {
    cb_event event = {.kind = CB_F, .end_s = 1};
    cb_timeline timeline = {.title = "t", .rows = 1, .events = &event};
    CHECK_FAILS(cb_timeline_text(&timeline, 80, false, stderr), CB_EINVAL, "timeline 't': 1 rows and 0 events");
    timeline.count = 1;
    event.row = 1;
    CHECK_FAILS(cb_timeline_text(&timeline, 80, false, stderr), CB_EINVAL, "event 0 is in row 1 of 1");
    event = (cb_event){.kind = CB_INSTR_KINDS, .end_s = 1};
    CHECK_FAILS(cb_timeline_svg(&timeline, stderr), CB_EINVAL, "event 0 is of kind 10; there are kinds 0 to 9");
    event = (cb_event){.kind = CB_B, .micro_batch = -1, .end_s = 1};
    CHECK_FAILS(cb_timeline_svg(&timeline, stderr), CB_EINVAL, "event 0 is of microbatch -1");
    event = (cb_event){.kind = CB_B, .begin_s = 2, .end_s = 1};
    CHECK_FAILS(cb_timeline_svg(&timeline, stderr), CB_EINVAL, "event 0 in row 0 lasts from 2 s to 1 s");
    event = (cb_event){.kind = CB_B, .end_s = NAN};
    CHECK_FAILS(cb_timeline_svg(&timeline, stderr), CB_EINVAL, "lasts from 0 s to nan s");
}

/* Events of no length are no error, and a full disk is one. */
static void instants_and_full_disks(void) {
    cb_event event = {.kind = CB_STEP, .micro_batch = -1};
    cb_timeline timeline = {.title = "t", .rows = 1, .events = &event, .count = 1};
    char *text = draw(&timeline, 't'), *svg = draw(&timeline, 's');
    CHECK(strstr(text, "t: 0.001 us, bubble 0.0%") && is_well_formed(svg));
    free(text);
    free(svg);
    FILE *full = fopen("/dev/full", "w");
    if (!full) return;
    CHECK_FAILS(cb_timeline_svg(&timeline, full), CB_EIO, "timeline 't': writing its SVG failed");
    CHECK_FAILS(cb_timeline_text(&timeline, 80, true, full), CB_EIO, "timeline 't': writing its text failed");
    fclose(full);
}

static char *read_file(const char *path) {
    FILE *from = fopen(path, "r");
    char *text = calloc(1, 1 << 20);
    if (!CHECK(from && text)) {
        fprintf(stderr, "    %s\n", path);
        return text;
    }
    text[fread(text, 1, (1 << 20) - 1, from)] = 0;
    fclose(from);
    return text;
}

/* As the format wants it, with a named thread for each row. Returns the number of complete events. */
static int check_trace(const json_t *trace, int rows) {
    trace_events t;
    if (!CHECK(trace_events_check(&t, trace))) fprintf(stderr, "    %s\n", t.wrong);
    CHECK_INT(t.threads, rows);
    return t.complete;
}

/* The event of this name on a row, or NULL. */
static const json_t *find_event(const json_t *trace, int row, const char *name) {
    size_t i;
    json_t *event;
    json_array_foreach(json_object_get(trace, "traceEvents"), i, event) {
        if (json_integer_value(json_object_get(event, "tid")) == row &&
            strcmp(json_string_value(json_object_get(event, "name")), name) == 0) {
            return event;
        }
    }
    return NULL;
}

static void check_event(const json_t *trace, int row, const char *name, const char *category, double ts, double dur) {
    const json_t *event = find_event(trace, row, name);
    if (!CHECK(event)) return;
    CHECK_STR(json_string_value(json_object_get(event, "cat")), category);
    CHECK_NEAR(json_number_value(json_object_get(event, "ts")), ts, 1e-6);
    CHECK_NEAR(json_number_value(json_object_get(event, "dur")), dur, 1e-6);
}

static void events_of_schedules(void) {
    for (const char *const *name = cb_schedule_names(); *name; name++) {
        drawing d;
        CHECK_OK(make_drawing(&d, *name, 4, 8, 0.001, 0.003));
        char *text = draw(&d.timeline, 'j');
        json_t *trace = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
        if (!CHECK(trace)) fprintf(stderr, "    %s: %s\n", *name, text);
        int last = 0;
        for (int64_t i = 0; i < d.timeline.count; i++) last += d.events[i].end_s - d.events[i].begin_s >= 1e-9;
        CHECK_INT(check_trace(trace, 4), last);
        bool chunks = d.schedule.chunks > 1;
        double part = chunks ? 2 : 1;
        check_event(trace, 0, chunks ? "F0.0" : "F0", "forward", 0, 10000 / part);
        check_event(trace, 1, chunks ? "recvF0.0" : "recvF0", "message", 0, 10000 / part + 1000);
        CHECK((find_event(trace, 2, chunks ? "W3.1" : "W3") != NULL) == d.schedule.split_backward);
        CHECK(find_event(trace, 3, "step") != NULL);
        json_decref(trace);
        free(text);
        free_drawing(&d);
    }
}

/* The checker itself. */
static void the_trace_checker(void) {
    static const struct {
        const char *events, *wrong; /* without what all have */
    } cases[] = {
        {"'ph':'X','ts':0,'dur':9,'cat':'c'}", ""},
        {"'ph':'X','ts':0,'dur':9,'cat':'c'},{'ph':'X','ts':3,'dur':6,'cat':'c'}", ""},
        {"'ph':'X','ts':0,'dur':9,'cat':'c'},{'ph':'X','ts':9,'dur':1,'cat':'c'}", ""},
        {"'ph':'X','ts':0,'dur':9,'cat':'c'},{'ph':'X','ts':3,'dur':6.001,'cat':'c'}", "overlaps"},
        {"'ph':'X','ts':-1,'dur':9,'cat':'c'}", "no ts"},
        {"'ph':'X','ts':0,'dur':-1,'cat':'c'}", "no dur"},
        {"'ph':'X','ts':0,'dur':1}", "no category"},
        {"'ph':'B','ts':0}", "neither"},
        {"'ph':'M','args':{}}", "is no metadata"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[512], *at = text;
        const char *name = "{'ph':'M','pid':0,'tid':0,'name':'thread_name','args':{'name':'t'}},{";
        at += sprintf(at, "{'traceEvents':[%s", name);
        for (const char *p = cases[i].events; *p; p++) {
            *at++ = *p;
            if (*p == '}' && (p[1] == ',' || !p[1])) at += sprintf(at - 1, ",'pid':0,'tid':0,'name':'n'}") - 1;
        }
        strcpy(at, "]}");
        for (char *p = text; *p; p++) *p = *p == '\'' ? '"' : *p;
        trace_events t;
        json_t *trace = json_loads(text, 0, NULL);
        CHECK(trace && trace_events_check(&t, trace) == !*cases[i].wrong);
        if (!CHECK(strstr(t.wrong, cases[i].wrong))) fprintf(stderr, "    %s: %s\n", text, t.wrong);
        json_decref(trace);
    }
}

static void trace_escapes_names(void) {
    const char *names[] = {"\"d0\"\\\n\x01"};
    cb_event event = {.kind = CB_F, .end_s = 2e-6};
    cb_timeline timeline = {.title = "a \"title\"", .rows = 1, .row_names = names, .events = &event, .count = 1};
    char *text = draw(&timeline, 'j');
    json_t *trace = json_loads(text, 0, NULL);
    if (CHECK(trace)) {
        CHECK_INT(check_trace(trace, 1), 1);
        const json_t *thread = find_event(trace, 0, "thread_name");
        CHECK_STR(json_string_value(json_object_get(json_object_get(thread, "args"), "name")), names[0]);
    }
    json_decref(trace);
    free(text);
    timeline.count = 0;
    CHECK_FAILS(cb_timeline_chrome(&timeline, stderr), CB_EINVAL, "1 rows and 0 events");
    FILE *full = fopen("/dev/full", "w");
    if (!full) return;
    timeline.count = 1;
    CHECK_FAILS(cb_timeline_chrome(&timeline, full), CB_EIO, "writing its trace events failed");
    fclose(full);
}

/* What docs/ shows is what is drawn now: a column of text is 5 ms in all of them. */
static void check_in_docs(const char *page, const char *name, int micro_batches, int columns, bool has_svg) {
    drawing d;
    char path[256];
    CHECK_OK(make_drawing(&d, name, 4, micro_batches, 0, 0));
    char *text = draw_at(&d.timeline, 't', columns), *svg = draw(&d.timeline, 's');
    if (!CHECK(strstr(page, text))) fprintf(stderr, "    docs/pipeline.md does not have\n%s", text);
    if (has_svg) {
        snprintf(path, sizeof path, "%s/docs/images/%s.svg", CB_SOURCE_DIR, name);
        char *picture = read_file(path);
        CHECK_STR(picture, svg);
        free(picture);
    }
    free(text);
    free(svg);
    free_drawing(&d);
}

static void pictures_in_docs(void) {
    char *page = read_file(CB_SOURCE_DIR "/docs/pipeline.md");
    check_in_docs(page, "gpipe", 1, 27, false);
    check_in_docs(page, "gpipe", 8, 69, false);
    check_in_docs(page, "1f1b", 8, 69, true);
    check_in_docs(page, "interleaved", 8, 60, true);
    check_in_docs(page, "zb-h1", 8, 57, false);
    check_in_docs(page, "zb-h2", 8, 57, false);
    check_in_docs(page, "zb-v", 8, 54, true);
    check_in_docs(page, "dualpipe-v", 8, 54, true);
    free(page);
}

int main(void) {
    RUN(text_pictures);
    RUN(text_in_pieces);
    RUN(coloured_text);
    RUN(many_rows_in_text);
    RUN(any_order_of_events);
    RUN(the_xml_checker);
    RUN(svg_is_well_formed);
    RUN(numbers_fit);
    RUN(svg_escapes_names);
    RUN(kinds_of_ones_own);
    RUN(bubbles);
    RUN(bad_timelines);
    RUN(instants_and_full_disks);
    RUN(the_trace_checker);
    RUN(events_of_schedules);
    RUN(trace_escapes_names);
    RUN(pictures_in_docs);
    return test_end();
}
