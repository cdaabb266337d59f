/*
 * The conversation on one WebSocket: client messages are checked, become
 * operations and are answered by their id.
 */

#include "ngx_http_mchost_session.h"

typedef void (*ngx_http_mchost_op_pt)(ngx_http_mchost_op_t *op);

typedef struct {
    const char              *name;
    const char              *fields[4];     /* besides op and id */
    ngx_http_mchost_op_pt    handler;
} ngx_http_mchost_op_kind_t;


static void ngx_http_mchost_op_ping(ngx_http_mchost_op_t *op);

static const ngx_http_mchost_op_kind_t  ngx_http_mchost_op_kinds[] = {
    { "auth", { "token" }, ngx_http_mchost_op_auth },
    { "ping", { NULL }, ngx_http_mchost_op_ping },
    { "subscribe", { "topics", "servers", "since" },
      ngx_http_mchost_op_subscribe },
    { "unsubscribe", { "topics", "servers" },
      ngx_http_mchost_op_unsubscribe },
    { "command", { "server", "command" }, ngx_http_mchost_op_command },
    { "action", { "server", "action" }, ngx_http_mchost_op_action },
    { NULL, { NULL }, NULL }
};


/* -- answers -- */

void
ngx_http_mchost_session_send(ngx_http_mchost_session_t *s, const char *op,
    ngx_str_t *id, const char *tail, size_t tail_len)
{
    size_t               len;
    u_char              *p;
    ngx_log_t           *log = s->connection->log;
    ngx_mchost_block_t  *b;

    if (s->state > NGX_HTTP_MCHOST_WS_OPEN) {
        return;                         /* the Close frame is the last one */
    }

    len = sizeof("{\"op\":\"\"}") - 1 + ngx_strlen(op);
    if (id != NULL && id->len != 0) {
        len += sizeof(",\"id\":") - 1 + id->len;
    }
    if (tail_len != 0) {
        len += 1 + tail_len;
    }

    b = ngx_mchost_block_create(MC_WS_HEADER_MAX + len, log);
    if (b == NULL) {
        ngx_http_mchost_ws_close(s, MC_WS_INTERNAL, "out of memory");
        return;
    }

    p = b->last;
    p += mc_ws_header(p, MC_WS_TEXT, len);
    p = ngx_cpymem(p, "{\"op\":\"", sizeof("{\"op\":\"") - 1);
    p = ngx_cpymem(p, op, ngx_strlen(op));
    *p++ = '"';
    if (id != NULL && id->len != 0) {
        p = ngx_cpymem(p, ",\"id\":", sizeof(",\"id\":") - 1);
        p = ngx_cpymem(p, id->data, id->len);
    }
    if (tail_len != 0) {
        *p++ = ',';
        p = ngx_cpymem(p, tail, tail_len);
    }
    *p++ = '}';
    b->last = p;

    if (ngx_mchost_outq_add(&s->out, b, (u_char *) (b + 1), p, 1, 0, log)
        != NGX_OK)
    {
        ngx_http_mchost_ws_close(s, MC_WS_INTERNAL, "out of memory");
    }
    ngx_mchost_block_release(b);

    if (s->out.bytes > 2 * s->conf->ws_queue) {
        /* reading stops at half of it: only many big answers come here */
        ngx_http_mchost_ws_overflow(s);
        return;
    }
    ngx_http_mchost_ws_dirty(s);
}


void
ngx_http_mchost_session_error(ngx_http_mchost_session_t *s, ngx_str_t *id,
    const char *code, const char *message)
{
    char  tail[512], text[400];
    int   n;

    n = (int) mc_json_escape(text, sizeof(text), message,
                             ngx_strlen(message));
    if (n >= (int) sizeof(text)) {
        text[0] = '\0';                 /* longer than any of ours */
    }
    n = snprintf(tail, sizeof(tail), "\"code\":\"%s\",\"message\":\"%s\"",
                 code, text);
    ngx_http_mchost_session_send(s, "error", id, tail, n);
}


/* -- operations -- */

void
ngx_http_mchost_op_done(ngx_http_mchost_op_t *op)
{
    ngx_http_mchost_session_t  *s = op->session;

    if (op->segment != NULL) {
        ngx_mchost_pg_detach(op->segment);
    }
    if (op->console != NULL) {
        ngx_http_mchost_console_detach(op->console);
    }
    if (op->timer.timer_set) {
        ngx_del_timer(&op->timer);
    }
    if (op->subscribe) {
        ngx_http_mchost_sub_release(op);
    }
    ngx_http_mchost_set_free(&op->servers);

    ngx_queue_remove(&op->queue);
    s->nops--;
    ngx_destroy_pool(op->pool);
}


