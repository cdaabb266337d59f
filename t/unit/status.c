/*
 * The status document.
 */

#include "clock.h"
#include "pool.h"
#include "status.h"
#include "tap.h"

#define NOW   1795492518123LL           /* 2026-11-24T03:55:18.123Z */

static pool_t             pool = { .left = -1 };
static mc_alloc_t         a = { pool_alloc, &pool };
static mc_server_t        server;
static mc_observed_t      obs;
static mc_facts_t         facts;
static mc_plan_t          plan;
static mc_status_input_t  in;


static mc_json_t *
json(const char *text)
{
    mc_json_error_t  err;

    return mc_json_parse(&a, text, strlen(text), &err);
}


static void
reset(void)
{
    memset(&server, 0, sizeof(server));
    memset(&obs, 0, sizeof(obs));
    memset(&facts, 0, sizeof(facts));
    memset(&plan, 0, sizeof(plan));
    strcpy(server.id, "01920000-0000-7000-8000-000000000001");
    server.spec = json("{\"storage\":{\"size\":\"10Gi\"},\"properties\":{\"maxPlayers\":8}}");
    server.generation = 5;
    obs.volume = true;
    obs.pod = MC_POD_RUNNING;
    obs.started_ms = NOW - 60000;
    strcpy(obs.host, "127.0.0.1");
    obs.port = 25570;
    facts.ping = MC_PING_ANSWERED;
    facts.was_ready = true;
    facts.players = 2;
    facts.players_max = 20;
    strcpy(facts.version, "1.20.4");
    plan.state = MC_STATE_RUNNING;
    plan.progress = "Running";
    plan.in_sync = true;
    in = (mc_status_input_t) {
        .server = &server, .obs = &obs, .plan = &plan, .facts = &facts,
        .observed_generation = 5, .now_ms = NOW
    };
}


static const char *
field(const mc_json_t *status, const char *type, const char *name)
{
    return mc_json_str(mc_json_get(mc_status_condition(status, type), name), NULL);
}


static void
test_running(void)
{
    mc_json_t  *s;
    char        text[4096];

    reset();
    s = mc_status_build(&a, &in);
    is_int(mc_json_int(mc_json_get(s, "observedGeneration"), 0), 5, "generation");
    is(mc_json_str(mc_json_get(s, "state"), ""), "Running", "state");
    is(mc_json_str(mc_json_at(s, "address.host"), ""), "127.0.0.1", "host");
    is_int(mc_json_int(mc_json_at(s, "address.port"), 0), 25570, "port");
    ok(mc_json_at(s, "address.hostname") == NULL, "no hostname");
    is_int(mc_json_int(mc_json_at(s, "players.online"), 0), 2, "players");
    is_int(mc_json_int(mc_json_at(s, "players.max"), 0), 20, "places");
    is(mc_json_str(mc_json_get(s, "version"), ""), "1.20.4", "version");
    is(mc_json_str(mc_json_at(s, "storage.claimName"), ""),
       "mc-01920000-0000-7000-8000-000000000001", "claim");
    is(mc_json_str(mc_json_at(s, "storage.capacity"), ""), "10Gi", "capacity");
    is(mc_json_str(mc_json_get(s, "startedAt"), ""), "2026-11-24T03:54:18.123Z", "start");
    ok(mc_json_get(s, "message") == NULL, "no message");
    is(field(s, "Ready", "status"), "True", "Ready");
    is(field(s, "Ready", "lastTransitionTime"), "2026-11-24T03:55:18.123Z", "since now");
    is(field(s, "Progressing", "status"), "False", "Progressing");
    is(field(s, "ConfigInSync", "status"), "True", "ConfigInSync");
    is(field(s, "RestartPending", "status"), "False", "RestartPending");
    is(field(s, "StorageReady", "status"), "True", "StorageReady");
    is(field(s, "Degraded", "status"), "False", "Degraded");
    ok(mc_json_write(text, sizeof(text), s) < sizeof(text), "%s", "writes");
    is_int(mc_status_started_ms(s), NOW - 60000, "reads its own start");
    is_int(mc_status_state(s), MC_STATE_RUNNING, "and its own state");

    server.spec = json("{\"network\":{\"hostnames\":[\"play.example.com\"]}}");
    s = mc_status_build(&a, &in);
    is(mc_json_str(mc_json_at(s, "address.hostname"), ""), "play.example.com", "hostname");
}


