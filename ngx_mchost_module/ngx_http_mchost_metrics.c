/*
 * Counters of all workers, and /metrics (Prometheus' text format).
 */

#include "ngx_http_mchost_router.h"
#include "ngx_http_mchost_metrics.h"
#include "ngx_http_mchost_limit.h"

#define NGX_HTTP_MCHOST_ROUTES   128    /* of the API, and five more */
#define NGX_HTTP_MCHOST_CLASSES  5      /* 1xx .. 5xx */
#define NGX_HTTP_MCHOST_BUCKETS  12
#define NGX_HTTP_MCHOST_WORKERS  256
#define NGX_HTTP_MCHOST_GAUGES   5
#define NGX_HTTP_MCHOST_STALE    4      /* seconds without a sign of life */
#define NGX_HTTP_MCHOST_TEXT     524288


/* One pool in one worker, now. */
typedef ngx_atomic_t  ngx_http_mchost_gauges_t[NGX_HTTP_MCHOST_GAUGES];

/* A worker writes its own slot once a second; one that died is told by the
 * age of its slot. */
typedef struct {
    ngx_atomic_t              updated;  /* seconds; 0: nobody */
    ngx_http_mchost_gauges_t  pools[NGX_HTTP_MCHOST_POOLS];
} ngx_http_mchost_slot_t;

typedef struct {
    ngx_atomic_t  by_class[NGX_HTTP_MCHOST_CLASSES];
    ngx_atomic_t  buckets[NGX_HTTP_MCHOST_BUCKETS];     /* not cumulative */
    ngx_atomic_t  msec;
} ngx_http_mchost_route_count_t;

struct ngx_http_mchost_metrics_s {
    ngx_http_mchost_counters_t     counters;
    ngx_http_mchost_route_count_t  routes[NGX_HTTP_MCHOST_ROUTES];
    ngx_http_mchost_slot_t         workers[NGX_HTTP_MCHOST_WORKERS];
    ngx_http_mchost_limits_t      *limits;
};


static void ngx_http_mchost_tick(ngx_event_t *ev);


/* Upper bounds in milliseconds; the last bucket has none. */
static const ngx_msec_t  ngx_http_mchost_bounds[NGX_HTTP_MCHOST_BUCKETS] = {
    1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, (ngx_msec_t) -1
};

static const char  *ngx_http_mchost_bound_names[NGX_HTTP_MCHOST_BUCKETS] = {
    "0.001", "0.002", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5",
    "1", "2.5", "+Inf"
};

/* Names of what is no route of the API, by the kind of location. */
static const char  *ngx_http_mchost_kind_names[] = {
    NULL, "other", "websocket", "health", "ready", "metrics"
};

static const char  *ngx_http_mchost_class_names[NGX_HTTP_MCHOST_CLASSES] = {
    "1xx", "2xx", "3xx", "4xx", "5xx"
};


/* -- memory -- */

size_t
ngx_http_mchost_metrics_zone_min(void)
{
    return sizeof(ngx_http_mchost_metrics_t) + 8 * ngx_pagesize;
}


ngx_int_t
ngx_http_mchost_metrics_zone_init(ngx_shm_zone_t *zone, void *data)
{
    ngx_slab_pool_t            *shpool;
    ngx_http_mchost_metrics_t  *m;

    if (data) {                         /* a reload: keep counting */
        zone->data = data;
        return NGX_OK;
    }

    shpool = (ngx_slab_pool_t *) zone->shm.addr;

    if (zone->shm.exists) {
        zone->data = shpool->data;
        return NGX_OK;
    }

    m = ngx_slab_calloc(shpool, sizeof(ngx_http_mchost_metrics_t));
    if (m == NULL) {
        return NGX_ERROR;
    }

    m->limits = ngx_http_mchost_limits_create(shpool);
    if (m->limits == NULL) {
        return NGX_ERROR;
    }

    zone->data = m;

    shpool->data = zone->data;

    return NGX_OK;
}


