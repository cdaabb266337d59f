/*
 * subscribe and unsubscribe, one after the other in the order they came.
 *
 * A subscribe joins the tenant's channels first and, once Redis confirms,
 * asks the database for its servers and their state: whatever changes after
 * that question was asked comes over the channel. Live events of servers that
 * are being loaded are kept back meanwhile, one per server, so that the
 * client sees ack, snapshot and news in this order and nothing twice.
 */

#include "ngx_http_mchost_session.h"
#include "mc_uuid.h"

#define NGX_HTTP_MCHOST_SUB_WAIT  5000      /* ms for Redis to confirm */

static const char  *ngx_http_mchost_topics[] = { "status", "logs" };


/* -- what the message says -- */

/* NULL, or what is wrong. */
static const char *
ngx_http_mchost_sub_topics(ngx_http_mchost_op_t *op, const char **code)
{
    ngx_uint_t   i;
    const char  *name;
    mc_json_t   *v, *topics = mc_json_get(op->json, "topics");

    *code = "invalid";
    if (topics == NULL || topics->type != MC_JSON_ARRAY || topics->n == 0) {
        return "topics is a list, for example [\"status\", \"logs\"].";
    }

    for (v = topics->child; v != NULL; v = v->next) {
        name = mc_json_str(v, "");
        for (i = 0; i < NGX_HTTP_MCHOST_TOPICS; i++) {
            if (ngx_strcmp(name, ngx_http_mchost_topics[i]) == 0) {
                op->topics |= ngx_http_mchost_bit(i);
                break;
            }
        }

        if (i == NGX_HTTP_MCHOST_TOPICS) {
            if (ngx_strcmp(name, "metrics") == 0
                || ngx_strcmp(name, "events") == 0)
            {
                *code = "unsupported";
                return "This server offers the topics status and logs.";
            }
            return "There is no such topic.";
        }
    }
    return NULL;
}


static const char *
ngx_http_mchost_sub_servers(ngx_http_mchost_op_t *op, const char **code)
{
    ngx_uint_t         n;
    mc_json_t         *v, *servers = mc_json_get(op->json, "servers");
    ngx_mchost_key_t  *keys;

    *code = "invalid";
    if (servers == NULL || servers->type != MC_JSON_ARRAY || servers->n == 0) {
        return "servers is a list of ids, or [\"*\"].";
    }
    if (servers->n > NGX_HTTP_MCHOST_SESSION_SERVERS) {
        return "servers has more than 1000 ids; use several messages.";
    }

    keys = ngx_palloc(op->pool, servers->n * sizeof(ngx_mchost_key_t));
    if (keys == NULL) {
        *code = "internal";
        return "Out of memory.";
    }

    for (v = servers->child, n = 0; v != NULL; v = v->next) {
        if (v->type != MC_JSON_STRING) {
            return "servers is a list of ids, or [\"*\"].";
        }
        if (servers->n == 1 && ngx_strcmp(v->str, "*") == 0) {
            op->servers.all = 1;
            return NULL;
        }
        if (!mc_uuid_valid(v->str, v->len)) {
            *code = "not_found";
            return "There is no such server.";
        }
        ngx_mchost_key_parse(&keys[n++], v->str);
    }

    if (ngx_http_mchost_set_add(&op->servers, keys, n, ngx_cycle->log)
        != NGX_OK)
    {
        *code = "internal";
        return "Out of memory.";
    }
    return NULL;
}


/* "ms" or "ms-n", as mc_seq_cmp() orders them. */
static ngx_uint_t
ngx_http_mchost_sub_cursor(const mc_json_t *v)
{
    return v->type == MC_JSON_STRING && v->len > 0
           && v->len <= sizeof(((ngx_mchost_seq_t *) 0)->text)
           && mc_seq_cmp(v->str, v->len, "0", 1) >= 0;
}


