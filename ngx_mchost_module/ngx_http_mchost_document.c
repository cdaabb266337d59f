/*
 * Bodies and documents: parsing, checking against the schema, and the
 * conditions (RFC 9110, 13) on a document's generation.
 */

#include "ngx_http_mchost_request.h"
#include "mc_server_rules.h"

#define NGX_HTTP_MCHOST_FAULTS  32


/* -- the body -- */

/* The whole body in one piece. NGX_DECLINED: it went to a file, which a body
 * of an acceptable size never does. */

static ngx_int_t
ngx_http_mchost_body_text(ngx_http_request_t *r, ngx_str_t *text)
{
    u_char       *p;
    size_t        len;
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    ngx_str_null(text);

    if (r->request_body == NULL || r->request_body->bufs == NULL) {
        return NGX_OK;
    }

    if (r->request_body->temp_file) {
        return NGX_DECLINED;
    }

    cl = r->request_body->bufs;

    if (cl->next == NULL) {
        text->data = cl->buf->pos;
        text->len = cl->buf->last - cl->buf->pos;
        return NGX_OK;
    }

    len = 0;

    for ( /* void */ ; cl; cl = cl->next) {
        len += cl->buf->last - cl->buf->pos;
    }

    p = ngx_pnalloc(r->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    text->data = p;
    text->len = len;

    for (cl = r->request_body->bufs; cl; cl = cl->next) {
        b = cl->buf;
        p = ngx_cpymem(p, b->pos, b->last - b->pos);
    }

    return NGX_OK;
}


ngx_uint_t
ngx_http_mchost_body_parse(ngx_http_mchost_ctx_t *ctx, ngx_int_t *rc)
{
    u_char                    detail[sizeof("byte  of the body: ")
                                     + NGX_SIZE_T_LEN + 160];
    ngx_int_t                 n;
    ngx_str_t                 text;
    mc_json_error_t           error;
    ngx_http_request_t       *r;
    ngx_http_mchost_fault_t   fault;

    r = ctx->request;

    n = ngx_http_mchost_body_text(r, &text);

    if (n == NGX_ERROR) {
        *rc = NGX_HTTP_INTERNAL_SERVER_ERROR;
        return 0;
    }

    if (n == NGX_DECLINED || text.len > NGX_HTTP_MCHOST_BODY_MAX) {
        *rc = ngx_http_mchost_problem(r, NGX_HTTP_REQUEST_ENTITY_TOO_LARGE,
                                      "The body is larger than 1 MB.");
        return 0;
    }

    error.offset = 0;
    error.message[0] = '\0';

    ctx->text = text;
    ctx->body = mc_json_parse(&ctx->alloc, text.len ? (char *) text.data : "",
                              text.len, &error);

    if (ctx->body == NULL) {
        ngx_sprintf(detail, "byte %uz of the body: %s%Z", error.offset,
                    error.message);

        fault.pointer[0] = '\0';
        fault.code = "json";
        fault.message = (char *) detail;

        *rc = ngx_http_mchost_problem_faults(r, NGX_HTTP_BAD_REQUEST,
                                             "The body is not acceptable "
                                             "JSON.", &fault, 1);
        return 0;
    }

    if (ctx->body->type == MC_JSON_OBJECT) {
        return 1;
    }

    fault.pointer[0] = '\0';
    fault.code = "type";
    fault.message = "must be an object";

    *rc = ngx_http_mchost_problem_faults(r, 422,
                                         "The document is not valid.",
                                         &fault, 1);
    return 0;
}


/* -- the document -- */

/* status is the reconciler's to write, and the rest is ours. */

static ngx_uint_t
ngx_http_mchost_foreign_members(const mc_json_t *document,
    mc_schema_error_t *errors, ngx_uint_t max)
{
    ngx_uint_t        n;
    const mc_json_t  *m;

    n = 0;

    for (m = document->child; m && n < max; m = m->next) {

        if (ngx_strcmp(m->key, "status") != 0) {
            continue;           /* the schema knows what is unknown */
        }

        ngx_sprintf((u_char *) errors[n].pointer, "/status%Z");
        ngx_sprintf((u_char *) errors[n].code, "read_only%Z");
        ngx_sprintf((u_char *) errors[n].message,
                    "status is written by the platform alone%Z");
        n++;
    }

    return n;
}


/* The pointers without what they begin with. */

ngx_int_t
ngx_http_mchost_invalid_document(ngx_http_mchost_ctx_t *ctx,
    mc_schema_error_t *errors, ngx_uint_t n, const char *prefix)
{
    size_t                    len;
    ngx_uint_t                i;
    ngx_http_mchost_fault_t  *faults;

    faults = ngx_palloc(ctx->request->pool,
                        n * sizeof(ngx_http_mchost_fault_t));
    if (faults == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    for (i = 0; i < n; i++) {
        len = ngx_strlen(prefix);

        if (ngx_strncmp(errors[i].pointer, prefix, len) != 0) {
            len = 0;
        }

        (void) ngx_cpystrn((u_char *) faults[i].pointer,
                           (u_char *) errors[i].pointer + len,
                           sizeof(faults[i].pointer));
        faults[i].code = errors[i].code;
        faults[i].message = errors[i].message;
    }

    return ngx_http_mchost_problem_faults(ctx->request, 422,
                                          "The document is not valid.",
                                          faults, n);
}


static ngx_uint_t
ngx_http_mchost_change_faults(const mc_json_t *before,
    const mc_json_t *document, mc_schema_error_t *errors, ngx_uint_t max)
{
    ngx_uint_t        n;
    const mc_json_t  *name;

    n = 0;
    name = mc_json_get(document, "name");

    if (max && name && !mc_json_equal(name, mc_json_get(before, "name"))) {
        ngx_sprintf((u_char *) errors[n].pointer, "/name%Z");
        ngx_sprintf((u_char *) errors[n].code, "immutable%Z");
        ngx_sprintf((u_char *) errors[n].message,
                    "the name of a server cannot be changed%Z");
        n++;
    }

    return n + mc_server_validate_change(mc_json_get(before, "spec"),
                                         mc_json_get(document, "spec"),
                                         errors + n, max - n);
}


ngx_uint_t
ngx_http_mchost_document_check(ngx_http_mchost_ctx_t *ctx,
    mc_json_t *document, ngx_int_t *rc)
{
    return ngx_http_mchost_change_check(ctx, NULL, document, rc);
}


ngx_uint_t
ngx_http_mchost_change_check(ngx_http_mchost_ctx_t *ctx,
    const mc_json_t *before, mc_json_t *document, ngx_int_t *rc)
{
    ngx_uint_t                    n;
    mc_schema_error_t            *errors;
    ngx_http_mchost_main_conf_t  *mmcf;

    mmcf = ngx_http_get_module_main_conf(ctx->request, ngx_http_mchost_module);

    errors = ngx_palloc(ctx->request->pool,
                        NGX_HTTP_MCHOST_FAULTS * sizeof(mc_schema_error_t));
    if (errors == NULL) {
        *rc = NGX_HTTP_INTERNAL_SERVER_ERROR;
        return 0;
    }

    n = ngx_http_mchost_foreign_members(document, errors,
                                        NGX_HTTP_MCHOST_FAULTS);
    n += mc_server_validate(mmcf->schema, document, errors + n,
                            NGX_HTTP_MCHOST_FAULTS - n);

    if (before) {
        n += ngx_http_mchost_change_faults(before, document, errors + n,
                                           NGX_HTTP_MCHOST_FAULTS - n);
    }

    if (n) {
        *rc = ngx_http_mchost_invalid_document(ctx, errors, n, "");
        return 0;
    }

    if (mc_schema_defaults(mmcf->schema, &ctx->alloc, document) != 0) {
        *rc = NGX_HTTP_INTERNAL_SERVER_ERROR;
        return 0;
    }

    return 1;
}


ngx_uint_t
ngx_http_mchost_body_check(ngx_http_mchost_ctx_t *ctx, const char *name,
    ngx_int_t *rc)
{
    return ngx_http_mchost_body_check_more(ctx, name, NULL, 0, rc);
}


ngx_uint_t
ngx_http_mchost_body_check_more(ngx_http_mchost_ctx_t *ctx, const char *name,
    const ngx_http_mchost_fault_t *more, ngx_uint_t nmore, ngx_int_t *rc)
{
    ngx_uint_t                    i, n;
    const mc_schema_t            *schema;
    mc_schema_error_t            *errors;
    ngx_http_mchost_main_conf_t  *mmcf;

    mmcf = ngx_http_get_module_main_conf(ctx->request, ngx_http_mchost_module);

    schema = mc_schema_property(mmcf->bodies, name);
    errors = ngx_palloc(ctx->request->pool,
                        (NGX_HTTP_MCHOST_FAULTS + nmore)
                        * sizeof(mc_schema_error_t));

    *rc = NGX_HTTP_INTERNAL_SERVER_ERROR;

    if (schema == NULL || errors == NULL) {
        return 0;
    }

    n = mc_schema_validate(schema, ctx->body, "", errors,
                           NGX_HTTP_MCHOST_FAULTS);

    for (i = 0; i < nmore; i++, n++) {
        ngx_sprintf((u_char *) errors[n].pointer, "%s%Z", more[i].pointer);
        ngx_sprintf((u_char *) errors[n].code, "%s%Z", more[i].code);
        ngx_sprintf((u_char *) errors[n].message, "%s%Z", more[i].message);
    }

    if (n) {
        *rc = ngx_http_mchost_invalid_document(ctx, errors, n, "");
        return 0;
    }

    return mc_schema_defaults(schema, &ctx->alloc, ctx->body) == 0;
}


/* What an add-on is only the server's schema tells: it is checked as the one of
 * a server that is all right otherwise. */

ngx_uint_t
ngx_http_mchost_addon_check(ngx_http_mchost_ctx_t *ctx, ngx_int_t *rc)
{
    ngx_uint_t                    n;
    mc_json_t                    *document, *addons;
    mc_json_error_t               error;
    mc_schema_error_t            *errors;
    ngx_http_mchost_main_conf_t  *mmcf;

    static const char             base[] =
        "{\"name\":\"x\",\"spec\":{\"software\":{\"type\":\"demo\","
        "\"version\":\"1.20.4\"},\"addons\":[]}}";

    mmcf = ngx_http_get_module_main_conf(ctx->request, ngx_http_mchost_module);

    document = mc_json_parse(&ctx->alloc, base, sizeof(base) - 1, &error);
    addons = mc_json_at(document, "spec.addons");
    errors = ngx_palloc(ctx->request->pool,
                        NGX_HTTP_MCHOST_FAULTS * sizeof(mc_schema_error_t));

    *rc = NGX_HTTP_INTERNAL_SERVER_ERROR;

    if (addons == NULL || errors == NULL
        || mc_json_add(addons, mc_json_copy(&ctx->alloc, ctx->body)) != 0)
    {
        return 0;
    }

    n = mc_server_validate(mmcf->schema, document, errors,
                           NGX_HTTP_MCHOST_FAULTS);
    if (n) {
        *rc = ngx_http_mchost_invalid_document(ctx, errors, n,
                                               "/spec/addons/0");
        return 0;
    }

    if (mc_schema_defaults(mmcf->schema, &ctx->alloc, document) != 0) {
        return 0;
    }

    ctx->body = mc_json_at(document, "spec.addons")->child;

    return 1;
}


ngx_str_t
ngx_http_mchost_json_text(ngx_http_mchost_ctx_t *ctx, const mc_json_t *v)
{
    size_t     len;
    ngx_str_t  text;

    len = mc_json_write(NULL, 0, v);

    text.len = len;
    text.data = ngx_pnalloc(ctx->request->pool, len + 1);

    if (text.data) {
        (void) mc_json_write((char *) text.data, len + 1, v);
    }

    return text;
}


/* -- conditions -- */

/* Takes the next entity tag off a list: its text without quotes, "*" as it
 * is. A weak tag counts as its strong one, since a generation is exact and
 * only compression made it weak. NGX_DONE at the end. */

static ngx_int_t
ngx_http_mchost_next_tag(ngx_str_t *list, ngx_str_t *tag)
{
    u_char  *p, *last, *end;

    p = list->data;
    last = list->data + list->len;

    while (p < last && (*p == ' ' || *p == '\t' || *p == ',')) {
        p++;
    }

    if (p == last) {
        return NGX_DONE;
    }

    if (last - p > 2 && p[0] == 'W' && p[1] == '/') {
        p += 2;
    }

    if (*p == '"') {
        p++;
        end = ngx_strlchr(p, last, '"');

        if (end == NULL) {
            end = last;
        }

        tag->data = p;
        tag->len = end - p;
        p = (end < last) ? end + 1 : last;

    } else {
        tag->data = p;

        while (p < last && *p != ',' && *p != ' ') {
            p++;
        }

        tag->len = p - tag->data;
    }

    list->len = last - p;
    list->data = p;

    return NGX_OK;
}


static ngx_http_mchost_match_e
ngx_http_mchost_match(ngx_table_elt_t *header, const ngx_str_t *generation)
{
    ngx_str_t  list, tag;

    if (header == NULL) {
        return NGX_HTTP_MCHOST_MATCH_ABSENT;
    }

    list = header->value;

    while (ngx_http_mchost_next_tag(&list, &tag) == NGX_OK) {

        if ((tag.len == 1 && tag.data[0] == '*')
            || (tag.len == generation->len
                && ngx_strncmp(tag.data, generation->data, tag.len) == 0))
        {
            return NGX_HTTP_MCHOST_MATCH_YES;
        }
    }

    return NGX_HTTP_MCHOST_MATCH_NO;
}


ngx_http_mchost_match_e
ngx_http_mchost_if_match(ngx_http_request_t *r, const ngx_str_t *generation)
{
    return ngx_http_mchost_match(r->headers_in.if_match, generation);
}


ngx_http_mchost_match_e
ngx_http_mchost_if_none_match(ngx_http_request_t *r,
    const ngx_str_t *generation)
{
    return ngx_http_mchost_match(r->headers_in.if_none_match, generation);
}


ngx_str_t
ngx_http_mchost_if_match_generation(ngx_http_request_t *r)
{
    ngx_str_t         list, tag;

    static ngx_str_t  any = ngx_string("");
    static ngx_str_t  none = ngx_string("0");

    if (r->headers_in.if_match == NULL) {
        return any;
    }

    list = r->headers_in.if_match->value;

    if (ngx_http_mchost_next_tag(&list, &tag) != NGX_OK) {
        return none;
    }

    if (tag.len == 1 && tag.data[0] == '*') {
        return any;
    }

    if (tag.len > 18 || ngx_atoof(tag.data, tag.len) == NGX_ERROR) {
        return none;
    }

    return tag;
}
