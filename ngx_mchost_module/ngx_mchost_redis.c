#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include "ngx_mchost_redis.h"
#include "ngx_mchost_redis_conn.h"

#define NGX_MCHOST_REDIS_HEARTBEAT  5000    /* ms between signs of life */
#define NGX_MCHOST_REDIS_CHANNEL    256     /* prefix and channel at most */
#define NGX_MCHOST_REDIS_PULSE      "t:heartbeat"


/* A command that waits for its reply; handler is NULL for nobody. */
typedef struct {
    ngx_queue_t                   queue;
    ngx_mchost_redis_handler_pt   handler;
    void                         *data;
    ngx_msec_t                    deadline;
} ngx_mchost_redis_wait_t;


struct ngx_mchost_redis_s {
    ngx_mchost_redis_conf_t            *conf;
    ngx_log_t                          *log;

    ngx_mchost_redis_conn_t             commands;
    ngx_mchost_redis_conn_t             subs;

    ngx_queue_t                         waiting;    /* in order of sending */
    ngx_uint_t                          nwaiting;
    ngx_event_t                         timeout;    /* of the first of them */

    ngx_event_t                         heartbeat;
    ngx_uint_t                          pulses;     /* unanswered */

    const ngx_mchost_redis_listener_t  *listener;
    void                               *listener_data;
};


/* -- commands -- */

static void
ngx_mchost_redis_arm(ngx_mchost_redis_t *redis)
{
    ngx_msec_int_t            left;
    ngx_mchost_redis_wait_t  *w;

    if (redis->timeout.timer_set) {
        ngx_del_timer(&redis->timeout);
    }
    if (ngx_queue_empty(&redis->waiting)) {
        return;
    }

    w = ngx_queue_data(ngx_queue_head(&redis->waiting),
                       ngx_mchost_redis_wait_t, queue);
    left = (ngx_msec_int_t) (w->deadline - ngx_current_msec);
    ngx_add_timer(&redis->timeout, left > 0 ? left : 1);
}


static void
ngx_mchost_redis_answer(ngx_mchost_redis_t *redis, redisReply *reply)
{
    void                         *data;
    ngx_mchost_redis_wait_t      *w;
    ngx_mchost_redis_handler_pt   handler;

    w = ngx_queue_data(ngx_queue_head(&redis->waiting),
                       ngx_mchost_redis_wait_t, queue);
    ngx_queue_remove(&w->queue);
    redis->nwaiting--;
    handler = w->handler;
    data = w->data;
    ngx_free(w);

    if (handler != NULL) {
        handler(data, reply);
    }
}


static void
ngx_mchost_redis_commands_up(void *data)
{
    /* commands are declined until now: none waits to be sent */
}


static void
ngx_mchost_redis_commands_reply(void *data, redisReply *reply)
{
    ngx_mchost_redis_t  *redis = data;

    if (ngx_queue_empty(&redis->waiting)) {
        /* "max number of clients reached" comes unasked */
        ngx_mchost_redis_conn_lost(&redis->commands, "unexpected reply");
        return;
    }

    if (reply->type == REDIS_REPLY_ERROR) {
        ngx_log_error(NGX_LOG_WARN, redis->log, 0,
                      "mchost: redis answered \"%s\"", reply->str);
    }

    ngx_mchost_redis_answer(redis, reply);
    if (ngx_queue_empty(&redis->waiting)) {
        ngx_mchost_redis_arm(redis);
    }
}


static void
ngx_mchost_redis_commands_down(void *data)
{
    ngx_mchost_redis_t  *redis = data;

    /* new commands are declined meanwhile: the list only shrinks */
    while (!ngx_queue_empty(&redis->waiting)) {
        ngx_mchost_redis_answer(redis, NULL);
    }
    ngx_mchost_redis_arm(redis);
}


static const ngx_mchost_redis_conn_ops_t  ngx_mchost_redis_commands_ops = {
    ngx_mchost_redis_commands_up,
    ngx_mchost_redis_commands_reply,
    ngx_mchost_redis_commands_down
};


/* Replies come in order: when the first is late, so are the others, and the
 * connection is of no use. The timer is not moved with every reply: it looks
 * again when it was early. */
