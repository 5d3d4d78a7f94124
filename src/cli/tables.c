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

void cb_traffic_table_add(cb_traffic_table *table, const cb_traffic of_rank[CB_PURPOSES][CB_KINDS]) {
    table->ranks++;
    for (int purpose = 0; purpose < CB_PURPOSES; purpose++) {
        for (int kind = 0; kind < CB_KINDS; kind++) {
            const cb_traffic *one = &of_rank[purpose][kind];
            double *exposed_s = &table->exposed_s[purpose][kind], *overlapped_s = &table->overlapped_s[purpose][kind];
            cb_traffic_add(&table->all[purpose][kind], one);
            *exposed_s = fmax(*exposed_s, one->exposed_s);
            *overlapped_s = fmax(*overlapped_s, one->overlapped_s);
        }
    }
}

static bool has_row(const cb_traffic_table *table, int purpose, int kind) {
    return table->all[purpose][kind].operations > 0;
}

static void print_row(const cb_traffic_table *table, int purpose, int kind, FILE *to) {
    char bytes[16];
    const cb_traffic *all = &table->all[purpose][kind];
    double steps = (double)table->steps, each = steps * table->ranks;
    fprintf(to, "  %-9s %-14s %10.0f %9.0f %10s", cb_purpose_name((cb_purpose)purpose), cb_kind_name((cb_kind)kind),
            (double)all->operations / steps, (double)all->messages / steps,
            cb_os_human_bytes((int64_t)((double)all->bytes / steps), bytes));
    if (!table->planned) {
        fprintf(to, " %9.4f %9.4f %9.4f %9.4f", all->exposed_s / each, table->exposed_s[purpose][kind] / steps,
                all->overlapped_s / each, table->overlapped_s[purpose][kind] / steps);
    }
    fputc('\n', to);
}

static bool is_empty(const cb_traffic_table *table) {
    for (int purpose = 0; purpose < CB_PURPOSES; purpose++)
        for (int kind = 0; kind < CB_KINDS; kind++)
            if (has_row(table, purpose, kind)) return false;
    return true;
}

void cb_traffic_table_print(const cb_traffic_table *table, FILE *to) {
    if (is_empty(table)) {
        fputs("\ntraffic: none is sent\n", to);
        return;
    }
    fputs("\ntraffic, sent by all ranks per step\n", to);
    fprintf(to, "  %-9s %-14s %10s %9s %10s", "for", "kind", "operations", "messages", "bytes");
    if (!table->planned)
        fprintf(to, " %19s %19s\n  %65s %9s %9s %9s", "exposed, s/rank", "overlapped, s/rank", "mean", "worst", "mean",
                "worst");
    fputc('\n', to);
    for (int purpose = 0; purpose < CB_PURPOSES; purpose++) {
        for (int kind = 0; kind < CB_KINDS; kind++) {
            if (has_row(table, purpose, kind)) print_row(table, purpose, kind, to);
        }
    }
}

static json_t *row_json(const cb_traffic_table *table, int purpose, int kind) {
    const cb_traffic *all = &table->all[purpose][kind];
    json_t *o = json_pack("{s:I,s:I,s:I}", "operations", (json_int_t)all->operations, "messages",
                          (json_int_t)all->messages, "bytes", (json_int_t)all->bytes);
    if (table->planned) return o;
    json_object_set_new(o, "exposed_s", json_real(all->exposed_s));
    json_object_set_new(o, "exposed_worst_s", json_real(table->exposed_s[purpose][kind]));
    json_object_set_new(o, "overlapped_s", json_real(all->overlapped_s));
    json_object_set_new(o, "overlapped_worst_s", json_real(table->overlapped_s[purpose][kind]));
    return o;
}

json_t *cb_traffic_table_json(const cb_traffic_table *table) {
    json_t *purposes = json_object();
    for (int purpose = 0; purpose < CB_PURPOSES; purpose++) {
        json_t *kinds = json_object();
        for (int kind = 0; kind < CB_KINDS; kind++) {
            if (!has_row(table, purpose, kind)) continue;
            json_object_set_new(kinds, cb_kind_name((cb_kind)kind), row_json(table, purpose, kind));
        }
        json_object_set_new(purposes, cb_purpose_name((cb_purpose)purpose), kinds);
    }
    return purposes;
}
