/*
 * Log histories on a socket: no gap, no duplicate, and no memory for what is
 * not sent.
 *
 * A line is added to the server's stream and published in one step, so the
 * stream has everything that an event tells of. While a server's history is
 * being read its live events are not queued; only how far they went is
 * remembered. When a read reaches the end of the stream short of that, it
 * reads again; when not, the server is settled: live events pass, but for
 * those the history had already. The same way out of the stream serves a
 * reader that is too slow for the live events: they are left in the stream
 * until its queue has room.
 */

#include "ngx_http_mchost_session_logs.h"

#define NGX_HTTP_MCHOST_LOGS_SETTLE  10000  /* ms after which no event that */
                                            /* the history had can come */


/* -- the index -- */

static ngx_http_mchost_log_t *
ngx_http_mchost_logs_find(ngx_http_mchost_logs_t *logs,
    const ngx_mchost_key_t *key)
{
    ngx_rbtree_key_t        hash = ngx_mchost_key_hash(key);
    ngx_rbtree_node_t      *node;
    ngx_http_mchost_log_t  *log;

    if (logs == NULL) {
        return NULL;
    }

    node = logs->index.root;
    while (node != &logs->sentinel) {
        if (hash == node->key) {
            log = ngx_rbtree_data(node, ngx_http_mchost_log_t, node);
            if (ngx_mchost_key_cmp(&log->key, key) == 0) {
                return log;
            }
        }
        node = hash < node->key ? node->left : node->right;
    }
    return NULL;
}


static void
ngx_http_mchost_logs_retry_handler(ngx_event_t *ev)
{
    ngx_http_mchost_logs_t  *logs = ev->data;

    ngx_http_mchost_logs_continue(logs->session);
}


static ngx_http_mchost_logs_t *
ngx_http_mchost_logs_create(ngx_http_mchost_session_t *s)
{
    ngx_http_mchost_logs_t  *logs;

    logs = ngx_calloc(sizeof(ngx_http_mchost_logs_t), s->connection->log);
    if (logs == NULL) {
        return NULL;
    }

    logs->session = s;
    ngx_rbtree_init(&logs->index, &logs->sentinel, ngx_rbtree_insert_value);
    ngx_queue_init(&logs->todo);
    logs->retry.handler = ngx_http_mchost_logs_retry_handler;
    logs->retry.data = logs;
    logs->retry.log = ngx_cycle->log;
    logs->retry.cancelable = 1;
    return logs;
}


static ngx_http_mchost_log_t *
ngx_http_mchost_logs_add(ngx_http_mchost_session_t *s,
    const ngx_mchost_key_t *key)
{
    ngx_http_mchost_log_t  *log;

    if (s->logs == NULL) {
        s->logs = ngx_http_mchost_logs_create(s);
        if (s->logs == NULL) {
            return NULL;
        }
    }

    log = ngx_calloc(sizeof(ngx_http_mchost_log_t), s->connection->log);
    if (log == NULL) {
        return NULL;
    }
    log->key = *key;
    log->node.key = ngx_mchost_key_hash(key);
    ngx_rbtree_insert(&s->logs->index, &log->node);
    return log;
}


void
ngx_http_mchost_logs_remove(ngx_http_mchost_logs_t *logs,
    ngx_http_mchost_log_t *log)
{
    if (log->state == NGX_HTTP_MCHOST_LOGS_TODO) {
        ngx_queue_remove(&log->queue);
    }
    ngx_rbtree_delete(&logs->index, &log->node);
    ngx_free(log);
}


static void
ngx_http_mchost_logs_todo(ngx_http_mchost_logs_t *logs,
    ngx_http_mchost_log_t *log)
{
    if (log->state != NGX_HTTP_MCHOST_LOGS_TODO) {
        log->state = NGX_HTTP_MCHOST_LOGS_TODO;
        ngx_queue_insert_tail(&logs->todo, &log->queue);
    }
}


/* -- live events -- */

void
ngx_http_mchost_logs_oom(ngx_http_mchost_session_t *s)
{
    ngx_http_mchost_ws_close(s, MC_WS_INTERNAL, "out of memory");
}


