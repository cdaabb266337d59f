/*
 * The status document.
 */

#include <stdio.h>
#include <string.h>
#include "clock.h"
#include "status.h"

/* What is being built. The first failed allocation makes the whole fail. */
typedef struct {
    const mc_alloc_t         *a;
    const mc_status_input_t  *in;
    mc_json_t                *conditions;
    int                       failed;
} builder_t;

typedef enum { COND_FALSE, COND_TRUE, COND_UNKNOWN } cond_t;

static const char *const cond_names[] = { "False", "True", "Unknown" };


mc_state_t
mc_status_state(const mc_json_t *status)
{
    return mc_state_from_name(mc_json_str(mc_json_get(status, "state"), ""));
}


int64_t
mc_status_started_ms(const mc_json_t *status)
{
    const char  *text = mc_json_str(mc_json_get(status, "startedAt"), NULL);
    int64_t      ns = text == NULL ? -1 : mc_time_parse_ns(text);

    return ns < 0 ? 0 : ns / 1000000;
}


const mc_json_t *
mc_status_condition(const mc_json_t *status, const char *type)
{
    const mc_json_t  *list = mc_json_get(status, "conditions");

    for (const mc_json_t *c = list == NULL ? NULL : list->child; c != NULL;
         c = c->next)
    {
        if (strcmp(mc_json_str(mc_json_get(c, "type"), ""), type) == 0) {
            return c;
        }
    }
    return NULL;
}


bool
mc_status_equal(const mc_json_t *a, const mc_json_t *b)
{
    if (a == NULL || b == NULL) {
        return a == b;
    }
    if (a->type != b->type || a->n != b->n) {
        return false;
    }

    switch (a->type) {
    case MC_JSON_STRING:
    case MC_JSON_NUMBER:
        return a->len == b->len && memcmp(a->str, b->str, a->len) == 0;

    case MC_JSON_ARRAY:
        for (a = a->child, b = b->child; a != NULL; a = a->next, b = b->next) {
            if (!mc_status_equal(a, b)) {
                return false;
            }
        }
        return true;

    case MC_JSON_OBJECT:
        for (a = a->child; a != NULL; a = a->next) {
            if (!mc_status_equal(a, mc_json_get(b, a->key))) {
                return false;
            }
        }
        return true;

    default:
        return true;
    }
}


/* -- members -- */

static void
set(builder_t *b, mc_json_t *obj, const char *key, mc_json_t *value)
{
    b->failed |= obj == NULL ? -1 : mc_json_set(b->a, obj, key, value);
}


static void
set_string(builder_t *b, mc_json_t *obj, const char *key, const char *value)
{
    set(b, obj, key, mc_json_string(b->a, value, strlen(value)));
}


static void
set_number(builder_t *b, mc_json_t *obj, const char *key, int64_t n)
{
    set(b, obj, key, mc_json_number(b->a, n));
}


static void
set_time(builder_t *b, mc_json_t *obj, const char *key, int64_t ms)
{
    char  text[MC_TIME_LEN + 1];

    mc_time_format(text, ms);
    set_string(b, obj, key, text);
}


/* -- conditions -- */

static void
condition(builder_t *b, const char *type, cond_t status, const char *reason,
    const char *message)
{
    const mc_json_t  *old = mc_status_condition(b->in->previous, type);
    const char       *since = mc_json_str(mc_json_get(old, "lastTransitionTime"),
                                          NULL);
    mc_json_t        *c = mc_json_object(b->a);

    if (c == NULL) {
        b->failed = 1;
        return;
    }
    set_string(b, c, "type", type);
    set_string(b, c, "status", cond_names[status]);
    set_string(b, c, "reason", reason);
    set_string(b, c, "message", message);
    set_number(b, c, "observedGeneration", b->in->observed_generation);

    if (since != NULL
        && strcmp(mc_json_str(mc_json_get(old, "status"), ""),
                  cond_names[status]) == 0)
    {
        set_string(b, c, "lastTransitionTime", since);
    } else {
        set_time(b, c, "lastTransitionTime", b->in->now_ms);
    }
    b->failed |= mc_json_add(b->conditions, c);
}


/* The condition as it was: when nothing new is known about it. */
static void
condition_keep(builder_t *b, const char *type)
{
    const mc_json_t  *old = mc_status_condition(b->in->previous, type);

    if (old == NULL) {
        condition(b, type, COND_UNKNOWN, "NotObserved", "");
        return;
    }
    b->failed |= mc_json_add(b->conditions, mc_json_copy(b->a, old));
}


/* The pod has been running since the time that the stored status names. */
static bool
same_start(const mc_status_input_t *in)
{
    return in->obs == NULL
           || (in->obs->pod == MC_POD_RUNNING
               && mc_status_started_ms(in->previous) == in->obs->started_ms);
}


