/* A user's devices from a JSON file; see hardware.h. Read strictly: an unknown field is refused, for a misspelt one
 * would silently be missing. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/args.h"
#include "base/json.h"
#include "base/map.h"
#include "planner/hardware.h"

enum { MOST_ALIASES = 64 }; /* letters in a file; those of a device that is replaced come behind */

/* The file while it is read, and the device in it: places are offsets in the text. */
typedef struct file {
    cb_json json;
    int64_t device; /* where the device that is read begins; the top before and after */
} file;

/* The key, also one of the precisions, which are one level deeper; the device itself where it is missing. */
static int64_t place_of(const file *f, const char *key) {
    int64_t at = cb_json_key(&f->json, f->device, key), peaks = cb_json_key(&f->json, f->device, "peak_tflops");
    if (at != f->device || peaks == f->device) return at;
    int64_t object = cb_json_value(&f->json, peaks), inner = cb_json_key(&f->json, object, key);
    return inner != object ? inner : at;
}

static cb_err wrong_field(const file *f, const char *key, const char *what) {
    return cb_json_wrong(&f->json, place_of(f, key), "%s: %s", key, what);
}

static cb_err wrong(const file *f, const char *key, const char *expected) {
    int64_t at = place_of(f, key);
    return cb_json_wrong(&f->json, at, "%s%s expected %s", key, at == f->device ? " is missing;" : ":", expected);
}

static cb_err read_number(const file *f, const json_t *from, const char *key, double unit, double *to) {
    const json_t *value = json_object_get(from, key);
    if (!json_is_number(value) || !(json_number_value(value) > 0)) return wrong(f, key, "a positive number");
    *to = json_number_value(value) * unit;
    return CB_OK;
}

static cb_err read_count(const file *f, const json_t *from, const char *key, int otherwise, int *to) {
    const json_t *value = json_object_get(from, key);
    *to = otherwise;
    if (!value && otherwise) return CB_OK;
    if (!json_is_integer(value) || json_integer_value(value) < 1 || json_integer_value(value) > 1 << 20)
        return wrong(f, key, "an integer from 1 to 1048576");
    *to = (int)json_integer_value(value);
    return CB_OK;
}

static cb_err read_text(const file *f, const json_t *from, const char *key, const char *otherwise, char *to,
                        size_t size) {
    const json_t *value = json_object_get(from, key);
    if (!value && otherwise) {
        snprintf(to, size, "%s", otherwise);
        return CB_OK;
    }
    const char *text = json_string_value(value);
    if (!text || !*text || strlen(text) >= size) return wrong(f, key, "a text that is not empty nor too long");
    snprintf(to, size, "%s", text);
    return CB_OK;
}

static cb_err read_family(const file *f, const json_t *from, cb_accelerator_family *to) {
    const char *names[CB_ACCELERATOR_FAMILIES + 1] = {NULL};
    char name[32], all[128] = "", near[256], what[512];
    TRY(read_text(f, from, "family", NULL, name, sizeof name));
    for (int i = 0; i < CB_ACCELERATOR_FAMILIES; i++) {
        names[i] = cb_accelerator_family_name((cb_accelerator_family)i);
        *to = (cb_accelerator_family)i;
        if (strcmp(names[i], name) == 0) return CB_OK;
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", i ? ", " : "", names[i]);
    }
    snprintf(what, sizeof what, "there is no family '%s'%s There are %s", name, cb_args_suggest(name, names, near),
             all);
    return wrong_field(f, "family", what);
}

static cb_err read_peaks(const file *f, const json_t *from, double peak_flops[CB_PRECISIONS]) {
    static const char *const bits[CB_PRECISIONS] = {"32", "16", "8", "4"};
    const json_t *peaks = json_object_get(from, "peak_tflops");
    if (!json_is_object(peaks) || json_object_size(peaks) == 0)
        return wrong(f, "peak_tflops", "an object like {\"16\": 312}, by bits 32, 16, 8, 4");
    size_t known = 0;
    for (int p = 0; p < CB_PRECISIONS; p++) {
        if (!json_object_get(peaks, bits[p])) continue;
        TRY(read_number(f, peaks, bits[p], 1e12, &peak_flops[p]));
        known++;
    }
    if (known == json_object_size(peaks)) return CB_OK;
    return wrong(f, "peak_tflops", "no other precisions than 32, 16, 8, 4");
}

static cb_err refuse_unknown(const file *f, json_t *from, const char *const *fields) {
    const char *key;
    json_t *value;
    json_object_foreach(from, key, value) {
        bool known = false;
        for (int i = 0; fields[i]; i++) known = known || strcmp(fields[i], key) == 0;
        if (known) continue;
        char what[300], near[256];
        snprintf(what, sizeof what, "there is no such field%s", cb_args_suggest(key, fields, near));
        return wrong_field(f, key, what);
    }
    return CB_OK;
}

