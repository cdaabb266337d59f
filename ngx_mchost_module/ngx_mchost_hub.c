#include "ngx_mchost_hub.h"
#include "mc_json.h"

#define NGX_MCHOST_HUB_BLOCK   65536    /* frames of a burst lie together */
#define NGX_MCHOST_HUB_LINGER  1000     /* ms that an empty channel is kept */


struct ngx_mchost_channel_s {
    ngx_str_node_t            sn;           /* in hub->channels */
    ngx_queue_t               all;          /* in hub->all */
    ngx_queue_t               idle;         /* in hub->idle, when empty */
    ngx_queue_t               subs;
    ngx_uint_t                nsubs;
    const char               *topic;
    ngx_msec_t                since;        /* empty since */
    unsigned                  confirmed:1;
};                                          /* the name follows */


struct ngx_mchost_hub_s {
    ngx_mchost_redis_t       *redis;
    ngx_log_t                *log;

    ngx_rbtree_t              channels;
    ngx_rbtree_node_t         sentinel;
    ngx_queue_t               all;
    ngx_queue_t               idle;
    ngx_event_t               sweep;

    ngx_mchost_block_t       *block;        /* where events are encoded */
    unsigned                  up:1;
};


/* -- encoding -- */

/* Room for a frame of this size in the current block. Nobody holds a block
 * any more whose only reference is the hub's: it begins anew. */
static ngx_mchost_block_t *
ngx_mchost_hub_room(ngx_mchost_hub_t *hub, size_t size)
{
    ngx_mchost_block_t  *b = hub->block;

    if (b != NULL && b->refs == 1) {
        b->last = (u_char *) (b + 1);
    }

    if (b != NULL && (size_t) (b->end - b->last) >= size) {
        return b;
    }

    if (b != NULL) {
        ngx_mchost_block_release(b);
    }
    hub->block = ngx_mchost_block_create(ngx_max(size, NGX_MCHOST_HUB_BLOCK),
                                         hub->log);
    return hub->block;
}


ngx_int_t
ngx_mchost_event_frame(ngx_mchost_event_t *ev)
{
    ngx_mchost_block_t  *b;

    if (ev->block != NULL) {
        return NGX_OK;
    }

    b = ngx_mchost_hub_room(ev->hub, ngx_mchost_event_size(ev->topic,
                                                           &ev->env));
    if (b == NULL) {
        return NGX_ERROR;
    }

    ev->pos = b->last;
    b->last = ngx_mchost_event_write(b->last, ev->topic, &ev->env);
    ev->last = b->last;
    ev->block = b;
    b->refs++;                          /* as long as the event lasts */
    return NGX_OK;
}


ngx_mchost_block_t *
ngx_mchost_event_single(ngx_mchost_event_t *ev)
{
    ngx_mchost_block_t  *b;

    if (ev->single == NULL) {
        b = ngx_mchost_block_create(ngx_mchost_event_size(ev->topic, &ev->env),
                                    ev->hub->log);
        if (b == NULL) {
            return NULL;
        }
        b->last = ngx_mchost_event_write(b->last, ev->topic, &ev->env);
        ev->single = b;
    }
    return ev->single;
}


/* -- channels -- */

static ngx_mchost_channel_t *
ngx_mchost_hub_find(ngx_mchost_hub_t *hub, ngx_str_t *name)
{
    return (ngx_mchost_channel_t *)
           ngx_str_rbtree_lookup(&hub->channels, name,
                                 ngx_crc32_short(name->data, name->len));
}


