/*
 * One case for the planner: a server, what is there, what is remembered.
 */

#ifndef MC_PLAN_CASE_H
#define MC_PLAN_CASE_H

#include "plan.h"
#include "pool.h"
#include "tap.h"

#define NOW    1000000000LL
#define HASH   "hash-a"
#define TIMEOUT 600000

static pool_t         pool = { .left = -1 };
static mc_server_t    server;
static mc_observed_t  obs;
static mc_facts_t     facts;
static mc_plan_t      plan;


static void
spec(const char *text)
{
    mc_alloc_t       a = { pool_alloc, &pool };
    mc_json_error_t  err;

    server.spec = mc_json_parse(&a, text, strlen(text), &err);
}


/* A server that is wanted, of which nothing is there yet. */
static void
reset(const char *text)
{
    memset(&server, 0, sizeof(server));
    memset(&obs, 0, sizeof(obs));
    memset(&facts, 0, sizeof(facts));
    server.generation = 3;
    facts.players = -1;
    spec(text);
}


/* One that runs as it should. */
static void
reset_running(const char *text)
{
    reset(text);
    obs.volume = obs.secret = true;
    obs.pod = MC_POD_RUNNING;
    obs.started_ms = NOW - 60000;
    strcpy(obs.pod_hash, HASH);
    facts.ping = MC_PING_ANSWERED;
    facts.was_ready = true;
    facts.players = 0;
    facts.pinged_ms = NOW;
    facts.recount_ms = 0;
}


static const char *
actions(int64_t now)
{
    static char  text[200];

    mc_facts_observe(&facts, &obs);
    mc_plan(&server, &obs, HASH, &facts, now, TIMEOUT, &plan);
    text[0] = '\0';
    for (unsigned i = 0; i < plan.n; i++) {
        strcat(strcat(text, i > 0 ? " " : ""), mc_action_name(plan.actions[i]));
    }
    return text;
}


static const char *
state(void)
{
    return mc_state_name(plan.state);
}

#endif
