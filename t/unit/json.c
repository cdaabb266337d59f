/* common/mc_json*.c: what is accepted, what is refused, changes, text out. */

#include <limits.h>
#include "mc_json.h"
#include "pool.h"
#include "tap.h"

static char  written[4096];

static mc_json_t *
parse_n(const mc_alloc_t *a, const char *text, size_t len,
    mc_json_error_t *err)
{
    char       *exact = malloc(len ? len : 1);  /* no NUL to lean on */
    mc_json_t  *v;

    memcpy(exact, text, len);
    memset(err, 0, sizeof(*err));
    v = mc_json_parse(a, exact, len, err);
    free(exact);
    return v;
}

static mc_json_t *
parse(const mc_alloc_t *a, const char *text)
{
    mc_json_error_t  err;
    mc_json_t       *v = parse_n(a, text, strlen(text), &err);

    if (v == NULL) {
        diag("%s at %zu", err.message, err.offset);
    }
    return v;
}

static const char *
text_of(const mc_json_t *v)
{
    mc_json_write(written, sizeof(written), v);
    return written;
}

static void
accepts(const char *text, const char *wanted)
{
    POOL(a);

    is(text_of(parse(&a, text)), wanted, "accepts %.60s", text);
    pool_free(&a_pool);
}

static void
refuses_n(const char *text, size_t len, const char *name, const char *words)
{
    POOL(a);
    mc_json_error_t  err;
    mc_json_t       *v = parse_n(&a, text, len, &err);

    ok(v == NULL, "refuses %s", name);
    ok(strstr(err.message, words) && err.offset <= len,
       "... and says why: %s", err.message);
    pool_free(&a_pool);
}

static void
refuses(const char *text, const char *words)
{
    refuses_n(text, strlen(text), text, words);
}

static void
test_accepted(void)
{
    accepts("{}", "{}");
    accepts(" [ ] ", "[]");
    accepts("null", "null");
    accepts("true", "true");
    accepts("-0", "-0");
    accepts("12", "12");
    accepts("1.50e+3", "1.50e+3");
    accepts("0.1", "0.1");
    accepts("123456789012345678901234567890", "123456789012345678901234567890");
    accepts("1e-400", "1e-400");
    accepts("\"\"", "\"\"");
    accepts("\"a\\/b\"", "\"a/b\"");
    accepts("\"\\ud83d\\ude00\"", "\"\xf0\x9f\x98\x80\"");
    accepts("\"\\u00e9\\n\\t\\\"\\\\\\u0001\"", "\"\xc3\xa9\\n\\t\\\"\\\\\\u0001\"");
    accepts("\"\\\\u0000\"", "\"\\\\u0000\"");
    accepts("\"\\\\\\\\ud800\"", "\"\\\\\\\\ud800\"");
    accepts("\"\xef\xbf\xbf \xf4\x8f\xbf\xbf \x7f\"",
            "\"\xef\xbf\xbf \xf4\x8f\xbf\xbf \x7f\"");
    accepts("{\"b\":1,\"a\":{\"c\":[1,[],{}]}}",
            "{\"b\":1,\"a\":{\"c\":[1,[],{}]}}");
    accepts("{\"\":1,\"\\u00e9\":2}", "{\"\":1,\"\xc3\xa9\":2}");
    accepts("{\"a\":1,\"b\":{\"a\":2}}", "{\"a\":1,\"b\":{\"a\":2}}");
}

static void
test_syntax(void)
{
    static const char  *texts[] = {
        "", " ", "{", "[", "\"", "[1", "{\"a\"", "{\"a\":", "{\"a\":1",
        "{\"a\":1,", "[1,]", "{,}", "{\"a\":1,}", "{a:1}", "{'a':1}", "nul",
        "tru", "True", "NaN", "Infinity", "-Infinity", "-", "+1", "01", "1.",
        ".5", "1e", "0x10", "1 2", "{}{}", "[]x", "\"\\x\"", "\"\\u12\"",
        "\"\\u12g4\"", "\"a\nb\"", "/* c */ 1", "// c\n1", "{\"a\" 1}",
        "[1 2]", "\"\\", "\"\\u", "]", "}", ","
    };
    unsigned            i;

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        refuses(texts[i], "");
    }
    refuses_n("\"a\0b\"", 5, "a raw NUL", "");
    refuses_n("1\0", 2, "a NUL behind", "");
    refuses_n("\xef\xbb\xbf{}", 5, "a byte order mark", "");
}