static ngx_mchost_channel_t *
ngx_mchost_hub_add(ngx_mchost_hub_t *hub, ngx_str_t *name, const char *topic)
{
    ngx_mchost_channel_t  *ch;

    ch = ngx_calloc(sizeof(ngx_mchost_channel_t) + name->len, hub->log);
    if (ch == NULL) {
        return NULL;
    }

    ch->sn.str.data = (u_char *) (ch + 1);
    ch->sn.str.len = name->len;
    ngx_memcpy(ch->sn.str.data, name->data, name->len);
    ch->sn.node.key = ngx_crc32_short(name->data, name->len);
    ch->topic = topic;
    ngx_queue_init(&ch->subs);
    ngx_rbtree_insert(&hub->channels, &ch->sn.node);
    ngx_queue_insert_tail(&hub->all, &ch->all);

    ngx_mchost_redis_subscribe(hub->redis, name);
    return ch;
}


static void
ngx_mchost_hub_remove(ngx_mchost_hub_t *hub, ngx_mchost_channel_t *ch)
{
    if (ch->nsubs == 0) {
        ngx_queue_remove(&ch->idle);
    }
    ngx_rbtree_delete(&hub->channels, &ch->sn.node);
    ngx_queue_remove(&ch->all);
    ngx_free(ch);
}


/* Channels nobody wants any more go a little later, those of topics after a
 * second: a page that is loaded again finds its subscription in place. None
 * is freed while its messages are given out. One whose confirmation is not
 * there yet waits for it, so that a confirmation always means the newest
 * SUBSCRIBE. */
static void
ngx_mchost_hub_sweep_handler(ngx_event_t *ev)
{
    ngx_queue_t           *q, *next;
    ngx_mchost_hub_t      *hub = ev->data;
    ngx_mchost_channel_t  *ch;

    for (q = ngx_queue_head(&hub->idle);
         q != ngx_queue_sentinel(&hub->idle);
         q = next)
    {
        next = ngx_queue_next(q);
        ch = ngx_queue_data(q, ngx_mchost_channel_t, idle);

        if ((ch->topic != NULL
             && ngx_current_msec - ch->since < NGX_MCHOST_HUB_LINGER)
            || (hub->up && !ch->confirmed))
        {
            continue;
        }
        ngx_mchost_redis_unsubscribe(hub->redis, &ch->sn.str);
        ngx_mchost_hub_remove(hub, ch);
    }

    if (!ngx_queue_empty(&hub->idle) && !hub->sweep.timer_set) {
        ngx_add_timer(&hub->sweep, NGX_MCHOST_HUB_LINGER);
    }
}


ngx_int_t
ngx_mchost_hub_join(ngx_mchost_hub_t *hub, ngx_mchost_sub_t *sub,
    ngx_str_t *channel, const char *topic, const ngx_mchost_sub_ops_t *ops,
    void *data)
{
    ngx_mchost_channel_t  *ch;

    ch = ngx_mchost_hub_find(hub, channel);
    if (ch == NULL) {
        ch = ngx_mchost_hub_add(hub, channel, topic);
        if (ch == NULL) {
            return NGX_ERROR;
        }

    } else if (ch->nsubs == 0) {
        ngx_queue_remove(&ch->idle);
    }

    sub->channel = ch;
    sub->ops = ops;
    sub->data = data;
    sub->ready = ch->confirmed;
    sub->lost = 0;
    ngx_queue_insert_tail(&ch->subs, &sub->queue);
    ch->nsubs++;

    return sub->ready ? NGX_OK : NGX_AGAIN;
}


void
ngx_mchost_hub_leave(ngx_mchost_hub_t *hub, ngx_mchost_sub_t *sub)
{
    ngx_mchost_channel_t  *ch = sub->channel;

    if (ch == NULL) {
        return;
    }

    ngx_queue_remove(&sub->queue);
    sub->channel = NULL;
    sub->ready = 0;
    sub->lost = 0;

    if (--ch->nsubs == 0) {
        ch->since = ngx_current_msec;
        ngx_queue_insert_tail(&hub->idle, &ch->idle);
        if (ch->topic == NULL) {
            ngx_post_event(&hub->sweep, &ngx_posted_events);

        } else if (!hub->sweep.timer_set) {
            ngx_add_timer(&hub->sweep, NGX_MCHOST_HUB_LINGER);
        }
    }
}


