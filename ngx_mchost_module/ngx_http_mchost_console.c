/*
 * A command to a server's console and the way back: subscribe to
 * reply:{id}, wait until Redis confirms it, add the command to the stream
 * "cmd", wait for the answer. The order matters: an answer to a command that
 * was added first could come before anybody listens.
 */

#include "ngx_http_mchost_module.h"
#include "ngx_mchost_hub.h"

#define NGX_HTTP_MCHOST_CONSOLE_WAIT    10000   /* ms */
#define NGX_HTTP_MCHOST_CONSOLE_STREAM  "cmd"
#define NGX_HTTP_MCHOST_CONSOLE_MAXLEN  "1000"


struct ngx_http_mchost_console_s {
    ngx_http_mchost_console_pt   handler;
    void                        *data;
    ngx_mchost_sub_t             sub;
    ngx_event_t                  timer;
    uint64_t                     deadline;      /* Unix time in ms */
    char                         id[37];
    char                         tenant[37];
    char                         server[37];
    ngx_str_t                    command;       /* behind the struct */
    ngx_uint_t                   failure;       /* status, when it is known */
    unsigned                     added:1;
};


static void
ngx_http_mchost_console_free(ngx_http_mchost_console_t *c)
{
    if (c->timer.timer_set) {
        ngx_del_timer(&c->timer);
    }
    if (c->timer.posted) {
        ngx_delete_posted_event(&c->timer);
    }
    ngx_mchost_hub_leave(ngx_http_mchost_worker->hub, &c->sub);
    ngx_mchost_redis_detach(ngx_http_mchost_worker->redis, c);
    ngx_free(c);
}


static void
ngx_http_mchost_console_finish(ngx_http_mchost_console_t *c,
    ngx_uint_t status, ngx_str_t *json)
{
    void                        *data = c->data;
    ngx_http_mchost_console_pt   handler = c->handler;

    ngx_http_mchost_console_free(c);
    handler(data, status, json);
}


static void
ngx_http_mchost_console_timer_handler(ngx_event_t *ev)
{
    ngx_http_mchost_console_t  *c = ev->data;

    if (c->failure == 0) {
        c->failure = c->added ? NGX_HTTP_GATEWAY_TIME_OUT
                              : NGX_HTTP_SERVICE_UNAVAILABLE;
    }
    ngx_http_mchost_console_finish(c, c->failure, NULL);
}


static void
ngx_http_mchost_console_fail(ngx_http_mchost_console_t *c)
{
    c->failure = NGX_HTTP_SERVICE_UNAVAILABLE;
    ngx_post_event(&c->timer, &ngx_posted_events);
}


/* The stream's answer: the entry is there, or the command never was. */
static void
ngx_http_mchost_console_added(void *data, redisReply *reply)
{
    ngx_http_mchost_console_t  *c = data;

    if (reply == NULL || reply->type != REDIS_REPLY_STRING) {
        ngx_http_mchost_console_fail(c);
    }
}


static void
ngx_http_mchost_console_add(ngx_http_mchost_console_t *c)
{
    int           argc = 0, i;
    char          deadline[NGX_INT64_LEN + 1];
    size_t        argvlen[18];
    u_char        key[256];
    ngx_str_t    *prefix;
    const char   *argv[18];

    prefix = ngx_mchost_redis_prefix(ngx_http_mchost_worker->redis);
    *ngx_snprintf(key, sizeof(key) - 1, "%V" NGX_HTTP_MCHOST_CONSOLE_STREAM,
                  prefix) = '\0';
    *ngx_snprintf((u_char *) deadline, sizeof(deadline) - 1, "%uL",
                  c->deadline) = '\0';

    argv[argc++] = "XADD";
    argv[argc++] = (char *) key;
    argv[argc++] = "MAXLEN";
    argv[argc++] = "~";
    argv[argc++] = NGX_HTTP_MCHOST_CONSOLE_MAXLEN;
    argv[argc++] = "*";
    argv[argc++] = "id";
    argv[argc++] = c->id;
    argv[argc++] = "tenant";
    argv[argc++] = c->tenant;
    argv[argc++] = "server";
    argv[argc++] = c->server;
    argv[argc++] = "op";
    argv[argc++] = "console";
    argv[argc++] = "arg";
    argv[argc++] = (char *) c->command.data;
    argv[argc++] = "deadline";
    argv[argc++] = deadline;

    for (i = 0; i < argc; i++) {
        argvlen[i] = ngx_strlen(argv[i]);
    }
    argvlen[15] = c->command.len;

    if (ngx_mchost_redis_command(ngx_http_mchost_worker->redis,
                                 ngx_http_mchost_console_added, c, argc, argv,
                                 argvlen)
        != NGX_OK)
    {
        ngx_http_mchost_console_fail(c);
        return;
    }
    c->added = 1;
}


static void
ngx_http_mchost_console_ready(ngx_mchost_sub_t *sub)
{
    ngx_http_mchost_console_add(sub->data);
}


static void
ngx_http_mchost_console_raw(ngx_mchost_sub_t *sub, u_char *msg, size_t len)
{
    ngx_str_t  json;

    json.data = msg;
    json.len = len;
    ngx_http_mchost_console_finish(sub->data, NGX_HTTP_OK, &json);
}


static const ngx_mchost_sub_ops_t  ngx_http_mchost_console_ops = {
    ngx_http_mchost_console_ready,
    NULL,
    NULL,
    ngx_http_mchost_console_raw
};


/* Its timer also keeps a worker that is told to leave until the answer. */
ngx_http_mchost_console_t *
ngx_http_mchost_console_send(const char *tenant, const char *server,
    ngx_str_t *command, ngx_http_mchost_console_pt handler, void *data)
{
    u_char                      channel[64];
    ngx_str_t                   name;
    ngx_time_t                 *tp;
    ngx_http_mchost_console_t  *c;

    if (ngx_http_mchost_worker->hub == NULL
        || !ngx_mchost_redis_ready(ngx_http_mchost_worker->redis))
    {
        return NULL;
    }

    c = ngx_calloc(sizeof(ngx_http_mchost_console_t) + command->len + 1,
                   ngx_cycle->log);
    if (c == NULL) {
        return NULL;
    }

    c->handler = handler;
    c->data = data;
    c->command.data = (u_char *) (c + 1);
    c->command.len = command->len;
    ngx_memcpy(c->command.data, command->data, command->len);
    (void) ngx_cpystrn((u_char *) c->tenant, (u_char *) tenant, 37);
    (void) ngx_cpystrn((u_char *) c->server, (u_char *) server, 37);
    ngx_http_mchost_uuid7(c->id);

    tp = ngx_timeofday();
    c->deadline = (uint64_t) tp->sec * 1000 + tp->msec
                  + NGX_HTTP_MCHOST_CONSOLE_WAIT;

    name.data = channel;
    name.len = ngx_sprintf(channel, "reply:%s", c->id) - channel;
    if (ngx_mchost_hub_join(ngx_http_mchost_worker->hub, &c->sub, &name, NULL,
                            &ngx_http_mchost_console_ops, c)
        == NGX_ERROR)
    {
        ngx_free(c);
        return NULL;
    }

    c->timer.handler = ngx_http_mchost_console_timer_handler;
    c->timer.data = c;
    c->timer.log = ngx_cycle->log;
    ngx_add_timer(&c->timer, NGX_HTTP_MCHOST_CONSOLE_WAIT);
    return c;
}


void
ngx_http_mchost_console_detach(ngx_http_mchost_console_t *c)
{
    ngx_http_mchost_console_free(c);
}
