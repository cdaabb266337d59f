/*
 * The client against an API server, that of KUBECONFIG; t/500-kube-client.t
 * runs it. "verbs" is a test of its own, on a real cluster. "ask" sends what
 * lines on standard input say, and prints what comes of it.
 */

#include <unistd.h>
#include "kube.h"
#include "../unit/tap.h"

static uv_loop_t         loop;
static mc_kube_t        *kube;
static unsigned          called;
static mc_kube_result_t  result;
static long              status;
static char              reason[64], message[512], field[128], body[16384];
static char              uid[64], version[64];
static int               retry_after_s;
static const char       *ns;
static char              streamed[65536];
static mc_kube_req_t    *stream;
static int               stream_does;   /* 1: cancel it from within */

static void
member(char *dst, size_t size, const char *name)
{
    char         key[80];
    const char  *p;

    snprintf(key, sizeof(key), "\"%s\":\"", name);
    p = strstr(body, key);
    dst[0] = '\0';
    if (p) {
        p += strlen(key);
        snprintf(dst, size, "%.*s", (int) strcspn(p, "\""), p);
    }
}

static void
on_done(void *data, const mc_kube_reply_t *r)
{
    (void) data;
    called++;
    uv_stop(&loop);
    result = r->result;
    status = r->status;
    retry_after_s = r->retry_after_s;
    snprintf(reason, sizeof(reason), "%s", r->reason);
    snprintf(message, sizeof(message), "%s", r->message);
    snprintf(field, sizeof(field), "%s", r->field);
    snprintf(body, sizeof(body), "%s", r->body);
    member(uid, sizeof(uid), "uid");
    member(version, sizeof(version), "resourceVersion");
}

static int
on_data(void *data, const char *p, size_t n)
{
    (void) data;
    snprintf(streamed + strlen(streamed), sizeof(streamed) - strlen(streamed),
             "%.*s", (int) n, p);
    if (stream_does == 1) {
        mc_kube_cancel(stream);
        stream = NULL;
        uv_stop(&loop);
    }
    return 0;
}

/* Until n callbacks have come. */
static void
run(unsigned n)
{
    while (called < n) {
        uv_run(&loop, UV_RUN_DEFAULT);      /* until on_done() stops it */
    }
    called = 0;
}

static void
get(const mc_kube_type_t *type, const char *ns, const char *name)
{
    ok(mc_kube_get(kube, type, ns, name, on_done, NULL) && called == 0,
       "GET %s %s: not called from within", type->plural, name);
    run(1);
}

static void
apply(const char *manager, const char *text)
{
    mc_kube_apply(kube, &mc_kube_config_map, ns, "client-test", "",
                  manager, text, strlen(text), on_done, NULL);
    run(1);
}

static void
verbs(void)
{
    static const char  map[] = "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\","
        "\"metadata\":{\"name\":\"client-test\"},\"data\":{\"a\":\"1\"}}";
    static const char  patch[] = "[{\"op\":\"test\",\"path\":\"/data/a\","
        "\"value\":\"%s\"},{\"op\":\"add\",\"path\":\"/data/b\","
        "\"value\":\"2\"}]";
    char               text[512], first[64];

    get(&mc_kube_config_map, ns, "client-test");
    is_int(result, MC_KUBE_NOT_FOUND, "what is not there");
    is(reason, "NotFound", "its reason");
    ok(strstr(message, "client-test"), "its sentence: %s", message);

    apply("test", map);
    is_int(status, 201, "applied");
    is_int(result, MC_KUBE_OK, "made: %s", message);
    ok(strstr(body, "\"a\":\"1\""), "the object comes back");
    snprintf(first, sizeof(first), "%s", version);
    apply("test", map);
    is_int(status, 200, "applied again");
    is(version, first, "and nothing written");

    snprintf(text, sizeof(text), patch, "1");
    mc_kube_json_patch(kube, &mc_kube_config_map, ns, "client-test", "",
                       text, strlen(text), on_done, NULL);
    run(1);
    is_int(result, MC_KUBE_OK, "a JSON patch: %s", message);
    ok(mc_kube_version_cmp(version, first) > 0, "a later version");
    snprintf(text, sizeof(text), patch, "7");
    mc_kube_json_patch(kube, &mc_kube_config_map, ns, "client-test", "",
                       text, strlen(text), on_done, NULL);
    run(1);
    is_int(result, MC_KUBE_INVALID, "one whose test fails: %s", message);
    is_int(status, 422, "422");

    snprintf(text, sizeof(text), "{\"apiVersion\":\"v1\",\"kind\":"
             "\"ConfigMap\",\"metadata\":{\"name\":\"client-test\",\"uid\":"
             "\"00000000-0000-0000-0000-000000000000\"}}");
    apply("test", text);
    is_int(result, MC_KUBE_CONFLICT, "another uid: %s", message);
    snprintf(text, sizeof(text), "{\"apiVersion\":\"v1\",\"kind\":"
             "\"ConfigMap\",\"metadata\":{\"name\":\"client-test\",\"labels\":"
             "{\"-\":\"?\"}}}");
    apply("test", text);
    is_int(result, MC_KUBE_INVALID, "a label that is none: %s", message);
    is(field, "metadata.labels", "and where");
}