static void
condition_ready(builder_t *b, mc_state_t state)
{
    const mc_status_input_t  *in = b->in;

    if (state == MC_STATE_STARTING || state == MC_STATE_WAKING) {
        condition(b, "Ready", COND_FALSE, "Starting",
                  "the server has not answered a status ping yet");

    } else if (state != MC_STATE_RUNNING) {
        condition(b, "Ready", COND_FALSE, mc_state_name(state), "");

    } else if (in->facts->ping == MC_PING_ANSWERED) {
        condition(b, "Ready", COND_TRUE, "PingAnswered",
                  "the server answers status pings");

    } else if (in->facts->ping == MC_PING_UNKNOWN && same_start(in)) {
        condition_keep(b, "Ready");

    } else {
        condition(b, "Ready", COND_FALSE, "Unresponsive",
                  "the server does not answer status pings");
    }
}


static void
conditions_of_pod(builder_t *b)
{
    const mc_plan_t      *plan = b->in->plan;
    const mc_observed_t  *obs = b->in->obs;

    condition(b, "Progressing", plan->progressing ? COND_TRUE : COND_FALSE,
              plan->progress, "");

    if (plan->in_sync) {
        condition(b, "ConfigInSync", COND_TRUE,
                  obs->pod == MC_POD_ABSENT ? "NoPod" : "AsDesired", "");
    } else {
        condition(b, "ConfigInSync", COND_FALSE,
                  plan->restart_pending ? "RestartPending" : "Restarting",
                  "the pod was made from an earlier spec");
    }

    if (plan->restart_pending) {
        condition(b, "RestartPending", COND_TRUE, "PlayersOnline",
                  mc_json_get(b->in->server->spec, "updateWindow") != NULL
                  ? "the change takes effect when nobody plays, in the update "
                    "window, or on restart"
                  : "the change takes effect when nobody plays, or on restart");
    } else {
        condition(b, "RestartPending", COND_FALSE, "None", "");
    }

    if (obs->storage_trouble.reason[0] != '\0') {
        condition(b, "StorageReady", COND_FALSE, obs->storage_trouble.reason,
                  obs->storage_trouble.message);
    } else {
        condition(b, "StorageReady", obs->volume ? COND_TRUE : COND_FALSE,
                  obs->volume ? "VolumeExists" : "NoVolume", "");
    }

    if (plan->degraded[0] != '\0') {
        condition(b, "Degraded", COND_TRUE, plan->degraded, plan->message);
    } else {
        condition(b, "Degraded", COND_FALSE, "AsExpected", "");
    }
}


/* Add-ons are put in place before the game starts: one that runs has them. */
static void
condition_addons(builder_t *b)
{
    const mc_json_t      *addons = mc_json_get(b->in->server->spec, "addons");
    const mc_observed_t  *obs = b->in->obs;

    if (addons == NULL || addons->child == NULL) {
        return;
    }
    if (obs != NULL && obs->pod == MC_POD_RUNNING && b->in->plan->in_sync) {
        condition(b, "AddonsResolved", COND_TRUE, "Installed",
                  "every add-on was fetched and has the checksum it should have");
    } else if (obs != NULL && strncmp(obs->trouble.reason, "Addon", 5) == 0) {
        condition(b, "AddonsResolved", COND_FALSE, obs->trouble.reason,
                  obs->trouble.message);
    } else {
        condition_keep(b, "AddonsResolved");
    }
}


/* Only where there is something to pause, once it was. */
static void
condition_paused(builder_t *b)
{
    if (b->in->obs == NULL) {
        if (mc_status_condition(b->in->previous, "Paused") != NULL) {
            condition_keep(b, "Paused");
        }
    } else if (b->in->obs->paused) {
        condition(b, "Paused", COND_TRUE, "Annotated",
                  "nothing is changed as long as the annotation mchost.io/paused "
                  "is \"true\"; a deletion is carried out all the same");
    } else if (mc_status_condition(b->in->previous, "Paused") != NULL) {
        condition(b, "Paused", COND_FALSE, "NotPaused", "");
    }
}


static void
conditions_without_engine(builder_t *b)
{
    const mc_engine_error_t  *err = b->in->engine_error;

    condition_keep(b, "Progressing");
    condition_keep(b, "ConfigInSync");
    condition_keep(b, "RestartPending");
    condition_keep(b, "StorageReady");
    condition(b, "Degraded", COND_TRUE, err->reason, err->message);
}


/* -- the rest -- */