/* Leaves the event, and what follows, in the stream. */
static void
ngx_http_mchost_logs_defer(ngx_http_mchost_session_t *s,
    ngx_mchost_event_t *ev, ngx_uint_t pending, ngx_uint_t listened)
{
    ngx_http_mchost_log_t  *log;

    log = ngx_http_mchost_logs_add(s, &ev->key);
    if (log == NULL) {
        ngx_http_mchost_logs_oom(s);
        return;
    }

    ngx_mchost_seq_set(&log->last, ev->env.seq, ev->env.seq_len);
    log->dropped = log->last;
    log->known = 1;
    log->listened = (listened != 0);
    if (!pending) {
        ngx_http_mchost_logs_todo(s->logs, log);
    }
}


static void
ngx_http_mchost_logs_queue(ngx_http_mchost_session_t *s,
    ngx_mchost_event_t *ev)
{
    ngx_int_t            rc = NGX_ERROR;
    ngx_log_t           *log = s->connection->log;
    ngx_mchost_block_t  *b;

    if (s->blocked) {
        b = ngx_mchost_event_single(ev);
        if (b != NULL) {
            rc = ngx_mchost_outq_add(&s->out, b, (u_char *) (b + 1), b->last,
                                     1, 0, log);
        }

    } else if (ngx_mchost_event_frame(ev) == NGX_OK) {
        rc = ngx_mchost_outq_add(&s->out, ev->block, ev->pos, ev->last, 1, 0,
                                 log);
    }

    if (rc != NGX_OK) {
        ngx_http_mchost_logs_oom(s);
        return;
    }
    ngx_http_mchost_ws_dirty(s);
}


/* 1 when the event is the history's business, or was in it. */
static ngx_uint_t
ngx_http_mchost_logs_kept(ngx_http_mchost_session_t *s,
    ngx_mchost_event_t *ev)
{
    ngx_mchost_seq_t        seq;
    ngx_http_mchost_log_t  *log;

    log = ngx_http_mchost_logs_find(s->logs, &ev->key);
    if (log == NULL || log->forget) {
        return 0;
    }

    ngx_mchost_seq_set(&seq, ev->env.seq, ev->env.seq_len);
    if (log->state != NGX_HTTP_MCHOST_LOGS_SETTLED) {
        if (ngx_mchost_seq_cmp(&seq, &log->dropped) > 0) {
            log->dropped = seq;
        }
        return 1;
    }
    if (ngx_mchost_seq_cmp(&seq, &log->last) <= 0) {
        return 1;
    }

    /* from here on only newer ones come */
    ngx_http_mchost_logs_remove(s->logs, log);
    return 0;
}


void
ngx_http_mchost_logs_event(ngx_http_mchost_session_t *s,
    ngx_mchost_event_t *ev)
{
    ngx_uint_t             listened, pending;
    ngx_http_mchost_op_t  *op = s->subscribing;

    listened = ngx_http_mchost_set_has(
                         &s->interest[NGX_HTTP_MCHOST_LOGS].servers, &ev->key);
    pending = op != NULL && op->loading && op->since != NULL
              && (op->topics & ngx_http_mchost_bit(NGX_HTTP_MCHOST_LOGS))
              && ngx_http_mchost_set_has(&op->servers, &ev->key);

    if ((!listened && !pending) || ngx_http_mchost_logs_kept(s, ev)) {
        return;
    }

    if (pending || s->out.bytes > s->conf->ws_queue / 2) {
        ngx_http_mchost_logs_defer(s, ev, pending, listened);

    } else {
        ngx_http_mchost_logs_queue(s, ev);
    }
}


/* -- what to read -- */