ngx_int_t
ngx_http_mchost_metrics_start(ngx_http_mchost_worker_t *worker,
    ngx_http_mchost_main_conf_t *mmcf)
{
    if (mmcf->zone) {
        worker->metrics = mmcf->zone->data;

    } else {
        worker->metrics = ngx_pcalloc(worker->cycle->pool,
                                      sizeof(ngx_http_mchost_metrics_t));
    }

    worker->seen = ngx_pcalloc(worker->cycle->pool,
                               NGX_HTTP_MCHOST_POOLS
                               * sizeof(ngx_mchost_pg_stat_t));

    if (worker->metrics == NULL || worker->seen == NULL) {
        return NGX_ERROR;
    }

    worker->counters = &worker->metrics->counters;
    worker->limits = worker->metrics->limits;

    if (worker->limits) {
        ngx_http_mchost_limits_start(worker->limits);
    }

    worker->tick.handler = ngx_http_mchost_tick;
    worker->tick.data = worker;
    worker->tick.log = worker->cycle->log;
    worker->tick.cancelable = 1;

    ngx_add_timer(&worker->tick, 1000);

    return NGX_OK;
}


/* -- pools -- */

static ngx_http_mchost_slot_t *
ngx_http_mchost_slot(ngx_http_mchost_worker_t *worker)
{
    ngx_uint_t  n;

    n = ngx_process_slot < 0 ? 0 : ngx_process_slot;

    return &worker->metrics->workers[n % NGX_HTTP_MCHOST_WORKERS];
}


/* Adds what a pool has counted since last time, and shows its gauges. */

static void
ngx_http_mchost_publish(ngx_http_mchost_worker_t *worker)
{
    ngx_uint_t                   i;
    ngx_mchost_pg_stat_t         st, *seen;
    ngx_http_mchost_slot_t      *slot;
    ngx_http_mchost_counters_t  *c;

    c = worker->counters;
    slot = ngx_http_mchost_slot(worker);

    for (i = 0; worker->pools[i]; i++) {
        seen = &worker->seen[i];
        ngx_mchost_pg_pool_stat(worker->pools[i], &st);

        ngx_atomic_fetch_add(&c->pg_segments, st.segments - seen->segments);
        ngx_atomic_fetch_add(&c->pg_errors, st.errors - seen->errors);
        ngx_atomic_fetch_add(&c->pg_rejected, st.rejected - seen->rejected);
        ngx_atomic_fetch_add(&c->pg_retried, st.retried - seen->retried);
        ngx_atomic_fetch_add(&c->pg_connects, st.connects - seen->connects);
        ngx_atomic_fetch_add(&c->pg_lost, st.lost - seen->lost);

        *seen = st;

        slot->pools[i][0] = st.connecting;
        slot->pools[i][1] = st.ready;
        slot->pools[i][2] = st.busy;
        slot->pools[i][3] = st.in_flight;
        slot->pools[i][4] = st.queued;
    }

    slot->updated = ngx_time();
}


static void
ngx_http_mchost_tick(ngx_event_t *ev)
{
    ngx_http_mchost_publish(ev->data);

    if (!ngx_exiting) {
        ngx_add_timer(ev, 1000);
    }
}


void
ngx_http_mchost_metrics_stop(ngx_http_mchost_worker_t *worker)
{
    if (worker->tick.timer_set) {
        ngx_del_timer(&worker->tick);
    }

    ngx_http_mchost_publish(worker);

    ngx_http_mchost_slot(worker)->updated = 0;
}


/* -- requests -- */

static ngx_uint_t
ngx_http_mchost_count_index(ngx_http_request_t *r,
    ngx_http_mchost_kind_e kind)
{
    ngx_http_mchost_ctx_t  *ctx;

    if (kind == NGX_HTTP_MCHOST_API) {
        ctx = ngx_http_mchost_ctx_find(r);

        if (ctx && ctx->route) {
            return ngx_http_mchost_route_index(ctx->route);
        }
    }

    return ngx_http_mchost_routes_n() + kind - NGX_HTTP_MCHOST_API;
}


static const char *
ngx_http_mchost_count_name(ngx_uint_t i)
{
    ngx_uint_t  n;

    n = ngx_http_mchost_routes_n();

    if (i < n) {
        return ngx_http_mchost_routes[i].name;
    }

    i = i - n + NGX_HTTP_MCHOST_API;

    return i <= NGX_HTTP_MCHOST_METRICS ? ngx_http_mchost_kind_names[i] : NULL;
}