/* -- what Redis says -- */

static void
ngx_mchost_hub_up(void *data)
{
    ngx_queue_t           *q;
    ngx_mchost_hub_t      *hub = data;
    ngx_mchost_channel_t  *ch;

    hub->up = 1;
    for (q = ngx_queue_head(&hub->all);
         q != ngx_queue_sentinel(&hub->all);
         q = ngx_queue_next(q))
    {
        ch = ngx_queue_data(q, ngx_mchost_channel_t, all);
        ngx_mchost_redis_subscribe(hub->redis, &ch->sn.str);
    }
}


static void
ngx_mchost_hub_down(void *data)
{
    ngx_queue_t           *q, *s;
    ngx_mchost_sub_t      *sub;
    ngx_mchost_hub_t      *hub = data;
    ngx_mchost_channel_t  *ch;

    hub->up = 0;
    for (q = ngx_queue_head(&hub->all);
         q != ngx_queue_sentinel(&hub->all);
         q = ngx_queue_next(q))
    {
        ch = ngx_queue_data(q, ngx_mchost_channel_t, all);
        ch->confirmed = 0;

        for (s = ngx_queue_head(&ch->subs);
             s != ngx_queue_sentinel(&ch->subs);
             s = ngx_queue_next(s))
        {
            sub = ngx_queue_data(s, ngx_mchost_sub_t, queue);
            sub->lost |= sub->ready;
            sub->ready = 0;
        }
    }
}


static void
ngx_mchost_hub_subscribed(void *data, ngx_str_t *name)
{
    ngx_uint_t             lost;
    ngx_queue_t           *q, *next;
    ngx_mchost_sub_t      *sub;
    ngx_mchost_hub_t      *hub = data;
    ngx_mchost_channel_t  *ch;

    ch = ngx_mchost_hub_find(hub, name);
    if (ch == NULL || ch->confirmed) {
        return;
    }
    ch->confirmed = 1;

    for (q = ngx_queue_head(&ch->subs);
         q != ngx_queue_sentinel(&ch->subs);
         q = next)
    {
        next = ngx_queue_next(q);
        sub = ngx_queue_data(q, ngx_mchost_sub_t, queue);
        if (sub->ready) {
            continue;                   /* joined while others were told */
        }

        lost = sub->lost;
        sub->ready = 1;
        sub->lost = 0;
        if (lost) {
            if (sub->ops->resumed != NULL) {
                sub->ops->resumed(sub);
            }

        } else {
            sub->ops->ready(sub);
        }
    }
}


static void
ngx_mchost_hub_raw(ngx_mchost_channel_t *ch, u_char *msg, size_t len)
{
    ngx_queue_t       *q, *next;
    ngx_mchost_sub_t  *sub;

    for (q = ngx_queue_head(&ch->subs);
         q != ngx_queue_sentinel(&ch->subs);
         q = next)
    {
        next = ngx_queue_next(q);
        sub = ngx_queue_data(q, ngx_mchost_sub_t, queue);
        sub->ops->raw(sub, msg, len);
    }
}


/* The data goes out as it came in: it must at least be UTF-8, or clients
 * would have to fail their connections; time is put between quotes. */
ngx_uint_t
ngx_mchost_event_acceptable(const mc_envelope_t *env)
{
    size_t  i;

    for (i = 0; i < env->time_len; i++) {
        if (env->time[i] < 0x20 || env->time[i] > 0x7e
            || env->time[i] == '"' || env->time[i] == '\\')
        {
            return 0;
        }
    }
    return mc_utf8_valid(env->data, env->data_len);
}


