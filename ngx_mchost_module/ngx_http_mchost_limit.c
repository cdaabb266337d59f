/*
 * What is counted in the mchost_zone for each key and tenant: requests against
 * their limits, sockets against the quota, and when a key was used last.
 *
 * A key is known here once the database has said whose it is; until then
 * nothing is counted, so that made-up keys do not fill the zone. What was not
 * used for longest makes room.
 */

#include "ngx_http_mchost_limit.h"

#define NGX_HTTP_MCHOST_LIMIT_TOUCH  60     /* seconds between two uses */
#define NGX_HTTP_MCHOST_LIMIT_FRESH  15     /* seconds that limits are good */
#define NGX_HTTP_MCHOST_LIMIT_SLOTS  64     /* of workers */
#define NGX_HTTP_MCHOST_LIMIT_ID     36


/* Tokens in thousandths, filled up by time. */
typedef struct {
    int64_t     tokens;
    uint64_t    last;                   /* ms */
} ngx_http_mchost_bucket_t;

typedef struct {
    ngx_rbtree_node_t         node;     /* first: the tree's insert casts */
    ngx_queue_t               queue;    /* by last use */
    u_char                    id[NGX_HTTP_MCHOST_LIMIT_ID];
    unsigned                  kind:8;   /* 'K' key, 'T' tenant, 'L' log-in */
    unsigned                  fresh:1;  /* bucket not begun */
    ngx_http_mchost_bucket_t  bucket;

    /* of a key */
    u_char                    tenant[NGX_HTTP_MCHOST_LIMIT_ID];
    time_t                    touched;

    /* of a tenant */
    ngx_int_t                 requests; /* its quota, a minute; 0: none */
    time_t                    checked;
    time_t                    minute;   /* that is being counted */
    ngx_uint_t                count, before;
    uint32_t                  sockets[NGX_HTTP_MCHOST_LIMIT_SLOTS];
} ngx_http_mchost_limit_node_t;

struct ngx_http_mchost_limits_s {
    ngx_slab_pool_t    *shpool;
    ngx_rbtree_t        tree;
    ngx_rbtree_node_t   sentinel;
    ngx_queue_t         queue;
};


/* -- nodes -- */

static ngx_uint_t
ngx_http_mchost_limit_slot(void)
{
    return ngx_process_slot < 0
           ? 0 : ngx_process_slot % NGX_HTTP_MCHOST_LIMIT_SLOTS;
}


static ngx_int_t
ngx_http_mchost_limit_cmp(const ngx_http_mchost_limit_node_t *n,
    ngx_uint_t kind, const u_char *id)
{
    return n->kind != kind
           ? (ngx_int_t) kind - (ngx_int_t) n->kind
           : ngx_memcmp(id, n->id, NGX_HTTP_MCHOST_LIMIT_ID);
}


static void
ngx_http_mchost_limit_insert(ngx_rbtree_node_t *temp, ngx_rbtree_node_t *node,
    ngx_rbtree_node_t *sentinel)
{
    ngx_rbtree_node_t             **p;
    ngx_http_mchost_limit_node_t   *n, *t;

    n = (ngx_http_mchost_limit_node_t *) node;

    for ( ;; ) {
        t = (ngx_http_mchost_limit_node_t *) temp;

        p = (node->key < temp->key
             || (node->key == temp->key
                 && ngx_http_mchost_limit_cmp(t, n->kind, n->id) < 0))
            ? &temp->left : &temp->right;

        if (*p == sentinel) {
            break;
        }

        temp = *p;
    }

    *p = node;
    node->parent = temp;
    node->left = sentinel;
    node->right = sentinel;
    ngx_rbt_red(node);
}


static ngx_http_mchost_limit_node_t *
ngx_http_mchost_limit_find(ngx_http_mchost_limits_t *limits, ngx_uint_t kind,
    const u_char *id)
{
    ngx_int_t                      rc;
    ngx_rbtree_key_t               key;
    ngx_rbtree_node_t             *node;
    ngx_http_mchost_limit_node_t  *n;

    key = ngx_crc32_short((u_char *) id, NGX_HTTP_MCHOST_LIMIT_ID);
    node = limits->tree.root;

    while (node != &limits->sentinel) {

        if (key != node->key) {
            node = key < node->key ? node->left : node->right;
            continue;
        }

        n = (ngx_http_mchost_limit_node_t *) node;
        rc = ngx_http_mchost_limit_cmp(n, kind, id);

        if (rc == 0) {
            ngx_queue_remove(&n->queue);
            ngx_queue_insert_head(&limits->queue, &n->queue);
            return n;
        }

        node = rc < 0 ? node->left : node->right;
    }

    return NULL;
}


