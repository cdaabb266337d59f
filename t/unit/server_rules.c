/* The embedded schema and the rules of common/mc_server_rules.c. */

#include "mc_quantity.h"
#include "mc_server_rules.h"
#include "pool.h"
#include "tap.h"

#define MAX_ERRORS  64

static mc_schema_error_t  errors[MAX_ERRORS];
static mc_schema_t       *schema;

static const mc_schema_error_t *
find(unsigned n, const char *pointer)
{
    unsigned  i;

    for (i = 0; i < n; i++) {
        if (strcmp(errors[i].pointer, pointer) == 0) {
            return &errors[i];
        }
    }
    return NULL;
}

static unsigned
validate(const char *text)
{
    POOL(a);
    mc_json_error_t  err;
    mc_json_t       *doc = mc_json_parse(&a, text, strlen(text), &err);
    unsigned         n;

    if (doc == NULL) {
        printf("Bail out! %s: %s at %zu\n", text, err.message, err.offset);
        exit(1);
    }
    n = mc_server_validate(schema, doc, errors, MAX_ERRORS);
    pool_free(&a_pool);
    return n;
}

/* A document whose spec is demo software and what is given. */
static unsigned
validate_spec(const char *members)
{
    char  text[8192];

    snprintf(text, sizeof(text), "{\"name\":\"one\",\"spec\":{\"software\":"
             "{\"type\":\"demo\"}%s%s}}", *members ? "," : "", members);
    return validate(text);
}

static void
valid(const char *members)
{
    unsigned  n = validate_spec(members);

    ok(n == 0, "valid: %.80s", members);
    if (n) {
        diag("%s: %s", errors[0].pointer, errors[0].message);
    }
}

/* Exactly one fault, at pointer. */
static void
invalid(const char *members, const char *pointer, const char *code)
{
    unsigned                  n = validate_spec(members);
    const mc_schema_error_t  *e = find(n, pointer);

    ok(n == 1 && e && strcmp(e->code, code) == 0, "%.70s: %s %s", members,
       pointer, code);
    if (n == 0) {
        diag("no fault");
    } else if (n > 1 || e == NULL || strcmp(e->code, code) != 0) {
        diag("%u faults: %s %s %s", n, errors[0].pointer, errors[0].code,
             errors[0].message);
    }
}

static void
test_document(void)
{
    unsigned  n;

    is_int(validate("{\"name\":\"a\",\"spec\":{\"software\":{\"type\":"
                    "\"demo\"}}}"), 0, "the smallest document");
    n = validate("{}");
    ok(n == 2 && find(n, "/name") && find(n, "/spec"), "an empty one");
    n = validate("{\"name\":\"a\",\"spec\":{}}");
    ok(n == 1 && find(n, "/spec/software"), "an empty spec");
    n = validate("{\"name\":\"a\",\"spec\":{\"software\":{}}}");
    ok(n == 1 && find(n, "/spec/software/type"), "no type");
    n = validate("{\"name\":\"a\",\"spec\":{\"software\":{\"type\":\"x\"}}}");
    ok(n == 1 && find(n, "/spec/software/type"), "no such type");
    n = validate("{\"name\":\"a\",\"spec\":[]}");
    ok(n == 1 && find(n, "/spec"), "a spec that is no object");
    n = validate("[]");
    ok(n == 1 && find(n, ""), "a document that is no object");
    n = validate("{\"name\":\"a\",\"id\":\"x\",\"spec\":{\"software\":"
                 "{\"type\":\"demo\"}}}");
    ok(n == 1 && find(n, "/id"), "a field that is not the client's");
}

static void
name(const char *text, int good)
{
    char  doc[256];

    snprintf(doc, sizeof(doc), "{\"name\":\"%s\",\"spec\":{\"software\":"
             "{\"type\":\"demo\"}}}", text);
    ok((validate(doc) == 0) == good, "the name \"%s\" is %s", text,
       good ? "good" : "refused");
}