static const char *
ngx_http_mchost_sub_since(ngx_http_mchost_op_t *op, const char **code)
{
    mc_json_t  *v, *since = mc_json_get(op->json, "since");

    *code = "invalid";
    if (since == NULL || since->type == MC_JSON_NULL) {
        return NULL;
    }

    if (since->type == MC_JSON_OBJECT) {
        for (v = since->child; v != NULL; v = v->next) {
            if (!ngx_http_mchost_sub_cursor(v)) {
                return "since gives servers the seq of their last event.";
            }
        }

    } else if (!ngx_http_mchost_sub_cursor(since)) {
        return "since is the seq of an event, or \"0\" for all there is.";
    }

    op->since = since;
    return NULL;
}


static void
ngx_http_mchost_sub_queue(ngx_http_mchost_op_t *op)
{
    const char  *error, *code;

    error = ngx_http_mchost_sub_topics(op, &code);
    if (error == NULL) {
        error = ngx_http_mchost_sub_servers(op, &code);
    }
    if (error == NULL) {
        error = ngx_http_mchost_sub_since(op, &code);
    }
    if (error != NULL) {
        ngx_http_mchost_op_error(op, code, error);
        return;
    }

    op->subscribe = 1;
    ngx_http_mchost_sub_next(op->session);
}


void
ngx_http_mchost_op_subscribe(ngx_http_mchost_op_t *op)
{
    ngx_http_mchost_sub_queue(op);
}


void
ngx_http_mchost_op_unsubscribe(ngx_http_mchost_op_t *op)
{
    op->unsubscribe = 1;
    ngx_http_mchost_sub_queue(op);
}


/* -- channels -- */

static ngx_uint_t
ngx_http_mchost_sub_is_loading(ngx_http_mchost_session_t *s,
    ngx_uint_t topic, const ngx_mchost_key_t *key)
{
    ngx_http_mchost_op_t  *op = s->subscribing;

    return op != NULL && op->loading
           && (op->topics & ngx_http_mchost_bit(topic))
           && ngx_http_mchost_set_has(&op->servers, key);
}


/* A status event: with the others of this wakeup in one span while the
 * socket takes them, else at most one per server. */
static void
ngx_http_mchost_sub_status(ngx_mchost_sub_t *sub, ngx_mchost_event_t *ev)
{
    ngx_int_t                   rc;
    ngx_log_t                  *log;
    ngx_uint_t                  held;
    ngx_mchost_block_t         *b;
    ngx_http_mchost_session_t  *s = sub->data;

    if (s->state != NGX_HTTP_MCHOST_WS_OPEN) {
        return;
    }

    held = ngx_http_mchost_sub_is_loading(s, NGX_HTTP_MCHOST_STATUS, &ev->key);
    if (!held
        && !ngx_http_mchost_set_has(
                      &s->interest[NGX_HTTP_MCHOST_STATUS].servers, &ev->key))
    {
        return;
    }

    log = s->connection->log;
    if (!held && !ngx_http_mchost_session_slow(s)) {
        rc = ngx_mchost_event_frame(ev);
        if (rc == NGX_OK) {
            rc = ngx_mchost_outq_add(&s->out, ev->block, ev->pos, ev->last, 1,
                                     0, log);
        }

    } else {
        b = ngx_mchost_event_single(ev);
        rc = b == NULL ? NGX_ERROR
                       : ngx_mchost_outq_state(held ? &s->held : &s->out, b,
                                               &ev->key, ev->env.seq,
                                               ev->env.seq_len, log);
        if (rc == NGX_DECLINED) {
            (void) ngx_atomic_fetch_add(
                           &ngx_http_mchost_worker->counters->ws_dropped, 1);
            rc = NGX_OK;
        }
    }

    if (rc == NGX_ERROR) {
        ngx_http_mchost_ws_close(s, MC_WS_INTERNAL, "out of memory");

    } else if (s->blocked && s->out.bytes > s->conf->ws_queue) {
        ngx_http_mchost_ws_overflow(s);

    } else if (!held) {
        ngx_http_mchost_ws_dirty(s);
    }
}


