/*
 * Status pings of the pods that run.
 */

#include <stdlib.h>
#include <string.h>
#include "app.h"
#include "clock.h"
#include "log.h"
#include "ping.h"

#define TIMEOUT_MS      3000
#define STARTING_MS     1000        /* between pings until the first answer */
#define PATIENCE        15          /* failures before another way is tried */
#define FAILURES_MAX    3           /* in a row make a server unresponsive */

struct mc_probe_s {
    mc_app_t     *app;
    mc_record_t  *rec;
    uv_timer_t    timer;
    mc_ping_t    *ping;             /* under way */
    int64_t       run_ms;           /* of the pod that is pinged */
    unsigned      failures;         /* in a row */
    bool          detour;           /* by the players' address: the pod's own
                                     * may be out of reach from here */
    bool          asked;            /* somebody waits for the next answer */
};


static void on_time(uv_timer_t *timer);

static void
next(mc_probe_t *probe)
{
    const mc_facts_t  *f = &probe->rec->facts;
    int64_t            ms = probe->app->conf->ping_ms;

    if (f->ping != MC_PING_ANSWERED || probe->failures > 0) {
        ms = ms < STARTING_MS ? ms : STARTING_MS;
    }
    ms += random() % (ms / 5 + 1);
    uv_timer_start(&probe->timer, on_time, (uint64_t) ms, 0);
}


static void
answered(mc_probe_t *probe, const mc_pong_t *pong)
{
    mc_facts_t  *f = &probe->rec->facts;
    bool         asked = probe->asked;

    probe->failures = 0;
    probe->asked = false;
    f->pinged_ms = mc_clock_wall_ms();
    if (!asked && f->ping == MC_PING_ANSWERED && f->players == pong->online
        && f->players_max == pong->max && strcmp(f->version, pong->version) == 0)
    {
        return;
    }
    f->ping = MC_PING_ANSWERED;
    f->was_ready = true;
    f->players = pong->online;
    f->players_max = pong->max;
    memcpy(f->version, pong->version, sizeof(f->version));
    mc_app_enqueue(probe->app, probe->rec->id, MC_WORKQUEUE_NORMAL);
}


static void
failed(mc_probe_t *probe, const char *message)
{
    mc_facts_t  *f = &probe->rec->facts;

    mc_metrics.pings_failed++;
    probe->failures++;
    probe->detour = probe->failures > PATIENCE && !probe->detour;

    if (f->was_ready && probe->failures < FAILURES_MAX) {
        if (probe->failures == 1) {
            /* Perhaps it is gone: look. */
            mc_app_enqueue(probe->app, probe->rec->id, MC_WORKQUEUE_NORMAL);
        }
        return;
    }
    if (f->ping == MC_PING_FAILED) {
        return;
    }
    f->ping = MC_PING_FAILED;
    mc_log(MC_LOG_DEBUG, "no answer to a status ping", "server", probe->rec->id,
           "error", message, NULL);
    mc_app_enqueue(probe->app, probe->rec->id, MC_WORKQUEUE_NORMAL);
}


static void
on_pong(void *data, const mc_pong_t *pong, const char *message)
{
    mc_probe_t  *probe = data;

    probe->ping = NULL;
    if (pong != NULL) {
        answered(probe, pong);
    } else {
        failed(probe, message);
    }
    mc_records_sample(probe->app, probe->rec);
    next(probe);
}


static void
on_time(uv_timer_t *timer)
{
    mc_probe_t           *probe = timer->data;
    const mc_observed_t  *obs = &probe->rec->obs;
    bool                  players = obs->ping_host[0] == '\0' || probe->detour;
    const char           *host = players ? obs->host : obs->ping_host;
    uint16_t              port = players ? obs->port : obs->ping_port;

    mc_metrics.pings++;
    if (host[0] != '\0' && port != 0) {
        probe->ping = mc_ping(probe->app->loop, host, port, TIMEOUT_MS,
                              on_pong, probe);
    }
    if (probe->ping == NULL) {
        failed(probe, "no address");
        next(probe);
    }
}


void
mc_probe_ask(mc_record_t *rec)
{
    mc_probe_t  *probe = rec->probe;

    if (probe == NULL || probe->asked) {
        return;                     /* the regular pings go on anyway */
    }
    probe->asked = true;
    if (probe->ping == NULL) {
        uv_timer_start(&probe->timer, on_time, 0, 0);
    }
}


void
mc_probe_start(mc_app_t *app, mc_record_t *rec)
{
    mc_probe_t  *probe = rec->probe;

    if (probe != NULL && probe->run_ms == rec->run_ms) {
        return;
    }
    mc_probe_stop(rec);

    probe = calloc(1, sizeof(*probe));
    if (probe == NULL) {
        return;                     /* the next observation tries again */
    }
    probe->app = app;
    probe->rec = rec;
    probe->run_ms = rec->run_ms;
    uv_timer_init(app->loop, &probe->timer);
    probe->timer.data = probe;
    uv_timer_start(&probe->timer, on_time, 0, 0);
    rec->probe = probe;
}


static void
on_closed(uv_handle_t *handle)
{
    free(handle->data);
}


void
mc_probe_stop(mc_record_t *rec)
{
    mc_probe_t  *probe = rec->probe;

    if (probe == NULL) {
        return;
    }
    rec->probe = NULL;
    if (probe->ping != NULL) {
        mc_ping_cancel(probe->ping);
    }
    uv_close((uv_handle_t *) &probe->timer, on_closed);
}
