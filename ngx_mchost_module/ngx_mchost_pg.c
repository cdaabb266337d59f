/*
 * The PostgreSQL pool of one worker: segments, the queue before the
 * connections, and who gets what when.
 */

#include "ngx_mchost_pg_int.h"

#define NGX_MCHOST_PG_SEGMENT_SIZE  2048


static void ngx_mchost_pg_dispatch(ngx_event_t *ev);
static void ngx_mchost_pg_deliver(ngx_mchost_pg_pool_t *pool);
static void ngx_mchost_pg_assign(ngx_mchost_pg_pool_t *pool);
static ngx_mchost_pg_conn_t *ngx_mchost_pg_choose(ngx_mchost_pg_pool_t *pool);
static void ngx_mchost_pg_starving(ngx_mchost_pg_pool_t *pool);
static void ngx_mchost_pg_limit(ngx_mchost_pg_pool_t *pool);
static void ngx_mchost_pg_leave(ngx_mchost_pg_pool_t *pool);
static void ngx_mchost_pg_queue_timer(ngx_mchost_pg_pool_t *pool);
static void ngx_mchost_pg_queue_timeout(ngx_event_t *ev);
static void ngx_mchost_pg_free(ngx_mchost_pg_segment_t *seg);


ngx_mchost_pg_segment_t *
ngx_mchost_pg_segment(ngx_mchost_pg_pool_t *pool,
    ngx_mchost_pg_handler_pt handler, void *data)
{
    ngx_pool_t               *memory;
    ngx_mchost_pg_segment_t  *seg;

    memory = ngx_create_pool(NGX_MCHOST_PG_SEGMENT_SIZE, pool->log);
    if (memory == NULL) {
        return NULL;
    }

    seg = ngx_pcalloc(memory, sizeof(ngx_mchost_pg_segment_t));
    if (seg == NULL) {
        ngx_destroy_pool(memory);
        return NULL;
    }

    seg->memory = memory;
    seg->pool = pool;
    seg->handler = handler;
    seg->data = data;
    seg->state = NGX_MCHOST_PG_SEG_NEW;

    return seg;
}


ngx_int_t
ngx_mchost_pg_add(ngx_mchost_pg_segment_t *seg, ngx_uint_t sql_id,
    const ngx_str_t *params)
{
    int                         i;
    u_char                     *p;
    ngx_mchost_pg_statement_t  *st;

    if (seg->nstatements == NGX_MCHOST_PG_STATEMENTS
        || sql_id >= MC_SQL_MAX
        || mc_sql[sql_id].nparams > NGX_MCHOST_PG_PARAMS)
    {
        return NGX_ERROR;
    }

    st = &seg->statements[seg->nstatements];
    st->id = sql_id;

    for (i = 0; i < mc_sql[sql_id].nparams; i++) {

        if (params[i].data == NULL) {
            st->params[i] = NULL;
            continue;
        }

        /* libpq would silently cut the text there */

        if (ngx_strlchr(params[i].data, params[i].data + params[i].len, '\0')
            != NULL)
        {
            return NGX_ERROR;
        }

        p = ngx_pnalloc(seg->memory, params[i].len + 1);
        if (p == NULL) {
            return NGX_ERROR;
        }

        st->params[i] = (char *) p;
        p = ngx_cpymem(p, params[i].data, params[i].len);
        *p = '\0';
    }

    if (!mc_sql[sql_id].read_only) {
        seg->writes = 1;
    }

    seg->nstatements++;

    return NGX_OK;
}


void
ngx_mchost_pg_submit(ngx_mchost_pg_segment_t *seg)
{
    ngx_mchost_pg_pool_t  *pool;

    pool = seg->pool;

    pool->stat.segments++;
    seg->submitted = ngx_current_msec;
    seg->queued = ngx_current_msec;

    if (pool->unreachable) {
        ngx_mchost_pg_fail(seg, NGX_MCHOST_PG_UNAVAILABLE);
        return;
    }

    seg->state = NGX_MCHOST_PG_SEG_QUEUED;
    ngx_queue_insert_tail(&pool->queue, &seg->queue);
    pool->queued++;

    ngx_mchost_pg_wakeup(pool);
}


