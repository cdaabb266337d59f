/*
 * Reading log histories out of Redis, a page at a time and one server after
 * the other, while the socket's queue has room. Every page begins with the
 * entry that was sent last: when it is not there, something was trimmed.
 */

#include "ngx_http_mchost_session_logs.h"

#define NGX_HTTP_MCHOST_LOGS_PAGE    200    /* entries of a read */
#define NGX_HTTP_MCHOST_LOGS_RETRY   1000   /* ms, when Redis is away */


static void ngx_http_mchost_logs_page(void *data, redisReply *reply);


static void
ngx_http_mchost_logs_later(ngx_http_mchost_logs_t *logs)
{
    if (!logs->retry.timer_set) {
        ngx_add_timer(&logs->retry, NGX_HTTP_MCHOST_LOGS_RETRY);
    }
}


/* Asks about the stream of log, which becomes current; the arguments follow
 * the key. NGX_DECLINED: not now. */
static ngx_int_t
ngx_http_mchost_logs_ask(ngx_http_mchost_logs_t *logs,
    ngx_http_mchost_log_t *log, ngx_mchost_redis_handler_pt handler,
    const char *verb, const char *sub, const char *from, const char *to,
    const char *count)
{
    int           argc = 0, i;
    u_char        key[256], *p;
    size_t        argvlen[7];
    ngx_str_t    *prefix;
    const char   *argv[7];

    prefix = ngx_mchost_redis_prefix(ngx_http_mchost_worker->redis);
    p = ngx_snprintf(key, sizeof(key) - 37, "%Vlog:", prefix);
    p = ngx_mchost_key_text(p, &log->key);
    *p = '\0';

    argv[argc++] = verb;
    if (sub != NULL) {
        argv[argc++] = sub;
    }
    argv[argc++] = (char *) key;
    if (from != NULL) {
        argv[argc++] = from;
        argv[argc++] = to;
        argv[argc++] = "COUNT";
        argv[argc++] = count;
    }
    for (i = 0; i < argc; i++) {
        argvlen[i] = ngx_strlen(argv[i]);
    }

    if (ngx_mchost_redis_command(ngx_http_mchost_worker->redis, handler, logs,
                                 argc, argv, argvlen)
        != NGX_OK)
    {
        ngx_http_mchost_logs_later(logs);
        return NGX_DECLINED;
    }
    logs->current = log;
    return NGX_OK;
}


void
ngx_http_mchost_logs_continue(ngx_http_mchost_session_t *s)
{
    char                     from[48], count[NGX_INT_T_LEN + 1];
    ngx_http_mchost_log_t   *log;
    ngx_http_mchost_logs_t  *logs = s->logs;

    if (logs == NULL || logs->current != NULL
        || ngx_queue_empty(&logs->todo)
        || s->state != NGX_HTTP_MCHOST_WS_OPEN
        || s->out.bytes > s->conf->ws_queue / 2)
    {
        return;
    }

    log = ngx_queue_data(ngx_queue_head(&logs->todo), ngx_http_mchost_log_t,
                         queue);
    (void) snprintf(from, sizeof(from), "%.*s", (int) log->last.len,
                    log->last.text);
    (void) snprintf(count, sizeof(count), "%d", NGX_HTTP_MCHOST_LOGS_PAGE);

    (void) ngx_http_mchost_logs_ask(logs, log, ngx_http_mchost_logs_page,
                                    "XRANGE", NULL, from, "+", count);
}


/* The reply's log, when it is still wanted as it was asked for. */
static ngx_http_mchost_log_t *
ngx_http_mchost_logs_current(ngx_http_mchost_logs_t *logs, redisReply *reply)
{
    ngx_http_mchost_log_t  *log = logs->current;

    logs->current = NULL;

    if (log->forget) {
        ngx_http_mchost_logs_remove(logs, log);
        ngx_http_mchost_logs_continue(logs->session);
        return NULL;
    }
    if (log->restart) {
        log->restart = 0;
        ngx_http_mchost_logs_continue(logs->session);
        return NULL;
    }
    if (reply == NULL || reply->type == REDIS_REPLY_ERROR) {
        ngx_http_mchost_logs_later(logs);
        return NULL;
    }
    return log;
}


/* {"op":"gap",…}; to may be NULL: nothing is there. */
static void
ngx_http_mchost_logs_gap(ngx_http_mchost_session_t *s,
    ngx_http_mchost_log_t *log, const ngx_mchost_seq_t *from,
    const ngx_mchost_seq_t *to)
{
    char    tail[256];
    int     n;
    u_char  server[37];

    *ngx_mchost_key_text(server, &log->key) = '\0';
    n = snprintf(tail, sizeof(tail),
                 "\"server\":\"%s\",\"topic\":\"logs\",\"from\":\"%.*s\","
                 "\"to\":%s%.*s%s", server, (int) from->len, from->text,
                 to ? "\"" : "null", to ? (int) to->len : 0,
                 to ? (char *) to->text : "", to ? "\"" : "");
    ngx_http_mchost_session_send(s, "gap", NULL, tail, n);
}


