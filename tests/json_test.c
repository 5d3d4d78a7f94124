/* Faults of JSON are told with line and column: of syntax, and of values found again in the text. */
#include "base/json.h"
#include "support/test.h"

static cb_err parse(cb_json *json, const char *text) {
    return cb_json_parse(json, "f.json", text, (int64_t)strlen(text), JSON_REJECT_DUPLICATES | JSON_DECODE_ANY);
}

static void syntax(void) {
    static const struct {
        const char *text, *due;
    } bad[] = {
        {"", "f.json:1:1: not JSON: "},      {"{\n  \"a\": 1,\n}", "f.json:3:1: not JSON: "},
        {"[1, 2", "f.json:1:5: not JSON: "}, {"{\"a\": 1, \"a\": 2}", "f.json:1:12: not JSON: duplicate object key"},
        {"{} x", "f.json:1:4: not JSON: "},
    };
    cb_json json;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_FAILS(parse(&json, bad[i].text), CB_EFORMAT, bad[i].due);
    CHECK_FAILS(cb_json_parse(&json, "f.json", NULL, 0, 0), CB_EFORMAT, "f.json:1:1: not JSON");
}

static const char text[] = "\n{\"a}\": {\"x\": [1, {\"y\\\"\": \"]\", \"z\": null}, \"é\", {}]},\n \"b\" : -1.5e3,"
                           "\"c\":true , \"y\\\"\": [ ]\n}";

/* What the text has at the place, up to the end of `due`. */
static void at(const cb_json *json, int64_t offset, const char *due) {
    if (!CHECK(offset >= 0 && offset + (int64_t)strlen(due) <= json->length)) return;
    if (!CHECK(strncmp(json->text + offset, due, strlen(due)) == 0))
        printf("    %.20s, not %s\n", json->text + offset, due);
}

static void places(void) {
    cb_json json;
    CHECK_OK(parse(&json, text));
    int64_t top = cb_json_top(&json);
    CHECK_INT(top, 1);
    int64_t a = cb_json_key(&json, top, "a}");
    at(&json, a, "\"a}\": {");
    int64_t object = cb_json_value(&json, a);
    at(&json, object, "{\"x\"");
    int64_t array = cb_json_value(&json, cb_json_key(&json, object, "x"));
    at(&json, cb_json_element(&json, array, 0), "1,");
    int64_t inner = cb_json_element(&json, array, 1);
    at(&json, cb_json_key(&json, inner, "z"), "\"z\": null");
    at(&json, cb_json_element(&json, array, 2), "\"é\"");
    at(&json, cb_json_element(&json, array, 3), "{}]");
    CHECK_INT(cb_json_element(&json, array, 4), array);
    at(&json, cb_json_key(&json, top, "b"), "\"b\" :");
    at(&json, cb_json_value(&json, cb_json_key(&json, top, "b")), "-1.5e3");
    at(&json, cb_json_key(&json, top, "c"), "\"c\":true");
    /* what is not there, and what no object or array is: the place that was asked */
    CHECK_INT(cb_json_key(&json, top, "x"), top);
    CHECK_INT(cb_json_key(&json, top, "y\""), top); /* written with an escape */
    CHECK_INT(cb_json_key(&json, array, "x"), array);
    CHECK_INT(cb_json_element(&json, top, 0), top);
    json_decref(json.root);
}

static void messages(void) {
    cb_json json;
    CHECK_OK(parse(&json, text));
    int64_t top = cb_json_top(&json);
    CHECK_FAILS(cb_json_wrong(&json, top, "bad"), CB_EFORMAT, "f.json:2:1: bad");
    CHECK_FAILS(cb_json_wrong(&json, cb_json_key(&json, top, "b"), "%d is bad", 3), CB_EFORMAT, "f.json:3:2: 3 is bad");
    int64_t array = cb_json_value(&json, cb_json_key(&json, cb_json_value(&json, cb_json_key(&json, top, "a}")), "x"));
    /* columns are characters: the é is one */
    CHECK_FAILS(cb_json_wrong(&json, cb_json_element(&json, array, 3), "x"), CB_EFORMAT, "f.json:2:48: x");
    json_decref(json.root);
}

/* Every prefix of a text is parsed or refused, and no search for a place leaves it. */
static void every_cut(void) {
    for (int64_t length = 0; length < (int64_t)sizeof text - 1; length++) {
        cb_json json;
        char *copy = malloc((size_t)length + 1); /* a sanitizer sees its end */
        memcpy(copy, text, (size_t)length);
        cb_err e = cb_json_parse(&json, "f.json", copy, length, 0);
        CHECK(e != CB_OK);
        cb_err_free(e);
        CHECK(cb_json_key(&json, cb_json_top(&json), "nothing") <= length);
        CHECK(cb_json_element(&json, cb_json_top(&json), 2) <= length);
        free(copy);
    }
}

int main(void) {
    RUN(syntax);
    RUN(places);
    RUN(messages);
    RUN(every_cut);
    return test_end();
}