static void
test_transitions(void)
{
    mc_json_t  *first, *second, *third;

    reset();
    first = mc_status_build(&a, &in);
    in.previous = first;
    in.now_ms = NOW + 5000;
    second = mc_status_build(&a, &in);
    ok(mc_status_equal(first, second), "nothing changed: the same status");

    facts.ping = MC_PING_FAILED;
    strcpy(plan.degraded, "Unresponsive");
    strcpy(plan.message, "no answer");
    third = mc_status_build(&a, &in);
    ok(!mc_status_equal(first, third), "a change is one");
    is(field(third, "Ready", "status"), "False", "not ready");
    is(field(third, "Ready", "lastTransitionTime"), "2026-11-24T03:55:23.123Z",
       "a condition that flips has a new time");
    is(field(third, "StorageReady", "lastTransitionTime"), "2026-11-24T03:55:18.123Z",
       "one that does not keeps its time");
    is(field(third, "Degraded", "reason"), "Unresponsive", "the reason");
    is(mc_json_str(mc_json_get(third, "message"), ""), "no answer", "and the message");

    in.previous = json("{\"state\":\"Running\"}");
    ok(mc_status_build(&a, &in) != NULL, "a previous status without conditions");
    in.previous = json("{\"state\":7,\"conditions\":{\"x\":1},\"startedAt\":\"soon\"}");
    ok(mc_status_build(&a, &in) != NULL, "a previous status that is nonsense");
    in.previous = json("[]");
    ok(mc_status_build(&a, &in) != NULL, "one that is no object");
}


static void
test_equal(void)
{
    ok(mc_status_equal(json("{\"a\":1,\"b\":[true,null,\"x\"]}"),
                       json("{\"b\":[true,null,\"x\"],\"a\":1}")), "members in any order");
    ok(!mc_status_equal(json("{\"a\":1}"), json("{\"a\":2}")), "another number");
    ok(!mc_status_equal(json("{\"a\":1}"), json("{\"b\":1}")), "another name");
    ok(!mc_status_equal(json("{\"a\":1}"), json("{\"a\":1,\"b\":1}")), "one more");
    ok(!mc_status_equal(json("[1,2]"), json("[2,1]")), "another order of elements");
    ok(!mc_status_equal(json("true"), json("false")), "true is not false");
    ok(!mc_status_equal(json("{}"), NULL) && mc_status_equal(NULL, NULL), "NULL");
}


static void
test_starting(void)
{
    mc_json_t  *s;

    reset();
    facts = (mc_facts_t) { .players = -1 };
    plan.state = MC_STATE_STARTING;
    plan.progress = "Starting";
    plan.progressing = true;
    s = mc_status_build(&a, &in);
    is(field(s, "Ready", "status"), "False", "not ready");
    is(field(s, "Ready", "reason"), "Starting", "because it starts");
    is(field(s, "Progressing", "status"), "True", "progressing");
    is_int(mc_json_int(mc_json_at(s, "players.online"), -1), 0, "nobody plays");
    is_int(mc_json_int(mc_json_at(s, "players.max"), -1), 8, "places by the spec");

    plan.state = MC_STATE_STOPPED;
    obs.pod = MC_POD_EXITED;
    in.previous = s;
    s = mc_status_build(&a, &in);
    is(field(s, "Ready", "reason"), "Stopped", "stopped");
    ok(mc_json_get(s, "startedAt") == NULL, "without a start");

    plan.in_sync = false;
    plan.restart_pending = true;
    plan.state = MC_STATE_RUNNING;
    obs.pod = MC_POD_RUNNING;
    s = mc_status_build(&a, &in);
    is(field(s, "ConfigInSync", "status"), "False", "not in sync");
    is(field(s, "RestartPending", "status"), "True", "a restart is pending");

    facts.players = -1;
    facts.ping = MC_PING_ANSWERED;
    s = mc_status_build(&a, &in);
    ok(mc_json_at(s, "players.online") == NULL, "a server may hide its players");
}


/* A reconciler that was started anew knows nothing of pings yet. */
static void
test_restarted(void)
{
    mc_json_t  *before, *after;

    reset();
    before = mc_status_build(&a, &in);
    in.previous = before;
    in.now_ms = NOW + 100000;
    facts = (mc_facts_t) { .was_ready = true, .players = -1 };
    after = mc_status_build(&a, &in);
    ok(mc_status_equal(before, after), "says what was said until it knows better");

    obs.started_ms = NOW + 90000;
    after = mc_status_build(&a, &in);
    is(field(after, "Ready", "status"), "False", "but not of another start");
}


static void
test_engine_away(void)
{
    mc_engine_error_t   err = { "EngineUnavailable", "Podman does not answer", true };
    mc_json_t          *before, *s;

    reset();
    before = mc_status_build(&a, &in);
    in.previous = before;
    in.obs = NULL;
    in.plan = NULL;
    in.engine_error = &err;
    in.observed_generation = 4;
    s = mc_status_build(&a, &in);
    is(mc_json_str(mc_json_get(s, "state"), ""), "Running", "the state is kept");
    is(field(s, "Degraded", "status"), "True", "degraded");
    is(field(s, "Degraded", "reason"), "EngineUnavailable", "with the reason");
    is(field(s, "Ready", "status"), "True", "a server that answers is ready");
    is(field(s, "StorageReady", "status"), "True", "what is not known is kept");
    is_int(mc_json_int(mc_json_at(s, "address.port"), 0), 25570, "the address too");
    is(mc_json_str(mc_json_get(s, "startedAt"), ""), "2026-11-24T03:54:18.123Z", "and the start");
    is(mc_json_str(mc_json_get(s, "message"), ""), "Podman does not answer", "message");
    in.previous = s;
    ok(mc_status_equal(s, mc_status_build(&a, &in)), "and it stays the same");

    in.previous = NULL;
    s = mc_status_build(&a, &in);
    is(mc_json_str(mc_json_get(s, "state"), ""), "Pending", "a new server is pending");
    is(field(s, "StorageReady", "status"), "Unknown", "and unknown");
    server.deleted = true;
    s = mc_status_build(&a, &in);
    is(mc_json_str(mc_json_get(s, "state"), ""), "Deleting", "a tombstone is deleting");
}