ngx_int_t
ngx_http_mchost_metrics_log(ngx_http_request_t *r)
{
    ngx_uint_t                      i, n, status;
    ngx_time_t                     *tp;
    ngx_msec_int_t                  ms;
    ngx_http_mchost_loc_conf_t     *mlcf;
    ngx_http_mchost_route_count_t  *count;

    mlcf = ngx_http_get_module_loc_conf(r, ngx_http_mchost_module);

    if (mlcf->kind == NGX_HTTP_MCHOST_NONE || ngx_http_mchost_worker == NULL) {
        return NGX_OK;
    }

    n = ngx_http_mchost_count_index(r, mlcf->kind);

    if (n >= NGX_HTTP_MCHOST_ROUTES) {
        return NGX_OK;
    }

    count = &ngx_http_mchost_worker->metrics->routes[n];

    status = r->err_status ? r->err_status : r->headers_out.status;
    i = status / 100;

    if (i >= 1 && i <= NGX_HTTP_MCHOST_CLASSES) {
        ngx_atomic_fetch_add(&count->by_class[i - 1], 1);
    }

    if (mlcf->kind == NGX_HTTP_MCHOST_WEBSOCKET) {
        return NGX_OK;          /* lasts as long as its client likes */
    }

    tp = ngx_timeofday();

    ms = (ngx_msec_int_t) ((tp->sec - r->start_sec) * 1000
                           + (tp->msec - r->start_msec));
    ms = ngx_max(ms, 0);

    for (i = 0; (ngx_msec_t) ms > ngx_http_mchost_bounds[i]; i++) {
        /* void */
    }

    ngx_atomic_fetch_add(&count->buckets[i], 1);
    ngx_atomic_fetch_add(&count->msec, ms);

    return NGX_OK;
}


/* -- text -- */

static u_char *
ngx_http_mchost_head(u_char *p, u_char *last, const char *name,
    const char *type, const char *help)
{
    return ngx_slprintf(p, last, "# HELP %s %s\n# TYPE %s %s\n", name, help,
                        name, type);
}


static u_char *
ngx_http_mchost_requests_text(u_char *p, u_char *last,
    ngx_http_mchost_metrics_t *m)
{
    ngx_uint_t    i, k;
    const char   *route;

    p = ngx_http_mchost_head(p, last, "mchost_http_requests_total", "counter",
                             "Requests by route and status class.");

    for (i = 0; i < NGX_HTTP_MCHOST_ROUTES; i++) {
        route = ngx_http_mchost_count_name(i);

        for (k = 0; k < NGX_HTTP_MCHOST_CLASSES; k++) {
            if (route == NULL || m->routes[i].by_class[k] == 0) {
                continue;
            }

            p = ngx_slprintf(p, last, "mchost_http_requests_total{route=\"%s\""
                             ",status=\"%s\"} %uA\n", route,
                             ngx_http_mchost_class_names[k],
                             m->routes[i].by_class[k]);
        }
    }

    return p;
}


static u_char *
ngx_http_mchost_durations_text(u_char *p, u_char *last,
    ngx_http_mchost_metrics_t *m)
{
    ngx_uint_t          i, k;
    const char         *route;
    ngx_atomic_uint_t   sum, msec;

    p = ngx_http_mchost_head(p, last, "mchost_http_request_duration_seconds",
                             "histogram", "Time from the first byte of a "
                             "request to the last of its reply.");

    for (i = 0; i < NGX_HTTP_MCHOST_ROUTES; i++) {
        route = ngx_http_mchost_count_name(i);
        sum = 0;

        for (k = 0; k < NGX_HTTP_MCHOST_BUCKETS; k++) {
            sum += m->routes[i].buckets[k];
        }

        if (route == NULL || sum == 0) {
            continue;
        }

        sum = 0;

        for (k = 0; k < NGX_HTTP_MCHOST_BUCKETS; k++) {
            sum += m->routes[i].buckets[k];

            p = ngx_slprintf(p, last,
                             "mchost_http_request_duration_seconds_bucket"
                             "{route=\"%s\",le=\"%s\"} %uA\n", route,
                             ngx_http_mchost_bound_names[k], sum);
        }

        msec = m->routes[i].msec;

        p = ngx_slprintf(p, last,
                         "mchost_http_request_duration_seconds_sum"
                         "{route=\"%s\"} %uA.%03uA\n"
                         "mchost_http_request_duration_seconds_count"
                         "{route=\"%s\"} %uA\n",
                         route, msec / 1000, msec % 1000, route, sum);
    }

    return p;
}