void
ngx_http_mchost_op_result(ngx_http_mchost_op_t *op, const char *kind,
    const char *tail, size_t tail_len)
{
    ngx_http_mchost_session_send(op->session, kind, &op->id, tail, tail_len);
    ngx_http_mchost_op_done(op);
}


void
ngx_http_mchost_op_error(ngx_http_mchost_op_t *op, const char *code,
    const char *message)
{
    ngx_http_mchost_session_error(op->session, &op->id, code, message);
    ngx_http_mchost_op_done(op);
}


ngx_mchost_pg_segment_t *
ngx_http_mchost_op_segment(ngx_http_mchost_op_t *op,
    const ngx_http_mchost_credential_t *cred, ngx_http_mchost_scope_e scope,
    ngx_http_mchost_gate_e gate, ngx_mchost_pg_handler_pt handler)
{
    op->segment = ngx_mchost_pg_segment(op->session->pool, handler, op);

    if (op->segment != NULL
        && ngx_http_mchost_auth_add(op->segment, cred, scope, gate) != NGX_OK)
    {
        ngx_mchost_pg_segment_free(op->segment);
        op->segment = NULL;
    }

    if (op->segment == NULL) {
        ngx_http_mchost_op_error(op, "internal", "Out of memory.");
        return NULL;
    }
    return op->segment;
}


static const char *
ngx_http_mchost_op_code(ngx_uint_t status)
{
    switch (status) {
    case NGX_HTTP_CONFLICT:
        return "conflict";
    case NGX_HTTP_SERVICE_UNAVAILABLE:
        return "unavailable";
    case NGX_HTTP_GATEWAY_TIME_OUT:
        return "timeout";
    case 422:
    case NGX_HTTP_BAD_REQUEST:
        return "invalid";
    default:
        return "internal";
    }
}


ngx_int_t
ngx_http_mchost_op_authorized(ngx_http_mchost_op_t *op,
    ngx_mchost_pg_reply_t *reply, ngx_http_mchost_identity_t *id)
{
    const char                 *detail;
    ngx_uint_t                  status;
    ngx_http_mchost_session_t  *s = op->session;

    op->segment = NULL;

    if (reply->status != NGX_MCHOST_PG_OK) {
        status = ngx_http_mchost_pg_problem(reply, &detail);
        ngx_http_mchost_op_error(op, ngx_http_mchost_op_code(status), detail);
        return NGX_ERROR;
    }

    switch (ngx_http_mchost_auth_read(reply, id)) {

    case NGX_HTTP_MCHOST_AUTH_OK:
        return NGX_OK;

    case NGX_HTTP_MCHOST_AUTH_FORBIDDEN:
        ngx_http_mchost_op_error(op, "forbidden",
                                 "Role or scopes do not suffice.");
        return NGX_ERROR;

    case NGX_HTTP_MCHOST_AUTH_SUSPENDED:
        ngx_http_mchost_op_error(op, "suspended",
                                 "The tenant is suspended: it is read-only.");
        return NGX_ERROR;

    default:
        ngx_http_mchost_op_error(op, "unauthorized",
                                 "The API key is not valid.");
        ngx_http_mchost_ws_close(s, MC_WS_UNAUTHORIZED, "key is not valid");
        return NGX_ERROR;
    }
}


static void
ngx_http_mchost_op_ping(ngx_http_mchost_op_t *op)
{
    ngx_http_mchost_op_result(op, "pong", NULL, 0);
}


/* -- messages -- */

static void *
ngx_http_mchost_op_alloc(void *pool, size_t size)
{
    return ngx_palloc(pool, size);
}


mc_alloc_t
ngx_http_mchost_op_memory(ngx_http_mchost_op_t *op)
{
    mc_alloc_t  alloc;

    alloc.alloc = ngx_http_mchost_op_alloc;
    alloc.pool = op->pool;
    return alloc;
}


