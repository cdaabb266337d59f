/*
 * The planner.
 */

#include <stdio.h>
#include <string.h>
#include "plan.h"

#define BACKOFF_MIN_MS   1000
#define BACKOFF_MAX_MS   300000
#define STABLE_MS        600000     /* ran so long: the next crash is the first */
#define STOP_LOOK_MS     1000       /* how often a stopping server is looked at */
#define SIGNAL_GRACE_S   10         /* after the console's "stop" had no effect */
#define GRACE_S          60         /* without shutdown.graceSeconds */

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

static const char *const state_names[] = {
    "Pending", "Starting", "Running", "Stopping", "Stopped", "Hibernated",
    "Waking", "Failed", "Deleting"
};

static const char *const action_names[] = {
    "ensure_storage", "create", "start", "announce", "console_stop", "stop",
    "remove", "remove_storage", "finalize"
};


const char *
mc_state_name(mc_state_t state)
{
    return state_names[state];
}


mc_state_t
mc_state_from_name(const char *name)
{
    for (int i = 0; i < MC_STATE_N; i++) {
        if (strcmp(name, state_names[i]) == 0) {
            return i;
        }
    }
    return MC_STATE_PENDING;
}


const char *
mc_action_name(mc_action_t action)
{
    return action_names[action];
}


int64_t
mc_backoff_ms(unsigned n)
{
    int64_t  ms = BACKOFF_MIN_MS;

    while (n-- > 1 && ms < BACKOFF_MAX_MS) {
        ms *= 2;
    }
    return ms < BACKOFF_MAX_MS ? ms : BACKOFF_MAX_MS;
}


void
mc_facts_fail(mc_facts_t *facts, int64_t generation, const char *reason,
    const char *message, bool retry, int64_t now_ms)
{
    mc_failure_t  *f = &facts->failure;

    f->count = f->generation == generation ? f->count + 1 : 1;
    f->generation = generation;
    f->retry = retry;
    f->retry_at_ms = now_ms + (retry ? mc_backoff_ms(f->count) : BACKOFF_MAX_MS);
    snprintf(f->reason, sizeof(f->reason), "%s", reason);
    snprintf(f->message, sizeof(f->message), "%s", message);
}


void
mc_facts_observe(mc_facts_t *facts, const mc_observed_t *obs)
{
    if (obs->pod != MC_POD_EXITED || facts->stopped
        || (facts->crashes > 0 && facts->crashed_ms == obs->finished_ms))
    {
        return;
    }
    if (obs->started_ms > 0 && obs->finished_ms - obs->started_ms >= STABLE_MS) {
        facts->crashes = 0;
    }
    facts->crashes++;
    facts->crashed_ms = obs->finished_ms;
}


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


/* True while the last failure forbids another attempt; says so in the plan. */
static bool
held_back(const view_t *v)
{
    const mc_failure_t  *f = &v->facts->failure;

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


/* -- stopping -- */

static int
seconds(const mc_server_t *s, const char *path, int def)
{
    int64_t  n = mc_json_int(mc_json_at(s->spec, path), def);

    return n < 0 ? 0 : n > 3600 ? 3600 : (int) n;
}


/* One step further towards a pod that is not running: tell the players, ask
 * the game to save and end, and only then signal. */
static void
plan_stop(const view_t *v)
{
    const mc_facts_t  *f = v->facts;
    mc_plan_t         *plan = v->plan;
    int                grace = seconds(v->s, "shutdown.graceSeconds", GRACE_S);
    int                announce = seconds(v->s, "shutdown.announceSeconds", 0);
    int64_t            left;

    plan->stopping = true;
    plan->progressing = true;
    plan->announce_s = announce;
    plan->grace_s = f->console_failed || grace < SIGNAL_GRACE_S
                    ? grace : SIGNAL_GRACE_S;

    if (f->asked_ms > 0) {
        left = f->asked_ms + (int64_t) grace * 1000 - v->now;
        if (left > 0) {
            wait_for(plan, left < STOP_LOOK_MS ? left : STOP_LOOK_MS);
            return;
        }
    } else if (!f->console_failed) {
        if (announce > 0 && f->was_ready && f->players != 0) {
            if (f->announced_ms == 0) {
                act(plan, MC_ACTION_ANNOUNCE);
                return;
            }
            left = f->announced_ms + (int64_t) announce * 1000 - v->now;
            if (left > 0) {
                wait_for(plan, left);
                return;
            }
        }
        act(plan, MC_ACTION_CONSOLE_STOP);
        return;
    }

    if (!held_back(v)) {
        act(plan, MC_ACTION_STOP);
    }
}


/* -- the three wishes -- */

static void
plan_delete(const view_t *v)
{
    const char  *retention = mc_json_str(mc_json_at(v->s->spec,
                                                    "storage.retention"), "Retain");
    mc_plan_t   *plan = v->plan;

    plan->state = MC_STATE_DELETING;
    plan->progress = "Deleting";
    plan->progressing = true;
    plan->world = v->s->purge || strcmp(retention, "Delete") == 0;

    if (v->obs->pod == MC_POD_RUNNING) {
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
        act(plan, MC_ACTION_FINALIZE);
    }
}


static void
plan_stopped(const view_t *v)
{
    mc_plan_t  *plan = v->plan;

    if (v->obs->pod == MC_POD_RUNNING) {
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

    if (!v->same_hash || !v->same_token
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
    return nobody_online(f)
           || (f->ping == MC_PING_FAILED && !f->was_ready);
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

    if (f->was_ready) {
        if (f->ping == MC_PING_FAILED) {
            degrade(plan, "Unresponsive",
                    "the server runs but does not answer status pings");
        }
        return;
    }
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
        plan->state = MC_STATE_STARTING;
        plan->progress = "Starting";
        plan->progressing = true;
        break;
    case MC_POD_STOPPING:
        plan->state = MC_STATE_STOPPING;
        plan->progress = "Restarting";
        plan->progressing = true;
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
    } else if (strcmp(policy, "Stopped") == 0) {
        plan_stopped(&v);
    } else {
        plan_run(&v);
    }
}
