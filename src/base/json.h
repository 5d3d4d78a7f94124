/* JSON of others, and where in it something stands: every fault is told as FILE:LINE:COLUMN, both from 1, as of CSV.
 * Places are byte offsets into the text. */
#ifndef CB_BASE_JSON_H
#define CB_BASE_JSON_H

#include <jansson.h>
#include <stdint.h>

#include "base/err.h"

typedef struct cb_json {
    const char *path, *text; /* borrowed; text need not end with 0 */
    int64_t length;
    json_t *root; /* owned: json_decref */
} cb_json;

/* flags: jansson's, such as JSON_REJECT_DUPLICATES. Errors, without a root: those of cb_json_syntax. */
CB_MUST_USE cb_err cb_json_parse(cb_json *json, const char *path, const char *text, int64_t length, size_t flags);
/* CB_EFORMAT "path:line:column: not JSON: why" from what jansson says. */
CB_MUST_USE cb_err cb_json_syntax(const char *path, const json_error_t *error);

/* Where the top value begins. */
int64_t cb_json_top(const cb_json *json);
/* Where the key of an object that begins at `object` stands; `object` where it has no such key (or writes it otherwise,
 * with escapes). */
int64_t cb_json_key(const cb_json *json, int64_t object, const char *key);
/* Where the value of a key at `key` begins. */
int64_t cb_json_value(const cb_json *json, int64_t key);
/* Where element `index`, from 0, of an array that begins at `array` does; `array` if it has fewer. */
int64_t cb_json_element(const cb_json *json, int64_t array, int index);
/* CB_EFORMAT "path:line:column: " and the message. */
CB_MUST_USE cb_err cb_json_wrong(const cb_json *json, int64_t at, const char *fmt, ...) CB_PRINTF(3, 4);

#endif