static void
ngx_http_mchost_sub_logs(ngx_mchost_sub_t *sub, ngx_mchost_event_t *ev)
{
    ngx_http_mchost_session_t  *s = sub->data;

    if (s->state == NGX_HTTP_MCHOST_WS_OPEN) {
        ngx_http_mchost_logs_event(s, ev);
    }
}


/* 1 when Redis has confirmed all of these topics' channels. */
static ngx_uint_t
ngx_http_mchost_sub_confirmed(ngx_http_mchost_session_t *s, ngx_uint_t topics)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_MCHOST_TOPICS; i++) {
        if ((topics & ngx_http_mchost_bit(i)) && !s->interest[i].sub.ready) {
            return 0;
        }
    }
    return 1;
}


static void
ngx_http_mchost_sub_ready(ngx_mchost_sub_t *sub)
{
    ngx_http_mchost_session_t  *s = sub->data;
    ngx_http_mchost_op_t       *op = s->subscribing;

    if (op != NULL && !op->loading
        && s->state == NGX_HTTP_MCHOST_WS_OPEN
        && ngx_http_mchost_sub_confirmed(s, op->topics))
    {
        ngx_http_mchost_sub_load(op);
    }
}


/* Redis was away: what was published meanwhile is lost, and only the client
 * knows how far it had come. One "resync" for all its channels. */
static void
ngx_http_mchost_sub_resumed(ngx_mchost_sub_t *sub)
{
    ngx_uint_t                  i;
    ngx_http_mchost_session_t  *s = sub->data;

    for (i = 0; i < NGX_HTTP_MCHOST_TOPICS; i++) {
        if (s->interest[i].sub.lost) {
            return;
        }
    }
    ngx_http_mchost_session_send(s, "resync", NULL, NULL, 0);
    ngx_http_mchost_sub_ready(sub);
}


static const ngx_mchost_sub_ops_t  ngx_http_mchost_sub_ops[] = {
    { ngx_http_mchost_sub_ready, ngx_http_mchost_sub_resumed,
      ngx_http_mchost_sub_status, NULL },
    { ngx_http_mchost_sub_ready, ngx_http_mchost_sub_resumed,
      ngx_http_mchost_sub_logs, NULL }
};


static ngx_int_t
ngx_http_mchost_sub_join(ngx_http_mchost_session_t *s, ngx_uint_t topic)
{
    u_char             name[64];
    ngx_str_t          channel;
    ngx_mchost_sub_t  *sub = &s->interest[topic].sub;

    if (sub->channel != NULL) {
        return NGX_OK;
    }

    /* of the tenant that the key belongs to, never of what a client says */
    channel.data = name;
    channel.len = ngx_sprintf(name, "t:%s:%s", s->identity.tenant,
                              ngx_http_mchost_topics[topic]) - name;
    return ngx_mchost_hub_join(ngx_http_mchost_worker->hub, sub, &channel,
                               ngx_http_mchost_topics[topic],
                               &ngx_http_mchost_sub_ops[topic], s);
}


static void
ngx_http_mchost_sub_leave(ngx_http_mchost_session_t *s)
{
    ngx_uint_t                   i;
    ngx_http_mchost_interest_t  *in;

    for (i = 0; i < NGX_HTTP_MCHOST_TOPICS; i++) {
        in = &s->interest[i];
        if (in->sub.channel != NULL && !in->servers.all && in->servers.n == 0)
        {
            ngx_mchost_hub_leave(ngx_http_mchost_worker->hub, &in->sub);
        }
    }
}


/* -- one after the other -- */

void
ngx_http_mchost_sub_release(ngx_http_mchost_op_t *op)
{
    ngx_mchost_out_t           *out;
    ngx_http_mchost_session_t  *s = op->session;

    if (s->subscribing != op) {
        return;
    }
    s->subscribing = NULL;
    if (s->destroyed || s->state != NGX_HTTP_MCHOST_WS_OPEN) {
        return;
    }

    /* kept back for a subscribe that failed: some of it may have been
     * subscribed to before */
    for (out = s->held.head; out != NULL; out = out->next) {
        out->stale |= !ngx_http_mchost_set_has(
                      &s->interest[NGX_HTTP_MCHOST_STATUS].servers, &out->key);
    }
    if (ngx_mchost_outq_move(&s->held, &s->out, s->connection->log) != NGX_OK)
    {
        ngx_http_mchost_ws_close(s, MC_WS_INTERNAL, "out of memory");
        return;
    }
    ngx_http_mchost_logs_settle(s, NULL);
    ngx_http_mchost_ws_dirty(s);
    ngx_http_mchost_sub_leave(s);
}


