/* common/mc_schema*.c, on small schemas. The server document has its own
 * test, server_rules.c. */

#include "mc_schema.h"
#include "pool.h"
#include "tap.h"

#define MAX_ERRORS  64

static mc_schema_error_t  errors[MAX_ERRORS];
static char               summary[8192];

/* "pointer code; pointer code" */
static const char *
summarize(unsigned n)
{
    unsigned  i;
    size_t    len = 0;

    summary[0] = '\0';
    for (i = 0; i < n; i++) {
        len += (size_t) snprintf(summary + len, sizeof(summary) - len,
                                 "%s%s %s", i ? "; " : "", errors[i].pointer,
                                 errors[i].code);
    }
    return summary;
}

static mc_json_t *
parse(const mc_alloc_t *a, const char *text)
{
    mc_json_error_t  err;
    mc_json_t       *v = mc_json_parse(a, text, strlen(text), &err);

    if (v == NULL) {
        printf("Bail out! %s: %s\n", text, err.message);
        exit(1);
    }
    return v;
}

static mc_schema_t *
compile(const mc_alloc_t *a, const char *text)
{
    char          err[256];
    mc_schema_t  *s = mc_schema_compile(a, text, strlen(text), err,
                                        sizeof(err));

    if (s == NULL) {
        printf("Bail out! %s: %s\n", text, err);
        exit(1);
    }
    return s;
}

/* Whether value has these faults by schema. */
static void
faults(const char *schema, const char *value, const char *wanted)
{
    POOL(a);
    mc_schema_t  *s = compile(&a, schema);
    unsigned      n;

    n = mc_schema_validate(s, parse(&a, value), "", errors, MAX_ERRORS);
    is(summarize(n), wanted, "%.90s: %s", value, *wanted ? wanted : "valid");
    mc_schema_free(s);
    pool_free(&a_pool);
}

static void
test_types(void)
{
    faults("{\"type\":\"string\"}", "\"x\"", "");
    faults("{\"type\":\"string\"}", "1", " type");
    faults("{\"type\":\"string\"}", "null", " type");
    faults("{\"type\":\"string\",\"nullable\":true}", "null", "");
    faults("{\"type\":\"integer\"}", "1", "");
    faults("{\"type\":\"integer\"}", "1.0", "");
    faults("{\"type\":\"integer\"}", "1.5", " type");
    faults("{\"type\":\"integer\"}", "1e30", " type");
    faults("{\"type\":\"integer\"}", "\"1\"", " type");
    faults("{\"type\":\"number\"}", "1.5", "");
    faults("{\"type\":\"boolean\"}", "false", "");
    faults("{\"type\":\"boolean\"}", "\"true\"", " type");
    faults("{\"type\":\"array\"}", "[1]", "");
    faults("{\"type\":\"array\"}", "{}", " type");
    faults("{\"type\":\"object\"}", "[]", " type");
    faults("{\"type\":\"object\"}", "{}", "");
    faults("{}", "[null]", "");
}

static void
test_numbers(void)
{
    static const char  s[] = "{\"type\":\"integer\",\"minimum\":2,"
                             "\"maximum\":32}";

    faults(s, "1", " minimum");
    faults(s, "2", "");
    faults(s, "32", "");
    faults(s, "33", " maximum");
    faults(s, "-9223372036854775808", " minimum");
    faults("{\"type\":\"integer\",\"format\":\"int32\"}", "2147483648",
           " maximum");
    faults("{\"type\":\"integer\",\"format\":\"int32\"}", "-2147483649",
           " minimum");
    faults("{\"type\":\"integer\",\"format\":\"int64\"}", "2147483648", "");
    faults("{\"type\":\"number\",\"minimum\":0.5}", "0.25", " minimum");
}

