/*
 * What is remembered between two looks at a server, and the way to a console.
 */

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>
#include "app.h"
#include "lifecycle_private.h"
#include "pool.h"
#include "secret.h"
#include "tap.h"

#define START  1795492518123LL

static pool_t       pool = { .left = -1 };
static uv_loop_t    loop;
static mc_app_t     app;
static mc_record_t  rec;


static mc_json_t *
json(const char *text)
{
    mc_alloc_t       a = { pool_alloc, &pool };
    mc_json_error_t  err;

    return mc_json_parse(&a, text, strlen(text), &err);
}


static void
reset(const char *spec)
{
    mc_lifecycle_forget(&rec);
    memset(&rec, 0, sizeof(rec));
    strcpy(rec.id, "01920000-0000-7000-8000-000000000001");
    rec.row.server.spec = json(spec);
    rec.row.server.generation = 1;
    rec.facts.players = -1;
}


static void
sees(mc_pod_state_t pod, int64_t started)
{
    rec.obs.pod = pod;
    rec.obs.started_ms = started;
    mc_lifecycle_digest(&rec);
}


#define EASY  "{\"properties\":{\"difficulty\":\"easy\",\"motd\":\"a\"}}"
#define HARD  "{\"properties\":{\"difficulty\":\"hard\",\"motd\":\"b\"}}"

static void
test_memory(void)
{
    reset(EASY);
    sees(MC_POD_ABSENT, 0);
    mc_lifecycle_made(&rec, true);
    sees(MC_POD_RUNNING, START);
    ok(!rec.facts.hot && !rec.facts.made_old, "a game has what its pod was made from");

    rec.row.server.spec = json(HARD);
    sees(MC_POD_RUNNING, START);
    ok(rec.facts.hot && rec.facts.made_old, "a change for the console");
    ok(mc_lifecycle_goes_by(&rec) != NULL, "from a spec that is known");
    mc_lifecycle_told(&rec);
    sees(MC_POD_RUNNING, START);
    ok(!rec.facts.hot, "told: the game has it");
    ok(rec.facts.made_old, "but would not after a start from the old pod");

    sees(MC_POD_RUNNING, START + 1000);
    ok(rec.facts.hot, "as it does not after a crash");
    mc_lifecycle_made(&rec, true);
    sees(MC_POD_RUNNING, START + 2000);
    ok(!rec.facts.hot && !rec.facts.made_old, "unless what it starts from was mended");

    mc_lifecycle_made(&rec, false);
    sees(MC_POD_RUNNING, START + 3000);
    ok(rec.facts.hot && mc_lifecycle_goes_by(&rec) == NULL, "nobody can tell");

    reset(EASY);
    sees(MC_POD_RUNNING, START);
    ok(rec.facts.hot && mc_lifecycle_goes_by(&rec) == NULL,
       "nor of a pod from before this process");
}


static void
test_digest(void)
{
    reset(EASY);
    rec.row.status = json("{\"state\":\"Running\",\"startedAt\":\"2026-11-24T03:55:18.123Z\"}");
    sees(MC_POD_RUNNING, START);
    ok(rec.facts.was_ready, "a game that was ready before this process is ready");
    rec.facts.ping = MC_PING_ANSWERED;
    rec.rcon_away = true;
    sees(MC_POD_RUNNING, START + 1);
    ok(!rec.facts.was_ready && rec.facts.ping == MC_PING_UNKNOWN,
       "another start is not");
    ok(!rec.rcon_away, "and RCON is tried again");

    mc_facts_fail(&rec.facts, MC_ACTION_STOP, 1, "x", "y", true, START);
    mc_facts_fail(&rec.facts, MC_ACTION_APPLY, 1, "x", "y", true, START);
    rec.facts.was_ready = true;
    sees(MC_POD_RUNNING, START + 1);
    is_int(rec.facts.failure.count, 1, "a stop that failed is not forgotten by a game that runs");
    mc_facts_fail(&rec.facts, MC_ACTION_STOP, 1, "x", "y", true, START);
    is_int(rec.facts.failure.count, 2, "and counted");
    mc_facts_succeed(&rec.facts, MC_ACTION_REMOVE);
    is_int(rec.facts.failure.count, 2, "until it succeeds itself");
    mc_facts_succeed(&rec.facts, MC_ACTION_STOP);
    is_int(rec.facts.failure.count, 0, "at last");
    is_int(rec.facts.mending.count, 1, "what mends a running game is counted apart");
    mc_facts_fail(&rec.facts, MC_ACTION_CREATE, 1, "x", "y", true, START);
    sees(MC_POD_RUNNING, START + 1);
    is_int(rec.facts.failure.count, 0, "a game that runs was created");

    rec.facts.asked_ms = START;
    sees(MC_POD_EXITED, START + 1);
    ok(rec.facts.stopped && rec.facts.asked_ms == 0, "an exit that was asked for");
    is_int(rec.facts.crashes, 0, "is no crash");
}