static void
test_strings(void)
{
    refuses("\"a\\u0000b\"", "u0000");
    refuses("{\"a\\u0000\":1}", "u0000");
    refuses("\"\\ud800\"", "surrogate");
    refuses("\"\\ud800x\"", "surrogate");
    refuses("\"\\ud800\\n\"", "surrogate");
    refuses("\"\\ud800\\u0041\"", "surrogate");
    refuses("\"\\ud800\\ud800\"", "surrogate");
    refuses("\"\\udc00\"", "surrogate");
    refuses("\"\\uDFFF\"", "surrogate");
    refuses("\"\\uDBFF", "surrogate");
    refuses("\"\xc0\x80\"", "UTF-8");
    refuses("\"\xe0\x80\x80\"", "UTF-8");
    refuses("\"\xed\xa0\x80\"", "UTF-8");
    refuses("\"\xf0\x80\x80\x80\"", "UTF-8");
    refuses("\"\xf4\x90\x80\x80\"", "UTF-8");
    refuses("\"\xf8\x88\x80\x80\x80\"", "UTF-8");
    refuses("\"\x80\"", "UTF-8");
    refuses("\"\xc3\"", "UTF-8");
    refuses("\"\xc3", "UTF-8");
    refuses("\"\xff\xfe\"", "UTF-8");
}

static void
test_numbers(void)
{
    char  digits[80];

    refuses("1e400", "range");
    refuses("-1e309", "range");
    refuses("[1,2,1e999]", "range");
    memset(digits, '1', sizeof(digits));
    refuses_n(digits, 65, "a number of 65 digits", "digits");
    digits[64] = '\0';
    accepts(digits, digits);
}

static void
test_duplicates(void)
{
    refuses("{\"a\":1,\"a\":2}", "\"a\" is there twice");
    refuses("{\"a\":1,\"\\u0061\":2}", "twice");
    refuses("{\"x\":{\"a\":1,\"b\":0,\"a\":2}}", "twice");
    refuses("[{\"\":1,\"\":1}]", "twice");
}

static void
test_depth(void)
{
    POOL(a);
    mc_json_error_t  err;
    static char      text[2000001];

    memset(text, '[', MC_JSON_DEPTH);
    memset(text + MC_JSON_DEPTH, ']', MC_JSON_DEPTH);
    ok(parse_n(&a, text, 2 * MC_JSON_DEPTH, &err), "%d levels are accepted",
       MC_JSON_DEPTH);

    memset(text, '[', MC_JSON_DEPTH + 1);
    memset(text + MC_JSON_DEPTH + 1, ']', MC_JSON_DEPTH + 1);
    refuses_n(text, 2 * MC_JSON_DEPTH + 2, "one level more", "deep");

    memset(text, '[', sizeof(text));
    refuses_n(text, sizeof(text), "two million open brackets", "deep");
    pool_free(&a_pool);
}

/* Sizes at which a quadratic parser would be felt. */
static void
test_many(void)
{
    POOL(a);
    mc_json_error_t  err;
    mc_json_t       *v, *patch;
    char            *text = malloc(4 << 20);
    size_t           n = 0;
    int              i;

    text[n++] = '{';
    for (i = 0; i < 100000; i++) {
        n += (size_t) sprintf(text + n, "%s\"k%05d\":%d", i ? "," : "", i, i);
    }
    text[n++] = '}';
    v = parse_n(&a, text, n, &err);
    ok(v && v->n == 100000, "an object of 100000 keys");
    patch = parse_n(&a, text, n, &err);
    v = mc_json_merge_patch(&a, v, patch);
    ok(v && v->n == 100000, "... patched with itself");

    n -= 1;
    n += (size_t) sprintf(text + n, ",\"k00000\":1}");
    ok(parse_n(&a, text, n, &err) == NULL, "... with a duplicate: %s",
       err.message);

    n = 0;
    text[n++] = '[';
    while (n < 700000) {
        text[n++] = '0';
        text[n++] = ',';
    }
    text[n++] = '0';
    text[n++] = ']';
    refuses_n(text, n, "350000 values", "values");
    free(text);
    pool_free(&a_pool);
}

