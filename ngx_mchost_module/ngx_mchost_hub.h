/*
 * One worker's fan-out: Redis channel → those in this worker who listen. The
 * worker subscribes to a channel while somebody listens to it, and encodes a
 * message once for all of them.
 */

#ifndef NGX_MCHOST_HUB_H
#define NGX_MCHOST_HUB_H

#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_mchost_outq.h"
#include "ngx_http_mchost_module.h"

typedef struct ngx_mchost_channel_s  ngx_mchost_channel_t;
typedef struct ngx_mchost_sub_s      ngx_mchost_sub_t;

/* A message of a topic's channel; lasts until the handler returns. */
typedef struct {
    ngx_mchost_hub_t          *hub;
    const char                *topic;
    mc_envelope_t              env;
    ngx_mchost_key_t           key;         /* of env.server */
    ngx_mchost_block_t        *block;       /* by ngx_mchost_event_frame() */
    u_char                    *pos, *last;
    ngx_mchost_block_t        *single;      /* by ngx_mchost_event_single() */
} ngx_mchost_event_t;

/* Encodes the event's frame in the hub's current block, once: pos..last of
 * block. NGX_ERROR when memory is out. */
ngx_int_t ngx_mchost_event_frame(ngx_mchost_event_t *ev);

/* The same frame alone in a block, for a queue that may keep it for long and
 * would hold its neighbours in memory, too. NULL when memory is out. */
ngx_mchost_block_t *ngx_mchost_event_single(ngx_mchost_event_t *ev);

/* 1 when an envelope's time and data can be sent as they are. */
ngx_uint_t ngx_mchost_event_acceptable(const mc_envelope_t *env);

/* A handler may leave its own subscription and no other. */
typedef struct {
    void  (*ready)(ngx_mchost_sub_t *sub);      /* subscribed at Redis */
    void  (*resumed)(ngx_mchost_sub_t *sub);    /* again: messages were lost */
    void  (*event)(ngx_mchost_sub_t *sub, ngx_mchost_event_t *ev);
    void  (*raw)(ngx_mchost_sub_t *sub, u_char *msg, size_t len);
} ngx_mchost_sub_ops_t;

/* Zeroed memory is a subscription that has not joined. */
struct ngx_mchost_sub_s {
    ngx_queue_t                  queue;
    ngx_mchost_channel_t        *channel;       /* NULL: not joined */
    const ngx_mchost_sub_ops_t  *ops;
    void                        *data;
    unsigned                     ready:1;
    unsigned                     lost:1;        /* was ready, Redis went */
};

/* Joins a channel (without prefix). topic is what its envelopes are events
 * of, static text; NULL: messages go to raw() as they are. NGX_OK: subscribed
 * already, ready() is not called; NGX_AGAIN: ready() will be, maybe late;
 * NGX_ERROR: memory is out. */
ngx_int_t ngx_mchost_hub_join(ngx_mchost_hub_t *hub, ngx_mchost_sub_t *sub,
    ngx_str_t *channel, const char *topic, const ngx_mchost_sub_ops_t *ops,
    void *data);
void ngx_mchost_hub_leave(ngx_mchost_hub_t *hub, ngx_mchost_sub_t *sub);

#endif