static void
ngx_http_mchost_sub_timer_handler(ngx_event_t *ev)
{
    ngx_http_mchost_op_t       *op = ev->data;
    ngx_http_mchost_session_t  *s = op->session;

    ngx_http_mchost_op_error(op, "unavailable",
                             "Redis is away; try again later.");
    ngx_http_mchost_sub_next(s);
}


static void
ngx_http_mchost_sub_drop(ngx_http_mchost_op_t *op)
{
    ngx_uint_t                  i;
    ngx_http_mchost_session_t  *s = op->session;

    for (i = 0; i < NGX_HTTP_MCHOST_TOPICS; i++) {
        if ((op->topics & ngx_http_mchost_bit(i))
            && s->interest[i].servers.all && !op->servers.all)
        {
            ngx_http_mchost_op_error(op, "invalid",
                        "The subscription is to \"*\": it ends as a whole.");
            return;
        }
    }

    for (i = 0; i < NGX_HTTP_MCHOST_TOPICS; i++) {
        if (op->topics & ngx_http_mchost_bit(i)) {
            ngx_http_mchost_set_subtract(&s->interest[i].servers,
                                         &op->servers);
        }
    }
    if (op->topics & ngx_http_mchost_bit(NGX_HTTP_MCHOST_LOGS)) {
        ngx_http_mchost_logs_forget(s, &op->servers);
    }
    ngx_http_mchost_sub_leave(s);
    ngx_http_mchost_op_result(op, "ack", NULL, 0);
}


static void
ngx_http_mchost_sub_begin(ngx_http_mchost_op_t *op)
{
    ngx_uint_t                  i;
    ngx_http_mchost_session_t  *s = op->session;

    if (ngx_http_mchost_worker->hub == NULL) {
        ngx_http_mchost_op_error(op, "unavailable",
                                 "This server has no live events.");
        return;
    }

    s->subscribing = op;
    for (i = 0; i < NGX_HTTP_MCHOST_TOPICS; i++) {
        if ((op->topics & ngx_http_mchost_bit(i))
            && ngx_http_mchost_sub_join(s, i) == NGX_ERROR)
        {
            ngx_http_mchost_op_error(op, "internal", "Out of memory.");
            return;
        }
    }

    if (ngx_http_mchost_sub_confirmed(s, op->topics)) {
        ngx_http_mchost_sub_load(op);
        return;
    }

    op->timer.handler = ngx_http_mchost_sub_timer_handler;
    op->timer.data = op;
    op->timer.log = ngx_cycle->log;
    op->timer.cancelable = 1;
    ngx_add_timer(&op->timer, NGX_HTTP_MCHOST_SUB_WAIT);
}


void
ngx_http_mchost_sub_next(ngx_http_mchost_session_t *s)
{
    ngx_queue_t           *q, *next;
    ngx_http_mchost_op_t  *op;

    for (q = ngx_queue_head(&s->ops);
         q != ngx_queue_sentinel(&s->ops);
         q = next)
    {
        if (s->subscribing != NULL || s->state != NGX_HTTP_MCHOST_WS_OPEN
            || s->out.bytes > s->conf->ws_queue / 2)
        {
            return;
        }

        next = ngx_queue_next(q);
        op = ngx_queue_data(q, ngx_http_mchost_op_t, queue);
        if (!op->subscribe) {
            continue;
        }
        if (op->unsubscribe) {
            ngx_http_mchost_sub_drop(op);

        } else {
            ngx_http_mchost_sub_begin(op);
        }
    }
}