static void
ngx_mchost_redis_timeout_handler(ngx_event_t *ev)
{
    ngx_mchost_redis_t       *redis = ev->data;
    ngx_mchost_redis_wait_t  *w;

    if (ngx_queue_empty(&redis->waiting)) {
        return;
    }

    w = ngx_queue_data(ngx_queue_head(&redis->waiting),
                       ngx_mchost_redis_wait_t, queue);
    if ((ngx_msec_int_t) (w->deadline - ngx_current_msec) > 0) {
        ngx_mchost_redis_arm(redis);
        return;
    }
    ngx_mchost_redis_conn_lost(&redis->commands, "no answer in time");
}


ngx_int_t
ngx_mchost_redis_command(ngx_mchost_redis_t *redis,
    ngx_mchost_redis_handler_pt handler, void *data, int argc,
    const char **argv, const size_t *argvlen)
{
    ngx_mchost_redis_wait_t  *w;

    if (redis->nwaiting >= redis->conf->pending) {
        return NGX_DECLINED;
    }

    w = ngx_alloc(sizeof(ngx_mchost_redis_wait_t), redis->log);
    if (w == NULL) {
        return NGX_DECLINED;
    }

    if (ngx_mchost_redis_conn_send(&redis->commands, argc, argv, argvlen)
        != NGX_OK)
    {
        ngx_free(w);
        return NGX_DECLINED;
    }

    w->handler = handler;
    w->data = data;
    w->deadline = ngx_current_msec + redis->conf->timeout;
    ngx_queue_insert_tail(&redis->waiting, &w->queue);
    redis->nwaiting++;

    if (!redis->timeout.timer_set) {
        ngx_mchost_redis_arm(redis);
    }
    return NGX_OK;
}


void
ngx_mchost_redis_detach(ngx_mchost_redis_t *redis, void *data)
{
    ngx_queue_t              *q;
    ngx_mchost_redis_wait_t  *w;

    for (q = ngx_queue_head(&redis->waiting);
         q != ngx_queue_sentinel(&redis->waiting);
         q = ngx_queue_next(q))
    {
        w = ngx_queue_data(q, ngx_mchost_redis_wait_t, queue);
        if (w->data == data) {
            w->handler = NULL;
        }
    }
}


/* Writes prefix and channel to buf; the length, or 0 when it is too long. */
static size_t
ngx_mchost_redis_name(ngx_mchost_redis_t *redis, u_char *buf, ngx_str_t *name)
{
    ngx_str_t  *prefix = &redis->conf->prefix;

    if (prefix->len + name->len > NGX_MCHOST_REDIS_CHANNEL) {
        return 0;
    }
    (void) ngx_cpymem(ngx_cpymem(buf, prefix->data, prefix->len),
                      name->data, name->len);
    return prefix->len + name->len;
}


void
ngx_mchost_redis_publish(ngx_mchost_redis_t *redis, const char *channel,
    const char *msg, size_t len)
{
    size_t       argvlen[3];
    u_char       buf[NGX_MCHOST_REDIS_CHANNEL];
    ngx_str_t    name;
    const char  *argv[3];

    name.data = (u_char *) channel;
    name.len = ngx_strlen(channel);

    argv[0] = "PUBLISH";
    argvlen[0] = 7;
    argv[1] = (char *) buf;
    argvlen[1] = ngx_mchost_redis_name(redis, buf, &name);
    argv[2] = msg;
    argvlen[2] = len;

    if (argvlen[1] != 0) {
        (void) ngx_mchost_redis_command(redis, NULL, NULL, 3, argv, argvlen);
    }
}


/* -- subscriptions -- */

static void
ngx_mchost_redis_sub_send(ngx_mchost_redis_t *redis, const char *verb,
    ngx_str_t *channel)
{
    size_t       argvlen[2];
    u_char       buf[NGX_MCHOST_REDIS_CHANNEL];
    const char  *argv[2];

    if (redis->subs.state != NGX_MCHOST_REDIS_UP) {
        return;
    }

    argv[0] = verb;
    argvlen[0] = ngx_strlen(verb);
    argv[1] = (char *) buf;
    argvlen[1] = ngx_mchost_redis_name(redis, buf, channel);

    if (argvlen[1] == 0
        || ngx_mchost_redis_conn_send(&redis->subs, 2, argv, argvlen)
           != NGX_OK)
    {
        ngx_mchost_redis_conn_lost(&redis->subs, "cannot queue a command");
    }
}