static ngx_atomic_uint_t
ngx_http_mchost_gauge(ngx_http_mchost_metrics_t *m, ngx_uint_t pool,
    ngx_uint_t gauge)
{
    time_t                   now;
    ngx_uint_t               i;
    ngx_atomic_uint_t        sum;
    ngx_http_mchost_slot_t  *slot;

    sum = 0;
    now = ngx_time();

    for (i = 0; i < NGX_HTTP_MCHOST_WORKERS; i++) {
        slot = &m->workers[i];

        if (slot->updated
            && now - (time_t) slot->updated <= NGX_HTTP_MCHOST_STALE)
        {
            sum += slot->pools[pool][gauge];
        }
    }

    return sum;
}


static u_char *
ngx_http_mchost_pools_text(u_char *p, u_char *last,
    ngx_http_mchost_worker_t *worker)
{
    ngx_str_t                  *name;
    ngx_uint_t                  i, k;
    ngx_http_mchost_metrics_t  *m;

    static const char  *states[] = { "connecting", "idle", "busy" };

    m = worker->metrics;

    p = ngx_http_mchost_head(p, last, "mchost_postgres_connections", "gauge",
                             "Connections of all workers by state.");

    for (i = 0; worker->pools[i]; i++) {
        name = &ngx_mchost_pg_pool_conf(worker->pools[i])->name;

        for (k = 0; k < 3; k++) {
            p = ngx_slprintf(p, last, "mchost_postgres_connections"
                             "{pool=\"%V\",state=\"%s\"} %uA\n", name,
                             states[k], ngx_http_mchost_gauge(m, i, k));
        }
    }

    p = ngx_http_mchost_head(p, last, "mchost_postgres_in_flight", "gauge",
                             "Segments sent and not answered.");

    for (i = 0; worker->pools[i]; i++) {
        name = &ngx_mchost_pg_pool_conf(worker->pools[i])->name;
        p = ngx_slprintf(p, last, "mchost_postgres_in_flight{pool=\"%V\"} "
                         "%uA\n", name, ngx_http_mchost_gauge(m, i, 3));
    }

    p = ngx_http_mchost_head(p, last, "mchost_postgres_queued", "gauge",
                             "Segments waiting for a connection.");

    for (i = 0; worker->pools[i]; i++) {
        name = &ngx_mchost_pg_pool_conf(worker->pools[i])->name;
        p = ngx_slprintf(p, last, "mchost_postgres_queued{pool=\"%V\"} %uA\n",
                         name, ngx_http_mchost_gauge(m, i, 4));
    }

    return p;
}


u_char *
ngx_http_mchost_metrics_stats(u_char *p, u_char *last)
{
    ngx_uint_t                  i;
    ngx_http_mchost_worker_t   *worker;
    ngx_http_mchost_metrics_t  *m;

    worker = ngx_http_mchost_worker;
    m = worker->metrics;

    p = ngx_slprintf(p, last, "\"sockets\":%uA,\"pools\":[",
                     m->counters.sockets);

    for (i = 0; worker->pools[i]; i++) {
        p = ngx_slprintf(p, last, "%s{\"name\":\"%V\",\"connecting\":%uA,"
                         "\"idle\":%uA,\"busy\":%uA,\"inFlight\":%uA,"
                         "\"queued\":%uA}", i ? "," : "",
                         &ngx_mchost_pg_pool_conf(worker->pools[i])->name,
                         ngx_http_mchost_gauge(m, i, 0),
                         ngx_http_mchost_gauge(m, i, 1),
                         ngx_http_mchost_gauge(m, i, 2),
                         ngx_http_mchost_gauge(m, i, 3),
                         ngx_http_mchost_gauge(m, i, 4));
    }

    return ngx_slprintf(p, last, "]");
}


