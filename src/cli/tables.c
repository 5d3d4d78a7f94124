/* Tables of memory and of traffic; see tables.h. */
#include "cli/tables.h"

#include <math.h>
#include <string.h>

#include "base/os.h"

static int kind_width(int kind) {
    int length = (int)strlen(cb_memory_kind_name((cb_memory_kind)kind));
    return length > 10 ? length : 10; /* "123.45 KiB" */
}

void cb_memory_table_head(const char *before, int width, FILE *to) {
    fprintf(to, "  %-*s", width, before);
    for (int kind = 0; kind < CB_MEM_KINDS; kind++) {
        fprintf(to, " %*s", kind_width(kind), cb_memory_kind_name((cb_memory_kind)kind));
    }
    fprintf(to, " %10s", "all");
}

void cb_memory_table_row(const char *before, int width, const int64_t bytes[CB_MEM_KINDS], FILE *to) {
    char text[16];
    int64_t sum = 0;
    fprintf(to, "  %-*s", width, before);
    for (int kind = 0; kind < CB_MEM_KINDS; kind++) {
        fprintf(to, " %*s", kind_width(kind), cb_os_human_bytes(bytes[kind], text));
        sum += bytes[kind];
    }
    fprintf(to, " %10s", cb_os_human_bytes(sum, text));
}

void cb_memory_to_json(json_t *to, const int64_t bytes[CB_MEM_KINDS]) {
    for (int kind = 0; kind < CB_MEM_KINDS; kind++) {
        json_object_set_new(to, cb_memory_kind_name((cb_memory_kind)kind), json_integer(bytes[kind]));
    }
}

void cb_traffic_table_head(bool waiting, FILE *to) {
    fprintf(to, "  %-10s %-14s %12s %12s", "for", "kind", "messages", "bytes");
    if (waiting) fprintf(to, " %16s", "waiting, s/rank");
    fputc('\n', to);
}

void cb_traffic_table_row(cb_purpose purpose, cb_kind kind, double messages, double bytes, double wait_s, FILE *to) {
    char text[16];
    fprintf(to, "  %-10s %-14s %12.0f %12s", cb_purpose_name(purpose), cb_kind_name(kind), messages,
            cb_os_human_bytes((int64_t)bytes, text));
    if (!isnan(wait_s)) fprintf(to, " %16.4f", wait_s);
    fputc('\n', to);
}