static cb_err read_device(const file *f, json_t *from, cb_device_row *row) {
    static const char *const fields[] = {"name",         "aliases",         "family",        "peak_tflops",
                                         "memory_gib",   "memory_gb_per_s", "link_gb_per_s", "multiprocessors",
                                         "node_devices", "network",         "source",        NULL};
    cb_accelerator *d = &row->device;
    cb_network network;
    *row = (cb_device_row){0};
    if (!json_is_object(from)) return cb_json_wrong(&f->json, f->device, "devices: expected objects {...}");
    TRY(refuse_unknown(f, from, fields));
    TRY(read_text(f, from, "name", NULL, d->name, sizeof d->name));
    TRY(read_text(f, from, "aliases", "", row->aliases, MOST_ALIASES));
    TRY(read_family(f, from, &d->family));
    TRY(read_peaks(f, from, d->peak_flops));
    TRY(read_number(f, from, "memory_gib", 1 << 30, &d->memory_bytes));
    TRY(read_number(f, from, "memory_gb_per_s", 1e9, &d->memory_bytes_per_s));
    TRY(read_number(f, from, "link_gb_per_s", 1e9, &d->link_bytes_per_s));
    TRY(read_count(f, from, "multiprocessors", 0, &d->multiprocessors));
    TRY(read_count(f, from, "node_devices", 8, &row->node_devices));
    TRY(read_text(f, from, "network", "ib-200", row->network, sizeof row->network));
    TRY(read_text(f, from, "source", f->json.path, row->source, sizeof row->source));
    cb_err e = cb_network_parse(row->network, row->node_devices, &network);
    if (!e) return CB_OK;
    cb_err_free(e);
    return wrong(f, "network", "a network like ib-200 or opa-4x100");
}

/* The other names of the row that it replaces: whoever says them means the new one now. */
static void keep_aliases(cb_device_row *row, const cb_device_row *replaced) {
    char alias[sizeof row->aliases];
    for (const char *at = replaced->aliases; *at;) {
        int length = (int)strcspn(at, ",");
        size_t used = strlen(row->aliases);
        snprintf(alias, sizeof alias, "%.*s", length, at);
        at += length + (at[length] == ',');
        if (cb_device_has_alias(row, alias) || used + (size_t)length + 2 > sizeof row->aliases) continue;
        snprintf(row->aliases + used, sizeof row->aliases - used, "%s%s", used ? "," : "", alias);
    }
}

/* At the end, where its aliases go before those of others. */
static cb_err add(cb_hardware *hardware, const file *f, cb_device_row *row) {
    cb_device_row *device = hardware->device;
    int at = 0;
    while (at < hardware->count && strcasecmp(device[at].device.name, row->device.name) != 0) at++;
    if (at == CB_MOST_DEVICES) return cb_json_wrong(&f->json, f->device, "more than %d devices", CB_MOST_DEVICES);
    if (at < hardware->count) {
        keep_aliases(row, &device[at]);
        hardware->count--;
        memmove(device + at, device + at + 1, (size_t)(hardware->count - at) * sizeof *device);
    }
    device[hardware->count++] = *row;
    return CB_OK;
}

static cb_err read_root(cb_hardware *hardware, file *f, json_t *root, char cluster[128]) {
    static const char *const fields[] = {"devices", "cluster", NULL};
    cb_device_row row;
    if (!json_is_object(root)) return cb_json_wrong(&f->json, f->device, "expected an object {...}");
    TRY(refuse_unknown(f, root, fields));
    TRY(read_text(f, root, "cluster", "", cluster, 128));
    const json_t *devices = json_object_get(root, "devices");
    if (!devices) return CB_OK;
    if (!json_is_array(devices)) return wrong(f, "devices", "a list [...]");
    int64_t list = cb_json_value(&f->json, cb_json_key(&f->json, cb_json_top(&f->json), "devices"));
    for (size_t i = 0; i < json_array_size(devices); i++) {
        f->device = cb_json_element(&f->json, list, (int)i);
        TRY(read_device(f, json_array_get(devices, i), &row));
        TRY(add(hardware, f, &row));
    }
    return CB_OK;
}

cb_err cb_hardware_parse(cb_hardware *hardware, const char *path, const char *text, int64_t length, char cluster[128]) {
    file f;
    TRY(cb_json_parse(&f.json, path, text, length, JSON_REJECT_DUPLICATES));
    f.device = cb_json_top(&f.json);
    cb_err e = read_root(hardware, &f, f.json.root, cluster);
    json_decref(f.json.root);
    return e;
}

cb_err cb_hardware_read(cb_hardware *hardware, const char *path, char cluster[128]) {
    cb_map map;
    TRY(cb_map_open(&map, path));
    cb_err e = cb_hardware_parse(hardware, path, map.bytes ? (const char *)map.bytes : "", map.size, cluster);
    cb_map_close(&map);
    return e;
}
