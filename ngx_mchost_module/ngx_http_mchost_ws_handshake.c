/*
 * The opening handshake (RFC 6455 section 4.2) and the takeover of the
 * connection from nginx.
 */

#include <ngx_sha1.h>
#include "ngx_http_mchost_ws.h"

#define NGX_HTTP_MCHOST_WS_GUID      "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#define NGX_HTTP_MCHOST_WS_PROTOCOL  "mchost.v1"
#define NGX_HTTP_MCHOST_WS_WAIT      30000      /* ms of authentication */
#define NGX_HTTP_MCHOST_WS_UNSENT    131072     /* bytes in the kernel */


typedef struct {
    ngx_str_t    key;
    ngx_str_t    version;
    ngx_str_t    origin;
    unsigned     upgrade:1;
    unsigned     connection:1;
    unsigned     protocols:1;           /* some were offered, */
    unsigned     protocol:1;            /* ours was among them */
} ngx_http_mchost_offer_t;


static void
ngx_http_mchost_ws_cleanup(void *data)
{
    ngx_http_mchost_session_destroy(data);
}


ngx_http_mchost_session_t *
ngx_http_mchost_ws_session(ngx_http_request_t *r)
{
    ngx_http_cleanup_t  *cln;

    /* not the module's context: that is the API's */
    for (cln = r->main->cleanup; cln != NULL; cln = cln->next) {
        if (cln->handler == ngx_http_mchost_ws_cleanup) {
            return cln->data;
        }
    }
    return NULL;
}


/* 1 when the comma-separated list has the token. */
static ngx_uint_t
ngx_http_mchost_ws_token(ngx_str_t *list, const char *token,
    ngx_uint_t any_case)
{
    size_t   len = ngx_strlen(token);
    u_char  *p = list->data, *end = p + list->len, *comma, *last;

    while (p < end) {
        comma = ngx_strlchr(p, end, ',');
        last = comma ? comma : end;

        while (p < last && (*p == ' ' || *p == '\t')) {
            p++;
        }
        while (last > p && (last[-1] == ' ' || last[-1] == '\t')) {
            last--;
        }
        if ((size_t) (last - p) == len
            && (any_case ? ngx_strncasecmp(p, (u_char *) token, len)
                         : ngx_strncmp(p, token, len))
               == 0)
        {
            return 1;
        }
        p = comma ? comma + 1 : end;
    }
    return 0;
}


static void
ngx_http_mchost_ws_header(ngx_http_mchost_offer_t *o, ngx_table_elt_t *h)
{
    static ngx_str_t  upgrade = ngx_string("upgrade");
    static ngx_str_t  connection = ngx_string("connection");
    static ngx_str_t  key = ngx_string("sec-websocket-key");
    static ngx_str_t  version = ngx_string("sec-websocket-version");
    static ngx_str_t  protocol = ngx_string("sec-websocket-protocol");
    static ngx_str_t  origin = ngx_string("origin");

#define is(name)                                                              \
    (h->key.len == (name).len                                                 \
     && ngx_strncmp(h->lowcase_key, (name).data, (name).len) == 0)

    if (is(upgrade)) {
        o->upgrade |= ngx_http_mchost_ws_token(&h->value, "websocket", 1);

    } else if (is(connection)) {
        o->connection |= ngx_http_mchost_ws_token(&h->value, "upgrade", 1);

    } else if (is(key)) {
        /* twice is none */
        if (o->key.data != NULL) {
            o->key.len = 0;

        } else {
            o->key = h->value;
        }

    } else if (is(version)) {
        o->version = h->value;

    } else if (is(origin)) {
        o->origin = h->value;

    } else if (is(protocol)) {
        o->protocols = 1;
        o->protocol |= ngx_http_mchost_ws_token(&h->value,
                                         NGX_HTTP_MCHOST_WS_PROTOCOL, 0);
    }
#undef is
}


static void
ngx_http_mchost_ws_offer(ngx_http_request_t *r, ngx_http_mchost_offer_t *o)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    ngx_memzero(o, sizeof(ngx_http_mchost_offer_t));

    for (part = &r->headers_in.headers.part; part != NULL; part = part->next) {
        h = part->elts;
        for (i = 0; i < part->nelts; i++) {
            ngx_http_mchost_ws_header(o, &h[i]);
        }
    }
}