void
ngx_mchost_pg_detach(ngx_mchost_pg_segment_t *seg)
{
    ngx_mchost_pg_pool_t  *pool;

    pool = seg->pool;
    seg->handler = NULL;

    switch (seg->state) {

    case NGX_MCHOST_PG_SEG_QUEUED:
        ngx_queue_remove(&seg->queue);
        pool->queued--;
        ngx_mchost_pg_free(seg);
        break;

    case NGX_MCHOST_PG_SEG_FAILED:
        ngx_queue_remove(&seg->queue);
        ngx_mchost_pg_free(seg);
        break;

    default:
        /* sent: drained in its turn; done: freed after the handler */
        break;
    }
}


void
ngx_mchost_pg_segment_free(ngx_mchost_pg_segment_t *seg)
{
    ngx_mchost_pg_free(seg);
}


ngx_mchost_pg_pool_t *
ngx_mchost_pg_segment_pool(ngx_mchost_pg_segment_t *seg)
{
    return seg->pool;
}


static void
ngx_mchost_pg_clear(ngx_mchost_pg_segment_t *seg)
{
    ngx_uint_t  i;

    for (i = 0; i < seg->nstatements; i++) {
        PQclear(seg->results[i]);
        seg->results[i] = NULL;
    }
}


static void
ngx_mchost_pg_free(ngx_mchost_pg_segment_t *seg)
{
    ngx_mchost_pg_clear(seg);
    ngx_destroy_pool(seg->memory);
}


void
ngx_mchost_pg_complete(ngx_mchost_pg_segment_t *seg)
{
    ngx_mchost_pg_reply_t   reply;

    seg->state = NGX_MCHOST_PG_SEG_DONE;

    if (seg->status != NGX_MCHOST_PG_OK) {
        seg->pool->stat.errors++;
    }

    if (seg->handler) {
        reply.status = seg->status;
        reply.results = seg->results;
        reply.nresults = seg->nstatements;
        ngx_memcpy(reply.sqlstate, seg->sqlstate, sizeof(reply.sqlstate));
        reply.message = seg->message ? seg->message : "";
        reply.queue_time = seg->queue_time;
        reply.time = seg->sent ? ngx_current_msec - seg->sent : 0;

        seg->handler(seg->data, &reply);
    }

    ngx_mchost_pg_free(seg);
}


void
ngx_mchost_pg_fail(ngx_mchost_pg_segment_t *seg, ngx_mchost_pg_status_e status)
{
    seg->status = status;
    seg->state = NGX_MCHOST_PG_SEG_FAILED;

    if (seg->sent == 0) {
        seg->queue_time = ngx_current_msec - seg->submitted;
    }

    ngx_queue_insert_tail(&seg->pool->failed, &seg->queue);
    ngx_mchost_pg_wakeup(seg->pool);
}


ngx_int_t
ngx_mchost_pg_retry(ngx_mchost_pg_segment_t *seg)
{
    if (seg->retried) {
        return NGX_DECLINED;
    }

    ngx_mchost_pg_clear(seg);

    seg->retried = 1;
    seg->synced = 0;
    seg->failed = 0;
    seg->nops = 0;
    seg->op = 0;
    seg->status = NGX_MCHOST_PG_OK;
    seg->sqlstate[0] = '\0';
    seg->message = NULL;
    seg->sent = 0;
    seg->queued = ngx_current_msec;

    seg->state = NGX_MCHOST_PG_SEG_QUEUED;
    ngx_queue_insert_head(&seg->pool->queue, &seg->queue);
    seg->pool->queued++;
    seg->pool->stat.retried++;

    ngx_mchost_pg_wakeup(seg->pool);

    return NGX_OK;
}


void
ngx_mchost_pg_wakeup(ngx_mchost_pg_pool_t *pool)
{
    ngx_post_event(&pool->dispatch, &ngx_posted_events);
}


