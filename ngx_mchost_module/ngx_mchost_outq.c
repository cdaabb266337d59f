#include "ngx_mchost_outq.h"
#include "mc_ws_frame.h"


/* -- blocks -- */

ngx_mchost_block_t *
ngx_mchost_block_create(size_t size, ngx_log_t *log)
{
    ngx_mchost_block_t  *b;

    b = ngx_alloc(sizeof(ngx_mchost_block_t) + size, log);
    if (b == NULL) {
        return NULL;
    }
    b->refs = 1;
    b->size = size;
    b->last = (u_char *) (b + 1);
    b->end = b->last + size;
    return b;
}


void
ngx_mchost_block_release(ngx_mchost_block_t *b)
{
    if (--b->refs == 0) {
        ngx_free(b);
    }
}


/* -- keys and positions -- */

void
ngx_mchost_key_parse(ngx_mchost_key_t *key, const char *text)
{
    u_char       c;
    ngx_uint_t   i, n;

    for (i = 0, n = 0; i < 36; i++) {
        c = (u_char) text[i];
        if (c == '-') {
            continue;
        }
        c = (u_char) (c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
        if (n & 1) {
            key->bytes[n / 2] |= c;

        } else {
            key->bytes[n / 2] = (u_char) (c << 4);
        }
        n++;
    }
}


u_char *
ngx_mchost_key_text(u_char *dst, const ngx_mchost_key_t *key)
{
    ngx_uint_t           i;
    static const u_char  hex[] = "0123456789abcdef";

    for (i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            *dst++ = '-';
        }
        *dst++ = hex[key->bytes[i] >> 4];
        *dst++ = hex[key->bytes[i] & 15];
    }
    return dst;
}


/* UUIDv7 ends in random bits: a good hash as it is. */
ngx_rbtree_key_t
ngx_mchost_key_hash(const ngx_mchost_key_t *key)
{
    ngx_rbtree_key_t  hash;

    ngx_memcpy(&hash, key->bytes + sizeof(key->bytes) - sizeof(hash),
               sizeof(hash));
    return hash;
}


void
ngx_mchost_seq_set(ngx_mchost_seq_t *seq, const char *text, size_t len)
{
    seq->len = (u_char) ngx_min(len, sizeof(seq->text));
    ngx_memcpy(seq->text, text, seq->len);
}


ngx_int_t
ngx_mchost_seq_cmp(const ngx_mchost_seq_t *a, const ngx_mchost_seq_t *b)
{
    return mc_seq_cmp((const char *) a->text, a->len,
                      (const char *) b->text, b->len);
}


/* -- event frames -- */

#define NGX_MCHOST_EVENT_TOPIC   "{\"op\":\"event\",\"topic\":\""
#define NGX_MCHOST_EVENT_SERVER  "\",\"server\":\""
#define NGX_MCHOST_EVENT_SEQ     "\",\"seq\":\""
#define NGX_MCHOST_EVENT_TIME    "\",\"time\":\""
#define NGX_MCHOST_EVENT_DATA    "\",\"data\":"

#define ngx_mchost_lit(p, text)  ngx_cpymem(p, text, sizeof(text) - 1)


static size_t
ngx_mchost_event_payload(const char *topic, const mc_envelope_t *env)
{
    return sizeof(NGX_MCHOST_EVENT_TOPIC) - 1 + ngx_strlen(topic)
           + sizeof(NGX_MCHOST_EVENT_SERVER) - 1 + 36
           + sizeof(NGX_MCHOST_EVENT_SEQ) - 1 + env->seq_len
           + sizeof(NGX_MCHOST_EVENT_TIME) - 1 + env->time_len
           + sizeof(NGX_MCHOST_EVENT_DATA) - 1 + env->data_len + 1;
}


size_t
ngx_mchost_event_size(const char *topic, const mc_envelope_t *env)
{
    size_t  len = ngx_mchost_event_payload(topic, env);

    return mc_ws_header_len(len) + len;
}