/* The key is 16 bytes in base64. */
static ngx_uint_t
ngx_http_mchost_ws_key_valid(ngx_str_t *key)
{
    u_char     buf[ngx_base64_decoded_length(24)];
    ngx_str_t  raw;

    if (key->len != 24) {
        return 0;
    }
    raw.data = buf;
    raw.len = 0;
    return ngx_decode_base64(&raw, key) == NGX_OK && raw.len == 16;
}


/* Browsers say which page asks; a page of another host is refused. The port
 * is not compared: it may be another one before a proxy, and no credential
 * comes by itself with a browser's request that would need more than this. */
static ngx_uint_t
ngx_http_mchost_ws_foreign(ngx_http_request_t *r, ngx_str_t *origin)
{
    u_char     *p, *end = origin->data + origin->len;
    ngx_str_t   host;

    if (origin->len == 0 || ngx_http_mchost_cors_allows(r, origin)) {
        return 0;
    }

    p = ngx_strlcasestrn(origin->data, end, (u_char *) "://", 3 - 1);
    if (p == NULL) {
        return 1;                       /* "null" */
    }

    host.data = p + 3;
    if (host.data < end && *host.data == '[') {
        p = ngx_strlchr(host.data, end, ']');
        p = p ? p + 1 : end;

    } else {
        p = ngx_strlchr(host.data, end, ':');
        p = p ? p : end;
    }
    host.len = p - host.data;

    return host.len != r->headers_in.server.len
           || ngx_strncasecmp(host.data, r->headers_in.server.data, host.len)
              != 0;
}