void
ngx_mchost_redis_subscribe(ngx_mchost_redis_t *redis, ngx_str_t *channel)
{
    ngx_mchost_redis_sub_send(redis, "SUBSCRIBE", channel);
}


void
ngx_mchost_redis_unsubscribe(ngx_mchost_redis_t *redis, ngx_str_t *channel)
{
    ngx_mchost_redis_sub_send(redis, "UNSUBSCRIBE", channel);
}


void
ngx_mchost_redis_listen(ngx_mchost_redis_t *redis,
    const ngx_mchost_redis_listener_t *listener, void *data)
{
    redis->listener = listener;
    redis->listener_data = data;
}


static void
ngx_mchost_redis_subs_up(void *data)
{
    ngx_mchost_redis_t  *redis = data;

    redis->pulses = 0;
    if (redis->listener != NULL) {
        redis->listener->up(redis->listener_data);
    }
}


static void
ngx_mchost_redis_subs_down(void *data)
{
    ngx_mchost_redis_t  *redis = data;

    if (redis->listener != NULL) {
        redis->listener->down(redis->listener_data);
    }
}


/* ["message", channel, text], ["subscribe", channel, count]; the rest, and
 * whatever a later Redis invents, is of no interest. */
static void
ngx_mchost_redis_subs_reply(void *data, redisReply *reply)
{
    ngx_str_t            channel, *prefix;
    redisReply         **el = reply->element;
    ngx_mchost_redis_t  *redis = data;

    redis->pulses = 0;

    if (reply->type == REDIS_REPLY_ERROR) {
        ngx_log_error(NGX_LOG_ERR, redis->log, 0,
                      "mchost: redis refused a subscription: \"%s\"",
                      reply->str);
        return;
    }

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3
        || el[0]->type != REDIS_REPLY_STRING
        || el[1]->type != REDIS_REPLY_STRING)
    {
        return;
    }

    prefix = &redis->conf->prefix;
    channel.data = (u_char *) el[1]->str;
    channel.len = el[1]->len;
    if (channel.len < prefix->len
        || ngx_memcmp(channel.data, prefix->data, prefix->len) != 0)
    {
        return;
    }
    channel.data += prefix->len;
    channel.len -= prefix->len;

    if (el[0]->len == 7 && ngx_memcmp(el[0]->str, "message", 7) == 0) {
        if (el[2]->type == REDIS_REPLY_STRING && redis->listener != NULL) {
            redis->listener->message(redis->listener_data, &channel,
                                     (u_char *) el[2]->str, el[2]->len);
        }
        return;
    }

    if (el[0]->len == 9 && ngx_memcmp(el[0]->str, "subscribe", 9) == 0) {
        if (redis->listener != NULL) {
            redis->listener->subscribed(redis->listener_data, &channel);
        }
    }
}


static const ngx_mchost_redis_conn_ops_t  ngx_mchost_redis_subs_ops = {
    ngx_mchost_redis_subs_up,
    ngx_mchost_redis_subs_reply,
    ngx_mchost_redis_subs_down
};


/* A peer that vanished without a FIN is noticed by silence: the subscriber
 * subscribes again to a channel of its own, and the command connection, when
 * it has nothing else to wait for, is asked for anything at all. */
static void
ngx_mchost_redis_heartbeat_handler(ngx_event_t *ev)
{
    size_t               argvlen = 4;
    ngx_str_t            pulse = ngx_string(NGX_MCHOST_REDIS_PULSE);
    const char          *argv = "PING";
    ngx_mchost_redis_t  *redis = ev->data;

    if (redis->nwaiting == 0) {
        (void) ngx_mchost_redis_command(redis, NULL, NULL, 1, &argv, &argvlen);
    }

    if (redis->subs.state == NGX_MCHOST_REDIS_UP) {
        if (redis->pulses >= 2) {
            ngx_mchost_redis_conn_lost(&redis->subs, "no sign of life");

        } else {
            redis->pulses++;
            ngx_mchost_redis_subscribe(redis, &pulse);
        }
    }

    ngx_add_timer(&redis->heartbeat, NGX_MCHOST_REDIS_HEARTBEAT);
}


