/* Words and numbers of cuboid plan; see planned.h. */
#include <math.h>
#include <string.h>

#include "cli/planned.h"

char *cb_planned_bytes(double bytes, char out[16]) {
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    int unit = 0;
    for (; bytes >= 999.5 && unit < 6; unit++) bytes /= 1000;
    int digits = unit == 0 || bytes >= 99.95 ? 0 : bytes >= 9.995 ? 1 : 2;
    snprintf(out, 16, "%.*f %s", digits, bytes, units[unit]);
    return out;
}

char *cb_planned_number(double value, char out[16]) {
    char digits[16];
    if (value < 999.95 || value >= 1e10) {
        snprintf(out, 16, "%.4g", value);
        return out;
    }
    double unit = pow(10, floor(log10(value)) - 3);
    int count = snprintf(digits, sizeof digits, "%.0f", round(value / unit) * unit), used = 0;
    for (int i = 0; i < count; i++) {
        if (i && (count - i) % 3 == 0) out[used++] = ',';
        out[used++] = digits[i];
    }
    out[used] = 0;
    return out;
}

const char *cb_schedule_word(cb_split_schedule schedule) {
    static const char *const words[CB_SPLIT_SCHEDULES] = {"gpipe", "1f1b", "interleaved", "zb-h1", "zb-h2"};
    return words[schedule];
}

const char *cb_recompute_word(cb_split_recompute recompute) {
    static const char *const words[CB_SPLIT_RECOMPUTES] = {"none", "selective", "by-op", "full"};
    return words[recompute];
}

const char *cb_precision_word(cb_precision precision) {
    static const char *const words[CB_PRECISIONS] = {"32 bit", "16 bit", "8 bit", "4 bit"};
    return words[precision];
}

char *cb_planned_schedule(const cb_split *s, char out[24]) {
    if (s->chunks > 1)
        snprintf(out, 24, "%s:%d", cb_schedule_word(s->schedule), s->chunks);
    else
        snprintf(out, 24, "%s", s->pp > 1 ? cb_schedule_word(s->schedule) : "no pipeline");
    return out;
}

char *cb_planned_layout(const cb_split *s, char out[160]) {
    char cp[24] = "", schedule[24];
    if (s->cp > 1) snprintf(cp, sizeof cp, " cp %d", s->cp);
    snprintf(out, 160, "dp %d tp %d pp %d%s, microbatch %d, %s, recompute %s%s, ZeRO %d%s", s->dp, s->tp, s->pp, cp,
             s->micro_batch, cb_planned_schedule(s, schedule), cb_recompute_word(s->recompute),
             s->sequence_parallel ? ", SP" : "", s->zero, s->placement == CB_PLACE_WITH_ENDS ? ", ends as layers" : "");
    return out;
}

char *cb_planned_shortfall(const cb_device_memory *memory, double room_bytes, char out[128]) {
    int most = 0;
    for (int kind = 1; kind < CB_DEVICE_KINDS; kind++)
        if (memory->bytes[kind] > memory->bytes[most]) most = kind;
    snprintf(out, 128, "stage %d needs %.1f GiB of %.0f, %.0f%% of it %s", memory->stage,
             memory->total_bytes / (1 << 30), room_bytes / (1 << 30), 100 * memory->bytes[most] / memory->total_bytes,
             cb_device_kind_name((cb_device_kind)most));
    return out;
}