static ngx_int_t
ngx_http_mchost_ws_426(ngx_http_request_t *r, const char *name,
    const char *value, const char *detail)
{
    ngx_str_t  v;

    v.data = (u_char *) value;
    v.len = ngx_strlen(value);
    if (ngx_http_mchost_header(r, name, &v) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    return ngx_http_mchost_problem(r, 426, detail);
}


/* NGX_DECLINED when nothing is wrong with the request, or the problem is sent
 * and this is what to finalize with. */
static ngx_int_t
ngx_http_mchost_ws_check(ngx_http_request_t *r, ngx_http_mchost_offer_t *o)
{
    ngx_int_t   rc;
    ngx_str_t   allow = ngx_string("GET");
    ngx_uint_t  body;

    /* discarding forgets the length of what has come already */
    body = r->headers_in.content_length_n > 0 || r->headers_in.chunked;

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    if (r->method != NGX_HTTP_GET) {
        if (ngx_http_mchost_header(r, "Allow", &allow) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
        return ngx_http_mchost_problem(r, NGX_HTTP_NOT_ALLOWED,
                                       "A WebSocket begins with GET.");
    }

    /* HTTP/2 and 3 have other numbers, 1.0 no upgrade */
    if (r->http_version != NGX_HTTP_VERSION_11) {
        return ngx_http_mchost_problem(r, NGX_HTTP_BAD_REQUEST,
                                "WebSockets are offered over HTTP/1.1 only.");
    }

    if (body) {
        return ngx_http_mchost_problem(r, NGX_HTTP_BAD_REQUEST,
                                       "An upgrade has no body.");
    }

    ngx_http_mchost_ws_offer(r, o);

    if (!o->upgrade || !o->connection) {
        return ngx_http_mchost_ws_426(r, "Upgrade", "websocket",
                            "This address speaks WebSocket: the request needs "
                            "Upgrade: websocket and Connection: Upgrade.");
    }
    if (o->version.len != 2 || ngx_strncmp(o->version.data, "13", 2) != 0) {
        return ngx_http_mchost_ws_426(r, "Sec-WebSocket-Version", "13",
                            "The WebSocket version spoken here is 13.");
    }
    if (!ngx_http_mchost_ws_key_valid(&o->key)) {
        return ngx_http_mchost_problem(r, NGX_HTTP_BAD_REQUEST,
                                       "Sec-WebSocket-Key is not valid.");
    }
    if (ngx_http_mchost_ws_foreign(r, &o->origin)) {
        return ngx_http_mchost_problem(r, NGX_HTTP_FORBIDDEN,
                                  "This page is not of this server's host.");
    }
    if (o->protocols && !o->protocol) {
        return ngx_http_mchost_problem(r, NGX_HTTP_BAD_REQUEST,
                            "The WebSocket subprotocol spoken here is "
                            NGX_HTTP_MCHOST_WS_PROTOCOL ".");
    }
    return NGX_DECLINED;
}


/* -- 101 and takeover -- */

static ngx_int_t
ngx_http_mchost_ws_accept(ngx_http_request_t *r, ngx_http_mchost_offer_t *o)
{
    u_char       hash[20];
    ngx_str_t    raw, accept;
    ngx_sha1_t   sha1;
    ngx_str_t    upgrade = ngx_string("websocket");
    ngx_str_t    protocol = ngx_string(NGX_HTTP_MCHOST_WS_PROTOCOL);

    ngx_sha1_init(&sha1);
    ngx_sha1_update(&sha1, o->key.data, o->key.len);
    ngx_sha1_update(&sha1, NGX_HTTP_MCHOST_WS_GUID,
                    sizeof(NGX_HTTP_MCHOST_WS_GUID) - 1);
    ngx_sha1_final(hash, &sha1);

    raw.data = hash;
    raw.len = sizeof(hash);
    accept.data = ngx_pnalloc(r->pool, ngx_base64_encoded_length(raw.len));
    if (accept.data == NULL) {
        return NGX_ERROR;
    }
    ngx_encode_base64(&accept, &raw);

    r->headers_out.status = NGX_HTTP_SWITCHING_PROTOCOLS;
    ngx_str_set(&r->headers_out.status_line, "101 Switching Protocols");

    /* nginx itself adds "Connection: upgrade" */
    if (ngx_http_mchost_header(r, "Upgrade", &upgrade) != NGX_OK
        || ngx_http_mchost_header(r, "Sec-WebSocket-Accept", &accept)
           != NGX_OK
        || (o->protocol
            && ngx_http_mchost_header(r, "Sec-WebSocket-Protocol", &protocol)
               != NGX_OK))
    {
        return NGX_ERROR;
    }
    return NGX_OK;
}


/* The kernel would take megabytes for a reader that does not read: stale
 * before they leave, and held where no limit of ours counts them. */
static void
ngx_http_mchost_ws_unsent_limit(ngx_connection_t *c)
{
#ifdef TCP_NOTSENT_LOWAT
    int  bytes = NGX_HTTP_MCHOST_WS_UNSENT;

    if (setsockopt(c->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes,
                   sizeof(bytes))
        == -1)
    {
        /* a Unix socket: its buffer is small */
        ngx_log_debug0(NGX_LOG_DEBUG_HTTP, c->log, ngx_socket_errno,
                       "mchost: no TCP_NOTSENT_LOWAT");
    }
#endif
}


/* Answers 101; from here on the connection is ours. NGX_OK, or what to
 * finalize the request with. */
static ngx_int_t
ngx_http_mchost_ws_upgrade(ngx_http_mchost_session_t *s)
{
    ngx_int_t                 rc;
    ngx_connection_t         *c = s->connection;
    ngx_http_request_t       *r = s->request;
    ngx_http_mchost_offer_t   o;

    ngx_http_mchost_ws_offer(r, &o);
    if (ngx_http_mchost_ws_accept(r, &o) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->keepalive = 0;
    r->lingering_close = 0;

    rc = ngx_http_send_header(r);
    if (rc == NGX_ERROR || rc > NGX_OK) {
        return rc;
    }
    if (ngx_http_send_special(r, NGX_HTTP_FLUSH) == NGX_ERROR
        || ngx_tcp_nodelay(c) != NGX_OK)
    {
        return NGX_ERROR;
    }
    ngx_http_mchost_ws_unsent_limit(c);

    if (c->read->timer_set) {
        ngx_del_timer(c->read);
    }
    if (c->write->timer_set) {
        ngx_del_timer(c->write);
    }

    s->state = NGX_HTTP_MCHOST_WS_OPENING;
    ngx_http_mchost_ws_timer(s, NGX_HTTP_MCHOST_WS_AUTH, 1);

    r->read_event_handler = ngx_http_request_empty_handler;
    r->write_event_handler = ngx_http_request_empty_handler;
    c->read->handler = ngx_http_mchost_ws_read_handler;
    c->write->handler = ngx_http_mchost_ws_write_handler;
    c->log->action = "talking to a websocket";

    /* a worker that is to leave calls the read handler of idle connections
     * with c->close */
    c->idle = 1;

    ngx_post_event(c->write, &ngx_posted_events);
    return NGX_OK;
}


/* -- authentication by header -- */

static ngx_int_t
ngx_http_mchost_ws_answer(ngx_http_mchost_session_t *s,
    ngx_mchost_pg_reply_t *reply)
{
    const char          *detail;
    ngx_uint_t           status;
    ngx_http_request_t  *r = s->request;

    if (reply->status != NGX_MCHOST_PG_OK) {
        status = ngx_http_mchost_pg_problem(reply, &detail);
        return ngx_http_mchost_problem(r, status, detail);
    }

    switch (ngx_http_mchost_auth_read(reply, &s->identity)) {

    case NGX_HTTP_MCHOST_AUTH_OK:
        if (ngx_http_mchost_limit_socket(&s->identity) != NGX_OK) {
            return ngx_http_mchost_problem(r, NGX_HTTP_FORBIDDEN,
                                       "The quota of sockets is used up.");
        }
        s->counted = 1;
        s->authenticated = 1;
        ngx_http_mchost_identify(r, &s->identity);
        return ngx_http_mchost_ws_upgrade(s);

    case NGX_HTTP_MCHOST_AUTH_FORBIDDEN:
        return ngx_http_mchost_problem(r, NGX_HTTP_FORBIDDEN,
                                       "Role or scopes do not suffice.");

    default:
        return ngx_http_mchost_problem(r, NGX_HTTP_UNAUTHORIZED,
                                       "The API key is not valid.");
    }
}


typedef ngx_int_t (*ngx_http_mchost_ws_step_pt)(ngx_http_mchost_session_t *s,
    ngx_mchost_pg_reply_t *reply);


/* The database's answer to one step of the handshake: the next step is under
 * way, the socket is open, or the request ends with what step returns. */
static void
ngx_http_mchost_ws_stepped(ngx_http_mchost_session_t *s,
    ngx_mchost_pg_reply_t *reply, ngx_http_mchost_ws_step_pt step)
{
    ngx_int_t            rc;
    ngx_connection_t    *c = s->connection;
    ngx_http_request_t  *r = s->request;

    s->segment = NULL;
    if (s->timer.timer_set) {
        ngx_del_timer(&s->timer);
    }
    ngx_http_set_log_request(c->log, r);

    rc = step(s, reply);
    if (s->segment == NULL && s->state == NGX_HTTP_MCHOST_WS_HANDSHAKE) {
        ngx_http_finalize_request(r, rc);
    }
    ngx_http_run_posted_requests(c);
}


static void
ngx_http_mchost_ws_answered(void *data, ngx_mchost_pg_reply_t *reply)
{
    ngx_http_mchost_ws_stepped(data, reply, ngx_http_mchost_ws_answer);
}


static ngx_int_t
ngx_http_mchost_ws_authenticate(ngx_http_mchost_session_t *s)
{
    s->segment = ngx_mchost_pg_segment(s->pool, ngx_http_mchost_ws_answered,
                                       s);
    if (s->segment == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    if (ngx_http_mchost_auth_add(s->segment, &s->credential,
                                 NGX_HTTP_MCHOST_SCOPE_SERVERS_READ,
                                 NGX_HTTP_MCHOST_GATE_READ)
        != NGX_OK) {
        ngx_mchost_pg_segment_free(s->segment);
        s->segment = NULL;
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* the answer is worth waiting for, also by a worker that leaves */
    ngx_http_mchost_ws_timer(s, NGX_HTTP_MCHOST_WS_WAIT, 0);
    s->request->read_event_handler = ngx_http_test_reading;
    ngx_mchost_pg_submit(s->segment);
    return NGX_OK;
}


/* -- a ticket: it stands for the credential that it was made with -- */

static ngx_int_t
ngx_http_mchost_ws_ticket_taken(ngx_http_mchost_session_t *s,
    ngx_mchost_pg_reply_t *reply)
{
    PGresult    *res;
    const char  *detail;
    ngx_uint_t   status;

    if (reply->status != NGX_MCHOST_PG_OK) {
        status = ngx_http_mchost_pg_problem(reply, &detail);
        return ngx_http_mchost_problem(s->request, status, detail);
    }

    res = reply->nresults > 1 ? reply->results[1] : NULL;

    if (res == NULL || PQntuples(res) != 1 || PQgetvalue(res, 0, 2)[0] != 't'
        || PQgetlength(res, 0, 1) != NGX_HTTP_MCHOST_HASH_LEN)
    {
        return ngx_http_mchost_problem(s->request, NGX_HTTP_UNAUTHORIZED,
                                       "The ticket is not known, was used, "
                                       "has expired or is of another origin.");
    }

    s->credential.kind = PQgetvalue(res, 0, 0)[0] == 's'
                         ? MC_TOKEN_SESSION
                         : MC_TOKEN_KEY;
    ngx_memcpy(s->credential.hash, PQgetvalue(res, 0, 1),
               NGX_HTTP_MCHOST_HASH_LEN);

    return ngx_http_mchost_ws_authenticate(s);
}


static void
ngx_http_mchost_ws_ticket_answered(void *data, ngx_mchost_pg_reply_t *reply)
{
    ngx_http_mchost_ws_stepped(data, reply, ngx_http_mchost_ws_ticket_taken);
}


static ngx_int_t
ngx_http_mchost_ws_ticket(ngx_http_mchost_session_t *s, const u_char *hash,
    ngx_str_t *origin)
{
    ngx_str_t  param = *origin;

    if (param.data == NULL) {
        ngx_str_set(&param, "");
    }

    s->segment = ngx_mchost_pg_segment(s->pool,
                                       ngx_http_mchost_ws_ticket_answered, s);
    if (s->segment == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    if (ngx_http_mchost_present_add(s->segment, hash) != NGX_OK
        || ngx_mchost_pg_add(s->segment, MC_SQL_TICKET_TAKE, &param)
           != NGX_OK)
    {
        ngx_mchost_pg_segment_free(s->segment);
        s->segment = NULL;
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_mchost_ws_timer(s, NGX_HTTP_MCHOST_WS_WAIT, 0);
    s->request->read_event_handler = ngx_http_test_reading;
    ngx_mchost_pg_submit(s->segment);
    return NGX_OK;
}


static ngx_http_mchost_session_t *
ngx_http_mchost_ws_create(ngx_http_request_t *r)
{
    ngx_str_t                  *id;
    ngx_http_cleanup_t         *cln;
    ngx_http_mchost_session_t  *s;

    cln = ngx_http_cleanup_add(r, 0);
    s = ngx_pcalloc(r->pool, sizeof(ngx_http_mchost_session_t));
    id = ngx_http_mchost_request_id(r);
    if (cln == NULL || s == NULL || id == NULL) {
        return NULL;
    }

    s->request = r;
    s->connection = r->connection;
    s->conf = ngx_http_get_module_loc_conf(r, ngx_http_mchost_module);
    s->pool = ngx_http_mchost_worker->pools[s->conf->pool];
    (void) ngx_cpystrn((u_char *) s->id, id->data, sizeof(s->id));

    s->timer.handler = ngx_http_mchost_ws_timer_handler;
    s->timer.data = s;
    s->timer.log = r->connection->log;

    mc_ws_parser_init(&s->parser, s->conf->ws_max_message);
    ngx_http_mchost_session_init(s);

    cln->handler = ngx_http_mchost_ws_cleanup;
    cln->data = s;
    return s;
}


ngx_int_t
ngx_http_mchost_websocket_handler(ngx_http_request_t *r)
{
    u_char                      hash[NGX_HTTP_MCHOST_HASH_LEN];
    ngx_int_t                   rc;
    ngx_str_t                   token;
    ngx_uint_t                  bearer;
    ngx_http_mchost_offer_t     o;
    ngx_http_mchost_session_t  *s;

    rc = ngx_http_mchost_ws_check(r, &o);
    if (rc != NGX_DECLINED) {
        return rc;
    }

    s = ngx_http_mchost_ws_create(r);
    if (s == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    bearer = (ngx_http_mchost_bearer(r, &token) == NGX_OK);
    if (bearer
        && (ngx_http_mchost_credential(&token, &s->credential) != NGX_OK
            || s->credential.kind == MC_TOKEN_PLATFORM))
    {
        return ngx_http_mchost_problem(r, NGX_HTTP_UNAUTHORIZED,
                                       "The API key is not valid.");
    }

    if (!bearer
        && ngx_http_arg(r, (u_char *) "ticket", 6, &token) == NGX_OK)
    {
        if (ngx_http_mchost_token_hash(&token, MC_TOKEN_TICKET,
                                       hash)
            != NGX_OK)
        {
            return ngx_http_mchost_problem(r, NGX_HTTP_UNAUTHORIZED,
                                           "The ticket is not valid.");
        }
        rc = ngx_http_mchost_ws_ticket(s, hash, &o.origin);

    } else {
        rc = bearer ? ngx_http_mchost_ws_authenticate(s)
                    : ngx_http_mchost_ws_upgrade(s);
    }
    if (rc != NGX_OK) {
        return rc;
    }

    r->main->count++;
    return NGX_DONE;
}