static void
test_kubernetes(void)
{
    mc_json_t  *before, *s;

    reset();
    server.spec = json("{\"storage\":{\"size\":\"10Gi\"},\"addons\":[{\"name\":\"x\"}],"
                       "\"updateWindow\":{\"cron\":\"@daily\"}}");
    strcpy(obs.claim, "mc-world");
    obs.pod = MC_POD_PENDING;
    plan.state = MC_STATE_STARTING;
    strcpy(obs.storage_trouble.reason, "ClaimPending");
    strcpy(obs.storage_trouble.message, "no storage class");
    s = mc_status_build(&a, &in);
    is(field(s, "StorageReady", "status"), "False", "storage that is not there yet");
    is(field(s, "StorageReady", "reason"), "ClaimPending", "says why");
    is(field(s, "StorageReady", "message"), "no storage class", "in words");
    is(field(s, "AddonsResolved", "status"), "Unknown", "add-ons are not known yet");
    is(mc_json_str(mc_json_at(s, "storage.claimName"), ""), "mc-world", "the claim");
    ok(mc_json_at(s, "storage.capacity") == NULL, "has no capacity yet");
    ok(mc_status_condition(s, "Paused") == NULL, "it was never paused");

    obs.storage_trouble.reason[0] = '\0';
    strcpy(obs.capacity, "12Gi");
    strcpy(obs.trouble.reason, "AddonFailed");
    strcpy(obs.trouble.message, "x: wrong checksum");
    obs.paused = true;
    s = mc_status_build(&a, &in);
    is(mc_json_str(mc_json_at(s, "storage.capacity"), ""), "12Gi", "the real capacity");
    is(field(s, "AddonsResolved", "status"), "False", "an add-on that is none");
    is(field(s, "AddonsResolved", "reason"), "AddonFailed", "says why");
    is(field(s, "Paused", "status"), "True", "paused");

    in.previous = before = s;
    obs.trouble.reason[0] = '\0';
    obs.paused = false;
    obs.pod = MC_POD_RUNNING;
    plan.state = MC_STATE_RUNNING;
    plan.restart_pending = true;
    s = mc_status_build(&a, &in);
    is(field(s, "AddonsResolved", "status"), "True", "a game that runs has them");
    is(field(s, "Paused", "status"), "False", "no longer paused");
    ok(strstr(field(s, "RestartPending", "message"), "update window") != NULL,
       "the update window is named");

    in.obs = NULL;
    in.plan = NULL;
    in.engine_error = &(mc_engine_error_t) { "EngineUnavailable", "away", true };
    in.previous = before;
    s = mc_status_build(&a, &in);
    is(field(s, "Paused", "status"), "True", "what is not known is kept");
    is(field(s, "AddonsResolved", "status"), "False", "add-ons too");
}


static void
test_memory(void)
{
    long  n = 0;
    mc_json_t  *s;

    reset();
    do {
        pool.left = n++;
        s = mc_status_build(&a, &in);
        pool.left = -1;
    } while (s == NULL && n < 10000);
    ok(s != NULL && n > 50, "every failed allocation is noticed (%ld)", n);
}


static void
test_time(void)
{
    char  text[MC_TIME_LEN + 1];

    mc_time_format(text, NOW);
    is(text, "2026-11-24T03:55:18.123Z", "time as text");
    ok(mc_time_parse_ns(text) == NOW * 1000000, "and back");
    ok(mc_time_parse_ns("2026-11-24T03:55:18.123456789Z")
       == NOW * 1000000 + 456789, "nanoseconds");
    ok(mc_time_parse_ns("2026-11-24T05:55:18.1+02:00")
       == NOW * 1000000 - 23000000, "an offset");
    ok(mc_time_parse_ns("2026-11-24T03:55:18Z") == NOW * 1000000 - 123000000, "whole seconds");
    is_int(mc_time_parse_ns("2026-11-24 03:55:18Z"), -1, "no T");
    is_int(mc_time_parse_ns("2026-11-24T03:55:18"), -1, "no zone");
    is_int(mc_time_parse_ns("2026-11-24T03:55:18Zz"), -1, "more behind it");
    is_int(mc_time_parse_ns("0001-01-01T00:00:00Z"), -1, "Go's zero time");
    is_int(mc_time_parse_ns(""), -1, "nothing");
}


int
main(void)
{
    test_running();
    test_transitions();
    test_equal();
    test_starting();
    test_restarted();
    test_engine_away();
    test_kubernetes();
    test_memory();
    test_time();
    pool_free(&pool);
    return done_testing();
}