/*
 * Runs after the handlers of one pass of the event loop, so that whatever
 * they have submitted is assigned together and every connection is flushed
 * once.
 */

static void
ngx_mchost_pg_dispatch(ngx_event_t *ev)
{
    ngx_mchost_pg_pool_t  *pool;

    pool = ev->data;

    ngx_mchost_pg_assign(pool);

    if (pool->queued) {
        ngx_mchost_pg_starving(pool);
        ngx_mchost_pg_limit(pool);
    }

    ngx_mchost_pg_deliver(pool);
    ngx_mchost_pg_queue_timer(pool);

    if (ngx_exiting) {
        ngx_mchost_pg_leave(pool);
    }
}


static void
ngx_mchost_pg_assign(ngx_mchost_pg_pool_t *pool)
{
    ngx_uint_t                i;
    ngx_queue_t              *q;
    ngx_mchost_pg_conn_t     *pc;
    ngx_mchost_pg_segment_t  *seg;

    while (!ngx_queue_empty(&pool->queue)) {

        pc = ngx_mchost_pg_choose(pool);
        if (pc == NULL) {
            break;
        }

        q = ngx_queue_head(&pool->queue);
        ngx_queue_remove(q);
        pool->queued--;

        seg = ngx_queue_data(q, ngx_mchost_pg_segment_t, queue);
        seg->queue_time = ngx_current_msec - seg->submitted;

        ngx_mchost_pg_conn_send(pc, seg);
    }

    for (i = 0; i < pool->conf->connections; i++) {
        if (pool->connections[i].dirty) {
            ngx_mchost_pg_conn_flush(&pool->connections[i]);
        }
    }
}


/*
 * The connection with the fewest segments in flight. There are 4 to 8 of
 * them: a pool that is small and deep is faster than a wide one.
 */

static ngx_mchost_pg_conn_t *
ngx_mchost_pg_choose(ngx_mchost_pg_pool_t *pool)
{
    ngx_queue_t           *q, *next;
    ngx_mchost_pg_conn_t  *pc, *best;

    best = NULL;

    for (q = ngx_queue_head(&pool->conns[NGX_MCHOST_PG_READY]);
         q != ngx_queue_sentinel(&pool->conns[NGX_MCHOST_PG_READY]);
         q = next)
    {
        next = ngx_queue_next(q);
        pc = ngx_queue_data(q, ngx_mchost_pg_conn_t, queue);

        if (ngx_mchost_pg_conn_expired(pc)) {
            continue;
        }

        if (best == NULL || pc->in_flight < best->in_flight) {
            best = pc;
        }
    }

    return best;
}


/* The queue is not empty and no connection can take anything now. */

static void
ngx_mchost_pg_starving(ngx_mchost_pg_pool_t *pool)
{
    ngx_queue_t              *q;
    ngx_mchost_pg_conn_t     *pc;
    ngx_mchost_pg_segment_t  *seg;

    if (pool->nconns[NGX_MCHOST_PG_CLOSED] == pool->conf->connections
        && !pool->unreachable)
    {
        /* as after the idle ones were closed in a worker that exits */

        q = ngx_queue_head(&pool->conns[NGX_MCHOST_PG_CLOSED]);
        pc = ngx_queue_data(q, ngx_mchost_pg_conn_t, queue);
        ngx_mchost_pg_conn_connect(pc);
    }

    if (!pool->unreachable) {
        return;
    }

    while (!ngx_queue_empty(&pool->queue)) {
        q = ngx_queue_head(&pool->queue);
        ngx_queue_remove(q);
        pool->queued--;

        seg = ngx_queue_data(q, ngx_mchost_pg_segment_t, queue);
        ngx_mchost_pg_fail(seg, NGX_MCHOST_PG_UNAVAILABLE);
    }
}


/* Of more segments than may wait, those that came last are refused. */

