/*
 * Paths, versions, and what the API's answers mean. Pure.
 */

#include "kube_private.h"
#include "tap.h"

static mc_arena_t       *arena;
static mc_kube_reply_t   got;

static void
answer(long status, const char *body)
{
    mc_http_reply_t  r = {
        .status = status, .body = body, .len = strlen(body),
        .error = status ? "" : "connection refused", .warning = ""
    };

    mc_kube_reply_read(&got, &r, "h:443", arena);
}

static void
means(long status, const char *body, mc_kube_result_t result)
{
    answer(status, body);
    is_int(got.result, result, "%ld %.60s", status, body);
    ok(got.message && (status / 100 == 2 || got.message[0]), "says: %s",
       got.message);
}

static void
codes(void)
{
    means(200, "{\"kind\":\"Pod\"}", MC_KUBE_OK);
    is(got.body, "{\"kind\":\"Pod\"}", "the object");
    means(201, "{}", MC_KUBE_OK);
    means(0, "", MC_KUBE_UNAVAILABLE);
    ok(strstr(got.message, "h:443: connection refused"), "who and why");
    means(301, "", MC_KUBE_INVALID);
    means(400, "{}", MC_KUBE_INVALID);
    means(401, "Unauthorized\n", MC_KUBE_UNAUTHORIZED);
    ok(strstr(got.message, "401: Unauthorized"), "plain text");
    is(got.body, "", "no object");
    means(403, "{}", MC_KUBE_FORBIDDEN);
    means(404, "404 page not found\n", MC_KUBE_NOT_FOUND);
    means(405, "{}", MC_KUBE_INVALID);
    means(406, "{}", MC_KUBE_INVALID);
    means(408, "{}", MC_KUBE_UNAVAILABLE);
    means(409, "{\"kind\":\"Status\",\"reason\":\"AlreadyExists\"}",
          MC_KUBE_ALREADY_EXISTS);
    means(409, "{\"kind\":\"Status\",\"reason\":\"Conflict\"}",
          MC_KUBE_CONFLICT);
    means(410, "{\"kind\":\"Status\",\"reason\":\"Expired\"}", MC_KUBE_GONE);
    means(415, "{}", MC_KUBE_INVALID);
    means(422, "{}", MC_KUBE_INVALID);
    means(422, "{\"kind\":\"Status\",\"details\":{\"causes\":[{\"field\":"
          "\"metadata.uid\"}]}}", MC_KUBE_CONFLICT);
    means(429, "", MC_KUBE_THROTTLED);
    means(500, "{}", MC_KUBE_UNAVAILABLE);
    means(502, "<html>\n", MC_KUBE_UNAVAILABLE);
    ok(strchr(got.message, '<') == NULL, "no markup");
    means(503, "{\"kind\":\"Status\"", MC_KUBE_UNAVAILABLE);
    means(504, "[1]", MC_KUBE_UNAVAILABLE);
}

static void
statuses(void)
{
    answer(422, "{\"kind\":\"Status\",\"reason\":\"Invalid\",\"message\":"
           "\"no such thing\",\"details\":{\"causes\":[{\"reason\":\"x\"},"
           "{\"field\":\"spec.a\"},{\"field\":\"spec.b\"}]}}");
    is(got.reason, "Invalid", "reason");
    is(got.message, "no such thing", "message");
    is(got.field, "spec.a", "the first field");
    is_int(got.retry_after_s, 0, "no time");
    answer(429, "{\"kind\":\"Status\",\"message\":\"m\",\"details\":"
           "{\"retryAfterSeconds\":7}}");
    is_int(got.retry_after_s, 7, "a time in the body");
    answer(504, "{\"kind\":\"Status\",\"reason\":\"Timeout\",\"details\":"
           "{\"causes\":[{\"reason\":\"ResourceVersionTooLarge\"}]}}");
    is(got.reason, "ResourceVersionTooLarge", "a replica that is behind");
    answer(403, "{\"kind\":\"Status\",\"reason\":7,\"message\":[],"
           "\"details\":\"?\"}");
    is(got.reason, "", "members of other types are none");
    ok(strstr(got.message, "403"), "and there is a sentence: %s",
       got.message);
}

static const char *
path(const mc_kube_type_t *type, const char *ns, const char *name,
    const char *sub, const char *query)
{
    static char     buf[256];
    mc_kube_call_t  call = {
        .type = type, .ns = ns, .name = name, .subresource = sub,
        .query = query
    };
    size_t          n = mc_kube_path(buf, sizeof(buf), &call);

    ok(n == strlen(buf) && mc_kube_path(NULL, 0, &call) == n, "measured");
    return buf;
}

static void
paths(void)
{
    char            small[8];
    mc_kube_call_t  call = { .type = &mc_kube_pod, .ns = "a", .name = "b" };

    is(path(&mc_kube_pod, "a", "b", "log", "follow=1"),
       "/api/v1/namespaces/a/pods/b/log?follow=1", "the core group");
    is(path(&mc_kube_stateful_set, "a", "", "", ""),
       "/apis/apps/v1/namespaces/a/statefulsets", "another, a collection");
    is(path(&mc_kube_minecraft_server, "", "", NULL, "limit=5"),
       "/apis/mchost.io/v1alpha1/minecraftservers?limit=5", "everywhere");
    is(path(&mc_kube_namespace, "x", "a", "", NULL), "/api/v1/namespaces/a",
       "not namespaced");
    is(path(&mc_kube_pod, "a/b", "..?", "", ""),
       "/api/v1/namespaces/a%2Fb/pods/..%3F", "escaped");
    mc_kube_path(small, sizeof(small), &call);
    is(small, "/api/v1", "cut where it ends");
}

static void
versions(void)
{
    ok(mc_kube_version_cmp("9", "10") < 0, "9 < 10");
    ok(mc_kube_version_cmp("10", "9") > 0, "10 > 9");
    ok(mc_kube_version_cmp("123", "123") == 0, "123 = 123");
    ok(mc_kube_version_cmp("0", "") == 0, "none is the first");
    ok(mc_kube_version_cmp("99999999999999999998", "99999999999999999999") < 0,
       "longer than 64 bits");
}

int
main(void)
{
    arena = mc_arena_create();
    codes();
    statuses();
    paths();
    versions();
    mc_arena_destroy(arena);
    return done_testing();
}