u_char *
ngx_mchost_event_write(u_char *p, const char *topic, const mc_envelope_t *env)
{
    p += mc_ws_header(p, MC_WS_TEXT, ngx_mchost_event_payload(topic, env));
    p = ngx_mchost_lit(p, NGX_MCHOST_EVENT_TOPIC);
    p = ngx_cpymem(p, topic, ngx_strlen(topic));
    p = ngx_mchost_lit(p, NGX_MCHOST_EVENT_SERVER);
    p = ngx_cpymem(p, env->server, 36);
    p = ngx_mchost_lit(p, NGX_MCHOST_EVENT_SEQ);
    p = ngx_cpymem(p, env->seq, env->seq_len);
    p = ngx_mchost_lit(p, NGX_MCHOST_EVENT_TIME);
    p = ngx_cpymem(p, env->time, env->time_len);
    p = ngx_mchost_lit(p, NGX_MCHOST_EVENT_DATA);
    p = ngx_cpymem(p, env->data, env->data_len);
    *p++ = '}';
    return p;
}


/* -- queues -- */

void
ngx_mchost_outq_init(ngx_mchost_outq_t *q)
{
    q->head = q->tail = NULL;
    q->bytes = 0;
    ngx_rbtree_init(&q->index, &q->sentinel, ngx_rbtree_insert_value);
}


static void
ngx_mchost_out_free(ngx_mchost_outq_t *q, ngx_mchost_out_t *out)
{
    if (out->indexed) {
        ngx_rbtree_delete(&q->index, &out->node);
    }
    ngx_mchost_block_release(out->block);
    ngx_free(out);
}


void
ngx_mchost_outq_clear(ngx_mchost_outq_t *q)
{
    ngx_mchost_out_t  *out;

    while (q->head != NULL) {
        out = q->head;
        q->head = out->next;
        ngx_mchost_out_free(q, out);
    }
    q->tail = NULL;
    q->bytes = 0;
}


static ngx_mchost_out_t *
ngx_mchost_outq_append(ngx_mchost_outq_t *q, ngx_mchost_block_t *b,
    u_char *pos, u_char *last, ngx_uint_t frames, ngx_log_t *log)
{
    ngx_mchost_out_t  *out;

    out = ngx_alloc(sizeof(ngx_mchost_out_t), log);
    if (out == NULL) {
        return NULL;
    }

    b->refs++;
    out->next = NULL;
    out->block = b;
    out->start = out->pos = pos;
    out->last = last;
    out->frames = frames;
    out->free_of_charge = 0;
    out->indexed = 0;
    out->stale = 0;

    if (q->tail != NULL) {
        q->tail->next = out;

    } else {
        q->head = out;
    }
    q->tail = out;
    return out;
}


ngx_int_t
ngx_mchost_outq_add(ngx_mchost_outq_t *q, ngx_mchost_block_t *b, u_char *pos,
    u_char *last, ngx_uint_t frames, ngx_uint_t free_of_charge,
    ngx_log_t *log)
{
    ngx_mchost_out_t  *tail = q->tail;

    if (tail != NULL && tail->last == pos && tail->block == b
        && !tail->indexed && tail->free_of_charge == free_of_charge)
    {
        tail->last = last;
        tail->frames += frames;

    } else {
        tail = ngx_mchost_outq_append(q, b, pos, last, frames, log);
        if (tail == NULL) {
            return NGX_ERROR;
        }
        tail->free_of_charge = (free_of_charge != 0);
    }

    if (!free_of_charge) {
        q->bytes += last - pos;
    }
    return NGX_OK;
}


ngx_mchost_out_t *
ngx_mchost_outq_find(ngx_mchost_outq_t *q, const ngx_mchost_key_t *key)
{
    ngx_mchost_out_t   *out;
    ngx_rbtree_key_t    hash = ngx_mchost_key_hash(key);
    ngx_rbtree_node_t  *node = q->index.root;

    while (node != &q->sentinel) {
        if (hash == node->key) {
            out = ngx_rbtree_data(node, ngx_mchost_out_t, node);
            if (ngx_mchost_key_cmp(&out->key, key) == 0) {
                return out;
            }
        }
        node = hash < node->key ? node->left : node->right;
    }
    return NULL;
}