static ngx_uint_t
ngx_http_mchost_limit_sockets(const ngx_http_mchost_limit_node_t *n)
{
    ngx_uint_t  i, sum;

    sum = 0;

    for (i = 0; i < NGX_HTTP_MCHOST_LIMIT_SLOTS; i++) {
        sum += n->sockets[i];
    }

    return sum;
}


/* Frees the node that was not used for longest, and no tenant with sockets. */

static void
ngx_http_mchost_limit_evict(ngx_http_mchost_limits_t *limits)
{
    ngx_uint_t                     i;
    ngx_queue_t                   *q;
    ngx_http_mchost_limit_node_t  *n;

    q = ngx_queue_last(&limits->queue);

    for (i = 0; i < 16 && q != ngx_queue_sentinel(&limits->queue); i++) {
        n = ngx_queue_data(q, ngx_http_mchost_limit_node_t, queue);
        q = ngx_queue_prev(q);

        if (ngx_http_mchost_limit_sockets(n) == 0) {
            ngx_queue_remove(&n->queue);
            ngx_rbtree_delete(&limits->tree, &n->node);
            ngx_slab_free_locked(limits->shpool, n);
            return;
        }
    }
}


/* Finds or makes; NULL when there is no room. */

static ngx_http_mchost_limit_node_t *
ngx_http_mchost_limit_node(ngx_http_mchost_limits_t *limits, ngx_uint_t kind,
    const u_char *id)
{
    ngx_uint_t                     i;
    ngx_http_mchost_limit_node_t  *n;

    n = ngx_http_mchost_limit_find(limits, kind, id);

    for (i = 0; n == NULL && i < 4; i++) {
        n = ngx_slab_calloc_locked(limits->shpool,
                                   sizeof(ngx_http_mchost_limit_node_t));
        if (n == NULL) {
            ngx_http_mchost_limit_evict(limits);
            continue;
        }

        n->kind = kind;
        n->fresh = 1;
        n->node.key = ngx_crc32_short((u_char *) id,
                                      NGX_HTTP_MCHOST_LIMIT_ID);
        ngx_memcpy(n->id, id, NGX_HTTP_MCHOST_LIMIT_ID);

        ngx_rbtree_insert(&limits->tree, &n->node);
        ngx_queue_insert_head(&limits->queue, &n->queue);
    }

    return n;
}


/* -- the zone -- */

ngx_http_mchost_limits_t *
ngx_http_mchost_limits_create(ngx_slab_pool_t *shpool)
{
    ngx_http_mchost_limits_t  *limits;

    limits = ngx_slab_calloc(shpool, sizeof(ngx_http_mchost_limits_t));
    if (limits == NULL) {
        return NULL;
    }

    shpool->log_nomem = 0;              /* what is oldest makes room */

    limits->shpool = shpool;
    ngx_rbtree_init(&limits->tree, &limits->sentinel,
                    ngx_http_mchost_limit_insert);
    ngx_queue_init(&limits->queue);

    return limits;
}


/* A worker in the place of one that died has none of its sockets. */

void
ngx_http_mchost_limits_start(ngx_http_mchost_limits_t *limits)
{
    ngx_queue_t                   *q;
    ngx_http_mchost_limit_node_t  *n;

    ngx_shmtx_lock(&limits->shpool->mutex);

    for (q = ngx_queue_head(&limits->queue);
         q != ngx_queue_sentinel(&limits->queue);
         q = ngx_queue_next(q))
    {
        n = ngx_queue_data(q, ngx_http_mchost_limit_node_t, queue);
        n->sockets[ngx_http_mchost_limit_slot()] = 0;
    }

    ngx_shmtx_unlock(&limits->shpool->mutex);
}


/* -- requests -- */

static uint64_t
ngx_http_mchost_limit_now(void)
{
    ngx_time_t  *tp;

    tp = ngx_timeofday();

    return (uint64_t) tp->sec * 1000 + tp->msec;
}


/* Fills the bucket up and tells how many ms are missing for a request; 0: it
 * has one. */

static uint64_t
ngx_http_mchost_limit_fill(ngx_http_mchost_limit_node_t *n,
    const ngx_http_mchost_rate_t *rate)
{
    int64_t   full;
    uint64_t  now, add;

    now = ngx_http_mchost_limit_now();
    full = (int64_t) rate->burst * 1000;

    if (n->fresh || now < n->bucket.last) {
        n->bucket.tokens = full;
        n->bucket.last = now;
        n->fresh = 0;
    }

    add = ngx_min(now - n->bucket.last, 3600 * 1000) * rate->rate / 60;

    if (add) {
        n->bucket.tokens = ngx_min(n->bucket.tokens + (int64_t) add, full);
        n->bucket.last = now;
    }

    if (n->bucket.tokens >= 1000) {
        return 0;
    }

    return (uint64_t) (1000 - n->bucket.tokens) * 60 / rate->rate + 1;
}


