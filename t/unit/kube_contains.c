/*
 * Whether an object still says what was applied.
 */

#include "kube_object.h"
#include "mc_json.h"
#include "pool.h"
#include "tap.h"

static void
check(bool yes, const char *there, const char *wanted, const char *where,
    const char *name)
{
    POOL(a);
    mc_json_error_t  err;
    mc_json_t       *t = mc_json_parse(&a, there, strlen(there), &err);
    mc_json_t       *w = mc_json_parse(&a, wanted, strlen(wanted), &err);
    char             at[256] = "";

    ok(t && w, "%s: two texts", name);
    ok(mc_kube_contains(t, w, at, sizeof(at)) == yes, "%s", name);
    is(at, where, "%s: where", name);
    pool_free(&a_pool);
}

int
main(void)
{
    char        small[8];
    POOL(a);
    mc_json_error_t  err;

    check(true, "{\"a\":1,\"b\":{\"c\":\"x\",\"d\":2}}",
          "{\"b\":{\"c\":\"x\"}}", "", "what others added");
    check(false, "{\"b\":{\"c\":\"y\"}}", "{\"b\":{\"c\":\"x\"}}", "b.c",
          "another value");
    check(false, "{\"b\":{}}", "{\"b\":{\"c\":\"x\"}}", "b.c", "no value");
    check(false, "{\"b\":\"1\"}", "{\"b\":1}", "b", "another type");
    check(false, "{\"b\":{}}", "{\"b\":[]}", "b", "another container");
    check(false, "{\"b\":[1]}", "{\"b\":\"1\"}", "b", "a list for a string");
    check(true, "{\"b\":1.0}", "{\"b\":1}", "", "numbers");
    check(false, "{\"b\":2}", "{\"b\":1}", "b", "other numbers");
    check(true, "{\"b\":true}", "{\"b\":true}", "", "booleans");
    check(false, "{\"b\":false}", "{\"b\":true}", "b", "other booleans");
    check(true, "{}", "{\"b\":null}", "", "null is absent");
    check(true, "{\"b\":null}", "{\"b\":{}}", "", "and so is nothing");
    check(false, "{\"b\":1}", "{\"b\":null}", "b", "absent is wanted");
    check(true, "{}", "{\"b\":[]}", "", "an empty list");
    check(true, "{}", "{\"b\":false,\"c\":0,\"d\":\"\"}", "",
          "what the API drops");
    check(false, "{\"b\":true}", "{\"b\":false}", "b", "true is not false");

    check(true, "{\"resources\":{\"limits\":{\"cpu\":\"1\","
          "\"memory\":\"1Gi\"}}}", "{\"resources\":{\"limits\":"
          "{\"cpu\":\"1000m\",\"memory\":\"1024Mi\"}}}", "", "quantities");
    check(true, "{\"cpu\":\"1\"}", "{\"cpu\":1}", "", "a number is one");
    check(true, "{\"memory\":\"9223372036854775807\"}",
          "{\"memory\":\"9999999999999Gi\"}", "", "too large and cut");
    check(false, "{\"memory\":\"1Gi\"}",
          "{\"memory\":\"9999999999999Gi\"}", "memory", "only one is");
    check(false, "{\"cpu\":\"1500m\"}", "{\"cpu\":\"1\"}", "cpu",
          "other quantities");
    check(false, "{\"value\":\"1000m\"}", "{\"value\":\"1\"}", "value",
          "elsewhere they are words");
    check(true, "{\"cpu\":\"x\"}", "{\"cpu\":\"x\"}", "", "no quantity");

    check(true, "{\"containers\":[{\"name\":\"sidecar\"},{\"name\":\"server\","
          "\"image\":\"i\",\"x\":1}]}", "{\"containers\":[{\"name\":\"server\","
          "\"image\":\"i\"}]}", "", "a list by name");
    check(false, "{\"containers\":[{\"name\":\"server\",\"image\":\"j\"}]}",
          "{\"containers\":[{\"name\":\"server\",\"image\":\"i\"}]}",
          "containers[name=server].image", "its member");
    check(false, "{\"containers\":[]}", "{\"containers\":[{\"name\":\"a\"}]}",
          "containers[name=a]", "an element that is not there");
    check(true, "{\"m\":[{\"name\":\"v\",\"mountPath\":\"/b\"},"
          "{\"name\":\"v\",\"mountPath\":\"/a\"}]}",
          "{\"m\":[{\"name\":\"v\",\"mountPath\":\"/a\"},"
          "{\"name\":\"v\",\"mountPath\":\"/b\"}]}", "",
          "the first key that tells them apart");
    check(false, "{\"p\":[{\"port\":2}]}", "{\"p\":[{\"port\":1}]}",
          "p[port=1]", "a key that is a number");
    check(true, "{\"args\":[\"a\",\"b\"]}", "{\"args\":[\"a\",\"b\"]}", "",
          "a list of words");
    check(false, "{\"args\":[\"b\",\"a\"]}", "{\"args\":[\"a\",\"b\"]}",
          "args[0]", "has an order");
    check(false, "{\"args\":[\"a\",\"b\"]}", "{\"args\":[\"a\"]}", "args",
          "and a length");
    check(true, "{\"finalizers\":[\"y\",\"x\"]}", "{\"finalizers\":[\"x\"]}",
          "", "finalizers are a set");
    check(false, "{\"finalizers\":[\"y\"]}", "{\"finalizers\":[\"x\"]}",
          "finalizers", "of which none may be missing");
    check(false, "{\"e\":[{\"from\":[{\"a\":1}]},{\"from\":[{\"a\":2}]}]}",
          "{\"e\":[{\"from\":[{\"a\":1}]},{\"from\":[{\"a\":3}]}]}",
          "e[1].from[0].a", "objects without a key are in order");

    ok(!mc_kube_contains(NULL, mc_json_parse(&a, "{\"a\":1}", 7, &err), small,
                         sizeof(small)), "nothing is there");
    ok(!mc_kube_contains(mc_json_parse(&a, "{}", 2, &err),
                         mc_json_parse(&a, "{\"abcdefghij\":1}", 16, &err),
                         small, sizeof(small)), "a small buffer");
    is(small, "abcdefg", "gets what fits");
    pool_free(&a_pool);
    return done_testing();
}
