/*
 * Replies: JSON documents, problems (RFC 9457), and problems in the place of
 * nginx's own error pages.
 */

#include "ngx_http_mchost_request.h"


typedef struct {
    ngx_uint_t   status;
    const char  *type;
    const char  *title;
} ngx_http_mchost_status_t;


static const ngx_http_mchost_status_t  ngx_http_mchost_statuses[] = {
    { 400, "malformed", "Bad Request" },
    { 401, "unauthorized", "Unauthorized" },
    { 403, "forbidden", "Forbidden" },
    { 404, "not-found", "Not Found" },
    { 405, "method-not-allowed", "Method Not Allowed" },
    { 406, "not-acceptable", "Not Acceptable" },
    { 409, "conflict", "Conflict" },
    { 412, "stale", "Precondition Failed" },
    { 413, "too-large", "Content Too Large" },
    { 415, "unsupported-media-type", "Unsupported Media Type" },
    { 422, "invalid", "Unprocessable Content" },
    { 426, "upgrade-required", "Upgrade Required" },
    { 428, "precondition-required", "Precondition Required" },
    { 429, "rate-limited", "Too Many Requests" },
    { 500, "internal", "Internal Server Error" },
    { 501, "not-implemented", "Not Implemented" },
    { 503, "unavailable", "Service Unavailable" },
    { 504, "timeout", "Gateway Timeout" },
    { 0, "error", "Error" }
};


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;
static ngx_http_output_body_filter_pt    ngx_http_next_body_filter;


static const ngx_http_mchost_status_t *
ngx_http_mchost_status(ngx_uint_t status)
{
    const ngx_http_mchost_status_t  *s;

    for (s = ngx_http_mchost_statuses; s->status; s++) {
        if (s->status == status) {
            break;
        }
    }

    return s;
}


/* -- headers -- */

ngx_int_t
ngx_http_mchost_header(ngx_http_request_t *r, const char *name,
    ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->hash = 1;
    h->key.data = (u_char *) name;
    h->key.len = ngx_strlen(name);
    h->value = *value;
#if (nginx_version >= 1023000)
    h->next = NULL;
#endif

    return NGX_OK;
}


static ngx_int_t
ngx_http_mchost_header_const(ngx_http_request_t *r, const char *name,
    const char *text)
{
    ngx_str_t  value;

    value.data = (u_char *) text;
    value.len = ngx_strlen(text);

    return ngx_http_mchost_header(r, name, &value);
}


/* RateLimit-Policy and RateLimit, as draft-ietf-httpapi-ratelimit-headers has
 * them; nothing where nothing is limited. */