static ngx_http_mchost_op_t *
ngx_http_mchost_op_create(ngx_http_mchost_session_t *s)
{
    ngx_pool_t            *pool;
    ngx_http_mchost_op_t  *op;

    /* short messages fit into one page with the operation itself */
    pool = ngx_create_pool(2048, ngx_cycle->log);
    if (pool == NULL) {
        return NULL;
    }
    op = ngx_pcalloc(pool, sizeof(ngx_http_mchost_op_t));
    if (op == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    op->pool = pool;
    op->session = s;
    ngx_queue_insert_tail(&s->ops, &op->queue);
    s->nops++;
    return op;
}


/* The id goes back as it came: an integer, or a short string. */
static ngx_int_t
ngx_http_mchost_op_id(ngx_http_mchost_op_t *op)
{
    size_t      len;
    int64_t     n;
    mc_json_t  *id;

    id = mc_json_get(op->json, "id");
    if (id == NULL) {
        return NGX_OK;
    }
    if (!(id->type == MC_JSON_NUMBER && mc_json_is_int(id, &n))
        && !(id->type == MC_JSON_STRING && id->len <= 64))
    {
        return NGX_ERROR;
    }

    len = mc_json_write(NULL, 0, id);
    op->id.data = ngx_pnalloc(op->pool, len + 1);
    if (op->id.data == NULL) {
        return NGX_ERROR;
    }
    op->id.len = mc_json_write((char *) op->id.data, len + 1, id);
    return NGX_OK;
}


static const char *
ngx_http_mchost_op_unknown(ngx_http_mchost_op_t *op,
    const ngx_http_mchost_op_kind_t *kind)
{
    mc_json_t   *m;
    ngx_uint_t   i, known;

    for (m = op->json->child; m != NULL; m = m->next) {
        known = ngx_strcmp(m->key, "op") == 0 || ngx_strcmp(m->key, "id") == 0;
        for (i = 0; !known && i < 4 && kind->fields[i] != NULL; i++) {
            known = ngx_strcmp(m->key, kind->fields[i]) == 0;
        }
        if (!known) {
            return m->key;
        }
    }
    return NULL;
}


static void
ngx_http_mchost_op_run(ngx_http_mchost_op_t *op)
{
    char                              text[128];
    const char                       *name, *field;
    ngx_http_mchost_session_t        *s = op->session;
    const ngx_http_mchost_op_kind_t  *kind;

    name = mc_json_str(mc_json_get(op->json, "op"), "");
    for (kind = ngx_http_mchost_op_kinds; kind->name != NULL; kind++) {
        if (ngx_strcmp(name, kind->name) == 0) {
            break;
        }
    }

    if (!s->authenticated && kind->handler != ngx_http_mchost_op_auth) {
        ngx_http_mchost_op_error(op, "unauthorized",
                                 "The first message must be \"auth\".");
        ngx_http_mchost_ws_close(s, MC_WS_UNAUTHORIZED, "not authenticated");
        return;
    }

    if (kind->name == NULL) {
        ngx_http_mchost_op_error(op, "invalid", "There is no such op.");
        return;
    }

    field = ngx_http_mchost_op_unknown(op, kind);
    if (field != NULL) {
        (void) snprintf(text, sizeof(text), "%s has no field \"%.40s\".",
                        kind->name, field);
        ngx_http_mchost_op_error(op, "invalid", text);
        return;
    }

    kind->handler(op);
}


/* Messages that came while the first one was still being authenticated. */
static void
ngx_http_mchost_session_replay(ngx_http_mchost_session_t *s)
{
    ngx_queue_t           *q;
    ngx_http_mchost_op_t  *op;

    while (!ngx_queue_empty(&s->waiting) && !s->auth_pending) {
        q = ngx_queue_head(&s->waiting);
        op = ngx_queue_data(q, ngx_http_mchost_op_t, queue);
        ngx_queue_remove(q);
        ngx_queue_insert_tail(&s->ops, q);
        ngx_http_mchost_op_run(op);
    }
}


void
ngx_http_mchost_session_message(ngx_http_mchost_session_t *s, u_char *text,
    size_t len)
{
    mc_alloc_t             alloc;
    mc_json_error_t        err;
    ngx_http_mchost_op_t  *op;

    (void) ngx_atomic_fetch_add(
                       &ngx_http_mchost_worker->counters->ws_messages_in, 1);

    op = ngx_http_mchost_op_create(s);
    if (op == NULL) {
        ngx_http_mchost_ws_close(s, MC_WS_INTERNAL, "out of memory");
        return;
    }

    alloc = ngx_http_mchost_op_memory(op);
    op->json = mc_json_parse(&alloc, (char *) text, len, &err);

    if (op->json == NULL) {
        ngx_http_mchost_op_error(op, "invalid", err.message);
        return;
    }
    if (op->json->type != MC_JSON_OBJECT) {
        ngx_http_mchost_op_error(op, "invalid",
                                 "A message is a JSON object.");
        return;
    }
    if (ngx_http_mchost_op_id(op) != NGX_OK) {
        ngx_http_mchost_op_error(op, "invalid",
                            "id is an integer or a string of 64 bytes.");
        return;
    }
    if (s->nops > NGX_HTTP_MCHOST_SESSION_OPS) {
        ngx_http_mchost_op_error(op, "rate_limited",
                                 "Too many messages are unanswered.");
        return;
    }

    if (s->auth_pending && !s->authenticated) {
        ngx_queue_remove(&op->queue);
        ngx_queue_insert_tail(&s->waiting, &op->queue);
        return;
    }
    ngx_http_mchost_op_run(op);
}


/* Called by the auth operation when it is answered. */
void
ngx_http_mchost_session_authenticated(ngx_http_mchost_session_t *s)
{
    s->auth_pending = 0;
    if (!s->authenticated) {
        s->authenticated = 1;
        ngx_http_mchost_ws_heartbeat(s);
    }
    ngx_http_mchost_session_replay(s);
}


/* Called by the auth operation when the database could not be asked. */
void
ngx_http_mchost_session_unauthenticated(ngx_http_mchost_session_t *s)
{
    ngx_http_mchost_op_t  *op;

    s->auth_pending = 0;
    while (!ngx_queue_empty(&s->waiting)) {
        op = ngx_queue_data(ngx_queue_head(&s->waiting), ngx_http_mchost_op_t,
                            queue);
        ngx_http_mchost_op_error(op, "unavailable",
                                 "Authentication was not possible.");
    }
}


/* -- the key is looked at again -- */

static void
ngx_http_mchost_session_checked(void *data, ngx_mchost_pg_reply_t *reply)
{
    ngx_http_mchost_session_t  *s = data;

    s->segment = NULL;
    if (reply->status != NGX_MCHOST_PG_OK) {
        return;                         /* the database says nothing now */
    }
    if (ngx_http_mchost_auth_read(reply, &s->identity)
        != NGX_HTTP_MCHOST_AUTH_OK)
    {
        ngx_http_mchost_session_error(s, NULL, "unauthorized",
                                      "The API key is no longer valid.");
        ngx_http_mchost_ws_close(s, MC_WS_UNAUTHORIZED, "key is not valid");
    }
}


void
ngx_http_mchost_session_check(ngx_http_mchost_session_t *s)
{
    ngx_mchost_pg_segment_t  *seg;

    if (s->segment != NULL || s->state != NGX_HTTP_MCHOST_WS_OPEN) {
        return;
    }
    seg = ngx_mchost_pg_segment(s->pool, ngx_http_mchost_session_checked, s);
    if (seg == NULL) {
        return;
    }
    if (ngx_http_mchost_auth_add(seg, &s->credential,
                                 NGX_HTTP_MCHOST_SCOPE_SERVERS_READ,
                                 NGX_HTTP_MCHOST_GATE_NONE)
        != NGX_OK) {
        ngx_mchost_pg_segment_free(seg);
        return;
    }
    s->segment = seg;
    ngx_mchost_pg_submit(seg);
}


/* -- life -- */

void
ngx_http_mchost_session_init(ngx_http_mchost_session_t *s)
{
    ngx_queue_init(&s->ops);
    ngx_queue_init(&s->waiting);
    ngx_mchost_outq_init(&s->out);
    ngx_mchost_outq_init(&s->held);
}


static void
ngx_http_mchost_session_drop(ngx_queue_t *ops)
{
    ngx_http_mchost_op_t  *op;

    while (!ngx_queue_empty(ops)) {
        op = ngx_queue_data(ngx_queue_head(ops), ngx_http_mchost_op_t, queue);
        ngx_http_mchost_op_done(op);
    }
}


void
ngx_http_mchost_session_quiesce(ngx_http_mchost_session_t *s)
{
    ngx_uint_t                   i;
    ngx_http_mchost_interest_t  *in;

    if (s->segment != NULL) {
        ngx_mchost_pg_detach(s->segment);
        s->segment = NULL;
    }
    ngx_http_mchost_session_drop(&s->ops);
    ngx_http_mchost_session_drop(&s->waiting);

    for (i = 0; i < NGX_HTTP_MCHOST_TOPICS; i++) {
        in = &s->interest[i];
        if (in->sub.channel != NULL) {
            ngx_mchost_hub_leave(ngx_http_mchost_worker->hub, &in->sub);
        }
        ngx_http_mchost_set_free(&in->servers);
    }

    ngx_mchost_outq_clear(&s->held);
    ngx_http_mchost_logs_destroy(s);
}


void
ngx_http_mchost_session_destroy(ngx_http_mchost_session_t *s)
{
    if (s->destroyed) {
        return;
    }
    s->destroyed = 1;

    if (s->state >= NGX_HTTP_MCHOST_WS_OPEN) {
        (void) ngx_atomic_fetch_add(
                             &ngx_http_mchost_worker->counters->sockets, -1);
    }
    if (s->counted) {
        ngx_http_mchost_limit_socket_closed(s->identity.tenant);
    }
    if (s->timer.timer_set) {
        ngx_del_timer(&s->timer);
    }

    ngx_http_mchost_session_quiesce(s);
    ngx_mchost_outq_clear(&s->out);
    if (s->message != NULL) {
        ngx_free(s->message);
        s->message = NULL;
    }
}