static void
collections(void)
{
    static const char  text[] = "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\","
        "\"metadata\":{\"name\":\"client-test\"}}";
    mc_kube_call_t     call = {
        .method = "POST", .type = &mc_kube_config_map, .ns = ns,
        .content_type = "application/json", .body = text,
        .len = sizeof(text) - 1, .done = on_done
    };

    mc_kube_send(kube, &call);
    run(1);
    is_int(result, MC_KUBE_ALREADY_EXISTS, "made twice: %s", message);
    call = (mc_kube_call_t){
        .method = "GET", .type = &mc_kube_config_map, .ns = "",
        .query = "limit=500", .done = on_done
    };
    mc_kube_send(kube, &call);
    run(1);
    is_int(result, MC_KUBE_OK, "a list of all namespaces");
    ok(strstr(body, "ConfigMapList"), "which is one");
    call.query = "limit=500&resourceVersion=1&resourceVersionMatch=Exact";
    mc_kube_send(kube, &call);
    run(1);
    ok(result == MC_KUBE_GONE || result == MC_KUBE_OK,
       "an old version is gone or not yet: %s", message);
    call.max_body = 100;
    call.query = "";
    mc_kube_send(kube, &call);
    run(1);
    is_int(result, MC_KUBE_UNAVAILABLE, "an answer that is too long: %s",
           message);
}

static void
watch(void)
{
    mc_kube_call_t  call = {
        .method = "GET", .type = &mc_kube_config_map, .ns = ns,
        .query = "watch=1&timeoutSeconds=2&fieldSelector="
                 "metadata.name%3Dclient-test",
        .on_data = on_data, .done = on_done
    };

    streamed[0] = '\0';
    stream = mc_kube_send(kube, &call);
    run(1);
    ok(strstr(streamed, "\"type\":\"ADDED\""), "a watch");
    is_int(result, MC_KUBE_OK, "ends well: %s", message);
    is(body, "", "and leaves no body");

    stream_does = 1;
    streamed[0] = '\0';
    stream = mc_kube_send(kube, &call);
    while (stream) {
        uv_run(&loop, UV_RUN_DEFAULT);
    }
    get(&mc_kube_config_map, ns, "client-test");
    ok(*streamed && result == MC_KUBE_OK, "cancelled from within");

    call.query = "watch=1&timeoutSeconds=x";
    mc_kube_send(kube, &call);
    run(1);
    is_int(result, MC_KUBE_INVALID, "refused: %s", message);
}