static void
ngx_http_mchost_limit_tell(const ngx_http_mchost_limit_node_t *n,
    const ngx_http_mchost_rate_t *rate, uint64_t wait,
    ngx_http_mchost_verdict_t *v)
{
    int64_t  left;

    left = n->bucket.tokens / 1000;

    /* the one of the two that is nearer to its end */

    if (v->limit && (ngx_int_t) left >= v->remaining && wait == 0) {
        return;
    }

    v->name = n->kind == 'T' ? "tenant" : "key";
    v->limit = rate->burst;
    v->window = (rate->burst * 60 + rate->rate - 1) / rate->rate;
    v->remaining = (ngx_int_t) left;
    v->reset = (ngx_uint_t) (((int64_t) rate->burst * 1000
                              - n->bucket.tokens) * 60 / rate->rate + 999)
               / 1000;

    if (wait) {
        v->retry = ngx_max(v->retry, (ngx_uint_t) ((wait + 999) / 1000));
    }
}


static ngx_uint_t
ngx_http_mchost_limit_tenant_rate(const ngx_http_mchost_limit_node_t *n,
    const ngx_http_mchost_rate_t *conf, ngx_http_mchost_rate_t *rate)
{
    *rate = *conf;

    /* the tenant's quota, when it is the lower one */

    if (n->requests > 0 && (rate->rate == 0
                            || (ngx_uint_t) n->requests < rate->rate))
    {
        rate->rate = n->requests;
        rate->burst = n->requests;
    }

    return rate->rate > 0;
}


static void
ngx_http_mchost_limit_count(ngx_http_mchost_limit_node_t *n)
{
    time_t  minute;

    minute = ngx_time() / 60;

    if (minute != n->minute) {
        n->before = minute == n->minute + 1 ? n->count : 0;
        n->count = 0;
        n->minute = minute;
    }

    n->count++;
}


void
ngx_http_mchost_limit_check(const ngx_http_mchost_credential_t *cred,
    const ngx_http_mchost_rate_t rates[2], ngx_http_mchost_verdict_t *v)
{
    uint64_t                       wait[2];
    ngx_uint_t                     limited;
    ngx_http_mchost_rate_t         rate;
    ngx_http_mchost_limits_t      *limits;
    ngx_http_mchost_limit_node_t  *key, *tenant;

    ngx_memzero(v, sizeof(ngx_http_mchost_verdict_t));
    limits = ngx_http_mchost_worker->limits;

    if (limits == NULL) {
        return;
    }

    ngx_shmtx_lock(&limits->shpool->mutex);

    key = ngx_http_mchost_limit_find(limits, 'K', cred->hash);
    tenant = key ? ngx_http_mchost_limit_find(limits, 'T', key->tenant) : NULL;

    if (tenant == NULL
        || ngx_time() - tenant->checked > NGX_HTTP_MCHOST_LIMIT_FRESH)
    {
        v->stale = 1;
    }

    wait[0] = wait[1] = 0;

    if (key && rates[0].rate) {
        wait[0] = ngx_http_mchost_limit_fill(key, &rates[0]);
    }

    limited = tenant && ngx_http_mchost_limit_tenant_rate(tenant, &rates[1],
                                                          &rate);
    if (limited) {
        wait[1] = ngx_http_mchost_limit_fill(tenant, &rate);
    }

    /* what is refused uses up nothing */

    if (wait[0] == 0 && wait[1] == 0) {

        if (key && rates[0].rate) {
            key->bucket.tokens -= 1000;
        }

        if (limited) {
            tenant->bucket.tokens -= 1000;
        }

        if (tenant) {
            ngx_http_mchost_limit_count(tenant);
        }
    }

    if (key && rates[0].rate) {
        ngx_http_mchost_limit_tell(key, &rates[0], wait[0], v);
    }

    if (limited) {
        ngx_http_mchost_limit_tell(tenant, &rate, wait[1], v);
    }

    ngx_shmtx_unlock(&limits->shpool->mutex);
}