ngx_int_t
ngx_http_mchost_logs_load(ngx_http_mchost_session_t *s,
    const ngx_mchost_key_t *key, const char *since, size_t len,
    ngx_uint_t strict)
{
    ngx_http_mchost_log_t  *log;

    log = ngx_http_mchost_logs_find(s->logs, key);
    if (log == NULL) {
        log = ngx_http_mchost_logs_add(s, key);
        if (log == NULL) {
            return NGX_ERROR;
        }
    }

    ngx_mchost_seq_set(&log->last, since, len);
    log->after = 1;
    log->known = 0;
    log->strict = (strict != 0);
    log->checked = mc_seq_cmp(since, len, "0", 1) == 0;
    log->forget = 0;
    log->restart = (s->logs->current == log);
    ngx_http_mchost_logs_todo(s->logs, log);
    return NGX_OK;
}


static ngx_http_mchost_log_t *
ngx_http_mchost_logs_first(ngx_http_mchost_logs_t *logs)
{
    if (logs == NULL || logs->index.root == &logs->sentinel) {
        return NULL;
    }
    return ngx_rbtree_data(ngx_rbtree_min(logs->index.root, &logs->sentinel),
                           ngx_http_mchost_log_t, node);
}


static ngx_http_mchost_log_t *
ngx_http_mchost_logs_next(ngx_http_mchost_logs_t *logs,
    ngx_http_mchost_log_t *log)
{
    ngx_rbtree_node_t  *node;

    node = ngx_rbtree_next(&logs->index, &log->node);
    return node == NULL ? NULL : ngx_rbtree_data(node, ngx_http_mchost_log_t,
                                                 node);
}


void
ngx_http_mchost_logs_settle(ngx_http_mchost_session_t *s,
    const mc_json_t *since)
{
    ngx_http_mchost_log_t  *log, *next;

    for (log = ngx_http_mchost_logs_first(s->logs); log != NULL; log = next) {
        next = ngx_http_mchost_logs_next(s->logs, log);
        if (log->state != NGX_HTTP_MCHOST_LOGS_PENDING) {
            continue;
        }

        if (log->listened) {
            ngx_http_mchost_logs_todo(s->logs, log);    /* from last itself */

        } else if (since != NULL && since->type == MC_JSON_STRING) {
            (void) ngx_http_mchost_logs_load(s, &log->key, since->str,
                                             since->len, 0);
        } else {
            ngx_http_mchost_logs_remove(s->logs, log);
        }
    }
}


void
ngx_http_mchost_logs_forget(ngx_http_mchost_session_t *s,
    const ngx_http_mchost_set_t *servers)
{
    ngx_http_mchost_log_t  *log, *next;

    for (log = ngx_http_mchost_logs_first(s->logs); log != NULL; log = next) {
        next = ngx_http_mchost_logs_next(s->logs, log);
        if (!ngx_http_mchost_set_has(servers, &log->key)) {
            continue;
        }
        if (log == s->logs->current) {
            log->forget = 1;

        } else {
            ngx_http_mchost_logs_remove(s->logs, log);
        }
    }
}


void
ngx_http_mchost_logs_tick(ngx_http_mchost_session_t *s)
{
    ngx_http_mchost_log_t  *log, *next;

    for (log = ngx_http_mchost_logs_first(s->logs); log != NULL; log = next) {
        next = ngx_http_mchost_logs_next(s->logs, log);
        if (log->state == NGX_HTTP_MCHOST_LOGS_SETTLED
            && ngx_current_msec - log->settled > NGX_HTTP_MCHOST_LOGS_SETTLE)
        {
            ngx_http_mchost_logs_remove(s->logs, log);
        }
    }
}


void
ngx_http_mchost_logs_destroy(ngx_http_mchost_session_t *s)
{
    ngx_http_mchost_log_t   *log;
    ngx_http_mchost_logs_t  *logs = s->logs;

    if (logs == NULL) {
        return;
    }
    s->logs = NULL;

    if (logs->current != NULL) {
        ngx_mchost_redis_detach(ngx_http_mchost_worker->redis, logs);
    }
    if (logs->retry.timer_set) {
        ngx_del_timer(&logs->retry);
    }
    while ((log = ngx_http_mchost_logs_first(logs)) != NULL) {
        ngx_http_mchost_logs_remove(logs, log);
    }
    ngx_free(logs);
}