static void
add_address(builder_t *b, mc_json_t *status)
{
    const mc_status_input_t  *in = b->in;
    const mc_json_t          *hostnames, *old = mc_json_get(in->previous, "address");
    mc_json_t                *address;

    if (in->obs == NULL || in->obs->host[0] == '\0' || in->obs->port == 0) {
        if (old != NULL) {
            set(b, status, "address", mc_json_copy(b->a, old));
        }
        return;
    }

    address = mc_json_object(b->a);
    hostnames = mc_json_at(in->server->spec, "network.hostnames");
    if (hostnames != NULL && hostnames->type == MC_JSON_ARRAY
        && hostnames->child != NULL)
    {
        set_string(b, address, "hostname", mc_json_str(hostnames->child, ""));
    }
    set_string(b, address, "host", in->obs->host);
    set_number(b, address, "port", in->obs->port);
    set(b, status, "address", address);
}


/* Players and version, by the last ping; what a server that does not run
 * would have. */
static void
add_game(builder_t *b, mc_json_t *status, mc_state_t state)
{
    const mc_status_input_t  *in = b->in;
    const mc_facts_t         *f = in->facts;
    const mc_json_t          *old = mc_json_get(in->previous, "players");
    const char               *version;
    mc_json_t                *players;
    bool                      running = state == MC_STATE_RUNNING;

    if (running && f->ping == MC_PING_UNKNOWN && same_start(in) && old != NULL) {
        set(b, status, "players", mc_json_copy(b->a, old));

    } else {
        players = mc_json_object(b->a);
        if (!running || f->players >= 0) {
            set_number(b, players, "online", running ? f->players : 0);
        }
        set_number(b, players, "max", running && f->players_max > 0
                   ? f->players_max
                   : mc_json_int(mc_json_at(in->server->spec,
                                            "properties.maxPlayers"), 20));
        set(b, status, "players", players);
    }

    version = f->version[0] != '\0' ? f->version
              : mc_json_str(mc_json_get(in->previous, "version"), "");
    if (version[0] != '\0') {
        set_string(b, status, "version", version);
    }
}


static void
add_storage(builder_t *b, mc_json_t *status)
{
    const mc_status_input_t  *in = b->in;
    const mc_json_t          *old = mc_json_get(in->previous, "storage");
    const char               *size = mc_json_str(mc_json_at(in->server->spec,
                                                           "storage.size"), "");
    const char               *capacity;
    char                      claim[64];
    mc_json_t                *storage;

    if (in->obs == NULL) {
        if (old != NULL) {
            set(b, status, "storage", mc_json_copy(b->a, old));
        }
        return;
    }
    if (!in->obs->volume) {
        return;
    }

    /* An engine that names its claims knows what they hold, too. */
    capacity = in->obs->claim[0] == '\0' ? size : in->obs->capacity;
    snprintf(claim, sizeof(claim), "mc-%s", in->server->id);
    storage = mc_json_object(b->a);
    set_string(b, storage, "claimName",
               in->obs->claim[0] != '\0' ? in->obs->claim : claim);
    if (capacity[0] != '\0') {
        set_string(b, storage, "capacity", capacity);
    }
    set(b, status, "storage", storage);
}


static void
add_start(builder_t *b, mc_json_t *status)
{
    const mc_status_input_t  *in = b->in;
    const mc_json_t          *old = mc_json_get(in->previous, "startedAt");

    if (in->obs == NULL) {
        if (old != NULL) {
            set(b, status, "startedAt", mc_json_copy(b->a, old));
        }
    } else if (in->obs->pod == MC_POD_RUNNING && in->obs->started_ms > 0) {
        set_time(b, status, "startedAt", in->obs->started_ms);
    }
}


mc_json_t *
mc_status_build(const mc_alloc_t *a, const mc_status_input_t *in)
{
    builder_t    b = { a, in, mc_json_array(a), 0 };
    mc_json_t   *status = mc_json_object(a);
    mc_state_t   state = in->plan != NULL ? in->plan->state
                         : in->server->deleted ? MC_STATE_DELETING
                         : mc_status_state(in->previous);
    const char  *message = in->plan != NULL ? in->plan->message
                           : in->engine_error->message;

    if (status == NULL || b.conditions == NULL) {
        return NULL;
    }

    set_number(&b, status, "observedGeneration", in->observed_generation);
    set_string(&b, status, "state", mc_state_name(state));
    condition_ready(&b, state);
    if (in->plan != NULL) {
        conditions_of_pod(&b);
    } else {
        conditions_without_engine(&b);
    }
    condition_addons(&b);
    condition_paused(&b);
    set(&b, status, "conditions", b.conditions);
    add_address(&b, status);
    add_game(&b, status, state);
    add_storage(&b, status);
    add_start(&b, status);

    if (in->finalized) {
        message = "the server is deleted";
    }
    if (message[0] != '\0') {
        set_string(&b, status, "message", message);
    }
    return b.failed ? NULL : status;
}