static void
test_strings(void)
{
    static const char  s[] = "{\"type\":\"string\",\"minLength\":2,"
                             "\"maxLength\":4,\"pattern\":\"^[a-z]+$\"}";
    static const char  t[] = "{\"type\":\"string\",\"format\":\"date-time\"}";

    faults(s, "\"ab\"", "");
    faults(s, "\"a\"", " min_length");
    faults(s, "\"abcde\"", " max_length");
    faults(s, "\"aB\"", " pattern");
    faults(s, "\"ab\\n\"", " pattern");
    faults(s, "\"ab\\nc\"", " pattern");
    faults("{\"type\":\"string\",\"maxLength\":3}",
           "\"\xc3\xa9\xf0\x9f\x98\x80\xe2\x82\xac\"", "");
    faults("{\"type\":\"string\",\"minLength\":1}", "\"\"", " min_length");
    faults("{\"enum\":[\"a\",\"b\"],\"type\":\"string\"}", "\"b\"", "");
    faults("{\"enum\":[\"a\",\"b\"],\"type\":\"string\"}", "\"B\"", " enum");
    faults("{\"enum\":[1,true,null]}", "true", "");
    faults("{\"enum\":[1,true,null]}", "false", " enum");

    faults(t, "\"2026-11-24T08:00:00Z\"", "");
    faults(t, "\"2026-11-24t08:00:00.123456z\"", "");
    faults(t, "\"2024-02-29T23:59:60+01:00\"", "");
    faults(t, "\"2026-02-29T08:00:00Z\"", " format");
    faults(t, "\"1900-02-29T08:00:00Z\"", " format");
    faults(t, "\"2026-13-24T08:00:00Z\"", " format");
    faults(t, "\"2026-11-31T08:00:00Z\"", " format");
    faults(t, "\"2026-11-24T24:00:00Z\"", " format");
    faults(t, "\"2026-11-24T08:00:00\"", " format");
    faults(t, "\"2026-11-24T08:00:00.Z\"", " format");
    faults(t, "\"2026-11-24T08:00:00+0100\"", " format");
    faults(t, "\"2026-11-24T08:00:00+01:0\"", " format");
    faults(t, "\"2026-11-24T08:00:00Zx\"", " format");
    faults(t, "\"2026-11-24 08:00:00Z\"", " format");
    faults(t, "\"2026-11-24\"", " format");
    faults(t, "\"\"", " format");
}

static void
test_objects(void)
{
    static const char  s[] =
        "{\"type\":\"object\",\"required\":[\"a\",\"b\"],\"properties\":{"
        "\"a\":{\"type\":\"integer\"},\"b\":{\"type\":\"object\","
        "\"properties\":{\"maxPlayers\":{\"type\":\"integer\"}}}}}";
    static const char  m[] =
        "{\"type\":\"object\",\"minProperties\":1,\"maxProperties\":2,"
        "\"additionalProperties\":{\"type\":\"string\",\"maxLength\":2}}";

    faults(s, "{\"a\":1,\"b\":{}}", "");
    faults(s, "{}", "/a required; /b required");
    faults(s, "{\"a\":\"x\",\"c\":1,\"b\":{\"d\":{}}}",
           "/a type; /c unknown_field; /b/d unknown_field");
    faults(s, "{\"a\":1,\"b\":{\"max-players\":5}}",
           "/b/max-players unknown_field");
    ok(strstr(errors[0].message, "did you mean maxPlayers?"), "%s",
       errors[0].message);
    faults(s, "{\"a\":1,\"b\":{\"x/y~z\":5}}", "/b/x~1y~0z unknown_field");
    faults(s, "{\"a\":1,\"b\":{\"\":5}}", "/b/ unknown_field");

    faults(m, "{\"x\":\"1\",\"y\":\"22\"}", "");
    faults(m, "{\"x\":1,\"y\":\"333\"}", "/x type; /y max_length");
    faults(m, "{}", " min_properties");
    faults(m, "{\"x\":\"\",\"y\":\"\",\"z\":\"\"}", " max_properties");

    faults("{\"type\":\"object\",\"x-kubernetes-preserve-unknown-fields\":true,"
           "\"properties\":{\"a\":{\"type\":\"integer\"}}}",
           "{\"b\":{\"c\":1},\"a\":\"\"}", "/a type");
}