static ngx_int_t
ngx_http_mchost_logs_id(redisReply *entry, ngx_mchost_seq_t *id)
{
    if (entry->type != REDIS_REPLY_ARRAY || entry->elements != 2
        || entry->element[0]->type != REDIS_REPLY_STRING
        || entry->element[1]->type != REDIS_REPLY_ARRAY)
    {
        return NGX_ERROR;
    }
    ngx_mchost_seq_set(id, entry->element[0]->str, entry->element[0]->len);
    return NGX_OK;
}


ngx_int_t
ngx_http_mchost_logs_entry(redisReply *entry, const char *server,
    mc_envelope_t *env)
{
    size_t             i;
    redisReply        *fields, *name, *value;
    ngx_mchost_seq_t   id;

    if (ngx_http_mchost_logs_id(entry, &id) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_memzero(env, sizeof(mc_envelope_t));
    env->server = server;
    env->seq = entry->element[0]->str;
    env->seq_len = entry->element[0]->len;
    fields = entry->element[1];

    for (i = 0; i + 1 < fields->elements; i += 2) {
        name = fields->element[i];
        value = fields->element[i + 1];
        if (name->type != REDIS_REPLY_STRING
            || value->type != REDIS_REPLY_STRING)
        {
            return NGX_ERROR;
        }
        if (ngx_strcmp(name->str, "time") == 0) {
            env->time = value->str;
            env->time_len = value->len;

        } else if (ngx_strcmp(name->str, "data") == 0) {
            env->data = value->str;
            env->data_len = value->len;
        }
    }

    return env->time != NULL && env->data != NULL && env->data_len != 0
           && ngx_mchost_event_acceptable(env) ? NGX_OK : NGX_ERROR;
}


/* Queues the entries from first on, in one block. */
static ngx_int_t
ngx_http_mchost_logs_push(ngx_http_mchost_session_t *s,
    ngx_http_mchost_log_t *log, redisReply *reply, size_t first)
{
    size_t               i, size = 0;
    u_char               server[36];
    ngx_int_t            rc = NGX_OK;
    ngx_uint_t           frames = 0;
    mc_envelope_t        env;
    ngx_mchost_block_t  *b;

    (void) ngx_mchost_key_text(server, &log->key);

    for (i = first; i < reply->elements; i++) {
        if (ngx_http_mchost_logs_entry(reply->element[i], (char *) server,
                                       &env)
            == NGX_OK)
        {
            size += ngx_mchost_event_size("logs", &env);
        }
    }
    if (size == 0) {
        return NGX_OK;
    }

    b = ngx_mchost_block_create(size, s->connection->log);
    if (b == NULL) {
        return NGX_ERROR;
    }
    for (i = first; i < reply->elements; i++) {
        if (ngx_http_mchost_logs_entry(reply->element[i], (char *) server,
                                       &env)
            == NGX_OK)
        {
            b->last = ngx_mchost_event_write(b->last, "logs", &env);
            frames++;
        }
    }
    rc = ngx_mchost_outq_add(&s->out, b, (u_char *) (b + 1), b->last, frames,
                             0, s->connection->log);
    ngx_mchost_block_release(b);
    return rc;
}


static void
ngx_http_mchost_logs_settled(ngx_http_mchost_logs_t *logs,
    ngx_http_mchost_log_t *log)
{
    ngx_queue_remove(&log->queue);
    log->state = NGX_HTTP_MCHOST_LOGS_SETTLED;
    log->settled = ngx_current_msec;
}


/* All of a page is queued; entries is how many there were, fresh whether any
 * of them was new. */
static void
ngx_http_mchost_logs_advance(ngx_http_mchost_logs_t *logs,
    ngx_http_mchost_log_t *log, size_t entries, ngx_uint_t fresh)
{
    if (entries == NGX_HTTP_MCHOST_LOGS_PAGE) {
        return;
    }

    if (log->dropped.len != 0
        && ngx_mchost_seq_cmp(&log->dropped, &log->last) > 0)
    {
        if (fresh) {
            return;                     /* newer ones came meanwhile */
        }
        /* told of, but not there: trimmed already, or the stream is gone */
        ngx_http_mchost_logs_gap(logs->session, log, &log->last,
                                 &log->dropped);
        log->last = log->dropped;
    }
    ngx_http_mchost_logs_settled(logs, log);
}


/* -- is something missing before the first entry? -- */

static void
ngx_http_mchost_logs_verdict(ngx_http_mchost_logs_t *logs,
    ngx_http_mchost_log_t *log, const ngx_mchost_seq_t *oldest,
    ngx_uint_t missing)
{
    log->checked = 1;
    if (missing) {
        ngx_http_mchost_logs_gap(logs->session, log, &log->last, oldest);
    }
    ngx_http_mchost_logs_continue(logs->session);
}


static redisReply *
ngx_http_mchost_logs_field(redisReply *reply, const char *name)
{
    size_t  i;

    for (i = 0; i + 1 < reply->elements; i += 2) {
        if (reply->element[i]->type == REDIS_REPLY_STRING
            && ngx_strcmp(reply->element[i]->str, name) == 0)
        {
            return reply->element[i + 1];
        }
    }
    return NULL;
}


/* XINFO STREAM: when as many entries were added as are there, none is gone.
 * Where that cannot be learned (Redis 6, a stricter ACL), a gap that may not
 * be one is better than silence. */
static void
ngx_http_mchost_logs_info(void *data, redisReply *reply)
{
    redisReply              *length, *added, *first;
    ngx_uint_t               missing = 1;
    ngx_mchost_seq_t         oldest;
    ngx_http_mchost_log_t   *log;
    ngx_http_mchost_logs_t  *logs = data;
    redisReply               none;

    ngx_memzero(&none, sizeof(redisReply));
    none.type = REDIS_REPLY_ARRAY;
    if (reply != NULL && reply->type == REDIS_REPLY_ERROR) {
        reply = &none;
    }

    log = ngx_http_mchost_logs_current(logs, reply);
    if (log == NULL) {
        return;
    }

    length = ngx_http_mchost_logs_field(reply, "length");
    added = ngx_http_mchost_logs_field(reply, "entries-added");
    first = ngx_http_mchost_logs_field(reply, "first-entry");
    if (length != NULL && added != NULL) {
        missing = length->integer != added->integer;
    }
    if (first == NULL || ngx_http_mchost_logs_id(first, &oldest) != NGX_OK) {
        ngx_mchost_seq_set(&oldest, "", 0);
    }
    ngx_http_mchost_logs_verdict(logs, log, oldest.len ? &oldest : NULL,
                                 missing);
}


/* The stream's oldest entry: when it is not newer than since, nothing after
 * since was trimmed. When it is, and since was an entry of this stream, then
 * something was. Else the stream may just be younger than since. */
static void
ngx_http_mchost_logs_oldest(void *data, redisReply *reply)
{
    ngx_mchost_seq_t         oldest;
    ngx_http_mchost_log_t   *log;
    ngx_http_mchost_logs_t  *logs = data;

    log = ngx_http_mchost_logs_current(logs, reply);
    if (log == NULL) {
        return;
    }

    if (reply->elements == 0
        || ngx_http_mchost_logs_id(reply->element[0], &oldest) != NGX_OK)
    {
        ngx_http_mchost_logs_verdict(logs, log, NULL, log->strict);
        return;
    }

    if (ngx_mchost_seq_cmp(&oldest, &log->last) <= 0 || log->strict) {
        ngx_http_mchost_logs_verdict(logs, log, &oldest,
                                ngx_mchost_seq_cmp(&oldest, &log->last) > 0);
        return;
    }

    (void) ngx_http_mchost_logs_ask(logs, log, ngx_http_mchost_logs_info,
                                    "XINFO", "STREAM", NULL, NULL, NULL);
}


static void
ngx_http_mchost_logs_page(void *data, redisReply *reply)
{
    size_t                      first;
    ngx_uint_t                  match;
    ngx_mchost_seq_t            id;
    ngx_http_mchost_log_t      *log;
    ngx_http_mchost_logs_t     *logs = data;
    ngx_http_mchost_session_t  *s = logs->session;

    log = ngx_http_mchost_logs_current(logs, reply);
    if (log == NULL) {
        return;
    }

    match = reply->elements > 0
            && ngx_http_mchost_logs_id(reply->element[0], &id) == NGX_OK
            && ngx_mchost_seq_cmp(&id, &log->last) == 0;

    if (!match && !log->checked && !log->known) {
        (void) ngx_http_mchost_logs_ask(logs, log, ngx_http_mchost_logs_oldest,
                                        "XRANGE", NULL, "-", "+", "1");
        return;
    }
    if (!match && log->known) {
        /* it was there when an event, or the last page, told of it */
        ngx_http_mchost_logs_gap(s, log, &log->last,
                                 reply->elements > 0 ? &id : NULL);
    }

    first = match && log->after ? 1 : 0;
    if (ngx_http_mchost_logs_push(s, log, reply, first) != NGX_OK) {
        ngx_http_mchost_logs_oom(s);
        return;
    }

    if (reply->elements > first
        && ngx_http_mchost_logs_id(reply->element[reply->elements - 1],
                                   &log->last)
           == NGX_OK)
    {
        log->known = 1;
    }
    log->after = 1;
    log->checked = 1;

    ngx_http_mchost_logs_advance(logs, log, reply->elements,
                                 reply->elements > first);
    ngx_http_mchost_ws_dirty(s);
    ngx_http_mchost_logs_continue(s);
}