static void
test_memory(void)
{
    static const char  text[] = "{\"a\":[1,\"x\\n\\u00e9yyyyyyyyyyyyyyyyyyyyyy\""
                                ",null],\"b\":{\"c\":true,\"d\":0.5}}";
    mc_json_error_t    err;
    mc_json_t         *v = NULL;
    long               i;
    int                said = 1;

    for (i = 0; i < 1000 && v == NULL; i++) {
        POOL(a);

        a_pool.left = i;
        memset(&err, 0, sizeof(err));
        v = mc_json_parse(&a, text, sizeof(text) - 1, &err);
        said &= (v != NULL || strcmp(err.message, "out of memory") == 0);
        pool_free(&a_pool);
    }
    ok(v && i > 10, "memory that ends after 0 to %ld allocations", i - 1);
    ok(said, "... is told every time");
}

static void
test_lookups(void)
{
    POOL(a);
    mc_json_t  *v = parse(&a, "{\"s\":\"x\",\"t\":true,\"f\":false,\"n\":null,"
                              "\"o\":{\"p\":{\"q\":7}},\"a\":[1]}");

    is(mc_json_str(mc_json_get(v, "s"), "d"), "x", "a string");
    is(mc_json_str(mc_json_get(v, "t"), "d"), "d", "no string");
    is(mc_json_str(mc_json_get(v, "none"), NULL), NULL, "no member");
    is_int(mc_json_bool(mc_json_get(v, "t"), 0), 1, "true");
    is_int(mc_json_bool(mc_json_get(v, "f"), 1), 0, "false");
    is_int(mc_json_bool(mc_json_get(v, "n"), 1), 1, "no boolean");
    is_int(mc_json_bool(NULL, 1), 1, "a boolean of NULL");
    is_int(mc_json_int(mc_json_at(v, "o.p.q"), 0), 7, "a path");
    ok(mc_json_at(v, "o.p.x") == NULL, "a path that ends early");
    ok(mc_json_at(v, "s.p") == NULL, "a path through a string");
    ok(mc_json_at(v, "") == NULL, "an empty path");
    ok(mc_json_at(v, "o..q") == NULL, "a path with a hole");
    ok(mc_json_get(mc_json_get(v, "a"), "0") == NULL, "no member of an array");
    ok(mc_json_get(NULL, "a") == NULL, "no member of NULL");
    pool_free(&a_pool);
}

static void
test_int(const char *text, int whole, int64_t wanted)
{
    POOL(a);
    int64_t     n = -99;
    mc_json_t  *v = parse(&a, text);

    is_int(mc_json_is_int(v, &n), whole, "%s is %sa whole number", text,
           whole ? "" : "not ");
    if (whole) {
        ok(n == wanted, "... %lld", (long long) n);
    } else {
        is_int(mc_json_int(v, 5), 5, "... and gives the default");
    }
    pool_free(&a_pool);
}

static void
test_ints(void)
{
    test_int("0", 1, 0);
    test_int("-0", 1, 0);
    test_int("-17", 1, -17);
    test_int("9223372036854775807", 1, INT64_MAX);
    test_int("-9223372036854775808", 1, INT64_MIN);
    test_int("9223372036854775808", 0, 0);
    test_int("-9223372036854775809", 0, 0);
    test_int("1.0", 1, 1);
    test_int("2e3", 1, 2000);
    test_int("1.5", 0, 0);
    test_int("1e300", 0, 0);
    test_int("1e-5", 0, 0);
    test_int("\"1\"", 0, 0);
    test_int("true", 0, 0);
}