ngx_int_t
ngx_mchost_outq_state(ngx_mchost_outq_t *q, ngx_mchost_block_t *b,
    const ngx_mchost_key_t *key, const char *seq, size_t seq_len,
    ngx_log_t *log)
{
    u_char            *pos = (u_char *) (b + 1);
    ngx_mchost_out_t  *out;

    out = ngx_mchost_outq_find(q, key);
    if (out != NULL) {
        q->bytes -= out->last - out->pos;
        q->bytes += b->last - pos;
        b->refs++;
        ngx_mchost_block_release(out->block);
        out->block = b;
        out->start = out->pos = pos;
        out->last = b->last;
        ngx_mchost_seq_set(&out->seq, seq, seq_len);
        return NGX_DECLINED;
    }

    out = ngx_mchost_outq_append(q, b, pos, b->last, 1, log);
    if (out == NULL) {
        return NGX_ERROR;
    }

    out->key = *key;
    ngx_mchost_seq_set(&out->seq, seq, seq_len);
    out->node.key = ngx_mchost_key_hash(key);
    ngx_rbtree_insert(&q->index, &out->node);
    out->indexed = 1;
    q->bytes += b->last - pos;
    return NGX_OK;
}


ngx_int_t
ngx_mchost_outq_move(ngx_mchost_outq_t *q, ngx_mchost_outq_t *dst,
    ngx_log_t *log)
{
    ngx_int_t          rc = NGX_OK;
    ngx_mchost_out_t  *out;

    for (out = q->head; out != NULL; out = out->next) {
        if (!out->stale
            && ngx_mchost_outq_state(dst, out->block, &out->key,
                                     (char *) out->seq.text, out->seq.len,
                                     log)
               == NGX_ERROR)
        {
            rc = NGX_ERROR;
        }
    }
    ngx_mchost_outq_clear(q);
    return rc;
}


ngx_uint_t
ngx_mchost_outq_sent(ngx_mchost_outq_t *q, size_t n)
{
    size_t             size;
    ngx_uint_t         frames = 0;
    ngx_mchost_out_t  *out;

    while (n > 0 && q->head != NULL) {
        out = q->head;
        size = ngx_min((size_t) (out->last - out->pos), n);
        out->pos += size;
        n -= size;
        if (!out->free_of_charge) {
            q->bytes -= size;
        }

        if (out->pos < out->last) {
            /* a frame that is begun can no longer be replaced */
            if (out->indexed) {
                ngx_rbtree_delete(&q->index, &out->node);
                out->indexed = 0;
            }
            break;
        }

        frames += out->frames;
        q->head = out->next;
        ngx_mchost_out_free(q, out);
    }

    if (q->head == NULL) {
        q->tail = NULL;
    }
    return frames;
}


void
ngx_mchost_outq_truncate(ngx_mchost_outq_t *q)
{
    u_char            *p;
    ngx_mchost_out_t  *out = q->head, *rest;

    if (out == NULL || out->pos == out->start) {
        ngx_mchost_outq_clear(q);
        return;
    }

    rest = out->next;
    out->next = NULL;
    q->tail = out;

    while (rest != NULL) {
        out = rest;
        rest = out->next;
        ngx_mchost_out_free(q, out);
    }

    out = q->head;
    for (p = out->start; p < out->pos; p += mc_ws_frame_len(p)) {
        /* to the end of the frame that is begun */
    }
    out->last = p;
    out->frames = 1;
    q->bytes = out->free_of_charge ? 0 : (size_t) (p - out->pos);

    if (out->pos == out->last) {
        ngx_mchost_outq_clear(q);
    }
}