static void
removal(void)
{
    char  own[64];

    get(&mc_kube_config_map, ns, "client-test");
    snprintf(own, sizeof(own), "%s", uid);
    mc_kube_delete(kube, &mc_kube_config_map, ns, "client-test",
                   "00000000-0000-0000-0000-000000000000", -1, on_done, NULL);
    run(1);
    is_int(result, MC_KUBE_CONFLICT, "another's is not deleted: %s", message);
    mc_kube_delete(kube, &mc_kube_config_map, ns, "client-test", own,
                   0, on_done, NULL);
    run(1);
    is_int(result, MC_KUBE_OK, "deleted: %s", message);
    mc_kube_delete(kube, &mc_kube_config_map, ns, "client-test", own,
                   -1, on_done, NULL);
    run(1);
    is_int(result, MC_KUBE_NOT_FOUND, "gone already: %s", message);
}

static void
many(void)
{
    unsigned  sent = 0;

    for (int i = 0; i < 150; i++) {
        sent += mc_kube_get(kube, &mc_kube_config_map, ns, "none", on_done,
                            NULL) != NULL;
    }
    run(150);
    ok(sent == 150 && result == MC_KUBE_NOT_FOUND, "150 at once, all in turn");
    ok(mc_kube_ready(kube), "the API answers");
    mc_kube_get(kube, &mc_kube_config_map, ns, "none", on_done, NULL);
    mc_kube_destroy(kube);
    uv_run(&loop, UV_RUN_DEFAULT);
    is_int(called, 0, "destroyed in the middle: nothing is called");
    is_int(uv_loop_close(&loop), 0, "nothing is left open");
}

static int
test_verbs(const char *err)
{
    if (!ok(kube, "credentials: %s", err)) {
        return done_testing();
    }
    ok(mc_kube_ready(kube), "ready before anything was asked");
    verbs();
    collections();
    watch();
    removal();
    many();
    return done_testing();
}


/* -- questions -- */

static const char *const  results[] = {
    "ok", "not found", "already exists", "conflict", "forbidden",
    "unauthorized", "invalid", "gone", "throttled", "unavailable"
};

static void
tell(void)
{
    printf("%s %ld %d %s %s %.*s\n", results[result], status, retry_after_s,
           mc_kube_ready(kube) ? "ready" : "unready", message,
           (int) strcspn(body, "\n"), body);
    fflush(stdout);
}

/* "N METHOD NAME": so many times at once, a ConfigMap of that name. */
static void
question(const char *line)
{
    mc_kube_call_t  call = {
        .type = &mc_kube_config_map, .ns = ns, .done = on_done
    };
    char            method[16], name[64];
    unsigned        n, sent = 0;

    if (sscanf(line, "%u %15s %63s", &n, method, name) != 3) {
        return;
    }
    call.method = method;
    call.name = name;
    if (strcmp(method, "GET") != 0) {
        call.body = "{}";
        call.len = 2;
        call.content_type = "application/json";
    }
    uv_update_time(&loop);
    for (unsigned i = 0; i < n; i++) {
        sent += mc_kube_send(kube, &call) != NULL;
    }
    if (sent < n) {
        printf("%u taken ", sent);
    }
    run(sent);
    tell();
}

static int
ask(const char *err)
{
    char  line[256];

    if (kube == NULL) {
        printf("no credentials: %s\n", err);
        uv_run(&loop, UV_RUN_DEFAULT);
        return uv_loop_close(&loop);
    }
    while (fgets(line, sizeof(line), stdin)) {
        question(line);
    }
    mc_kube_destroy(kube);
    uv_run(&loop, UV_RUN_DEFAULT);
    return uv_loop_close(&loop);
}

int
main(int argc, char **argv)
{
    mc_kube_conf_t  conf = { .kubeconfig = "", .context = "", .qps = 1000,
                             .burst = 200 };
    char            err[512] = "";

    if (argc < 2) {
        fprintf(stderr, "usage: kube_live verbs | ask …\n");
        return 2;
    }
    uv_loop_init(&loop);
    kube = mc_kube_create(&loop, &conf, err, sizeof(err));
    if (kube) {
        ns = mc_kube_own_namespace(kube);
    }
    return strcmp(argv[1], "verbs") == 0 ? test_verbs(err) : ask(err);
}
