/*
 * The planner.
 */

#include <stdio.h>
#include <string.h>
#include "plan.h"

#define STOP_LOOK_MS     1000       /* how often a stopping server is looked at */
#define SIGNAL_GRACE_S   10         /* after the console's "stop" had no effect */
#define GRACE_S          60         /* without shutdown.graceSeconds */
#define GONE_LOOK_MS     10000      /* should nobody tell that a pod is gone */
#define RESTARTS_FAILED  4          /* in a row: it will not come up like this */

/* What all parts of the planner share. */
typedef struct {
    const mc_server_t    *s;
    const mc_observed_t  *obs;
    const mc_facts_t     *facts;
    int64_t               now;
    int64_t               start_timeout;
    bool                  same_hash;
    bool                  same_token;
    mc_plan_t            *plan;
} view_t;


static void
act(mc_plan_t *plan, mc_action_t action)
{
    plan->actions[plan->n++] = action;
    plan->progressing = true;
}


static void
wait_for(mc_plan_t *plan, int64_t ms)
{
    if (plan->wait_ms < 0 || ms < plan->wait_ms) {
        plan->wait_ms = ms > 0 ? ms : 1;
    }
}


static void
degrade(mc_plan_t *plan, const char *reason, const char *message)
{
    snprintf(plan->degraded, sizeof(plan->degraded), "%s", reason);
    snprintf(plan->message, sizeof(plan->message), "%s", message);
}


/* True while a failure forbids another attempt; says so in the plan. */
static bool
held_back_by(const view_t *v, const mc_failure_t *f)
{
    if (f->count == 0 || f->generation != v->s->generation) {
        return false;
    }
    degrade(v->plan, f->reason, f->message);

    if (v->now >= f->retry_at_ms) {
        return false;
    }
    v->plan->progressing = f->retry;
    wait_for(v->plan, f->retry_at_ms - v->now);
    return true;
}


static bool
held_back(const view_t *v)
{
    return held_back_by(v, &v->facts->failure);
}


/* True when a pod is there that has to be ended before anything else. */
static bool
has_pod(const view_t *v)
{
    switch (v->obs->pod) {
    case MC_POD_RUNNING:
    case MC_POD_PENDING:
    case MC_POD_STOPPING:
        return true;
    default:
        return false;
    }
}


/* What to call what is there, when nothing is to be done about it. */
static mc_state_t
state_of_pod(const view_t *v)
{
    const char  *policy = mc_json_str(mc_json_get(v->s->spec, "runPolicy"),
                                      "Always");

    switch (v->obs->pod) {
    case MC_POD_RUNNING:
        return v->facts->was_ready ? MC_STATE_RUNNING : MC_STATE_STARTING;
    case MC_POD_PENDING:
        return MC_STATE_STARTING;
    case MC_POD_STOPPING:
        return MC_STATE_STOPPING;
    default:
        return strcmp(policy, "Stopped") == 0 || v->obs->paused
               ? MC_STATE_STOPPED : MC_STATE_PENDING;
    }
}


/* -- stopping -- */

static int
seconds(const mc_server_t *s, const char *path, int def)
{
    int64_t  n = mc_json_int(mc_json_at(s->spec, path), def);

    return n < 0 ? 0 : n > 3600 ? 3600 : (int) n;
}


/* Tells the players, once, and gives them their time. True: not yet over. */
static bool
announcing(const view_t *v)
{
    const mc_facts_t  *f = v->facts;
    int                announce = seconds(v->s, "shutdown.announceSeconds", 0);
    int64_t            left;

    v->plan->announce_s = announce;
    if (announce == 0 || !f->was_ready || f->players == 0) {
        return false;
    }
    if (f->announced_ms == 0) {
        act(v->plan, MC_ACTION_ANNOUNCE);
        return true;
    }
    left = f->announced_ms + (int64_t) announce * 1000 - v->now;
    if (left <= 0) {
        return false;
    }
    wait_for(v->plan, left);
    return true;
}


/* The engine would start a game again that ended by itself: it must be the
 * one that ends it. The game saves when it is signalled. */
static void
plan_stop_by_engine(const view_t *v)
{
    mc_plan_t  *plan = v->plan;

    plan->grace_s = seconds(v->s, "shutdown.graceSeconds", GRACE_S);
    if (v->obs->pod == MC_POD_STOPPING) {
        wait_for(plan, GONE_LOOK_MS);
        return;
    }
    if (v->obs->pod == MC_POD_RUNNING && announcing(v)) {
        return;
    }
    if (!held_back(v)) {
        act(plan, MC_ACTION_STOP);
    }
}


