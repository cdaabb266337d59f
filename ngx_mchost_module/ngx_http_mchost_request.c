/*
 * One request's life: route, arguments, body, segment, reply, and the client
 * that goes away meanwhile.
 */

#include "ngx_http_mchost_router.h"
#include "ngx_http_mchost_password.h"


static void ngx_http_mchost_cleanup(void *data);
static ngx_int_t ngx_http_mchost_no_route(ngx_http_mchost_ctx_t *ctx,
    ngx_uint_t allowed);
static ngx_int_t ngx_http_mchost_read_body(ngx_http_mchost_ctx_t *ctx);
static void ngx_http_mchost_body_handler(ngx_http_request_t *r);
static void ngx_http_mchost_wait(ngx_http_mchost_ctx_t *ctx);
static void ngx_http_mchost_pg_handler(void *data,
    ngx_mchost_pg_reply_t *reply);


/* -- context -- */

ngx_http_mchost_ctx_t *
ngx_http_mchost_ctx_find(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t     *cln;
    ngx_http_mchost_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_mchost_module);

    if (ctx == NULL && (r->internal || r->filter_finalize)) {

        /* an internal redirect has cleared the module's context */

        for (cln = r->pool->cleanup; cln; cln = cln->next) {
            if (cln->handler == ngx_http_mchost_cleanup) {
                ctx = cln->data;
                ngx_http_set_ctx(r, ctx, ngx_http_mchost_module);
                break;
            }
        }
    }

    return ctx;
}


static void *
ngx_http_mchost_alloc(void *pool, size_t size)
{
    return ngx_palloc(pool, size);
}


ngx_http_mchost_ctx_t *
ngx_http_mchost_ctx(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t     *cln;
    ngx_http_mchost_ctx_t  *ctx;

    ctx = ngx_http_mchost_ctx_find(r);

    if (ctx) {
        return ctx;
    }

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_mchost_ctx_t));
    if (cln == NULL) {
        return NULL;
    }

    ctx = cln->data;
    ngx_memzero(ctx, sizeof(ngx_http_mchost_ctx_t));

    ctx->request = r;
    ctx->alloc.alloc = ngx_http_mchost_alloc;
    ctx->alloc.pool = r->pool;

    cln->handler = ngx_http_mchost_cleanup;
    ngx_http_set_ctx(r, ctx, ngx_http_mchost_module);

    return ctx;
}


/* The request ends, for whatever reason: nobody may call back into it. */

static void
ngx_http_mchost_cleanup(void *data)
{
    ngx_http_mchost_ctx_t *ctx = data;

    if (ctx->segment) {
        ngx_mchost_pg_detach(ctx->segment);
        ctx->segment = NULL;
    }

    if (ctx->job) {
        ngx_http_mchost_password_detach(ctx->job);
        ctx->job = NULL;
    }

    if (ctx->console) {
        ngx_http_mchost_console_detach(ctx->console);
        ctx->console = NULL;
    }

    if (ctx->redis) {
        ngx_mchost_redis_detach(ngx_http_mchost_worker->redis, ctx);
        ctx->redis = 0;
    }
}


void
ngx_http_mchost_identify(ngx_http_request_t *r,
    const ngx_http_mchost_identity_t *id)
{
    ngx_http_mchost_ctx_t  *ctx;

    ctx = ngx_http_mchost_ctx(r);

    if (ctx) {
        ctx->identity = *id;
        ctx->identified = 1;
    }
}


ngx_table_elt_t *
ngx_http_mchost_header_in(ngx_http_request_t *r, const char *name, size_t len)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    part = &r->headers_in.headers.part;

    for ( ;; ) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].key.len == len
                && ngx_strncasecmp(h[i].key.data, (u_char *) name, len) == 0)
            {
                return &h[i];
            }
        }

        part = part->next;

        if (part == NULL) {
            return NULL;
        }
    }
}


static ngx_uint_t
ngx_http_mchost_request_id_valid(const ngx_str_t *id)
{
    u_char      ch;
    ngx_uint_t  i;

    for (i = 0; i < id->len; i++) {
        ch = id->data[i];

        if (!((ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'z')
              || (ch >= 'A' && ch <= 'Z') || ch == '.' || ch == '_'
              || ch == '-'))
        {
            return 0;
        }
    }

    return i > 0 && i <= 128;
}