static void
test_arrays(void)
{
    static const char  set[] =
        "{\"type\":\"array\",\"maxItems\":4,\"minItems\":1,"
        "\"x-kubernetes-list-type\":\"set\",\"items\":{\"type\":\"string\"}}";
    static const char  map[] =
        "{\"type\":\"array\",\"maxItems\":4,"
        "\"x-kubernetes-list-type\":\"map\","
        "\"x-kubernetes-list-map-keys\":[\"name\"],"
        "\"items\":{\"type\":\"object\",\"required\":[\"name\"],"
        "\"properties\":{\"name\":{\"type\":\"string\"},"
        "\"x\":{\"type\":\"integer\"}}}}";

    faults(set, "[\"a\",\"b\"]", "");
    faults(set, "[\"a\",\"b\",\"a\",\"a\"]", "/2 duplicate; /3 duplicate");
    faults(set, "[\"a\",1]", "/1 type");
    faults(set, "[]", " min_items");
    faults(set, "[\"a\",\"b\",\"c\",\"d\",\"e\",1]", " max_items");
    faults(map, "[{\"name\":\"a\",\"x\":1},{\"name\":\"b\",\"x\":1}]", "");
    faults(map, "[{\"name\":\"a\",\"x\":1},{\"name\":\"a\",\"x\":2}]",
           "/1 duplicate");
    faults(map, "[{\"x\":1},{\"x\":\"2\"},3]",
           "/0/name required; /1/name required; /1/x type; /2 type");
    faults("{\"type\":\"array\",\"items\":{\"type\":\"array\","
           "\"items\":{\"type\":\"integer\"}}}", "[[],[1,\"x\"]]",
           "/1/1 type");
}

static void
test_limits(void)
{
    POOL(a);
    mc_schema_t  *s = compile(&a, "{\"type\":\"object\",\"properties\":{}}");
    mc_json_t    *v = mc_json_object(&a), *deep;
    char          key[16], *huge;
    int           i;

    for (i = 0; i < 100; i++) {
        snprintf(key, sizeof(key), "k%d", i);
        mc_json_set(&a, v, key, mc_json_null(&a));
    }
    is_int(mc_schema_validate(s, v, "/spec", errors, 10), 10,
           "no more errors than there is room for");
    is(errors[9].pointer, "/spec/k9", "... the first ones");
    is_int(mc_schema_validate(s, v, "/spec", errors, 0), 0, "no room at all");

    huge = malloc(100000);
    memset(huge, '/', 99999);
    huge[99999] = '\0';
    deep = mc_json_object(&a);
    mc_json_set(&a, deep, huge, mc_json_null(&a));
    is_int(mc_schema_validate(s, deep, "", errors, 10), 1, "a huge key");
    ok(strlen(errors[0].pointer) < sizeof(errors[0].pointer),
       "... is cut off in the pointer");
    free(huge);
    mc_schema_free(s);
    pool_free(&a_pool);
}

static void
defaults(const char *schema, const char *value, const char *wanted)
{
    POOL(a);
    char          text[1024];
    mc_schema_t  *s = compile(&a, schema);
    mc_json_t    *v = parse(&a, value);

    is_int(mc_schema_defaults(s, &a, v), 0, "defaults for %s", value);
    mc_json_write(text, sizeof(text), v);
    is(text, wanted, "... give %s", wanted);
    mc_schema_free(s);
    pool_free(&a_pool);
}

static void
test_defaults(void)
{
    static const char  s[] =
        "{\"type\":\"object\",\"properties\":{"
        "\"a\":{\"type\":\"integer\",\"default\":1},"
        "\"b\":{\"type\":\"object\",\"default\":{},\"properties\":{"
        "\"c\":{\"type\":\"string\",\"default\":\"x\"}}},"
        "\"d\":{\"type\":\"object\",\"properties\":{"
        "\"e\":{\"type\":\"boolean\",\"default\":false}}},"
        "\"l\":{\"type\":\"array\",\"items\":{\"type\":\"object\","
        "\"properties\":{\"f\":{\"type\":\"integer\",\"default\":4}}}},"
        "\"m\":{\"type\":\"object\",\"additionalProperties\":{"
        "\"type\":\"object\",\"properties\":{"
        "\"g\":{\"type\":\"integer\",\"default\":5}}}}}}";
    POOL(a);
    mc_schema_t       *compiled;

    defaults(s, "{}", "{\"a\":1,\"b\":{\"c\":\"x\"}}");
    defaults(s, "{\"d\":{},\"a\":7}",
             "{\"d\":{\"e\":false},\"a\":7,\"b\":{\"c\":\"x\"}}");
    defaults(s, "{\"a\":2,\"b\":{\"c\":\"y\"},\"l\":[{},{\"f\":1}],"
                "\"m\":{\"k\":{}}}",
             "{\"a\":2,\"b\":{\"c\":\"y\"},\"l\":[{\"f\":4},{\"f\":1}],"
             "\"m\":{\"k\":{\"g\":5}}}");
    defaults(s, "[1]", "[1]");
    defaults(s, "{\"b\":3,\"l\":{},\"m\":[]}",
             "{\"b\":3,\"l\":{},\"m\":[],\"a\":1}");

    compiled = compile(&a, s);
    a_pool.left = 2;
    is_int(mc_schema_defaults(compiled, &a, mc_json_object(&a)), -1,
           "defaults without memory");
    mc_schema_free(compiled);
    pool_free(&a_pool);
}