static void
ngx_mchost_pg_limit(ngx_mchost_pg_pool_t *pool)
{
    ngx_queue_t              *q;
    ngx_mchost_pg_segment_t  *seg;

    while (pool->queued > pool->conf->queue) {
        q = ngx_queue_last(&pool->queue);
        ngx_queue_remove(q);
        pool->queued--;
        pool->stat.rejected++;

        seg = ngx_queue_data(q, ngx_mchost_pg_segment_t, queue);
        ngx_mchost_pg_fail(seg, NGX_MCHOST_PG_QUEUE_FULL);
    }
}


static void
ngx_mchost_pg_deliver(ngx_mchost_pg_pool_t *pool)
{
    ngx_queue_t              *q, failed;
    ngx_mchost_pg_segment_t  *seg;

    /* what fails from within a handler is for the next pass */

    ngx_queue_init(&failed);

    if (!ngx_queue_empty(&pool->failed)) {
        ngx_queue_add(&failed, &pool->failed);
        ngx_queue_init(&pool->failed);
    }

    while (!ngx_queue_empty(&failed)) {
        q = ngx_queue_head(&failed);
        ngx_queue_remove(q);

        seg = ngx_queue_data(q, ngx_mchost_pg_segment_t, queue);
        ngx_mchost_pg_complete(seg);
    }
}


/* A worker that exits closes its idle connections, once nothing waits. */

static void
ngx_mchost_pg_leave(ngx_mchost_pg_pool_t *pool)
{
    ngx_uint_t             i;
    ngx_mchost_pg_conn_t  *pc;

    if (pool->queued) {
        return;
    }

    for (i = 0; i < pool->conf->connections; i++) {
        pc = &pool->connections[i];

        if (pc->in_flight == 0) {
            ngx_mchost_pg_conn_close(pc);
        }
    }
}


/* Milliseconds that a segment may still wait. */

static ngx_msec_int_t
ngx_mchost_pg_queue_left(ngx_mchost_pg_segment_t *seg)
{
    return (ngx_msec_int_t) (seg->queued + seg->pool->conf->queue_timeout
                             - ngx_current_msec);
}


/*
 * Everybody waits equally long, so the queue is ordered by time; but those at
 * its head that are there for the second time came later than they stand.
 */

static void
ngx_mchost_pg_queue_timer(ngx_mchost_pg_pool_t *pool)
{
    ngx_queue_t              *q;
    ngx_msec_int_t            left;
    ngx_mchost_pg_segment_t  *seg;

    if (ngx_queue_empty(&pool->queue)) {
        if (pool->queue_timer.timer_set) {
            ngx_del_timer(&pool->queue_timer);
        }

        return;
    }

    if (pool->queue_timer.timer_set) {
        return;
    }

    left = (ngx_msec_int_t) pool->conf->queue_timeout;

    for (q = ngx_queue_head(&pool->queue);
         q != ngx_queue_sentinel(&pool->queue);
         q = ngx_queue_next(q))
    {
        seg = ngx_queue_data(q, ngx_mchost_pg_segment_t, queue);
        left = ngx_min(left, ngx_mchost_pg_queue_left(seg));

        if (!seg->retried) {
            break;
        }
    }

    ngx_add_timer(&pool->queue_timer, left > 0 ? (ngx_msec_t) left : 1);
}


static void
ngx_mchost_pg_queue_timeout(ngx_event_t *ev)
{
    ngx_queue_t              *q, *next;
    ngx_mchost_pg_pool_t     *pool;
    ngx_mchost_pg_segment_t  *seg;

    pool = ev->data;

    for (q = ngx_queue_head(&pool->queue);
         q != ngx_queue_sentinel(&pool->queue);
         q = next)
    {
        next = ngx_queue_next(q);
        seg = ngx_queue_data(q, ngx_mchost_pg_segment_t, queue);

        if (ngx_mchost_pg_queue_left(seg) > 0) {

            if (seg->retried) {
                continue;
            }

            break;
        }

        ngx_queue_remove(q);
        pool->queued--;
        pool->stat.rejected++;

        ngx_mchost_pg_fail(seg, NGX_MCHOST_PG_QUEUE_TIMEOUT);
    }

    ngx_mchost_pg_queue_timer(pool);
}


