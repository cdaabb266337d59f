/*
 * Passwords are hashed by libsodium in nginx's thread pool, never on the
 * loop: argon2id with 19 MB and two passes. A job belongs to its thread until
 * it is done, and may outlive the request.
 */

#include "ngx_http_mchost_password.h"
#include <liboath/oath.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <sodium.h>

#define NGX_HTTP_MCHOST_PASSWORD_JOBS   16      /* of a worker, at once */
#define NGX_HTTP_MCHOST_PASSWORD_TEXT   257
#define NGX_HTTP_MCHOST_ARGON2_PASSES   2
#define NGX_HTTP_MCHOST_ARGON2_MEMORY   (19 * 1024 * 1024)
#define NGX_HTTP_MCHOST_TOTP_PERIOD     30


struct ngx_http_mchost_job_s {
    ngx_thread_task_t                   task;
    ngx_http_mchost_ctx_t              *ctx;        /* NULL: gone */
    ngx_http_mchost_password_pt         handler;
    char                                password[NGX_HTTP_MCHOST_PASSWORD_TEXT];
    char                                fresh[NGX_HTTP_MCHOST_PASSWORD_TEXT];
    char                                hashes[NGX_HTTP_MCHOST_PASSWORD_MAX]
                                              [NGX_HTTP_MCHOST_PASSWORD_HASH];
    ngx_uint_t                          nhashes;
    ngx_http_mchost_password_result_t   result;
    unsigned                            check:1;
    unsigned                            make:1;
    unsigned                            failed:1;   /* no memory */
};


/* -- in the thread: no nginx here -- */

static void
ngx_http_mchost_password_hash(ngx_http_mchost_job_t *job, const char *text)
{
    if (crypto_pwhash_str(job->result.hash, text, strlen(text),
                          NGX_HTTP_MCHOST_ARGON2_PASSES,
                          NGX_HTTP_MCHOST_ARGON2_MEMORY)
        != 0)
    {
        job->failed = 1;
    }
}


static void
ngx_http_mchost_password_thread(void *data, ngx_log_t *log)
{
    ngx_uint_t              i;
    ngx_http_mchost_job_t  *job = data;

    job->result.verified = -1;

    if (job->check && job->nhashes == 0) {
        ngx_http_mchost_password_hash(job, job->password);
        job->result.hash[0] = '\0';
        return;
    }

    for (i = 0; job->check && i < job->nhashes; i++) {
        if (crypto_pwhash_str_verify(job->hashes[i], job->password,
                                     strlen(job->password))
            == 0)
        {
            job->result.verified = i;
            break;
        }
    }

    if (job->make && (!job->check || job->result.verified >= 0)) {
        ngx_http_mchost_password_hash(job, job->fresh);
    }
}


/* -- on the loop -- */

static void
ngx_http_mchost_password_done(ngx_event_t *ev)
{
    ngx_int_t               rc;
    ngx_http_mchost_ctx_t  *ctx;
    ngx_http_mchost_job_t  *job;

    job = ev->data;
    ctx = job->ctx;

    if (ngx_http_mchost_worker) {
        ngx_http_mchost_worker->passwords--;
    }

    OPENSSL_cleanse(job->password, sizeof(job->password));
    OPENSSL_cleanse(job->fresh, sizeof(job->fresh));

    if (ctx) {
        ctx->job = NULL;
        ngx_http_set_log_request(ctx->request->connection->log, ctx->request);

        rc = job->failed ? NGX_HTTP_INTERNAL_SERVER_ERROR
                         : job->handler(ctx, &job->result);

        ngx_http_mchost_finish(ctx, rc);
    }

    ngx_free(job);
}


void
ngx_http_mchost_password_detach(ngx_http_mchost_job_t *job)
{
    job->ctx = NULL;
}


static void
ngx_http_mchost_password_copy(char *dst, size_t size, const ngx_str_t *src)
{
    (void) ngx_cpystrn((u_char *) dst, src->data,
                       ngx_min(src->len + 1, size));
}


ngx_int_t
ngx_http_mchost_password(ngx_http_mchost_ctx_t *ctx,
    const ngx_str_t *password, const ngx_str_t *hashes, ngx_uint_t nhashes,
    const ngx_str_t *fresh, ngx_http_mchost_password_pt handler)
{
    ngx_uint_t                    i;
    ngx_http_mchost_job_t        *job;
    ngx_http_mchost_main_conf_t  *mmcf;

    if (ngx_http_mchost_worker->passwords >= NGX_HTTP_MCHOST_PASSWORD_JOBS) {
        return ngx_http_mchost_problem(ctx->request,
                                       NGX_HTTP_SERVICE_UNAVAILABLE,
                                       "Too many are logging in.");
    }

    job = ngx_calloc(sizeof(ngx_http_mchost_job_t), ngx_cycle->log);
    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    job->ctx = ctx;
    job->handler = handler;
    job->nhashes = ngx_min(nhashes, NGX_HTTP_MCHOST_PASSWORD_MAX);

    for (i = 0; i < job->nhashes; i++) {
        ngx_http_mchost_password_copy(job->hashes[i],
                                      NGX_HTTP_MCHOST_PASSWORD_HASH,
                                      &hashes[i]);
    }

    if (password) {
        job->check = 1;
        ngx_http_mchost_password_copy(job->password, sizeof(job->password),
                                      password);
    }

    if (fresh) {
        job->make = 1;
        ngx_http_mchost_password_copy(job->fresh, sizeof(job->fresh), fresh);
    }

    job->task.ctx = job;
    job->task.handler = ngx_http_mchost_password_thread;
    job->task.event.handler = ngx_http_mchost_password_done;
    job->task.event.data = job;
    job->task.event.log = ngx_cycle->log;

    mmcf = ngx_http_get_module_main_conf(ctx->request, ngx_http_mchost_module);

    if (ngx_thread_task_post(mmcf->threads, &job->task) != NGX_OK) {
        ngx_free(job);
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    ngx_http_mchost_worker->passwords++;
    ctx->job = job;

    return NGX_HTTP_MCHOST_WAIT;
}


/* -- one-time codes -- */

ngx_int_t
ngx_http_mchost_totp_secret(char secret[NGX_HTTP_MCHOST_TOTP_SECRET])
{
    char    *text;
    size_t   len;
    u_char   raw[20];

    if (RAND_bytes(raw, sizeof(raw)) != 1
        || oath_base32_encode((char *) raw, sizeof(raw), &text, &len)
           != OATH_OK)
    {
        return NGX_ERROR;
    }

    (void) ngx_cpystrn((u_char *) secret, (u_char *) text,
                       NGX_HTTP_MCHOST_TOTP_SECRET);

    OPENSSL_cleanse(text, len);
    free(text);

    return NGX_OK;
}


int64_t
ngx_http_mchost_totp_step(const char *secret, const ngx_str_t *code)
{
    char     *raw, otp[7];
    size_t    len;
    int64_t   step, now, found;

    if (code->len != 6
        || oath_base32_decode(secret, ngx_strlen(secret), &raw, &len)
           != OATH_OK)
    {
        return 0;
    }

    found = 0;
    now = ngx_time() / NGX_HTTP_MCHOST_TOTP_PERIOD;

    for (step = now - 1; step <= now + 1; step++) {
        if (oath_hotp_generate(raw, len, step, 6, 0,
                               OATH_HOTP_DYNAMIC_TRUNCATION, otp)
            == OATH_OK
            && CRYPTO_memcmp(otp, code->data, 6) == 0)
        {
            found = step;
        }
    }

    OPENSSL_cleanse(raw, len);
    free(raw);

    return found;
}