static void
wrong(const char *schema, const char *words)
{
    POOL(a);
    char  err[256] = "";

    ok(mc_schema_compile(&a, schema, strlen(schema), err, sizeof(err)) == NULL
       && strstr(err, words), "%.60s: %s", schema, err);
    pool_free(&a_pool);
}

static void
test_wrong(void)
{
    wrong("", "schema: ");
    wrong("[]", "must be an object");
    wrong("{\"type\":\"strin\"}", "no such type");
    wrong("{\"type\":1}", "no such type");
    wrong("{\"properties\":{\"a\":{\"oneOf\":[]}}}", "/a: the keyword \"oneOf\"");
    wrong("{\"properties\":[]}", "must be an object");
    wrong("{\"required\":[\"x\"]}", "not there");
    wrong("{\"required\":[1]}", "something else");
    wrong("{\"required\":\"x\"}", "list");
    wrong("{\"enum\":[]}", "list");
    wrong("{\"maxLength\":-1}", "whole number");
    wrong("{\"minimum\":\"1\"}", "number");
    wrong("{\"pattern\":\"(\",\"maxLength\":1}", "regular expression");
    wrong("{\"pattern\":\"a\"}", "needs maxLength");
    wrong("{\"format\":\"ipv4\"}", "format");
    wrong("{\"type\":\"string\",\"default\":1}", "default");
    wrong("{\"nullable\":1}", "flag");
    wrong("{\"x-kubernetes-list-type\":\"set\",\"items\":{}}", "maxItems");
    wrong("{\"x-kubernetes-list-type\":\"map\",\"items\":{},\"maxItems\":3}",
          "map-keys");
    wrong("{\"x-kubernetes-list-type\":\"bag\"}", "list type");
    wrong("{\"properties\":{\"a\":{\"pattern\":\"a\",\"maxLength\":1},"
          "\"b\":{\"bad\":1}}}", "/b: ");
}

static void
test_no_memory(void)
{
    static const char  text[] =
        "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\","
        "\"maxLength\":3,\"pattern\":\"^a\"},\"b\":{\"type\":\"array\","
        "\"items\":{\"type\":\"string\",\"maxLength\":3,\"pattern\":\"b\"}}}}";
    mc_schema_t       *s = NULL;
    char               err[256];
    long               i;
    int                said = 1;

    for (i = 0; i < 1000 && s == NULL; i++) {
        POOL(a);

        a_pool.left = i;
        err[0] = '\0';
        s = mc_schema_compile(&a, text, sizeof(text) - 1, err, sizeof(err));
        said &= (s || strstr(err, "out of memory"));
        mc_schema_free(s);
        pool_free(&a_pool);
    }
    ok(s && said && i > 10, "compiling runs out of memory at %ld places",
       i - 1);
}

static void
test_property(void)
{
    POOL(a);
    mc_schema_t  *s = compile(&a, "{\"properties\":{\"a\":{\"type\":"
                                  "\"integer\"},\"ab\":{}}}");

    ok(mc_schema_property(s, "a") != mc_schema_property(s, "ab"),
       "properties by name");
    ok(mc_schema_property(s, "b") == NULL, "no such property");
    is_int(mc_schema_validate(mc_schema_property(s, "a"), parse(&a, "\"x\""),
                              "/a", errors, 5), 1, "a schema below");
    is(errors[0].pointer, "/a", "... with the pointer that was given");
    mc_schema_free(s);
    mc_schema_free(NULL);
    pool_free(&a_pool);
}

int
main(void)
{
    test_types();
    test_numbers();
    test_strings();
    test_objects();
    test_arrays();
    test_limits();
    test_defaults();
    test_wrong();
    test_no_memory();
    test_property();
    return done_testing();
}