ngx_uint_t
ngx_http_mchost_limit_seen(const ngx_http_mchost_credential_t *cred,
    const ngx_http_mchost_identity_t *id)
{
    ngx_uint_t                     touch;
    ngx_http_mchost_limits_t      *limits;
    ngx_http_mchost_limit_node_t  *key, *tenant;

    limits = ngx_http_mchost_worker->limits;

    if (limits == NULL || id->tenant[0] == '\0') {
        return 0;
    }

    touch = 0;

    ngx_shmtx_lock(&limits->shpool->mutex);

    key = ngx_http_mchost_limit_node(limits, 'K', cred->hash);

    if (key) {
        ngx_memcpy(key->tenant, id->tenant, NGX_HTTP_MCHOST_LIMIT_ID);

        if (cred->kind == MC_TOKEN_KEY
            && ngx_time() - key->touched >= NGX_HTTP_MCHOST_LIMIT_TOUCH)
        {
            key->touched = ngx_time();
            touch = 1;
        }
    }

    tenant = id->gated ? ngx_http_mchost_limit_node(limits, 'T',
                                                    (u_char *) id->tenant)
                       : NULL;
    if (tenant) {
        tenant->requests = id->requests;
        tenant->checked = ngx_time();
    }

    ngx_shmtx_unlock(&limits->shpool->mutex);

    return touch;
}


ngx_uint_t
ngx_http_mchost_limit_try(const u_char *what, size_t len,
    const ngx_http_mchost_rate_t *rate)
{
    u_char                         hash[NGX_HTTP_MCHOST_HASH_LEN];
    uint64_t                       wait;
    ngx_http_mchost_limits_t      *limits;
    ngx_http_mchost_limit_node_t  *n;

    limits = ngx_http_mchost_worker->limits;

    if (limits == NULL
        || ngx_http_mchost_sha256_hex(what, len, hash) != NGX_OK)
    {
        return 0;
    }

    wait = 0;

    ngx_shmtx_lock(&limits->shpool->mutex);

    n = ngx_http_mchost_limit_node(limits, 'L', hash);

    if (n) {
        wait = ngx_http_mchost_limit_fill(n, rate);

        if (wait == 0) {
            n->bucket.tokens -= 1000;
        }
    }

    ngx_shmtx_unlock(&limits->shpool->mutex);

    return (ngx_uint_t) ((wait + 999) / 1000);
}


/* -- sockets -- */

ngx_int_t
ngx_http_mchost_limit_socket(const ngx_http_mchost_identity_t *id)
{
    ngx_int_t                      rc;
    ngx_http_mchost_limits_t      *limits;
    ngx_http_mchost_limit_node_t  *n;

    limits = ngx_http_mchost_worker->limits;

    if (limits == NULL) {
        return NGX_OK;
    }

    rc = NGX_OK;

    ngx_shmtx_lock(&limits->shpool->mutex);

    n = ngx_http_mchost_limit_node(limits, 'T', (u_char *) id->tenant);

    if (n && id->gated
        && (ngx_int_t) ngx_http_mchost_limit_sockets(n) >= id->sockets)
    {
        rc = NGX_BUSY;

    } else if (n) {
        n->sockets[ngx_http_mchost_limit_slot()]++;
    }

    ngx_shmtx_unlock(&limits->shpool->mutex);

    return rc;
}


void
ngx_http_mchost_limit_socket_closed(const char *id)
{
    ngx_http_mchost_limits_t      *limits;
    ngx_http_mchost_limit_node_t  *n;

    limits = ngx_http_mchost_worker ? ngx_http_mchost_worker->limits : NULL;

    if (limits == NULL) {
        return;
    }

    ngx_shmtx_lock(&limits->shpool->mutex);

    n = ngx_http_mchost_limit_find(limits, 'T', (u_char *) id);

    if (n && n->sockets[ngx_http_mchost_limit_slot()]) {
        n->sockets[ngx_http_mchost_limit_slot()]--;
    }

    ngx_shmtx_unlock(&limits->shpool->mutex);
}


void
ngx_http_mchost_limit_use(const char *id, ngx_http_mchost_use_t *use)
{
    ngx_http_mchost_limits_t      *limits;
    ngx_http_mchost_limit_node_t  *n;

    ngx_memzero(use, sizeof(ngx_http_mchost_use_t));
    limits = ngx_http_mchost_worker->limits;

    if (limits == NULL) {
        return;
    }

    ngx_shmtx_lock(&limits->shpool->mutex);

    n = ngx_http_mchost_limit_find(limits, 'T', (u_char *) id);

    if (n) {
        use->sockets = ngx_http_mchost_limit_sockets(n);
        use->requests = n->minute == ngx_time() / 60 ? n->count : 0;
    }

    ngx_shmtx_unlock(&limits->shpool->mutex);
}