/* -- life -- */

static ngx_int_t
ngx_mchost_redis_resolve(ngx_mchost_redis_conf_t *conf, ngx_cycle_t *cycle,
    ngx_addr_t *addr)
{
    ngx_url_t  u;

    ngx_memzero(&u, sizeof(ngx_url_t));
    u.url = conf->address;
    u.default_port = 6379;
    u.no_resolve = 1;

    if (ngx_parse_url(cycle->pool, &u) != NGX_OK || u.naddrs == 0) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                      "mchost: redis address \"%V\" is neither an IP address "
                      "nor a socket", &conf->address);
        return NGX_ERROR;
    }
    *addr = u.addrs[0];
    return NGX_OK;
}


static void
ngx_mchost_redis_conn_setup(ngx_mchost_redis_t *redis,
    ngx_mchost_redis_conn_t *conn, const char *name,
    const ngx_mchost_redis_conn_ops_t *ops, ngx_addr_t *addr)
{
    conn->conf = redis->conf;
    conn->ops = ops;
    conn->data = redis;
    conn->name = name;
    conn->log = redis->log;
    ngx_mchost_redis_conn_start(conn, addr);
}


ngx_mchost_redis_t *
ngx_mchost_redis_create(ngx_mchost_redis_conf_t *conf, ngx_cycle_t *cycle)
{
    ngx_addr_t           addr;
    ngx_mchost_redis_t  *redis;

    if (ngx_mchost_redis_resolve(conf, cycle, &addr) != NGX_OK) {
        return NULL;
    }

    redis = ngx_pcalloc(cycle->pool, sizeof(ngx_mchost_redis_t));
    if (redis == NULL) {
        return NULL;
    }

    redis->conf = conf;
    redis->log = cycle->log;
    ngx_queue_init(&redis->waiting);

    redis->timeout.handler = ngx_mchost_redis_timeout_handler;
    redis->timeout.data = redis;
    redis->timeout.log = cycle->log;
    redis->timeout.cancelable = 1;

    redis->heartbeat.handler = ngx_mchost_redis_heartbeat_handler;
    redis->heartbeat.data = redis;
    redis->heartbeat.log = cycle->log;
    redis->heartbeat.cancelable = 1;
    ngx_add_timer(&redis->heartbeat, NGX_MCHOST_REDIS_HEARTBEAT);

    ngx_mchost_redis_conn_setup(redis, &redis->commands, "command",
                                &ngx_mchost_redis_commands_ops, &addr);
    ngx_mchost_redis_conn_setup(redis, &redis->subs, "subscriber",
                                &ngx_mchost_redis_subs_ops, &addr);
    return redis;
}


/* The worker ends: nobody is called any more. */
void
ngx_mchost_redis_destroy(ngx_mchost_redis_t *redis)
{
    ngx_queue_t  *q;

    ngx_mchost_redis_conn_stop(&redis->commands);
    ngx_mchost_redis_conn_stop(&redis->subs);

    if (redis->timeout.timer_set) {
        ngx_del_timer(&redis->timeout);
    }
    if (redis->heartbeat.timer_set) {
        ngx_del_timer(&redis->heartbeat);
    }

    while (!ngx_queue_empty(&redis->waiting)) {
        q = ngx_queue_head(&redis->waiting);
        ngx_queue_remove(q);
        ngx_free(ngx_queue_data(q, ngx_mchost_redis_wait_t, queue));
    }
    redis->nwaiting = 0;
}


ngx_uint_t
ngx_mchost_redis_ready(ngx_mchost_redis_t *redis)
{
    return redis->commands.state == NGX_MCHOST_REDIS_UP
           && redis->subs.state == NGX_MCHOST_REDIS_UP;
}


ngx_str_t *
ngx_mchost_redis_prefix(ngx_mchost_redis_t *redis)
{
    return &redis->conf->prefix;
}
