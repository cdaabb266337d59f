/*
 * What was written down: events, the audit, backups, metrics over time.
 */

#include "ngx_http_mchost_router.h"

#define NGX_HTTP_MCHOST_METRICS_SPAN    3600
#define NGX_HTTP_MCHOST_METRICS_POINTS  1440


/* -- /events and /audit -- */

static ngx_int_t
ngx_http_mchost_record_list(ngx_http_mchost_ctx_t *ctx, ngx_uint_t sql_id)
{
    ngx_str_t  params[3];

    ngx_http_mchost_page(ctx, params);

    params[2] = ctx->server;

    if (params[2].data == NULL) {
        ngx_str_set(&params[2], "");
    }

    return ngx_http_mchost_query(ctx, sql_id, params,
                                 ngx_http_mchost_document_step);
}


ngx_int_t
ngx_http_mchost_event_list(ngx_http_mchost_ctx_t *ctx)
{
    return ngx_http_mchost_record_list(ctx, MC_SQL_EVENT_LIST);
}


ngx_int_t
ngx_http_mchost_audit_list(ngx_http_mchost_ctx_t *ctx)
{
    return ngx_http_mchost_record_list(ctx, MC_SQL_AUDIT_LIST);
}


/* -- /servers/{id}/backups -- */

ngx_int_t
ngx_http_mchost_backup_list(ngx_http_mchost_ctx_t *ctx)
{
    ngx_str_t  params[3];

    ngx_http_mchost_page(ctx, params);
    params[2] = ctx->id;

    return ngx_http_mchost_query(ctx, MC_SQL_BACKUP_LIST, params,
                                 ngx_http_mchost_document_step);
}


static ngx_int_t
ngx_http_mchost_no_backup(ngx_http_mchost_ctx_t *ctx)
{
    return ngx_http_mchost_problem(ctx->request, NGX_HTTP_NOT_FOUND,
                                   "There is no such backup.");
}


ngx_int_t
ngx_http_mchost_backup_get(ngx_http_mchost_ctx_t *ctx)
{
    ngx_str_t  params[2];

    if (!mc_uuid_valid((char *) ctx->sub.data, ctx->sub.len)) {
        return ngx_http_mchost_no_backup(ctx);
    }

    params[0] = ctx->id;
    params[1] = ctx->sub;

    return ngx_http_mchost_query(ctx, MC_SQL_BACKUP_GET, params,
                                 ngx_http_mchost_document_step);
}


static ngx_int_t
ngx_http_mchost_backup_deleted(ngx_http_mchost_ctx_t *ctx,
    ngx_mchost_pg_reply_t *reply)
{
    if (ngx_http_mchost_rows(reply) != 1) {
        return ngx_http_mchost_no_backup(ctx);
    }

    if (!ngx_http_mchost_field_bool(reply, 0)) {
        return ngx_http_mchost_problem(ctx->request, NGX_HTTP_CONFLICT,
                                       "The backup is being made.");
    }

    return ngx_http_mchost_reply_empty(ctx->request, NGX_HTTP_NO_CONTENT,
                                       NULL);
}


ngx_int_t
ngx_http_mchost_backup_delete(ngx_http_mchost_ctx_t *ctx)
{
    ngx_str_t  params[4];

    if (!mc_uuid_valid((char *) ctx->sub.data, ctx->sub.len)) {
        return ngx_http_mchost_no_backup(ctx);
    }

    params[0] = ctx->id;
    params[1] = ctx->sub;

    if (ngx_http_mchost_trail(ctx, &params[2]) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_mchost_query(ctx, MC_SQL_BACKUP_DELETE, params,
                                 ngx_http_mchost_backup_deleted);
}


/* -- /servers/{id}/metrics -- */

/* Without "to" until now, without "from" the hour before. */

ngx_int_t
ngx_http_mchost_server_metrics(ngx_http_mchost_ctx_t *ctx)
{
    u_char      text[2][NGX_INT_T_LEN];
    ngx_int_t   from, to, step;
    ngx_str_t   params[4];

    to = ctx->to.data ? ngx_http_mchost_time(&ctx->to) : ngx_time() + 1;
    from = ctx->from.data ? ngx_http_mchost_time(&ctx->from)
                          : to - NGX_HTTP_MCHOST_METRICS_SPAN;

    if (ctx->period.data == NULL) {
        ngx_str_set(&ctx->period, "60");
    }

    step = ngx_atoi(ctx->period.data, ctx->period.len);

    if (from >= to) {
        return ngx_http_mchost_problem(ctx->request, NGX_HTTP_BAD_REQUEST,
                                       "\"from\" must be before \"to\".");
    }

    if ((to - from) / step > NGX_HTTP_MCHOST_METRICS_POINTS) {
        return ngx_http_mchost_problem(ctx->request, NGX_HTTP_BAD_REQUEST,
                                       "Not more than 1440 steps at once: "
                                       "take a greater \"step\" or less "
                                       "time.");
    }

    params[0] = ctx->id;
    params[1].data = text[0];
    params[1].len = ngx_sprintf(text[0], "%i", from) - text[0];
    params[2].data = text[1];
    params[2].len = ngx_sprintf(text[1], "%i", to) - text[1];
    params[3] = ctx->period;

    return ngx_http_mchost_query(ctx, MC_SQL_SERVER_METRICS, params,
                                 ngx_http_mchost_document_step);
}