static void
test_names(void)
{
    name("a", 1);
    name("survival-1", 1);
    name("0", 1);
    name("", 0);
    name("-a", 0);
    name("a-", 0);
    name("A", 0);
    name("a.b", 0);
    name("a_b", 0);
    name("a b", 0);
    name("\xc3\xa9", 0);
    name("a\\n", 0);
    name("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 1);
    name("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 0);
}

static unsigned
software(const char *type, const char *more)
{
    char  doc[512];

    snprintf(doc, sizeof(doc), "{\"name\":\"a\",\"spec\":{\"software\":"
             "{\"type\":\"%s\"}%s}}", type, more);
    return validate(doc);
}

static void
test_eula(void)
{
    static const char  *need[] = { "vanilla", "paper", "purpur", "folia",
                                   "fabric", "forge", "neoforge", "quilt" };
    unsigned            i, n;

    for (i = 0; i < sizeof(need) / sizeof(need[0]); i++) {
        n = software(need[i], "");
        ok(n == 1 && find(n, "/spec/eula/accepted")
           && strcmp(errors[0].code, "eula_required") == 0,
           "%s needs the EULA", need[i]);
        is_int(software(need[i], ",\"eula\":{\"accepted\":true}"), 0,
               "... and runs with it");
    }
    ok(strstr(errors[0].message, "eula.accepted"), "the message says what to "
       "do: %s", errors[0].message);
    is_int(software("paper", ",\"eula\":{\"accepted\":false}"), 1,
           "false is no consent");
    is_int(software("paper", ",\"eula\":{\"accepted\":\"true\"}"), 2,
           "text is no consent");
    is_int(software("velocity", ""), 0, "velocity needs none");
    ok(mc_server_needs_eula("custom") && !mc_server_needs_eula("demo"),
       "mc_server_needs_eula()");
    n = software("custom", ",\"eula\":{\"accepted\":true}");
    ok(n == 1 && find(n, "/spec/software/image"), "custom needs an image");
}

static void
test_properties(void)
{
    invalid("\"properties\":{\"maxPlayers\":0}", "/spec/properties/maxPlayers",
            "minimum");
    invalid("\"properties\":{\"maxPlayers\":\"20\"}",
            "/spec/properties/maxPlayers", "type");
    invalid("\"properties\":{\"viewDistance\":33}",
            "/spec/properties/viewDistance", "maximum");
    invalid("\"properties\":{\"difficulty\":\"Hard\"}",
            "/spec/properties/difficulty", "enum");
    invalid("\"properties\":{\"levelName\":\"../etc\"}",
            "/spec/properties/levelName", "pattern");
    invalid("\"properties\":{\"max-players\":5}",
            "/spec/properties/max-players", "unknown_field");
    valid("\"properties\":{\"motd\":\"\xc2\xa7""aOne\\nTwo\",\"maxPlayers\":5}");
    invalid("\"properties\":{\"motd\":\"a\\rb\"}", "/spec/properties/motd",
            "control_character");
    invalid("\"properties\":{\"levelSeed\":\"a\\nop-permission-level=4\"}",
            "/spec/properties/levelSeed", "control_character");
}

static void
test_extra(void)
{
    static const char  *reserved[] = {
        "server-port", "server-ip", "enable-rcon", "rcon.password",
        "rcon.port", "query.port", "enable-query",
        "management-server-secret", "management-server-enabled", "motd",
        "max-players", "white-list", "enable-status"
    };
    char                members[256], pointer[128];
    unsigned            i;

    for (i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
        snprintf(members, sizeof(members),
                 "\"properties\":{\"extra\":{\"%s\":\"x\"}}", reserved[i]);
        snprintf(pointer, sizeof(pointer), "/spec/properties/extra/%s",
                 reserved[i]);
        invalid(members, pointer, "reserved");
    }
    valid("\"properties\":{\"extra\":{\"max-world-size\":\"1000\","
          "\"text-filtering-config\":\"\"}}");
    invalid("\"properties\":{\"extra\":{\"max-world-size\":1000}}",
            "/spec/properties/extra/max-world-size", "type");
    invalid("\"properties\":{\"extra\":{\"Server-Port\":\"1\"}}",
            "/spec/properties/extra/Server-Port", "pattern");
    invalid("\"properties\":{\"extra\":{\"a=b\":\"1\"}}",
            "/spec/properties/extra/a=b", "pattern");
    invalid("\"properties\":{\"extra\":{\"a/b\":\"1\"}}",
            "/spec/properties/extra/a~1b", "pattern");
    invalid("\"properties\":{\"extra\":{\"\":\"1\"}}",
            "/spec/properties/extra/", "pattern");
    invalid("\"properties\":{\"extra\":{\"x\":\"1\\nrcon.port=1\"}}",
            "/spec/properties/extra/x", "control_character");
    ok(mc_server_reserved_property("rcon.port")
       && !mc_server_reserved_property("rcon"), "mc_server_reserved_property()");
}

static void
test_run(void)
{
    invalid("\"runPolicy\":\"OnDemand\"", "/spec/hibernation", "required");
    valid("\"runPolicy\":\"OnDemand\",\"hibernation\":{}");
    invalid("\"runPolicy\":\"always\"", "/spec/runPolicy", "enum");
    valid("\"restartToken\":\"01940000-0000-7000-8000-000000000025\"");
    invalid("\"displayName\":\"a\\u0007\"", "/spec/displayName",
            "control_character");
    valid("\"displayName\":\"B\xc3\xb6""b's \xf0\x9f\x8f\xb0\"");
    invalid("\"jvm\":{\"extraArgs\":[\"-Xmx1G\",\"-cp /x\"]}",
            "/spec/jvm/extraArgs/1", "pattern");
    invalid("\"jvm\":{\"heapPercent\":99}", "/spec/jvm/heapPercent", "maximum");
}

static void
test_lists(void)
{
    static const char  sha[] = "\"sha256\":\"0123456789abcdef0123456789abcdef"
                               "0123456789abcdef0123456789abcdef\"";
    char               members[512];

    invalid("\"addons\":[{\"name\":\"a\",\"kind\":\"Plugin\",\"source\":"
            "{\"url\":\"https://x/y.jar\"}}]", "/spec/addons/0/sha512",
            "required");
    snprintf(members, sizeof(members), "\"addons\":[{\"name\":\"a\",\"kind\":"
             "\"Plugin\",\"source\":{\"url\":\"https://x/y.jar\"},%s}]", sha);
    valid(members);
    valid("\"addons\":[{\"name\":\"a\",\"kind\":\"Mod\",\"source\":"
          "{\"modrinth\":{\"project\":\"sodium\"}}}]");
    invalid("\"addons\":[{\"name\":\"a\",\"kind\":\"Mod\",\"source\":{}}]",
            "/spec/addons/0/source", "min_properties");
    invalid("\"addons\":[{\"name\":\"a\",\"kind\":\"Mod\",\"source\":"
            "{\"modrinth\":{\"project\":\"x\"}}},{\"name\":\"a\",\"kind\":"
            "\"Mod\",\"source\":{\"modrinth\":{\"project\":\"y\"}}}]",
            "/spec/addons/1", "duplicate");
    invalid("\"access\":{\"allowList\":{\"players\":[\"Al\",\"Bo\",\"Al\"]}}",
            "/spec/access/allowList/players/2", "duplicate");
    invalid("\"access\":{\"operators\":[{\"name\":\"a b\"}]}",
            "/spec/access/operators/0/name", "pattern");
    invalid("\"network\":{\"hostnames\":[\"Play.example.com\"]}",
            "/spec/network/hostnames/0", "pattern");
    invalid("\"network\":{\"annotations\":{\"a\\u0001\":\"x\"}}",
            "/spec/network/annotations/a\001", "control_character");
    valid("\"backup\":{\"schedule\":{\"cron\":\"0 */6 * * *\"}}");
    invalid("\"backup\":{\"schedule\":{\"cron\":\"0 6 * *\"}}",
            "/spec/backup/schedule/cron", "pattern");
}

static void
quantity(const char *s, int64_t wanted)
{
    is_int(mc_quantity_milli(s), wanted, "the quantity \"%s\"", s);
}

static void
test_quantities(void)
{
    quantity("0", 0);
    quantity("1", 1000);
    quantity("500m", 500);
    quantity("1.5", 1500);
    quantity("0.001", 1);
    quantity("1Ki", 1024000);
    quantity("1.5Gi", 1610612736000);
    quantity("2G", 2000000000000);
    quantity("1Ti", 1099511627776000);
    quantity("4000Ti", 4398046511104000000);
    quantity("5000Ti", -1);
    quantity("99999999999999999999", -1);
    quantity("0.123456789123456789G", 123456789000);
    quantity("", -1);
    quantity(".", -1);
    quantity("1.", -1);
    quantity(".5", -1);
    quantity("-1", -1);
    quantity("1 Gi", -1);
    quantity("1gi", -1);
    quantity("Gi", -1);

    valid("\"resources\":{\"cpu\":\"500m\",\"memory\":\"512Mi\","
          "\"cpuRequest\":\"0.5\",\"memoryRequest\":\"512Mi\"}");
    invalid("\"resources\":{\"memory\":\"1\"}", "/spec/resources/memory",
            "minimum");
    invalid("\"resources\":{\"memory\":\"2GB\"}", "/spec/resources/memory",
            "pattern");
    invalid("\"resources\":{\"cpu\":\"0\"}", "/spec/resources/cpu", "minimum");
    invalid("\"resources\":{\"cpuRequest\":\"1001m\"}",
            "/spec/resources/cpuRequest", "maximum");
    invalid("\"resources\":{\"memoryRequest\":\"3Gi\"}",
            "/spec/resources/memoryRequest", "maximum");
    invalid("\"storage\":{\"size\":\"1Mi\"}", "/spec/storage/size", "minimum");
}

static void
test_many_faults(void)
{
    unsigned  n = validate("{\"name\":\"A\",\"foo\":1,\"spec\":{\"software\":"
        "{\"type\":\"paper\",\"version\":\"a b\"},\"runPolicy\":\"OnDemand\","
        "\"properties\":{\"maxPlayers\":0,\"extra\":{\"rcon.port\":\"1\"}}}}");

    ok(n == 7 && find(n, "/name") && find(n, "/foo")
       && find(n, "/spec/software/version")
       && find(n, "/spec/properties/maxPlayers")
       && find(n, "/spec/eula/accepted") && find(n, "/spec/hibernation")
       && find(n, "/spec/properties/extra/rcon.port"),
       "all faults come at once");
}

static void
test_status(void)
{
    is_int(validate("{\"name\":\"a\",\"spec\":{\"software\":{\"type\":\"demo\"}}"
                    ",\"status\":{\"state\":\"Running\",\"conditions\":[{"
                    "\"type\":\"Ready\",\"status\":\"True\"}]}}"), 0,
           "a status");
    is_int(validate("{\"name\":\"a\",\"spec\":{\"software\":{\"type\":\"demo\"}}"
                    ",\"status\":{\"state\":\"Jumping\"}}"), 1,
           "a wrong status");
}

static void
test_defaults(const mc_alloc_t *a)
{
    mc_json_error_t     err;
    mc_json_t          *spec;
    const mc_schema_t  *s = mc_schema_property(schema, "spec");

    spec = mc_json_parse(a, "{\"software\":{\"type\":\"demo\"}}", 28, &err);
    is_int(mc_schema_defaults(s, a, spec), 0, "defaults");
    is(mc_json_str(mc_json_get(spec, "runPolicy"), ""), "Always",
       "... runPolicy");
    is_int(mc_json_int(mc_json_at(spec, "properties.maxPlayers"), 0), 20,
           "... properties.maxPlayers");
    is_int(mc_json_bool(mc_json_at(spec, "properties.onlineMode"), 0), 1,
           "... properties.onlineMode");
    is(mc_json_str(mc_json_at(spec, "storage.size"), ""), "10Gi",
       "... storage.size");
    is(mc_json_str(mc_json_at(spec, "storage.retention"), ""), "Retain",
       "... storage.retention");
    is_int(mc_json_int(mc_json_at(spec, "jvm.heapPercent"), 0), 75,
           "... jvm.heapPercent");
    is_int(mc_json_int(mc_json_at(spec, "shutdown.graceSeconds"), 0), 60,
           "... shutdown.graceSeconds");
    is(mc_json_str(mc_json_at(spec, "network.exposure"), ""), "Router",
       "... network.exposure");
    ok(mc_json_get(spec, "hibernation") == NULL, "... no hibernation");
    is_int(mc_server_validate_spec(schema, spec, errors, MAX_ERRORS), 0,
           "what the defaults make is valid");
    mc_json_set(a, spec, "x", mc_json_null(a));
    ok(mc_server_validate_spec(schema, spec, errors, MAX_ERRORS) == 1
       && strcmp(errors[0].pointer, "/spec/x") == 0,
       "a spec alone has pointers below /spec");
}

int
main(void)
{
    POOL(a);
    char  err[256];

    schema = mc_schema_compile(&a, mc_schema_json, mc_schema_json_len, err,
                               sizeof(err));
    if (schema == NULL) {
        printf("Bail out! %s\n", err);
        return 1;
    }
    ok(schema != NULL, "the embedded schema compiles");
    test_document();
    test_names();
    test_eula();
    test_properties();
    test_extra();
    test_run();
    test_lists();
    test_quantities();
    test_many_faults();
    test_status();
    test_defaults(&a);
    mc_schema_free(schema);
    pool_free(&a_pool);
    return done_testing();
}