static void
test_changes(void)
{
    POOL(a);
    mc_json_t  *v = mc_json_object(&a), *list;

    ok(mc_json_set(&a, v, "a", mc_json_number(&a, INT64_MIN)) == 0
       && mc_json_set(&a, v, "b", mc_json_string(&a, "x\"y", 3)) == 0
       && mc_json_set(&a, v, "c", mc_json_array(&a)) == 0, "members are set");
    list = mc_json_get(v, "c");
    ok(mc_json_add(list, mc_json_boolean(&a, 1)) == 0
       && mc_json_add(list, mc_json_boolean(&a, 0)) == 0
       && mc_json_add(list, mc_json_null(&a)) == 0, "elements are added");
    is(text_of(v), "{\"a\":-9223372036854775808,\"b\":\"x\\\"y\","
       "\"c\":[true,false,null]}", "what was built");

    mc_json_set(&a, v, "a", mc_json_number(&a, 1));
    mc_json_set(&a, v, "c", mc_json_null(&a));
    mc_json_set(&a, v, "d", mc_json_number(&a, 2));
    is(text_of(v), "{\"a\":1,\"b\":\"x\\\"y\",\"c\":null,\"d\":2}",
       "members are replaced in their place, the last one too");
    mc_json_set(&a, v, "a", mc_json_get(v, "a"));
    is_int(v->n, 4, "a member set to itself stays");

    mc_json_remove(v, "d");
    mc_json_remove(v, "none");
    mc_json_set(&a, v, "e", mc_json_null(&a));
    mc_json_remove(v, "a");
    is(text_of(v), "{\"b\":\"x\\\"y\",\"c\":null,\"e\":null}",
       "members are removed, the last and the first");
    is_int(v->n, 3, "... and counted");
    mc_json_remove(v, "b");
    mc_json_remove(v, "c");
    mc_json_remove(v, "e");
    mc_json_set(&a, v, "z", mc_json_null(&a));
    is(text_of(v), "{\"z\":null}", "an emptied object is filled again");

    is_int(mc_json_set(&a, v, "x", NULL), -1, "NULL is not set");
    is_int(mc_json_add(list, NULL), -1, "NULL is not added");
    is_int(mc_json_add(NULL, mc_json_null(&a)), -1, "nothing is added to NULL");
    pool_free(&a_pool);
}

static void
test_copy(void)
{
    POOL(a);
    POOL(b);
    const char  *text = "{\"a\":[1,{\"b\":\"c\"}],\"d\":null}";
    mc_json_t   *v = parse(&a, text), *copy = mc_json_copy(&b, v);

    ok(copy != v, "a copy");
    pool_free(&a_pool);
    is(text_of(copy), text, "... outlives what it was made from");
    ok(mc_json_copy(&b, NULL) == NULL, "a copy of NULL");
    b_pool.left = 3;
    ok(mc_json_copy(&b, copy) == NULL, "a copy without memory");
    pool_free(&b_pool);
}

static void
patch(const char *target, const char *change, const char *wanted)
{
    POOL(a);

    is(text_of(mc_json_merge_patch(&a, parse(&a, target), parse(&a, change))),
       wanted, "%s + %s", target, change);
    pool_free(&a_pool);
}

/* RFC 7396, appendix A, and some more. */
static void
test_patch(void)
{
    POOL(a);
    mc_json_t  *t, *p;

    patch("{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}");
    patch("{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}");
    patch("{\"a\":\"b\"}", "{\"a\":null}", "{}");
    patch("{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}");
    patch("{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}");
    patch("{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}");
    patch("{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}",
          "{\"a\":{\"b\":\"d\"}}");
    patch("{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}");
    patch("[\"a\",\"b\"]", "[\"c\",\"d\"]", "[\"c\",\"d\"]");
    patch("{\"a\":\"b\"}", "[\"c\"]", "[\"c\"]");
    patch("{\"a\":\"foo\"}", "null", "null");
    patch("{\"a\":\"foo\"}", "\"bar\"", "\"bar\"");
    patch("{\"e\":null}", "{\"a\":1}", "{\"e\":null,\"a\":1}");
    patch("[1,2]", "{\"a\":\"b\",\"c\":null}", "{\"a\":\"b\"}");
    patch("{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}");
    patch("{\"a\":1,\"b\":{\"x\":1,\"y\":2,\"z\":3},\"c\":3}",
          "{\"c\":null,\"b\":{\"z\":null,\"w\":[null]},\"d\":0}",
          "{\"a\":1,\"b\":{\"x\":1,\"y\":2,\"w\":[null]},\"d\":0}");

    t = parse(&a, "{\"a\":{\"b\":1}}");
    p = parse(&a, "{\"a\":{\"c\":[1]}}");
    ok(mc_json_merge_patch(&a, t, p) == t, "the target itself is changed");
    is(text_of(p), "{\"a\":{\"c\":[1]}}", "... and the patch is not");
    mc_json_set(&a, mc_json_get(t, "a"), "c", mc_json_null(&a));
    is(text_of(p), "{\"a\":{\"c\":[1]}}", "... nor is it shared");
    is(text_of(mc_json_merge_patch(&a, NULL, p)), "{\"a\":{\"c\":[1]}}",
       "a patch of nothing");
    a_pool.left = 1;
    ok(mc_json_merge_patch(&a, t, p) == NULL, "a patch without memory");
    pool_free(&a_pool);
}