static u_char *
ngx_http_mchost_counters_text(u_char *p, u_char *last,
    ngx_http_mchost_counters_t *c)
{
    ngx_uint_t  i;

    const struct {
        ngx_atomic_t  *value;
        const char    *name;
        const char    *type;
        const char    *help;
    } counters[] = {
        { &c->pg_segments, "mchost_postgres_segments_total", "counter",
          "Segments submitted." },
        { &c->pg_errors, "mchost_postgres_errors_total", "counter",
          "Segments that failed for whatever reason." },
        { &c->pg_rejected, "mchost_postgres_rejected_total", "counter",
          "Segments refused: the queue was full or the wait too long." },
        { &c->pg_retried, "mchost_postgres_retried_total", "counter",
          "Segments sent a second time." },
        { &c->pg_connects, "mchost_postgres_connects_total", "counter",
          "Connections established." },
        { &c->pg_lost, "mchost_postgres_lost_total", "counter",
          "Connections lost." },
        { &c->sockets, "mchost_websocket_sockets", "gauge",
          "WebSockets open." },
        { &c->sockets_total, "mchost_websocket_sockets_total", "counter",
          "WebSockets opened." },
        { &c->ws_messages_in, "mchost_websocket_messages_received_total",
          "counter", "Messages from clients." },
        { &c->ws_messages_out, "mchost_websocket_messages_sent_total",
          "counter", "Messages queued to clients." },
        { &c->ws_dropped, "mchost_websocket_messages_dropped_total",
          "counter", "Messages coalesced or dropped for slow readers." },
        { &c->ws_slow_closed, "mchost_websocket_slow_closed_total",
          "counter", "WebSockets closed with 1013." },
        { &c->redis_messages, "mchost_redis_messages_total", "counter",
          "Messages received from Redis' channels." }
    };

    for (i = 0; i < sizeof(counters) / sizeof(counters[0]); i++) {
        p = ngx_http_mchost_head(p, last, counters[i].name, counters[i].type,
                                 counters[i].help);
        p = ngx_slprintf(p, last, "%s %uA\n", counters[i].name,
                         *counters[i].value);
    }

    return p;
}


static u_char *
ngx_http_mchost_redis_text(u_char *p, u_char *last,
    ngx_http_mchost_worker_t *worker)
{
    if (worker->redis == NULL) {
        return p;
    }

    p = ngx_http_mchost_head(p, last, "mchost_redis_up", "gauge",
                             "Whether this worker is connected to Redis.");

    return ngx_slprintf(p, last, "mchost_redis_up %ui\n",
                        ngx_mchost_redis_ready(worker->redis));
}


ngx_int_t
ngx_http_mchost_metrics_handler(ngx_http_request_t *r)
{
    u_char                    *p, *last;
    ngx_int_t                  rc;
    ngx_buf_t                 *b;
    ngx_chain_t                out;
    ngx_http_mchost_worker_t  *worker;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    worker = ngx_http_mchost_worker;

    b = ngx_create_temp_buf(r->pool, NGX_HTTP_MCHOST_TEXT);

    if (worker == NULL || b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_mchost_publish(worker);

    p = b->last;
    last = b->end;

    p = ngx_http_mchost_requests_text(p, last, worker->metrics);
    p = ngx_http_mchost_durations_text(p, last, worker->metrics);
    p = ngx_http_mchost_pools_text(p, last, worker);
    p = ngx_http_mchost_counters_text(p, last, worker->counters);
    p = ngx_http_mchost_redis_text(p, last, worker);

    b->last = p;
    b->last_buf = (r == r->main);
    b->last_in_chain = 1;

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = b->last - b->pos;

    ngx_str_set(&r->headers_out.content_type,
                "text/plain; version=0.0.4; charset=utf-8");
    r->headers_out.content_type_len = sizeof("text/plain") - 1;
    r->headers_out.content_type_lowcase = NULL;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}