static ngx_int_t
ngx_http_mchost_limit_headers(ngx_http_request_t *r)
{
    u_char                     *p;
    ngx_str_t                   policy, state;
    ngx_http_mchost_ctx_t      *ctx;
    ngx_http_mchost_verdict_t  *v;

    ctx = ngx_http_mchost_ctx_find(r);

    if (ctx == NULL || ctx->verdict.limit == 0) {
        return NGX_OK;
    }

    v = &ctx->verdict;

    p = ngx_pnalloc(r->pool, 2 * (32 + 2 * NGX_INT_T_LEN));
    if (p == NULL) {
        return NGX_ERROR;
    }

    policy.data = p;
    p = ngx_sprintf(p, "\"%s\";q=%ui;w=%ui", v->name, v->limit, v->window);
    policy.len = p - policy.data;

    state.data = p;
    p = ngx_sprintf(p, "\"%s\";r=%i;t=%ui", v->name, v->remaining, v->reset);
    state.len = p - state.data;

    if (ngx_http_mchost_header(r, "RateLimit-Policy", &policy) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_mchost_header(r, "RateLimit", &state);
}


ngx_int_t
ngx_http_mchost_common_headers(ngx_http_request_t *r)
{
    ngx_str_t  *id;

    id = ngx_http_mchost_request_id(r);

    if (id == NULL
        || ngx_http_mchost_header(r, "X-Request-Id", id) != NGX_OK
        || ngx_http_mchost_limit_headers(r) != NGX_OK
        || ngx_http_mchost_cors_headers(r) != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* a browser that kept a document would ask for it by its tag, which is
     * the generation and does not tell that the status has changed */

    return ngx_http_mchost_header_const(r, "Cache-Control", "no-store");
}


static ngx_int_t
ngx_http_mchost_etag(ngx_http_request_t *r, ngx_str_t *etag)
{
    u_char           *p;
    ngx_str_t         value;
    ngx_list_part_t  *last;

    p = ngx_pnalloc(r->pool, etag->len + 2);
    if (p == NULL) {
        return NGX_ERROR;
    }

    value.data = p;
    value.len = ngx_sprintf(p, "\"%V\"", etag) - p;

    if (ngx_http_mchost_header(r, "ETag", &value) != NGX_OK) {
        return NGX_ERROR;
    }

    /* a filter that changes the body (gzip) makes it a weak one */

    last = r->headers_out.headers.last;
    r->headers_out.etag = (ngx_table_elt_t *) last->elts + last->nelts - 1;

    return NGX_OK;
}


/* What comes before every header we send. */

static ngx_int_t
ngx_http_mchost_prepare(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *etag)
{
    ngx_http_mchost_ctx_t  *ctx;

    ctx = ngx_http_mchost_ctx(r);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    ctx->replied = 1;
    r->headers_out.status = status;

    /* conditions are answered here, before the write; nginx would say 412
     * to its If-Match afterwards, when the tag has changed */

    r->disable_not_modified = 1;

    if (etag && ngx_http_mchost_etag(r, etag) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_http_mchost_common_headers(r) != NGX_OK) {
        return NGX_ERROR;
    }

    /* a body that nobody will read must not be taken for a next request */

    r->expect_tested = 1;

    if (ngx_http_discard_request_body(r) != NGX_OK) {
        r->keepalive = 0;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_mchost_send(ngx_http_request_t *r, ngx_str_t *text)
{
    ngx_int_t     rc;
    ngx_buf_t    *b;
    ngx_chain_t   out;

    r->headers_out.content_length_n = text->len;
    r->headers_out.content_type_lowcase = NULL;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NGX_ERROR;
    }

    b->pos = text->data;
    b->last = text->data + text->len;
    b->memory = 1;
    b->last_buf = (r == r->main);
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


ngx_int_t
ngx_http_mchost_reply(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *json, ngx_str_t *etag)
{
    if (ngx_http_mchost_prepare(r, status, etag) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_str_set(&r->headers_out.content_type, "application/json");
    r->headers_out.content_type_len = r->headers_out.content_type.len;

    return ngx_http_mchost_send(r, json);
}


ngx_int_t
ngx_http_mchost_reply_empty(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *etag)
{
    ngx_int_t  rc;

    if (ngx_http_mchost_prepare(r, status, etag) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->header_only = 1;

    rc = ngx_http_send_header(r);

    return rc;
}


/* -- problems -- */

void
ngx_http_mchost_fault(ngx_http_mchost_fault_t *fault, const char *pointer,
    const char *code, const char *message)
{
    (void) ngx_cpystrn((u_char *) fault->pointer, (u_char *) pointer,
                       sizeof(fault->pointer));
    fault->code = code;
    fault->message = message;
}



/* Appends a member "name":"text" that is escaped; p has room for it. */

static u_char *
ngx_http_mchost_member(u_char *p, u_char *last, const char *name,
    const char *text, size_t len)
{
    p = ngx_slprintf(p, last, "\"%s\":\"", name);
    p += mc_json_escape((char *) p, last - p, text, len);

    return ngx_slprintf(p, last, "\"");
}


ngx_int_t
ngx_http_mchost_problem_text(ngx_http_request_t *r, ngx_uint_t status,
    const char *type, const char *detail,
    const ngx_http_mchost_fault_t *faults, ngx_uint_t nfaults, ngx_str_t *text)
{
    u_char                          *p, *last;
    size_t                           size;
    ngx_str_t                       *id;
    ngx_uint_t                       i;
    const ngx_http_mchost_status_t  *s;

    s = ngx_http_mchost_status(status);

    if (type == NULL) {
        type = s->type;
    }

    id = ngx_http_mchost_request_id(r);
    if (id == NULL) {
        return NGX_ERROR;
    }

    /* escaping makes at most six bytes of one */

    size = 256 + ngx_strlen(type) + 6 * ngx_strlen(detail) + id->len;

    for (i = 0; i < nfaults; i++) {
        size += 64 + 6 * (ngx_strlen(faults[i].pointer)
                          + ngx_strlen(faults[i].code)
                          + ngx_strlen(faults[i].message));
    }

    p = ngx_pnalloc(r->pool, size);
    if (p == NULL) {
        return NGX_ERROR;
    }

    text->data = p;
    last = p + size;

    p = ngx_slprintf(p, last, "{\"type\":\"urn:mchost:problem:%s\","
                     "\"title\":\"%s\",\"status\":%ui,", type, s->title,
                     status);
    p = ngx_http_mchost_member(p, last, "detail", detail, ngx_strlen(detail));
    p = ngx_slprintf(p, last, ",\"requestId\":\"%V\"", id);

    for (i = 0; i < nfaults; i++) {
        p = ngx_slprintf(p, last, i ? ",{" : ",\"errors\":[{");
        p = ngx_http_mchost_member(p, last, "pointer", faults[i].pointer,
                                   ngx_strlen(faults[i].pointer));
        *p++ = ',';
        p = ngx_http_mchost_member(p, last, "code", faults[i].code,
                                   ngx_strlen(faults[i].code));
        *p++ = ',';
        p = ngx_http_mchost_member(p, last, "message", faults[i].message,
                                   ngx_strlen(faults[i].message));
        *p++ = '}';
    }

    p = ngx_slprintf(p, last, nfaults ? "]}\n" : "}\n");

    text->len = p - text->data;

    return NGX_OK;
}


static ngx_int_t
ngx_http_mchost_retry_after(ngx_http_request_t *r)
{
    ngx_str_t               value;
    ngx_http_mchost_ctx_t  *ctx;

    ctx = ngx_http_mchost_ctx_find(r);

    if (ctx == NULL || ctx->verdict.retry == 0) {
        return ngx_http_mchost_header_const(r, "Retry-After", "1");
    }

    value.data = ngx_pnalloc(r->pool, NGX_INT_T_LEN);
    if (value.data == NULL) {
        return NGX_ERROR;
    }

    value.len = ngx_sprintf(value.data, "%ui", ctx->verdict.retry)
                - value.data;

    return ngx_http_mchost_header(r, "Retry-After", &value);
}


static ngx_int_t
ngx_http_mchost_problem_headers(ngx_http_request_t *r, ngx_uint_t status)
{
    ngx_str_set(&r->headers_out.content_type, "application/problem+json");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;

    if (status == NGX_HTTP_SERVICE_UNAVAILABLE
        || status == NGX_HTTP_TOO_MANY_REQUESTS)
    {
        return ngx_http_mchost_retry_after(r);
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_mchost_problem_type(ngx_http_request_t *r, ngx_uint_t status,
    const char *type, const char *detail,
    const ngx_http_mchost_fault_t *faults, ngx_uint_t nfaults)
{
    ngx_str_t  text;

    if (ngx_http_mchost_problem_text(r, status, type, detail, faults, nfaults,
                                     &text)
        != NGX_OK
        || ngx_http_mchost_prepare(r, status, NULL) != NGX_OK
        || ngx_http_mchost_problem_headers(r, status) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_mchost_send(r, &text);
}


ngx_int_t
ngx_http_mchost_problem_faults(ngx_http_request_t *r, ngx_uint_t status,
    const char *detail, const ngx_http_mchost_fault_t *faults,
    ngx_uint_t nfaults)
{
    return ngx_http_mchost_problem_type(r, status, NULL, detail, faults,
                                        nfaults);
}


ngx_int_t
ngx_http_mchost_problem(ngx_http_request_t *r, ngx_uint_t status,
    const char *detail)
{
    return ngx_http_mchost_problem_type(r, status, NULL, detail, NULL, 0);
}


/* -- what a failed segment means -- */

static const struct {
    const char  *state;         /* a SQLSTATE, or the class of one */
    ngx_uint_t   status;
    const char  *detail;
} ngx_http_mchost_sqlstates[] = {
    { "23505", 409, "There is one of that name already." },
    { "23", 409, "The change conflicts with what is there." },
    { "42501", 403, "The database does not allow this." },
    { "22", 422, "The database does not accept a value." },
    { "57014", 504, "The database took too long." },
    { "40", 503, "The database is busy with conflicting changes." },
    { "53", 503, "The database has no resources left." },
    { "08", 503, "The database is not available." },
    { "57", 503, "The database is not available." },
    { "", 500, "The database failed." }
};


ngx_uint_t
ngx_http_mchost_pg_problem(const ngx_mchost_pg_reply_t *reply,
    const char **detail)
{
    ngx_uint_t  i;

    switch (reply->status) {

    case NGX_MCHOST_PG_QUEUE_FULL:
    case NGX_MCHOST_PG_QUEUE_TIMEOUT:
        *detail = "Too many requests are waiting for the database.";
        return NGX_HTTP_SERVICE_UNAVAILABLE;

    case NGX_MCHOST_PG_UNAVAILABLE:
        *detail = "The database is not available; nothing was done.";
        return NGX_HTTP_SERVICE_UNAVAILABLE;

    case NGX_MCHOST_PG_LOST:
        *detail = "The database was lost; look whether the change was made "
                  "before trying again.";
        return NGX_HTTP_SERVICE_UNAVAILABLE;

    case NGX_MCHOST_PG_TIMEOUT:
        *detail = "The database took too long.";
        return NGX_HTTP_GATEWAY_TIME_OUT;

    default:
        break;
    }

    for (i = 0; ngx_http_mchost_sqlstates[i].state[0]; i++) {
        if (ngx_strncmp(reply->sqlstate, ngx_http_mchost_sqlstates[i].state,
                        ngx_strlen(ngx_http_mchost_sqlstates[i].state))
            == 0)
        {
            break;
        }
    }

    *detail = ngx_http_mchost_sqlstates[i].detail;

    return ngx_http_mchost_sqlstates[i].status;
}


/* -- nginx's own errors in our locations -- */

static const char *
ngx_http_mchost_own_detail(ngx_uint_t status)
{
    switch (status) {

    case NGX_HTTP_REQUEST_ENTITY_TOO_LARGE:
        return "The body is larger than this server accepts.";

    case NGX_HTTP_BAD_REQUEST:
        return "The request is malformed.";

    case NGX_HTTP_FORBIDDEN:
        return "Access from here is not allowed.";

    case NGX_HTTP_TOO_MANY_REQUESTS:
    case NGX_HTTP_SERVICE_UNAVAILABLE:
        return "Too many requests.";

    case NGX_HTTP_INTERNAL_SERVER_ERROR:
        return "The server failed to answer this request.";

    default:
        return "The request cannot be answered.";
    }
}


static ngx_int_t
ngx_http_mchost_header_filter(ngx_http_request_t *r)
{
    ngx_uint_t                   status;
    ngx_http_mchost_ctx_t       *ctx;
    ngx_http_mchost_loc_conf_t  *mlcf;

    mlcf = ngx_http_get_module_loc_conf(r, ngx_http_mchost_module);
    status = r->headers_out.status;

    if ((mlcf->kind != NGX_HTTP_MCHOST_API
         && mlcf->kind != NGX_HTTP_MCHOST_WEBSOCKET)
        || status < NGX_HTTP_BAD_REQUEST || r != r->main || r->error_page)
    {
        return ngx_http_next_header_filter(r);
    }

    ctx = ngx_http_mchost_ctx(r);

    if (ctx == NULL || ctx->replied) {
        return ngx_http_next_header_filter(r);
    }

    if (ngx_http_mchost_problem_text(r, status, NULL,
                                     ngx_http_mchost_own_detail(status), NULL,
                                     0, &ctx->problem)
        != NGX_OK
        || ngx_http_mchost_common_headers(r) != NGX_OK
        || ngx_http_mchost_problem_headers(r, status) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_clear_content_length(r);
    ngx_http_clear_accept_ranges(r);
    ngx_http_clear_last_modified(r);
    ngx_http_clear_etag(r);

    r->headers_out.content_length_n = ctx->problem.len;
    ctx->replacing = 1;

    return ngx_http_next_header_filter(r);
}


static ngx_int_t
ngx_http_mchost_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_buf_t              *b;
    ngx_uint_t              last;
    ngx_chain_t             out, *cl;
    ngx_http_mchost_ctx_t  *ctx;

    ctx = ngx_http_mchost_ctx_find(r);

    if (ctx == NULL || !ctx->replacing || in == NULL) {
        return ngx_http_next_body_filter(r, in);
    }

    last = 0;

    for (cl = in; cl; cl = cl->next) {
        b = cl->buf;
        b->pos = b->last;
        b->file_pos = b->file_last;
        last |= b->last_buf;
    }

    if (!last || ctx->replaced) {
        return NGX_OK;
    }

    ctx->replaced = 1;

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NGX_ERROR;
    }

    b->pos = ctx->problem.data;
    b->last = ctx->problem.data + ctx->problem.len;
    b->memory = 1;
    b->last_buf = 1;
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    return ngx_http_next_body_filter(r, &out);
}


void
ngx_http_mchost_filter_init(void)
{
    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_mchost_header_filter;

    ngx_http_next_body_filter = ngx_http_top_body_filter;
    ngx_http_top_body_filter = ngx_http_mchost_body_filter;
}
