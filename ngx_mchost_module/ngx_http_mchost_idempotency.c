/*
 * Idempotency-Key: a change and the row that tells of it are kept in one
 * transaction, so whoever repeats a request, also one whose answer was lost,
 * gets the same answer, and nothing is done twice.
 */

#include "ngx_http_mchost_router.h"
#include <openssl/evp.h>

#define NGX_HTTP_MCHOST_KEY_MAX  255

/* Where the results of a segment of this kind stand. */
enum {
    NGX_HTTP_MCHOST_ONCE_CLAIM = 2,
    NGX_HTTP_MCHOST_ONCE_ROW
};


static ngx_uint_t
ngx_http_mchost_once_valid(const ngx_str_t *key)
{
    ngx_uint_t  i;

    for (i = 0; i < key->len; i++) {
        if (key->data[i] < 0x21 || key->data[i] > 0x7e) {
            return 0;
        }
    }

    return key->len > 0 && key->len <= NGX_HTTP_MCHOST_KEY_MAX;
}


/* What makes two requests the same: method, path, arguments and body. */

static ngx_int_t
ngx_http_mchost_once_fingerprint(ngx_http_mchost_ctx_t *ctx, u_char hex[64])
{
    int                  ok;
    u_char               digest[EVP_MAX_MD_SIZE];
    EVP_MD_CTX          *md;
    ngx_http_request_t  *r;

    r = ctx->request;
    md = EVP_MD_CTX_new();

    if (md == NULL) {
        return NGX_ERROR;
    }

    ok = EVP_DigestInit_ex(md, EVP_sha256(), NULL)
         && EVP_DigestUpdate(md, r->method_name.data, r->method_name.len)
         && EVP_DigestUpdate(md, " ", 1)
         && EVP_DigestUpdate(md, r->uri.data, r->uri.len)
         && EVP_DigestUpdate(md, "?", 1)
         && EVP_DigestUpdate(md, r->args.data, r->args.len)
         && EVP_DigestUpdate(md, "\n", 1)
         && EVP_DigestUpdate(md, ctx->text.data, ctx->text.len)
         && EVP_DigestFinal_ex(md, digest, NULL);

    EVP_MD_CTX_free(md);
    ngx_hex_dump(hex, digest, 32);

    return ok ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_http_mchost_query_once(ngx_http_mchost_ctx_t *ctx, ngx_uint_t sql_id,
    const ngx_str_t *params, ngx_http_mchost_step_pt step)
{
    u_char                    hex[64];
    ngx_str_t                 claim[2];
    ngx_table_elt_t          *h;
    ngx_mchost_pg_segment_t  *seg;

    h = ngx_http_mchost_header_in(ctx->request, "Idempotency-Key",
                                  sizeof("Idempotency-Key") - 1);

    if (h == NULL) {
        return ngx_http_mchost_query(ctx, sql_id, params, step);
    }

    claim[0] = h->value;

    if (!ngx_http_mchost_once_valid(&claim[0])) {
        return ngx_http_mchost_problem(ctx->request, NGX_HTTP_BAD_REQUEST,
                                       "An Idempotency-Key has 1 to 255 "
                                       "visible ASCII characters.");
    }

    if (ngx_http_mchost_once_fingerprint(ctx, hex) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    claim[1].data = hex;
    claim[1].len = sizeof(hex);

    seg = ngx_http_mchost_segment(ctx);
    if (seg == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_mchost_pg_add(seg, MC_SQL_IDEMPOTENCY_CLAIM, claim) != NGX_OK
        || ngx_mchost_pg_add(seg, sql_id, params) != NGX_OK
        || ngx_mchost_pg_add(seg, MC_SQL_IDEMPOTENCY_KEEP, claim) != NGX_OK)
    {
        ngx_mchost_pg_segment_free(seg);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->once = 1;

    return ngx_http_mchost_submit(ctx, seg, MC_SQL_IDEMPOTENCY_PRUNE, NULL,
                                  step);
}


/* The row that was kept, as libpq would give it. NULL: it cannot be read. */

static PGresult *
ngx_http_mchost_once_row(ngx_http_mchost_ctx_t *ctx, const char *answer)
{
    int               n;
    PGresult         *res;
    ngx_str_t         text;
    mc_json_t        *row, *m;
    PGresAttDesc     *columns;
    mc_json_error_t   error;

    row = mc_json_parse(&ctx->alloc, answer, ngx_strlen(answer), &error);

    if (row == NULL || row->n == 0) {
        return NULL;
    }

    columns = ngx_pcalloc(ctx->request->pool, row->n * sizeof(PGresAttDesc));
    res = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);

    if (columns == NULL || res == NULL) {
        PQclear(res);
        return NULL;
    }

    for (n = 0, m = row->child; m; m = m->next) {
        columns[n++].name = (char *) m->key;
    }

    if (!PQsetResultAttrs(res, n, columns)) {
        PQclear(res);
        return NULL;
    }

    for (n = 0, m = row->child; m; m = m->next, n++) {
        ngx_str_null(&text);

        if (m->type == MC_JSON_STRING) {
            text.data = (u_char *) m->str;
            text.len = m->len;

        } else if (m->type != MC_JSON_NULL) {
            text = ngx_http_mchost_json_text(ctx, m);
        }

        if (!PQsetvalue(res, 0, n, (char *) text.data,
                        text.data ? (int) text.len : -1))
        {
            PQclear(res);
            return NULL;
        }
    }

    return res;
}


ngx_int_t
ngx_http_mchost_once_answered(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply)
{
    PGresult                 *claim, *row;
    ngx_int_t                 rc;
    ngx_http_mchost_fault_t   fault;

    static ngx_str_t          yes = ngx_string("true");

    claim = reply->results[NGX_HTTP_MCHOST_ONCE_CLAIM];

    if (claim == NULL || PQntuples(claim) != 1) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (PQgetvalue(claim, 0, 0)[0] != 't') {
        fault.pointer[0] = '\0';
        fault.code = "idempotency_key_reused";
        fault.message = "the key was used for another request";

        return ngx_http_mchost_problem_faults(ctx->request, 422,
                                              "The Idempotency-Key was used "
                                              "for another request.",
                                              &fault, 1);
    }

    row = reply->results[NGX_HTTP_MCHOST_ONCE_ROW];

    if (!PQgetisnull(claim, 0, 1)) {
        ctx->replayed = 1;
        row = ngx_http_mchost_once_row(ctx, PQgetvalue(claim, 0, 1));

        if (row == NULL
            || ngx_http_mchost_header(ctx->request, "Idempotency-Replayed",
                                      &yes)
               != NGX_OK)
        {
            PQclear(row);
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    /* where a step looks for its row */

    reply->results[2] = row;
    rc = ctx->step(ctx, reply);
    reply->results[2] = claim;

    if (ctx->replayed) {
        PQclear(row);
    }

    return rc;
}


static void
ngx_http_mchost_once_kept(void *data, ngx_mchost_pg_reply_t *reply)
{
    if (reply->status != NGX_MCHOST_PG_OK) {
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "mchost: an answer could not be kept for its "
                      "Idempotency-Key");
    }
}


void
ngx_http_mchost_once_keep(ngx_http_mchost_ctx_t *ctx, const ngx_str_t *json)
{
    ngx_str_t                 params[2];
    ngx_table_elt_t          *h;
    ngx_mchost_pg_segment_t  *seg;

    if (!ctx->once) {
        return;
    }

    h = ngx_http_mchost_header_in(ctx->request, "Idempotency-Key",
                                  sizeof("Idempotency-Key") - 1);

    params[0] = h->value;
    params[1].data = ngx_pnalloc(ctx->request->pool,
                                 json->len + sizeof("{\"answer\":}"));
    seg = ngx_mchost_pg_segment(ctx->pool, ngx_http_mchost_once_kept, NULL);

    if (params[1].data == NULL || seg == NULL) {
        goto failed;
    }

    params[1].len = ngx_sprintf(params[1].data, "{\"answer\":%V}", json)
                    - params[1].data;

    if (ngx_http_mchost_auth_add(seg, &ctx->credential, ctx->route->scope,
                                 NGX_HTTP_MCHOST_GATE_NONE)
        == NGX_OK
        && ngx_mchost_pg_add(seg, MC_SQL_IDEMPOTENCY_ANSWER, params)
           == NGX_OK)
    {
        ngx_mchost_pg_submit(seg);
        return;
    }

failed:

    if (seg) {
        ngx_mchost_pg_segment_free(seg);
    }
}