/* At once, whatever is under way. */
static void
plan_kill(const view_t *v)
{
    v->plan->grace_s = 0;
    if (v->obs->pod == MC_POD_STOPPING
        && v->facts->killed == v->s->generation)
    {
        wait_for(v->plan, GONE_LOOK_MS);

    } else if (!held_back(v)) {
        act(v->plan, MC_ACTION_STOP);
    }
}


/* One step further towards a pod that is not running: tell the players, ask
 * the game to save and end, and only then signal. */
static void
plan_stop(const view_t *v)
{
    const mc_facts_t  *f = v->facts;
    mc_plan_t         *plan = v->plan;
    int                grace = seconds(v->s, "shutdown.graceSeconds", GRACE_S);
    int64_t            left;

    plan->stopping = true;
    plan->progressing = true;
    if (v->s->kill) {
        plan_kill(v);
        return;
    }
    if (v->obs->self_healing || v->obs->pod != MC_POD_RUNNING) {
        plan_stop_by_engine(v);
        return;
    }

    plan->grace_s = f->console_failed || grace < SIGNAL_GRACE_S
                    ? grace : SIGNAL_GRACE_S;
    if (f->asked_ms > 0) {
        left = f->asked_ms + (int64_t) grace * 1000 - v->now;
        if (left > 0) {
            wait_for(plan, left < STOP_LOOK_MS ? left : STOP_LOOK_MS);
            return;
        }
    } else if (!f->console_failed) {
        if (!announcing(v)) {
            act(plan, MC_ACTION_CONSOLE_STOP);
        }
        return;
    }

    if (!held_back(v)) {
        act(plan, MC_ACTION_STOP);
    }
}


/* -- the wishes -- */

/* Two keys to a world: a row's tombstone is one already; a resource goes with
 * its namespace, and takes the world along only if it is named. */
static bool
takes_world(const mc_server_t *s)
{
    const char  *retention = mc_json_str(mc_json_at(s->spec,
                                                    "storage.retention"), "Retain");
    bool         policy = strcmp(retention, "Delete") == 0;

    return s->gitops ? policy && s->purge : policy || s->purge;
}


static void
plan_delete(const view_t *v)
{
    mc_plan_t  *plan = v->plan;

    plan->state = MC_STATE_DELETING;
    plan->progress = "Deleting";
    plan->progressing = true;
    plan->world = takes_world(v->s);

    if (has_pod(v)) {
        plan_stop(v);
        return;
    }
    if (held_back(v)) {
        return;
    }

    /* Also without a pod: its configuration may have stayed. */
    act(plan, MC_ACTION_REMOVE);
    if (v->obs->pod == MC_POD_ABSENT) {
        act(plan, MC_ACTION_REMOVE_STORAGE);
        if (v->obs->resource) {
            act(plan, MC_ACTION_REMOVE_RESOURCE);
        }
        act(plan, MC_ACTION_FINALIZE);
    }
}


/* Somebody deleted the resource of a server whose row lives: what hangs on it
 * goes with it, but the world; then everything comes again. */
static void
plan_renew(const view_t *v)
{
    mc_plan_t  *plan = v->plan;

    plan->progress = "ResourceDeleted";
    plan->progressing = true;
    plan->state = state_of_pod(v);

    if (has_pod(v)) {
        plan->state = MC_STATE_STOPPING;
        plan_stop(v);
        return;
    }
    if (!held_back(v)) {
        act(plan, MC_ACTION_REMOVE);
        act(plan, MC_ACTION_REMOVE_RESOURCE);
    }
}


static void
plan_resource(const view_t *v)
{
    v->plan->state = state_of_pod(v);
    v->plan->progress = "Applying";
    if (!held_back(v)) {
        act(v->plan, MC_ACTION_ENSURE_RESOURCE);
    } else if (v->plan->state == MC_STATE_PENDING) {
        v->plan->state = MC_STATE_FAILED;
    }
}


static void
plan_paused(const view_t *v)
{
    v->plan->paused = true;
    v->plan->state = state_of_pod(v);
    v->plan->progress = "Paused";
}


static void
plan_stopped(const view_t *v)
{
    mc_plan_t  *plan = v->plan;

    if (has_pod(v)) {
        plan->state = MC_STATE_STOPPING;
        plan->progress = "Stopping";
        plan_stop(v);
        return;
    }

    plan->state = MC_STATE_STOPPED;
    plan->progress = "Stopped";
    if (v->obs->pod == MC_POD_CREATED && !held_back(v)) {
        act(plan, MC_ACTION_REMOVE);
    }
}