static void
ngx_mchost_hub_message(void *data, ngx_str_t *name, u_char *msg, size_t len)
{
    ngx_queue_t           *q, *next;
    ngx_mchost_sub_t      *sub;
    ngx_mchost_hub_t      *hub = data;
    ngx_mchost_event_t     ev;
    ngx_mchost_channel_t  *ch;

    (void) ngx_atomic_fetch_add(
                       &ngx_http_mchost_worker->counters->redis_messages, 1);

    ch = ngx_mchost_hub_find(hub, name);
    if (ch == NULL || ch->nsubs == 0) {
        return;
    }
    if (ch->topic == NULL) {
        ngx_mchost_hub_raw(ch, msg, len);
        return;
    }

    ngx_memzero(&ev, sizeof(ngx_mchost_event_t));
    if (mc_envelope_decode(&ev.env, (char *) msg, len) != 0
        || !ngx_mchost_event_acceptable(&ev.env))
    {
        ngx_log_error(NGX_LOG_WARN, hub->log, 0,
                      "mchost: message on \"%V\" is no envelope", name);
        return;
    }

    ev.hub = hub;
    ev.topic = ch->topic;
    ngx_mchost_key_parse(&ev.key, ev.env.server);

    for (q = ngx_queue_head(&ch->subs);
         q != ngx_queue_sentinel(&ch->subs);
         q = next)
    {
        next = ngx_queue_next(q);
        sub = ngx_queue_data(q, ngx_mchost_sub_t, queue);
        sub->ops->event(sub, &ev);
    }

    if (ev.block != NULL) {
        ngx_mchost_block_release(ev.block);
    }
    if (ev.single != NULL) {
        ngx_mchost_block_release(ev.single);
    }
}


static const ngx_mchost_redis_listener_t  ngx_mchost_hub_listener = {
    ngx_mchost_hub_up,
    ngx_mchost_hub_down,
    ngx_mchost_hub_subscribed,
    ngx_mchost_hub_message
};


/* -- life -- */

ngx_mchost_hub_t *
ngx_mchost_hub_create(ngx_mchost_redis_t *redis, ngx_cycle_t *cycle)
{
    ngx_mchost_hub_t  *hub;

    hub = ngx_pcalloc(cycle->pool, sizeof(ngx_mchost_hub_t));
    if (hub == NULL) {
        return NULL;
    }

    hub->redis = redis;
    hub->log = cycle->log;
    ngx_rbtree_init(&hub->channels, &hub->sentinel,
                    ngx_str_rbtree_insert_value);
    ngx_queue_init(&hub->all);
    ngx_queue_init(&hub->idle);

    hub->sweep.handler = ngx_mchost_hub_sweep_handler;
    hub->sweep.data = hub;
    hub->sweep.log = cycle->log;
    hub->sweep.cancelable = 1;

    ngx_mchost_redis_listen(redis, &ngx_mchost_hub_listener, hub);
    return hub;
}


/* After the sockets, or with them still there when the worker is told to
 * quit at once: they are not called any more. */
void
ngx_mchost_hub_destroy(ngx_mchost_hub_t *hub)
{
    ngx_queue_t           *q;
    ngx_mchost_sub_t      *sub;
    ngx_mchost_channel_t  *ch;

    if (hub->sweep.timer_set) {
        ngx_del_timer(&hub->sweep);
    }
    if (hub->sweep.posted) {
        ngx_delete_posted_event(&hub->sweep);
    }

    while (!ngx_queue_empty(&hub->all)) {
        q = ngx_queue_head(&hub->all);
        ch = ngx_queue_data(q, ngx_mchost_channel_t, all);

        while (!ngx_queue_empty(&ch->subs)) {
            q = ngx_queue_head(&ch->subs);
            sub = ngx_queue_data(q, ngx_mchost_sub_t, queue);
            ngx_queue_remove(q);
            sub->channel = NULL;
        }
        ngx_queue_remove(&ch->all);
        ngx_free(ch);
    }

    if (hub->block != NULL) {
        ngx_mchost_block_release(hub->block);
        hub->block = NULL;
    }
}
