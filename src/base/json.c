/* Places in JSON that has been read; see json.h. The text is known to be well-formed, so that counting brackets outside
 * of strings is enough to step over a value. */
#include "base/json.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

cb_err cb_json_syntax(const char *path, const json_error_t *error) {
    int line = error->line > 0 ? error->line : 1, column = error->column > 0 ? error->column : 1;
    return cb_fail(CB_EFORMAT, "%s:%d:%d: not JSON: %s", path, line, column, error->text);
}

cb_err cb_json_parse(cb_json *json, const char *path, const char *text, int64_t length, size_t flags) {
    json_error_t error;
    *json = (cb_json){.path = path, .text = text ? text : "", .length = length};
    json->root = json_loadb(json->text, (size_t)length, flags, &error);
    return json->root ? CB_OK : cb_json_syntax(path, &error);
}

static char char_at(const cb_json *json, int64_t at) {
    return at < json->length ? json->text[at] : 0;
}

static bool is_one_of(char c, const char *set) {
    return c && strchr(set, c);
}

/* Over blanks, and over one comma or colon. */
static int64_t next_token(const cb_json *json, int64_t at) {
    while (is_one_of(char_at(json, at), " \t\r\n,:")) at++;
    return at;
}

/* Behind the string that begins at `at`. */
static int64_t skip_string(const cb_json *json, int64_t at) {
    for (at++; at < json->length && json->text[at] != '"'; at++) at += json->text[at] == '\\';
    return at + 1;
}

/* Behind the value that begins at `at`. */
static int64_t skip_value(const cb_json *json, int64_t at) {
    int depth = 0;
    do {
        char c = char_at(json, at);
        depth += is_one_of(c, "{[") ? 1 : is_one_of(c, "}]") ? -1 : 0;
        if (c == '"')
            at = skip_string(json, at);
        else if (is_one_of(c, "{}[]") || depth > 0)
            at++;
        else
            while (at < json->length && !is_one_of(json->text[at], " \t\r\n,]}")) at++;
    } while (depth > 0 && at < json->length);
    return at;
}

int64_t cb_json_top(const cb_json *json) {
    return next_token(json, 0);
}

int64_t cb_json_value(const cb_json *json, int64_t key) {
    return next_token(json, skip_string(json, key));
}

int64_t cb_json_key(const cb_json *json, int64_t object, const char *key) {
    int64_t length = (int64_t)strlen(key);
    if (char_at(json, object) != '{') return object;
    for (int64_t at = next_token(json, object + 1); char_at(json, at) == '"';) {
        bool fits = skip_string(json, at) == at + length + 2;
        if (fits && memcmp(json->text + at + 1, key, (size_t)length) == 0) return at;
        at = next_token(json, skip_value(json, cb_json_value(json, at)));
    }
    return object;
}

int64_t cb_json_element(const cb_json *json, int64_t array, int index) {
    if (char_at(json, array) != '[') return array;
    int64_t at = next_token(json, array + 1);
    while (index-- > 0 && at < json->length && json->text[at] != ']') at = next_token(json, skip_value(json, at));
    return at < json->length && json->text[at] != ']' ? at : array;
}

cb_err cb_json_wrong(const cb_json *json, int64_t at, const char *fmt, ...) {
    int line = 1, column = 1;
    char what[1024];
    va_list args;
    for (int64_t i = 0; i < at && i < json->length; i++) {
        unsigned char c = (unsigned char)json->text[i];
        line += c == '\n';
        column = c == '\n' ? 1 : column + ((c & 0xC0) != 0x80); /* characters, not bytes, of UTF-8 */
    }
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    return cb_fail(CB_EFORMAT, "%s:%d:%d: %s", json->path, line, column, what);
}