/* A pod from scratch; the old one, if any, goes first, so that there are
 * never two on one world. */
static void
plan_create(const view_t *v)
{
    mc_plan_t  *plan = v->plan;

    if (held_back(v)) {
        plan->state = MC_STATE_FAILED;
        return;
    }
    plan->state = MC_STATE_STARTING;
    plan->progress = "Creating";
    if (v->obs->pod != MC_POD_ABSENT) {
        act(plan, MC_ACTION_REMOVE);
    }
    act(plan, MC_ACTION_ENSURE_STORAGE);
    act(plan, MC_ACTION_CREATE);
}


static void
describe_crash(const view_t *v)
{
    char  message[128];
    const mc_observed_t  *obs = v->obs;

    if (obs->oom_killed) {
        snprintf(message, sizeof(message), "the server was killed because it "
                 "needed more memory than it has (exit code %d)", obs->exit_code);
    } else {
        snprintf(message, sizeof(message), "the server ended with exit code %d",
                 obs->exit_code);
    }
    degrade(v->plan, obs->oom_killed ? "OOMKilled" : "CrashLoopBackOff", message);
}


static void
plan_exited(const view_t *v)
{
    const mc_facts_t  *f = v->facts;
    mc_plan_t         *plan = v->plan;
    int64_t            backoff = mc_backoff_ms(f->crashes), left;

    if (!v->same_hash || !v->same_token || f->made_old
        || (f->failure.count > 0 && f->failure.generation == v->s->generation))
    {
        plan_create(v);
        return;
    }

    plan->state = MC_STATE_STARTING;
    plan->progress = "Starting";
    if (f->stopped) {
        act(plan, MC_ACTION_START);
        return;
    }

    describe_crash(v);
    plan->progress = "Restarting";
    plan->progressing = true;
    left = f->crashed_ms + backoff - v->now;
    if (left <= 0 || left > backoff) {          /* or the clock was set back */
        act(plan, MC_ACTION_START);
        return;
    }
    if (f->crashes >= 4) {
        plan->state = MC_STATE_FAILED;
    }
    wait_for(plan, left);
}


/* True when nobody would be thrown out. A count from before the change says
 * nothing of who has joined since; it has to do when no ping is answered any
 * more, or the stop was announced already. */
static bool
nobody_online(const mc_facts_t *f)
{
    return f->players == 0
           && (f->announced_ms > 0 || f->ping == MC_PING_FAILED
               || (f->recount_ms > 0 && f->pinged_ms >= f->recount_ms));
}


/* True when the running pod has to make room for a new one now. */
static bool
restart_now(const view_t *v)
{
    const mc_facts_t  *f = v->facts;

    if (f->asked_ms > 0 || f->console_failed || !v->same_token) {
        return true;
    }
    if (v->same_hash) {
        return false;
    }
    return f->window || nobody_online(f)
           || (f->ping == MC_PING_FAILED && !f->was_ready);
}


/* What can be put right while the game runs. */
static void
plan_mend(const view_t *v)
{
    const mc_observed_t  *obs = v->obs;
    const mc_facts_t     *f = v->facts;
    bool                  running = obs->pod == MC_POD_RUNNING;
    bool                  hot = running && f->hot && f->ping == MC_PING_ANSWERED;

    if (!obs->stale && !(running && obs->resize) && !hot) {
        return;
    }
    if (held_back_by(v, &f->mending)) {
        return;
    }
    if (obs->stale) {
        act(v->plan, MC_ACTION_APPLY);
    }
    if (running && obs->resize) {
        act(v->plan, MC_ACTION_RESIZE);
    }
    if (hot) {
        act(v->plan, MC_ACTION_HOT);
    }
}


static void
plan_pod_running(const view_t *v)
{
    const mc_facts_t  *f = v->facts;
    mc_plan_t         *plan = v->plan;
    int64_t            left;

    if (restart_now(v)) {
        plan->state = MC_STATE_STOPPING;
        plan->progress = "Restarting";
        plan_stop(v);
        return;
    }

    plan->state = f->was_ready ? MC_STATE_RUNNING : MC_STATE_STARTING;
    plan->progress = f->was_ready ? "Running" : "Starting";
    plan->progressing = !f->was_ready;
    plan->ask_players = !v->same_hash && f->players == 0;
    plan->restart_pending = !v->same_hash && !plan->ask_players;
    if (plan->restart_pending && f->window_ms > 0) {
        wait_for(plan, f->window_ms);
    }
    if (v->obs->trouble.reason[0] != '\0') {
        degrade(plan, v->obs->trouble.reason, v->obs->trouble.message);
    }

    if (f->was_ready) {
        if (f->ping == MC_PING_FAILED) {
            degrade(plan, "Unresponsive",
                    "the server runs but does not answer status pings");
        }
        plan_mend(v);
        return;
    }
    plan_mend(v);
    if (f->crashes > 1) {
        degrade(plan, "CrashLoopBackOff",
                "the server ended several times in a row and was started again");
    }
    left = v->obs->started_ms + v->start_timeout - v->now;
    if (left <= 0) {
        degrade(plan, "StartTimeout",
                "the server runs but has not answered a status ping yet");
    } else {
        wait_for(plan, left);
    }
}


