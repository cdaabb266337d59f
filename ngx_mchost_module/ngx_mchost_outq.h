/*
 * What waits to be written to a WebSocket. Frames lie in refcounted blocks,
 * so that one encoded event serves all sockets; a queue holds spans of
 * blocks. Frames that lie one behind the other in a block join into one span,
 * so a burst costs a socket one entry and one buffer of a write.
 */

#ifndef NGX_MCHOST_OUTQ_H
#define NGX_MCHOST_OUTQ_H

#include <ngx_config.h>
#include <ngx_core.h>
#include "mc_envelope.h"

typedef struct {
    ngx_uint_t           refs;
    size_t               size;
    u_char              *last;          /* free from here */
    u_char              *end;
} ngx_mchost_block_t;                   /* the bytes follow */

/* A block with one reference, the caller's; NULL when memory is out. */
ngx_mchost_block_t *ngx_mchost_block_create(size_t size, ngx_log_t *log);
void ngx_mchost_block_release(ngx_mchost_block_t *b);

/* Identifies a server: its UUID's 16 bytes. */
typedef struct {
    u_char               bytes[16];
} ngx_mchost_key_t;

#define ngx_mchost_key_cmp(a, b)                                              \
    ngx_memcmp((a)->bytes, (b)->bytes, sizeof((a)->bytes))

/* text is a valid UUID of 36 characters. */
void ngx_mchost_key_parse(ngx_mchost_key_t *key, const char *text);
/* 36 characters, lower case, no NUL; returns the end. */
u_char *ngx_mchost_key_text(u_char *dst, const ngx_mchost_key_t *key);

/* For the trees that are searched by a server. */
ngx_rbtree_key_t ngx_mchost_key_hash(const ngx_mchost_key_t *key);

/* Position of a message: a Redis stream id. Empty sorts first. */
typedef struct {
    u_char               len;
    u_char               text[43];
} ngx_mchost_seq_t;

void ngx_mchost_seq_set(ngx_mchost_seq_t *seq, const char *text, size_t len);
/* <0, 0 or >0. */
ngx_int_t ngx_mchost_seq_cmp(const ngx_mchost_seq_t *a,
    const ngx_mchost_seq_t *b);

/* The text frame {"op":"event",…} of a message. */
size_t ngx_mchost_event_size(const char *topic, const mc_envelope_t *env);
u_char *ngx_mchost_event_write(u_char *p, const char *topic,
    const mc_envelope_t *env);


typedef struct ngx_mchost_out_s  ngx_mchost_out_t;

struct ngx_mchost_out_s {
    ngx_mchost_out_t    *next;
    ngx_mchost_block_t  *block;
    u_char              *start, *pos, *last;    /* whole frames; pos: unsent */
    ngx_uint_t           frames;
    unsigned             free_of_charge:1;      /* not part of bytes */
    unsigned             indexed:1;
    unsigned             stale:1;

    /* when indexed: a single state frame that a newer one may replace */
    ngx_rbtree_node_t    node;
    ngx_mchost_key_t     key;
    ngx_mchost_seq_t     seq;
};

typedef struct {
    ngx_mchost_out_t    *head, *tail;
    size_t               bytes;         /* unsent, without what is free */
    ngx_rbtree_t         index;
    ngx_rbtree_node_t    sentinel;
} ngx_mchost_outq_t;

void ngx_mchost_outq_init(ngx_mchost_outq_t *q);
void ngx_mchost_outq_clear(ngx_mchost_outq_t *q);

/* Appends pos..last of b, whole frames, and takes a reference. Frames that
 * are free of charge do not count as queued: they answer what the client
 * asked for and came at once. */
ngx_int_t ngx_mchost_outq_add(ngx_mchost_outq_t *q, ngx_mchost_block_t *b,
    u_char *pos, u_char *last, ngx_uint_t frames, ngx_uint_t free_of_charge,
    ngx_log_t *log);

/* Appends one state frame, the block's only content, or puts it in the place
 * of an older one of the same server. NGX_DECLINED: replaced. */
ngx_int_t ngx_mchost_outq_state(ngx_mchost_outq_t *q, ngx_mchost_block_t *b,
    const ngx_mchost_key_t *key, const char *seq, size_t seq_len,
    ngx_log_t *log);

/* The queued state frame of a server, or NULL. */
ngx_mchost_out_t *ngx_mchost_outq_find(ngx_mchost_outq_t *q,
    const ngx_mchost_key_t *key);

/* Moves the state frames of q that are not marked stale to dst; q, which
 * holds nothing else and of which nothing was sent, is empty then. */
ngx_int_t ngx_mchost_outq_move(ngx_mchost_outq_t *q, ngx_mchost_outq_t *dst,
    ngx_log_t *log);

/* n bytes were sent; returns the frames that were completed with them. */
ngx_uint_t ngx_mchost_outq_sent(ngx_mchost_outq_t *q, size_t n);

/* Drops everything but the rest of a frame that is sent in part. */
void ngx_mchost_outq_truncate(ngx_mchost_outq_t *q);

#endif
