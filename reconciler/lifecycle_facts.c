/*
 * What is remembered of a server between two looks at it.
 */

#include <stdlib.h>
#include <string.h>
#include "clock.h"
#include "cron.h"
#include "hot.h"
#include "lifecycle_private.h"
#include "status.h"

#define ZONES_MAX  1000


/* -- what of the spec pod and game have taken over -- */

static void
memory_forget(mc_memory_t *m)
{
    mc_arena_destroy(m->arena);
    m->arena = NULL;
    m->spec = NULL;
}


static int
copy_member(const mc_alloc_t *a, mc_json_t *to, const mc_json_t *from,
    const char *key)
{
    const mc_json_t  *value = mc_json_get(from, key);

    return value == NULL ? 0 : mc_json_set(a, to, key, mc_json_copy(a, value));
}


/* Keeps the part of a spec that hot.h is about. NULL is as good as not known. */
static void
memory_take(mc_memory_t *m, const mc_json_t *spec)
{
    mc_arena_t  *arena = spec == NULL ? NULL : mc_arena_create();
    mc_alloc_t   a;
    mc_json_t   *kept, *properties;

    memory_forget(m);
    if (arena == NULL) {
        return;
    }
    a = mc_arena_allocator(arena);
    kept = mc_json_object(&a);
    properties = mc_json_object(&a);

    if (kept == NULL || properties == NULL
        || copy_member(&a, properties, mc_json_get(spec, "properties"),
                       "difficulty") != 0
        || copy_member(&a, properties, mc_json_get(spec, "properties"),
                       "gameMode") != 0
        || mc_json_set(&a, kept, "properties", properties) != 0
        || copy_member(&a, kept, spec, "access") != 0)
    {
        mc_arena_destroy(arena);
        return;
    }
    m->arena = arena;
    m->spec = kept;
}


static bool
differs(const mc_memory_t *m, const mc_json_t *spec)
{
    return m->spec == NULL || !mc_hot_equal(m->spec, spec);
}


const mc_json_t *
mc_lifecycle_goes_by(const mc_record_t *rec)
{
    return rec->game.spec;
}


void
mc_lifecycle_made(mc_record_t *rec, bool known)
{
    memory_take(&rec->made, known ? rec->row.server.spec : NULL);
}


void
mc_lifecycle_told(mc_record_t *rec)
{
    memory_take(&rec->game, rec->row.server.spec);
    rec->facts.hot = false;
}


void
mc_lifecycle_forget(mc_record_t *rec)
{
    memory_forget(&rec->made);
    memory_forget(&rec->game);
}


/* -- observations and plans -- */

void
mc_lifecycle_digest(mc_record_t *rec)
{
    mc_facts_t     *f = &rec->facts;
    mc_observed_t  *obs = &rec->obs;

    if (obs->pod != MC_POD_RUNNING) {
        if (f->asked_ms > 0 || f->console_failed) {
            f->stopped = true;
        }
        f->announced_ms = 0;
        f->asked_ms = 0;
        f->console_failed = false;
        f->ping = MC_PING_UNKNOWN;
        f->was_ready = false;
        f->players = -1;
        rec->run_ms = 0;
        memory_forget(&rec->game);

    } else if (rec->run_ms != obs->started_ms) {
        rec->run_ms = obs->started_ms;
        f->ping = MC_PING_UNKNOWN;
        f->players = -1;
        f->stopped = false;
        rec->rcon_away = false;
        memory_take(&rec->game, rec->made.spec);
        f->was_ready = mc_status_state(rec->row.status) == MC_STATE_RUNNING
                       && mc_status_started_ms(rec->row.status)
                          == obs->started_ms;
    }
    if (f->was_ready) {
        mc_facts_succeed(f, MC_ACTION_CREATE);
        mc_facts_succeed(f, MC_ACTION_START);
    }
    f->hot = obs->pod == MC_POD_RUNNING
             && differs(&rec->game, rec->row.server.spec);
    f->made_old = differs(&rec->made, rec->row.server.spec);
    mc_facts_observe(f, obs);
}


void
mc_lifecycle_planned(mc_record_t *rec, const mc_plan_t *plan)
{
    mc_facts_t  *f = &rec->facts;

    if (!plan->stopping) {
        f->announced_ms = 0;                /* nobody wants it to stop now */
    }
    if (!plan->ask_players) {
        f->recount_ms = 0;
    } else if (f->recount_ms == 0) {
        f->recount_ms = mc_clock_wall_ms();
        mc_probe_ask(rec);
    }
}


/* -- the update window -- */

/* The zone of that name, read once. NULL: there is none. */
static const mc_zone_t *
zone_of(mc_app_t *app, const char *name)
{
    mc_zone_t  *zone = mc_map_get(app->zones, name);

    if (zone == NULL && mc_map_size(app->zones) < ZONES_MAX
        && (zone = mc_zone_load(NULL, name)) != NULL
        && mc_map_put(app->zones, name, zone) != 0)
    {
        mc_zone_free(zone);
        return NULL;
    }
    return zone;
}


static void
zone_free(void *value, void *data)
{
    (void) data;
    mc_zone_free(value);
}


void
mc_lifecycle_zones_free(mc_app_t *app)
{
    if (app->zones != NULL) {
        mc_map_each(app->zones, zone_free, NULL);
        mc_map_destroy(app->zones);
    }
}


static int
read_window(mc_app_t *app, const mc_json_t *window, mc_cron_t *cron,
    const mc_zone_t **zone)
{
    *zone = zone_of(app, mc_json_str(mc_json_get(window, "timeZone"), "UTC"));
    return *zone == NULL ? -1
           : mc_cron_parse(cron, mc_json_str(mc_json_get(window, "cron"), ""));
}


bool
mc_lifecycle_window_good(mc_app_t *app, const mc_record_t *rec)
{
    const mc_json_t  *window = mc_json_get(rec->row.server.spec, "updateWindow");
    const mc_zone_t  *zone;
    mc_cron_t         cron;

    return window == NULL || read_window(app, window, &cron, &zone) == 0;
}


/* Matters only while a change waits for it; then every minute. */
void
mc_lifecycle_window(mc_app_t *app, mc_record_t *rec, const char *hash)
{
    mc_facts_t       *f = &rec->facts;
    const mc_json_t  *window = mc_json_get(rec->row.server.spec, "updateWindow");
    int64_t           now = mc_clock_wall_ms();
    const mc_zone_t  *zone;
    mc_cron_t         cron;
    int               minutes;

    f->window = false;
    f->window_ms = 0;
    if (window == NULL || rec->obs.pod != MC_POD_RUNNING
        || strcmp(rec->obs.pod_hash, hash) == 0
        || read_window(app, window, &cron, &zone) != 0)
    {
        return;
    }
    minutes = (int) mc_json_int(mc_json_get(window, "durationMinutes"), 60);
    f->window = mc_cron_open(&cron, zone, minutes, now / 1000);
    f->window_ms = 60000 - now % 60000;
}