static void
test_write(void)
{
    POOL(a);
    char        small[8];
    mc_json_t  *v = parse(&a, "[\"abcdef\",1]");

    is_int(mc_json_write(NULL, 0, v), 12, "measures");
    is_int(mc_json_write(small, sizeof(small), v), 12, "a small buffer");
    is(small, "[\"abcde", "... is not overrun and ends");
    is_int(mc_json_write(small, 1, v), 12, "a buffer of one byte");
    is(small, "", "... is empty");

    is(text_of(mc_json_string(&a, "a\xff\xc3(\xed\xa0\x80z", 8)),
       "\"a\xef\xbf\xbd\xef\xbf\xbd(\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz\"",
       "broken UTF-8 becomes U+FFFD");
    is(text_of(mc_json_string(&a, "\0\x1f\b\f\r", 5)),
       "\"\\u0000\\u001f\\b\\f\\r\"", "control characters are escaped");
    is(text_of(NULL), "null", "no value at all");

    is_int(mc_json_escape(written, sizeof(written), "a\"b\\\n\xc3\xa9", 7), 10,
           "escapes");
    is(written, "a\\\"b\\\\\\n\xc3\xa9", "... without quotes around");
    is_int(mc_json_escape(written, sizeof(written), "\xc3", 1), 3,
           "escapes half a character");
    pool_free(&a_pool);
}

static int
equal(const char *a, const char *b)
{
    POOL(pool);
    mc_json_error_t  err;
    mc_json_t       *x = mc_json_parse(&pool, a, strlen(a), &err);
    mc_json_t       *y = mc_json_parse(&pool, b, strlen(b), &err);
    int              same = mc_json_equal(x, y);

    same = same == mc_json_equal(y, x) ? same : -1;
    pool_free(&pool_pool);
    return same;
}

static void
test_equal(void)
{
    is_int(equal("{\"a\":1,\"b\":[true,null,\"x\"]}",
                 "{ \"b\": [true, null, \"x\"], \"a\": 1 }"), 1,
           "members in another order are the same");
    is_int(equal("[1,2]", "[2,1]"), 0, "elements are not");
    is_int(equal("{\"a\":1}", "{\"a\":1,\"b\":1}"), 0, "a member more");
    is_int(equal("{\"a\":1}", "{\"b\":1}"), 0, "another name");
    is_int(equal("1", "1.0"), 0, "a number that is written in another way");
    is_int(equal("\"a\"", "\"b\""), 0, "another text");
    is_int(equal("\"\"", "null"), 0, "another type");
    is_int(equal("{}", "{}"), 1, "nothing is nothing");
}

static void
test_utf8(void)
{
    ok(mc_utf8_valid("", 0), "nothing is UTF-8");
    ok(mc_utf8_valid("a\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80"
                     "\xef\xbf\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", 25),
       "the first and last characters of every length");
    ok(!mc_utf8_valid("\xf0\x90\x80", 3), "an unfinished character");
    ok(!mc_utf8_valid("\xc1\xbf", 2), "an overlong form");
    ok(!mc_utf8_valid("\xf5\x80\x80\x80", 4), "beyond U+10FFFF");
    ok(!mc_utf8_valid("\xe2\x28\xa1", 3), "a missing continuation");
}

int
main(void)
{
    test_accepted();
    test_syntax();
    test_strings();
    test_numbers();
    test_duplicates();
    test_depth();
    test_many();
    test_memory();
    test_lookups();
    test_ints();
    test_changes();
    test_copy();
    test_patch();
    test_write();
    test_equal();
    test_utf8();
    return done_testing();
}
