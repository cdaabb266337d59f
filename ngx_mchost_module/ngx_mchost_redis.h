/*
 * Redis in nginx's event loop: per worker one connection for commands and one
 * for subscriptions, both reconnecting by themselves with jitter.
 */

#ifndef NGX_MCHOST_REDIS_H
#define NGX_MCHOST_REDIS_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <hiredis/hiredis.h>

typedef struct ngx_mchost_redis_s  ngx_mchost_redis_t;

typedef struct {
    ngx_str_t     address;          /* "127.0.0.1:6379" or "unix:/path" */
    ngx_str_t     prefix;           /* default "mchost:" */
    ngx_str_t     user, password;   /* empty: no AUTH */
    ngx_msec_t    timeout;          /* connect and command, default 2s */
    ngx_uint_t    pending;          /* unanswered at most, default 1024 */
} ngx_mchost_redis_conf_t;

/* reply is NULL when Redis is away, was lost, or answered too late. It is
 * freed after the handler returns. Never called from within the submitting
 * call. */
typedef void (*ngx_mchost_redis_handler_pt)(void *data, redisReply *reply);

ngx_mchost_redis_t *ngx_mchost_redis_create(ngx_mchost_redis_conf_t *conf,
    ngx_cycle_t *cycle);
void ngx_mchost_redis_destroy(ngx_mchost_redis_t *redis);

/* Sends a command of argc parts. NGX_OK: the handler (may be NULL: fire and
 * forget) will be called once. NGX_DECLINED: Redis is away or too many are
 * pending; the handler will not be called. */
ngx_int_t ngx_mchost_redis_command(ngx_mchost_redis_t *redis,
    ngx_mchost_redis_handler_pt handler, void *data, int argc,
    const char **argv, const size_t *argvlen);

/* The submitter of every command with this data pointer is gone: its handlers
 * are not called. */
void ngx_mchost_redis_detach(ngx_mchost_redis_t *redis, void *data);

/* PUBLISH prefix+channel, fire and forget. */
void ngx_mchost_redis_publish(ngx_mchost_redis_t *redis, const char *channel,
    const char *msg, size_t len);

/* -- subscriptions: one listener, the hub -- */

/* Channels are without the prefix; everything lasts until the call returns. */
typedef struct {
    void  (*up)(void *data);            /* nothing is subscribed yet */
    void  (*down)(void *data);          /* nothing is subscribed any more */
    void  (*subscribed)(void *data, ngx_str_t *channel);
    void  (*message)(void *data, ngx_str_t *channel, u_char *msg, size_t len);
} ngx_mchost_redis_listener_t;

void ngx_mchost_redis_listen(ngx_mchost_redis_t *redis,
    const ngx_mchost_redis_listener_t *listener, void *data);

/* Between up and down; otherwise nothing happens. The confirmation of a
 * subscription is the listener's subscribed(). */
void ngx_mchost_redis_subscribe(ngx_mchost_redis_t *redis, ngx_str_t *channel);
void ngx_mchost_redis_unsubscribe(ngx_mchost_redis_t *redis,
    ngx_str_t *channel);

/* 1 when both connections are up. */
ngx_uint_t ngx_mchost_redis_ready(ngx_mchost_redis_t *redis);

ngx_str_t *ngx_mchost_redis_prefix(ngx_mchost_redis_t *redis);

#endif