ngx_str_t *
ngx_http_mchost_request_id(ngx_http_request_t *r)
{
    ngx_table_elt_t        *h;
    ngx_http_mchost_ctx_t  *ctx;

    ctx = ngx_http_mchost_ctx(r);
    if (ctx == NULL) {
        return NULL;
    }

    if (ctx->request_id.data) {
        return &ctx->request_id;
    }

    h = ngx_http_mchost_header_in(r, "X-Request-Id",
                                  sizeof("X-Request-Id") - 1);

    if (h && ngx_http_mchost_request_id_valid(&h->value)) {
        ctx->request_id = h->value;
        return &ctx->request_id;
    }

    ctx->request_id.data = ngx_pnalloc(r->pool, MC_UUID_LEN + 1);
    if (ctx->request_id.data == NULL) {
        return NULL;
    }

    ngx_http_mchost_uuid7((char *) ctx->request_id.data);
    ctx->request_id.len = MC_UUID_LEN;

    return &ctx->request_id;
}


/* -- the way in -- */

ngx_int_t
ngx_http_mchost_api_handler(ngx_http_request_t *r)
{
    ngx_int_t                    rc;
    ngx_str_t                    path;
    ngx_uint_t                   allowed;
    ngx_http_mchost_ctx_t       *ctx;
    ngx_http_mchost_loc_conf_t  *mlcf;

    ctx = ngx_http_mchost_ctx(r);
    if (ctx == NULL || ngx_http_mchost_worker == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    mlcf = ngx_http_get_module_loc_conf(r, ngx_http_mchost_module);
    ctx->pool = ngx_http_mchost_worker->pools[mlcf->pool];

    path = r->uri;

    if (path.len >= mlcf->prefix.len) {
        path.data += mlcf->prefix.len;
        path.len -= mlcf->prefix.len;
    }

    if (path.len && path.data[0] == '/') {
        path.data++;
        path.len--;
    }

    ctx->route = ngx_http_mchost_route(ctx, &path, r->method, &allowed);

    if (ctx->route && ctx->route->scope == NGX_HTTP_MCHOST_SCOPE_PLATFORM) {

        if (mlcf->platform == NGX_CONF_UNSET) {
            ctx->route = NULL;
            allowed = 0;

        } else {
            ctx->pool = ngx_http_mchost_worker->pools[mlcf->platform];
        }
    }

    if (ctx->route == NULL) {
        return ngx_http_mchost_no_route(ctx, allowed);
    }

    if (!ngx_http_mchost_acceptable(r)) {
        return ngx_http_mchost_problem(r, 406,
                                       "Only application/json is given.");
    }

    if (!ngx_http_mchost_access(ctx, &rc)) {
        return rc;
    }

    /* an id that is none cannot be anybody's */

    if (ctx->id.data) {
        if (!mc_uuid_valid((char *) ctx->id.data, ctx->id.len)) {
            return ngx_http_mchost_problem(r, NGX_HTTP_NOT_FOUND,
                                           "There is no such server.");
        }

        ngx_strlow(ctx->id.data, ctx->id.data, ctx->id.len);
    }

    if (!ngx_http_mchost_args(ctx, &rc)) {
        return rc;
    }

    if (ctx->route->body != NGX_HTTP_MCHOST_BODY_NONE) {
        return ngx_http_mchost_read_body(ctx);
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    rc = ctx->route->begin(ctx);

    if (rc == NGX_HTTP_MCHOST_WAIT) {
        r->main->count++;
        ngx_http_mchost_wait(ctx);
        return NGX_DONE;
    }

    return rc;
}


static ngx_int_t
ngx_http_mchost_no_route(ngx_http_mchost_ctx_t *ctx, ngx_uint_t allowed)
{
    ngx_str_t            allow;
    ngx_http_request_t  *r;

    r = ctx->request;

    if (allowed == 0) {
        return ngx_http_mchost_problem(r, NGX_HTTP_NOT_FOUND,
                                       "There is no such resource.");
    }

    allow = ngx_http_mchost_allow(r->pool, allowed);

    if (allow.data == NULL
        || ngx_http_mchost_header(r, "Allow", &allow) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (r->method == NGX_HTTP_OPTIONS) {

        if (ngx_http_mchost_cors_preflight(r, &allow) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        return ngx_http_mchost_reply_empty(r, NGX_HTTP_NO_CONTENT, NULL);
    }

    return ngx_http_mchost_problem(r, NGX_HTTP_NOT_ALLOWED,
                                   "The resource has no such method.");
}


ngx_int_t
ngx_http_mchost_unauthorized(ngx_http_mchost_ctx_t *ctx, ngx_uint_t presented)
{
    ngx_str_t            value;
    ngx_http_request_t  *r;

    r = ctx->request;

    if (presented) {
        ngx_str_set(&value, "Bearer realm=\"mchost\", "
                            "error=\"invalid_token\"");
    } else {
        ngx_str_set(&value, "Bearer realm=\"mchost\"");
    }

    if (ngx_http_mchost_header(r, "WWW-Authenticate", &value) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_mchost_problem(r, NGX_HTTP_UNAUTHORIZED, presented
                                   ? "The key is not known, expired or "
                                     "revoked."
                                   : "Send a key: Authorization: Bearer mch_"
                                     "\xe2\x80\xa6");
}


/* -- the body -- */

static ngx_uint_t
ngx_http_mchost_media_type(ngx_http_request_t *r, const char *type)
{
    size_t      len;
    ngx_str_t  *value;

    if (r->headers_in.content_type == NULL) {
        return 0;
    }

    value = &r->headers_in.content_type->value;
    len = ngx_strlen(type);

    return value->len >= len
           && ngx_strncasecmp(value->data, (u_char *) type, len) == 0
           && (value->len == len || value->data[len] == ';'
               || value->data[len] == ' ' || value->data[len] == '\t');
}


static ngx_int_t
ngx_http_mchost_read_body(ngx_http_mchost_ctx_t *ctx)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = ctx->request;

    if (!ngx_http_mchost_media_type(r, "application/json")
        && (ctx->route->body != NGX_HTTP_MCHOST_BODY_MERGE_PATCH
            || !ngx_http_mchost_media_type(r, "application/merge-patch+json")))
    {
        return ngx_http_mchost_problem(r, NGX_HTTP_UNSUPPORTED_MEDIA_TYPE,
               ctx->route->body == NGX_HTTP_MCHOST_BODY_MERGE_PATCH
               ? "Send application/merge-patch+json."
               : "Send application/json.");
    }

    r->request_body_in_single_buf = 1;

    rc = ngx_http_read_client_request_body(r, ngx_http_mchost_body_handler);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        return rc;
    }

    return NGX_DONE;
}


/* May run within ngx_http_read_client_request_body(), or much later. */

static void
ngx_http_mchost_body_handler(ngx_http_request_t *r)
{
    ngx_int_t               rc;
    ngx_http_mchost_ctx_t  *ctx;

    ctx = ngx_http_mchost_ctx_find(r);

    if (ngx_http_mchost_body_parse(ctx, &rc)) {
        rc = ctx->route->begin(ctx);
    }

    if (rc == NGX_HTTP_MCHOST_WAIT) {
        ngx_http_mchost_wait(ctx);
        return;
    }

    ngx_http_finalize_request(r, rc);
}


/* -- waiting -- */

static void
ngx_http_mchost_wait(ngx_http_mchost_ctx_t *ctx)
{
    ngx_http_request_t  *r;

    r = ctx->request;

    r->connection->log->action = "waiting for the database";
    r->write_event_handler = ngx_http_request_empty_handler;

    /* tells that the client is gone; the cleanup detaches then */

    if (!r->discard_body) {
        r->read_event_handler = ngx_http_test_reading;
    }
}


ngx_mchost_pg_segment_t *
ngx_http_mchost_segment(ngx_http_mchost_ctx_t *ctx)
{
    ngx_http_mchost_gate_e    gate;
    ngx_mchost_pg_segment_t  *seg;

    seg = ngx_mchost_pg_segment(ctx->pool, ngx_http_mchost_pg_handler, ctx);

    if (seg == NULL) {
        return NULL;
    }

    if (ctx->route->scope == NGX_HTTP_MCHOST_SCOPE_PLATFORM) {
        gate = NGX_HTTP_MCHOST_GATE_NONE;

    } else if (ctx->route->method != NGX_HTTP_GET
               && ctx->route->scope != NGX_HTTP_MCHOST_SCOPE_ANY)
    {
        /* one's own session and password are nobody else's business */

        gate = NGX_HTTP_MCHOST_GATE_WRITE;

    } else {
        gate = ctx->verdict.stale ? NGX_HTTP_MCHOST_GATE_READ
                                  : NGX_HTTP_MCHOST_GATE_NONE;
    }

    if (ngx_http_mchost_auth_add(seg, &ctx->credential, ctx->route->scope,
                                 gate)
        != NGX_OK)
    {
        ngx_mchost_pg_segment_free(seg);
        return NULL;
    }

    return seg;
}


ngx_mchost_pg_segment_t *
ngx_http_mchost_open_segment(ngx_http_mchost_ctx_t *ctx)
{
    return ngx_mchost_pg_segment(ctx->pool, ngx_http_mchost_pg_handler, ctx);
}


ngx_int_t
ngx_http_mchost_submit(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_segment_t *seg, ngx_uint_t sql_id, const ngx_str_t *params,
    ngx_http_mchost_step_pt step)
{
    if (ngx_mchost_pg_add(seg, sql_id, params) != NGX_OK) {
        ngx_mchost_pg_segment_free(seg);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->segment = seg;
    ctx->step = step;

    ngx_mchost_pg_submit(seg);

    return NGX_HTTP_MCHOST_WAIT;
}


ngx_int_t
ngx_http_mchost_query(ngx_http_mchost_ctx_t *ctx, ngx_uint_t sql_id,
    const ngx_str_t *params, ngx_http_mchost_step_pt step)
{
    ngx_mchost_pg_segment_t  *seg;

    seg = ngx_http_mchost_segment(ctx);
    if (seg == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_mchost_submit(ctx, seg, sql_id, params, step);
}


static ngx_int_t
ngx_http_mchost_pg_failed(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply)
{
    ngx_uint_t           status;
    const char          *detail;
    ngx_http_request_t  *r;

    r = ctx->request;
    status = ngx_http_mchost_pg_problem(reply, &detail);

    if (reply->status == NGX_MCHOST_PG_ERROR
        && status != NGX_HTTP_CONFLICT)
    {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "mchost_postgres \"%V\": %s: %s",
                      &ngx_mchost_pg_pool_conf(ctx->pool)->name,
                      reply->sqlstate, reply->message);
    }

    return ngx_http_mchost_problem(r, status, detail);
}


static ngx_int_t
ngx_http_mchost_suspended(ngx_http_mchost_ctx_t *ctx)
{
    char  detail[320];

    ngx_sprintf((u_char *) detail, "The tenant is suspended and read-only%s%s."
                "%Z", ctx->identity.reason[0] ? ": " : "",
                ctx->identity.reason);

    return ngx_http_mchost_problem_type(ctx->request, NGX_HTTP_FORBIDDEN,
                                        "suspended", detail, NULL, 0);
}


static void
ngx_http_mchost_touched(void *data, ngx_mchost_pg_reply_t *reply)
{
    /* nobody waits for it */
}


/* Writes down when a key was used, apart from the request. */

static void
ngx_http_mchost_touch(ngx_http_mchost_ctx_t *ctx)
{
    ngx_mchost_pg_segment_t  *seg;

    seg = ngx_mchost_pg_segment(ctx->pool, ngx_http_mchost_touched, NULL);

    if (seg == NULL) {
        return;
    }

    if (ngx_http_mchost_auth_add(seg, &ctx->credential,
                                 NGX_HTTP_MCHOST_SCOPE_ANY,
                                 NGX_HTTP_MCHOST_GATE_NONE)
        != NGX_OK
        || ngx_mchost_pg_add(seg, MC_SQL_KEY_TOUCH, NULL) != NGX_OK)
    {
        ngx_mchost_pg_segment_free(seg);
        return;
    }

    ngx_mchost_pg_submit(seg);
}


static ngx_int_t
ngx_http_mchost_answered(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply)
{
    ngx_http_mchost_auth_e  auth;

    ctx->segment = NULL;
    ctx->asked = 1;
    ctx->pg_time += reply->time;
    ctx->pg_queue_time += reply->queue_time;

    if (ctx->route->scope == NGX_HTTP_MCHOST_SCOPE_PUBLIC) {
        return reply->status == NGX_MCHOST_PG_OK
               ? ctx->step(ctx, reply) : ngx_http_mchost_pg_failed(ctx, reply);
    }

    auth = ngx_http_mchost_auth_read(reply, &ctx->identity);
    ctx->identified = (auth != NGX_HTTP_MCHOST_AUTH_UNKNOWN);

    if (reply->status != NGX_MCHOST_PG_OK) {
        return ngx_http_mchost_pg_failed(ctx, reply);
    }

    if (auth == NGX_HTTP_MCHOST_AUTH_UNKNOWN) {
        return ngx_http_mchost_unauthorized(ctx, 1);
    }

    if (auth == NGX_HTTP_MCHOST_AUTH_FORBIDDEN) {
        return ngx_http_mchost_problem(ctx->request, NGX_HTTP_FORBIDDEN,
                                       "Role or scopes do not allow that.");
    }

    if (auth == NGX_HTTP_MCHOST_AUTH_SUSPENDED) {
        return ngx_http_mchost_suspended(ctx);
    }

    if (ngx_http_mchost_limit_seen(&ctx->credential, &ctx->identity)) {
        ngx_http_mchost_touch(ctx);
    }

    return ctx->once ? ngx_http_mchost_once_answered(ctx, reply)
                     : ctx->step(ctx, reply);
}


static void
ngx_http_mchost_pg_handler(void *data, ngx_mchost_pg_reply_t *reply)
{
    ngx_http_mchost_ctx_t *ctx = data;

    ngx_http_set_log_request(ctx->request->connection->log, ctx->request);

    ngx_http_mchost_finish(ctx, ngx_http_mchost_answered(ctx, reply));
}


/* We run outside of nginx's request handler, so what it does at its end is to
 * be done here. */

void
ngx_http_mchost_finish(ngx_http_mchost_ctx_t *ctx, ngx_int_t rc)
{
    ngx_connection_t  *c;

    if (rc == NGX_HTTP_MCHOST_WAIT) {
        return;
    }

    c = ctx->request->connection;

    ngx_http_finalize_request(ctx->request, rc);
    ngx_http_run_posted_requests(c);
}