/* Whether the engine's own attempts lead nowhere without a change. */
static bool
hopeless(const mc_observed_t *obs)
{
    static const char *const  reasons[] = {
        "ImageMissing", "InvalidImageName", "AddonInvalid", "Invalid"
    };

    if (strcmp(obs->trouble.reason, "CrashLoopBackOff") == 0
        || strcmp(obs->trouble.reason, "OOMKilled") == 0)
    {
        return obs->restarts >= RESTARTS_FAILED;
    }
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        if (strcmp(obs->trouble.reason, reasons[i]) == 0) {
            return true;
        }
    }
    return false;
}


/* The engine is at it. A pod made from another spec has no players yet, and
 * perhaps never will have: it makes room at once. */
static void
plan_pending(const view_t *v)
{
    const mc_observed_t  *obs = v->obs;
    mc_plan_t            *plan = v->plan;

    if (obs->pod_hash[0] != '\0' && (!v->same_hash || !v->same_token)) {
        plan->state = MC_STATE_STARTING;
        plan->progress = "Restarting";
        plan_stop(v);
        return;
    }

    plan->state = MC_STATE_STARTING;
    plan->progress = "Starting";
    plan->progressing = true;
    plan_mend(v);
    if (obs->trouble.reason[0] != '\0') {
        degrade(plan, obs->trouble.reason, obs->trouble.message);
        if (hopeless(obs)) {
            plan->state = MC_STATE_FAILED;
            plan->progress = "Failed";
            plan->progressing = false;
        }
    }
}


static void
plan_run(const view_t *v)
{
    mc_plan_t  *plan = v->plan;

    if (v->facts->blocked_reason[0] != '\0') {
        plan->state = v->obs->pod == MC_POD_RUNNING ? MC_STATE_RUNNING
                                                    : MC_STATE_FAILED;
        plan->progress = "Blocked";
        degrade(plan, v->facts->blocked_reason, v->facts->blocked_message);
        return;
    }

    switch (v->obs->pod) {
    case MC_POD_ABSENT:
    case MC_POD_CREATED:
        plan_create(v);
        break;
    case MC_POD_EXITED:
        plan_exited(v);
        break;
    case MC_POD_RUNNING:
        plan_pod_running(v);
        break;
    case MC_POD_PENDING:
        plan_pending(v);
        break;
    case MC_POD_STOPPING:
        plan->state = MC_STATE_STOPPING;
        plan->progress = "Restarting";
        plan_stop(v);
        break;
    }
}


void
mc_plan(const mc_server_t *s, const mc_observed_t *obs, const char *hash,
    const mc_facts_t *facts, int64_t now_ms, int64_t start_timeout_ms,
    mc_plan_t *plan)
{
    const char  *token = mc_json_str(mc_json_get(s->spec, "restartToken"), "");
    const char  *policy = mc_json_str(mc_json_get(s->spec, "runPolicy"), "Always");
    view_t       v = { s, obs, facts, now_ms, start_timeout_ms, false, false, plan };

    memset(plan, 0, sizeof(*plan));
    plan->wait_ms = -1;
    plan->progress = "Failed";

    v.same_hash = strcmp(obs->pod_hash, hash) == 0;
    v.same_token = strcmp(obs->pod_restart, token) == 0;
    plan->in_sync = obs->pod == MC_POD_ABSENT || v.same_hash;

    if (s->deleted) {
        plan_delete(&v);
    } else if (obs->resource_deleting) {
        plan_renew(&v);
    } else if (obs->paused) {
        plan_paused(&v);
    } else if (obs->resource_stale) {
        plan_resource(&v);
    } else if (strcmp(policy, "Stopped") == 0) {
        plan_stopped(&v);
    } else {
        plan_run(&v);
    }
    if (plan->degraded[0] == '\0' && obs->storage_trouble.reason[0] != '\0') {
        degrade(plan, obs->storage_trouble.reason, obs->storage_trouble.message);
    }
}
