/*
 * What the planner remembers, and its words.
 */

#include <stdio.h>
#include <string.h>
#include "plan.h"

#define BACKOFF_MIN_MS   1000
#define BACKOFF_MAX_MS   300000
#define STABLE_MS        600000     /* ran so long: the next crash is the first */

static const char *const state_names[] = {
    "Pending", "Starting", "Running", "Stopping", "Stopped", "Hibernated",
    "Waking", "Failed", "Deleting"
};

static const char *const action_names[] = {
    "ensure_resource", "ensure_storage", "create", "start", "announce",
    "console_stop", "stop", "apply", "resize", "hot", "remove",
    "remove_storage", "remove_resource", "finalize"
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


static mc_failure_t *
failure_of(mc_facts_t *facts, mc_action_t action)
{
    switch (action) {
    case MC_ACTION_APPLY:
    case MC_ACTION_RESIZE:
    case MC_ACTION_HOT:
        return &facts->mending;
    default:
        return &facts->failure;
    }
}


void
mc_facts_fail(mc_facts_t *facts, mc_action_t action, int64_t generation,
    const char *reason, const char *message, bool retry, int64_t now_ms)
{
    mc_failure_t  *f = failure_of(facts, action);

    f->count = f->generation == generation ? f->count + 1 : 1;
    f->action = action;
    f->generation = generation;
    f->retry = retry;
    f->retry_at_ms = now_ms + (retry ? mc_backoff_ms(f->count) : BACKOFF_MAX_MS);
    snprintf(f->reason, sizeof(f->reason), "%s", reason);
    snprintf(f->message, sizeof(f->message), "%s", message);
}


void
mc_facts_succeed(mc_facts_t *facts, mc_action_t action)
{
    mc_failure_t  *f = failure_of(facts, action);

    if (f->action == action) {
        f->count = 0;
    }
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