/* -- process life -- */

ngx_mchost_pg_pool_t *
ngx_mchost_pg_pool_create(ngx_mchost_pg_conf_t *conf, ngx_cycle_t *cycle)
{
    ngx_uint_t             i;
    ngx_mchost_pg_pool_t  *pool;

    pool = ngx_pcalloc(cycle->pool, sizeof(ngx_mchost_pg_pool_t));
    if (pool == NULL) {
        return NULL;
    }

    pool->connections = ngx_pcalloc(cycle->pool, conf->connections
                                                * sizeof(ngx_mchost_pg_conn_t));
    if (pool->connections == NULL) {
        return NULL;
    }

    pool->conf = conf;
    pool->cycle = cycle;
    pool->log = cycle->log;

    ngx_queue_init(&pool->queue);
    ngx_queue_init(&pool->failed);

    for (i = 0; i < NGX_MCHOST_PG_STATES; i++) {
        ngx_queue_init(&pool->conns[i]);
    }

    pool->dispatch.handler = ngx_mchost_pg_dispatch;
    pool->dispatch.data = pool;
    pool->dispatch.log = pool->log;

    pool->queue_timer.handler = ngx_mchost_pg_queue_timeout;
    pool->queue_timer.data = pool;
    pool->queue_timer.log = pool->log;

    for (i = 0; i < conf->connections; i++) {
        ngx_mchost_pg_conn_init(&pool->connections[i], pool);
    }

    for (i = 0; i < conf->connections; i++) {
        ngx_mchost_pg_conn_connect(&pool->connections[i]);
    }

    return pool;
}


static void
ngx_mchost_pg_drop(ngx_queue_t *list)
{
    ngx_queue_t              *q;
    ngx_mchost_pg_segment_t  *seg;

    while (!ngx_queue_empty(list)) {
        q = ngx_queue_head(list);
        ngx_queue_remove(q);

        seg = ngx_queue_data(q, ngx_mchost_pg_segment_t, queue);
        ngx_mchost_pg_free(seg);
    }
}


void
ngx_mchost_pg_pool_destroy(ngx_mchost_pg_pool_t *pool)
{
    ngx_uint_t             i;
    ngx_mchost_pg_conn_t  *pc;

    for (i = 0; i < pool->conf->connections; i++) {
        pc = &pool->connections[i];

        ngx_mchost_pg_drop(&pc->segments);
        pc->in_flight = 0;
        ngx_mchost_pg_conn_close(pc);

        if (pc->timer.timer_set) {
            ngx_del_timer(&pc->timer);
        }
    }

    ngx_mchost_pg_drop(&pool->queue);
    ngx_mchost_pg_drop(&pool->failed);
    pool->queued = 0;

    if (pool->queue_timer.timer_set) {
        ngx_del_timer(&pool->queue_timer);
    }

    if (pool->dispatch.posted) {
        ngx_delete_posted_event(&pool->dispatch);
    }
}


void
ngx_mchost_pg_pool_stat(ngx_mchost_pg_pool_t *pool, ngx_mchost_pg_stat_t *st)
{
    ngx_uint_t  i, busy;

    *st = pool->stat;

    busy = 0;
    st->in_flight = 0;

    for (i = 0; i < pool->conf->connections; i++) {
        if (pool->connections[i].in_flight) {
            busy++;
            st->in_flight += pool->connections[i].in_flight;
        }
    }

    st->busy = busy;
    st->connecting = pool->nconns[NGX_MCHOST_PG_CONNECTING];
    st->ready = pool->nconns[NGX_MCHOST_PG_READY]
                + pool->nconns[NGX_MCHOST_PG_FULL]
                + pool->nconns[NGX_MCHOST_PG_DRAINING] - busy;
    st->queued = pool->queued;
}


ngx_mchost_pg_conf_t *
ngx_mchost_pg_pool_conf(ngx_mchost_pg_pool_t *pool)
{
    return pool->conf;
}