static void
test_window(void)
{
    reset("{\"updateWindow\":{\"cron\":\"* * * * *\",\"timeZone\":\"Europe/Berlin\"}}");
    strcpy(rec.obs.pod_hash, "old");
    rec.obs.pod = MC_POD_RUNNING;
    ok(mc_lifecycle_window_good(&app, &rec), "a window that can be understood");
    mc_lifecycle_window(&app, &rec, "new");
    ok(rec.facts.window, "is always open");
    ok(rec.facts.window_ms > 0 && rec.facts.window_ms <= 60000, "and looked at every minute");
    mc_lifecycle_window(&app, &rec, "old");
    ok(!rec.facts.window && rec.facts.window_ms == 0, "not when nothing waits for it");

    rec.row.server.spec = json("{\"updateWindow\":{\"cron\":\"99 * * * *\"}}");
    ok(!mc_lifecycle_window_good(&app, &rec), "one that names no time");
    mc_lifecycle_window(&app, &rec, "new");
    ok(!rec.facts.window, "never opens");
    rec.row.server.spec = json("{\"updateWindow\":{\"cron\":\"* * * * *\",\"timeZone\":\"No/Where\"}}");
    ok(!mc_lifecycle_window_good(&app, &rec), "nor one in no zone");
    rec.row.server.spec = json("{}");
    ok(mc_lifecycle_window_good(&app, &rec), "none is fine");
}


/* -- consoles -- */

static char                 heard[64];
static mc_engine_output_pt  output;
static void                *output_data;
static int                  answers;
static mc_rcon_status_t     answer;
static char                 said[64];


static void
engine_console(mc_engine_t *e, const mc_server_t *s, const char *command,
    mc_engine_output_pt cb, void *data)
{
    (void) e;
    (void) s;
    snprintf(heard, sizeof(heard), "%s", command);
    output = cb;
    output_data = data;
}


static void
on_answer(void *data, mc_rcon_status_t status, const char *text, size_t len,
    const char *message)
{
    (void) data;
    answers++;
    answer = status;
    snprintf(said, sizeof(said), "%.*s%s", (int) len, text, message);
}


/* A port that nobody listens on. */
static uint16_t
closed_port(void)
{
    struct sockaddr_in  sin = { .sin_family = AF_INET };
    socklen_t           len = sizeof(sin);
    int                 fd = socket(AF_INET, SOCK_STREAM, 0);

    inet_pton(AF_INET, "127.0.0.1", &sin.sin_addr);
    bind(fd, (struct sockaddr *) &sin, sizeof(sin));
    getsockname(fd, (struct sockaddr *) &sin, &len);
    close(fd);
    return ntohs(sin.sin_port);
}


static void
test_talk(void)
{
    static mc_engine_ops_t  ops = { .console = engine_console };
    static mc_engine_t      engine = { &ops };
    mc_engine_error_t       err = { "ConsoleUnavailable", "no shell", true };
    mc_talk_t              *talk;

    reset(EASY);
    app.engine = &engine;
    app.loop = &loop;
    rec.obs.pod = MC_POD_RUNNING;
    strcpy(rec.obs.rcon_host, "127.0.0.1");
    rec.obs.rcon_port = closed_port();
    ok(mc_talk_possible(&app, &rec), "there is a console");

    ok(mc_talk(&app, &rec, "list", 5000, on_answer, NULL) != NULL, "a command");
    while (output == NULL && uv_run(&loop, UV_RUN_ONCE)) { }
    is(heard, "list", "goes to the engine where RCON is out of reach");
    output(output_data, "nobody", 6, NULL);
    is_int(answers, 1, "is answered once");
    is_int(answer, MC_RCON_OK, "well");
    is(said, "nobody", "with what the game said");

    output = NULL;
    mc_talk(&app, &rec, "seed", 5000, on_answer, NULL);
    is(heard, "seed", "the next one takes that way at once");
    output(output_data, NULL, 0, &err);
    is_int(answer, MC_RCON_UNREACHABLE, "which may fail");
    is(said, "no shell", "with a reason");

    talk = mc_talk(&app, &rec, "stop", 5000, on_answer, NULL);
    mc_talk_cancel(talk);
    output(output_data, "late", 4, NULL);
    is_int(answers, 2, "an answer that nobody waits for is dropped");

    mc_talk(&app, &rec, "help", 5000, on_answer, NULL);
    mc_talk_abandon(&app);
    ok(app.talks == NULL, "the end of all");

    ops.console = NULL;
    rec.rcon_away = false;
    mc_talk(&app, &rec, "list", 5000, on_answer, NULL);
    while (answers == 2 && uv_run(&loop, UV_RUN_ONCE)) { }
    is_int(answer, MC_RCON_UNREACHABLE, "an engine without a console");
    rec.obs.rcon_host[0] = '\0';
    ok(!mc_talk_possible(&app, &rec), "and no RCON: no console");
    ok(mc_talk(&app, &rec, "list", 5000, on_answer, NULL) == NULL, "at all");
}


int
main(void)
{
    char  file[] = "/tmp/mchost-secret-XXXXXX", err[256];
    int   fd = mkstemp(file);

    dprintf(fd, "a secret of more than sixteen bytes\n");
    close(fd);
    is_int(mc_secret_load(file, err, sizeof(err)), 0, "a secret");
    unlink(file);
    uv_loop_init(&loop);
    app.zones = mc_map_create();
    test_memory();
    test_digest();
    test_window();
    test_talk();
    mc_lifecycle_forget(&rec);
    mc_lifecycle_zones_free(&app);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    mc_secret_unload();
    pool_free(&pool);
    return done_testing();
}
