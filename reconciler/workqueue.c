/*
 * The workqueue: two lists of keys that are due and a heap of those that will
 * be.
 */

#include <stdlib.h>
#include <string.h>
#include "map.h"
#include "workqueue.h"

typedef struct item_s  item_t;

struct item_s {
    item_t        *prev, *next;     /* in the list of its priority */
    bool           queued;
    bool           processing;
    bool           dirty;           /* added while processing */
    mc_priority_t  prio;            /* of the queued or dirty add */
    int64_t        added_at;
    int64_t        begun_at;
    int64_t        due;             /* delayed add, when heap_index != 0 */
    size_t         heap_index;      /* 1-based, 0: not in the heap */
    unsigned       failures;
    char           key[];
};

typedef struct { item_t *first, *last; } list_t;

struct mc_workqueue_s {
    mc_workqueue_conf_t  conf;
    mc_map_t            *items;
    list_t               lists[MC_WORKQUEUE_LOW + 1];
    item_t             **heap;      /* 1-based; earliest first */
    size_t               heap_n, heap_size;
    unsigned             active;
};


/* -- the heap -- */

static void
heap_set(mc_workqueue_t *q, size_t i, item_t *item)
{
    q->heap[i] = item;
    item->heap_index = i;
}


static void
heap_up(mc_workqueue_t *q, size_t i, item_t *item)
{
    while (i > 1 && q->heap[i / 2]->due > item->due) {
        heap_set(q, i, q->heap[i / 2]);
        i /= 2;
    }
    heap_set(q, i, item);
}


static void
heap_down(mc_workqueue_t *q, size_t i, item_t *item)
{
    for (;;) {
        size_t  child = i * 2;

        if (child > q->heap_n) {
            break;
        }
        if (child < q->heap_n && q->heap[child + 1]->due < q->heap[child]->due) {
            child++;
        }
        if (q->heap[child]->due >= item->due) {
            break;
        }
        heap_set(q, i, q->heap[child]);
        i = child;
    }
    heap_set(q, i, item);
}


static int
heap_insert(mc_workqueue_t *q, item_t *item)
{
    if (q->heap_n + 1 >= q->heap_size) {
        size_t    size = q->heap_size == 0 ? 64 : q->heap_size * 2;
        item_t  **heap = realloc(q->heap, size * sizeof(item_t *));

        if (heap == NULL) {
            return -1;
        }
        q->heap = heap;
        q->heap_size = size;
    }
    heap_up(q, ++q->heap_n, item);
    return 0;
}


static void
heap_remove(mc_workqueue_t *q, item_t *item)
{
    size_t   i = item->heap_index;
    item_t  *last;

    if (i == 0) {
        return;
    }
    item->heap_index = 0;
    last = q->heap[q->heap_n--];
    if (last == item) {
        return;
    }
    if (i > 1 && q->heap[i / 2]->due > last->due) {
        heap_up(q, i, last);
    } else {
        heap_down(q, i, last);
    }
}


/* -- the lists -- */

static void
list_append(mc_workqueue_t *q, item_t *item, mc_priority_t prio)
{
    list_t  *l = &q->lists[prio];

    item->prio = prio;
    item->queued = true;
    item->next = NULL;
    item->prev = l->last;
    *(l->last == NULL ? &l->first : &l->last->next) = item;
    l->last = item;
    q->conf.metrics->depth++;
}


static void
list_remove(mc_workqueue_t *q, item_t *item)
{
    list_t  *l = &q->lists[item->prio];

    *(item->prev == NULL ? &l->first : &item->prev->next) = item->next;
    *(item->next == NULL ? &l->last : &item->next->prev) = item->prev;
    item->queued = false;
    q->conf.metrics->depth--;
}


/* -- items -- */

static item_t *
item_of(mc_workqueue_t *q, const char *key)
{
    item_t  *item = mc_map_get(q->items, key);
    size_t   size = strlen(key) + 1;

    if (item != NULL || mc_map_size(q->items) >= q->conf.max_keys) {
        return item;
    }

    item = calloc(1, sizeof(*item) + size);
    if (item == NULL) {
        return NULL;
    }
    memcpy(item->key, key, size);

    if (mc_map_put(q->items, item->key, item) != 0) {
        free(item);
        return NULL;
    }
    return item;
}


/* Forgets an item that holds nothing any more. */
static void
item_release(mc_workqueue_t *q, item_t *item)
{
    if (!item->queued && !item->processing && item->heap_index == 0
        && item->failures == 0)
    {
        mc_map_remove(q->items, item->key);
        free(item);
    }
}


static void
item_free(void *item, void *data)
{
    (void) data;
    free(item);
}


mc_workqueue_t *
mc_workqueue_create(const mc_workqueue_conf_t *conf)
{
    mc_workqueue_t  *q = calloc(1, sizeof(*q));

    if (q == NULL) {
        return NULL;
    }
    q->conf = *conf;
    q->items = mc_map_create();
    if (q->items == NULL) {
        free(q);
        return NULL;
    }
    return q;
}


void
mc_workqueue_destroy(mc_workqueue_t *q)
{
    if (q == NULL) {
        return;
    }
    mc_map_each(q->items, item_free, NULL);
    mc_map_destroy(q->items);
    free(q->heap);
    free(q);
}


static void
add(mc_workqueue_t *q, item_t *item, mc_priority_t prio, int64_t now)
{
    if (item->processing) {
        if (!item->dirty || prio < item->prio) {
            item->prio = prio;
        }
        if (!item->dirty) {
            item->dirty = true;
            item->added_at = now;
            q->conf.metrics->adds++;
        }
        return;
    }

    if (!item->queued) {
        item->added_at = now;
        q->conf.metrics->adds++;
        list_append(q, item, prio);

    } else if (prio < item->prio) {
        list_remove(q, item);
        list_append(q, item, prio);
    }
}


int
mc_workqueue_add(mc_workqueue_t *q, const char *key, mc_priority_t prio,
    int64_t now)
{
    item_t  *item = item_of(q, key);

    if (item == NULL) {
        return -1;
    }
    add(q, item, prio, now);
    return 0;
}


int
mc_workqueue_add_after(mc_workqueue_t *q, const char *key, int64_t delay,
    int64_t now)
{
    item_t  *item = item_of(q, key);

    if (item == NULL) {
        return -1;
    }
    if (delay <= 0) {
        add(q, item, MC_WORKQUEUE_NORMAL, now);
        return 0;
    }
    if (item->heap_index != 0) {
        if (item->due <= now + delay) {
            return 0;
        }
        heap_remove(q, item);
    }

    item->due = now + delay;
    if (heap_insert(q, item) != 0) {
        item_release(q, item);
        return -1;
    }
    return 0;
}


int64_t
mc_workqueue_add_failed(mc_workqueue_t *q, const char *key, int64_t now)
{
    item_t   *item = item_of(q, key);
    int64_t   delay = q->conf.backoff_ms;

    if (item == NULL) {
        return -1;
    }
    for (unsigned i = 0; i < item->failures && delay < q->conf.backoff_max_ms; i++) {
        delay *= 2;
    }
    if (delay > q->conf.backoff_max_ms) {
        delay = q->conf.backoff_max_ms;
    }
    item->failures++;
    q->conf.metrics->retries++;
    return mc_workqueue_add_after(q, key, delay, now) == 0 ? delay : -1;
}


void
mc_workqueue_forget(mc_workqueue_t *q, const char *key)
{
    item_t  *item = mc_map_get(q->items, key);

    if (item != NULL) {
        item->failures = 0;
        item_release(q, item);
    }
}


/* Queues the delayed items whose time has come. */
static void
promote(mc_workqueue_t *q, int64_t now)
{
    while (q->heap_n > 0 && q->heap[1]->due <= now) {
        item_t  *item = q->heap[1];

        heap_remove(q, item);
        add(q, item, MC_WORKQUEUE_NORMAL, now);
    }
}


const char *
mc_workqueue_get(mc_workqueue_t *q, int64_t now)
{
    item_t  *item;

    promote(q, now);

    if (q->active >= q->conf.workers) {
        return NULL;
    }
    item = q->lists[MC_WORKQUEUE_NORMAL].first;
    if (item == NULL) {
        item = q->lists[MC_WORKQUEUE_LOW].first;
    }
    if (item == NULL) {
        return NULL;
    }

    list_remove(q, item);
    heap_remove(q, item);           /* this look is the one it waited for */
    item->processing = true;
    item->begun_at = now;
    q->active++;
    mc_metrics_observe(&q->conf.metrics->queue_duration,
                       (double) (now - item->added_at) / 1000);
    return item->key;
}


void
mc_workqueue_done(mc_workqueue_t *q, const char *key, int64_t now)
{
    item_t  *item = mc_map_get(q->items, key);

    if (item == NULL || !item->processing) {
        return;
    }

    item->processing = false;
    q->active--;
    mc_metrics_observe(&q->conf.metrics->work_duration,
                       (double) (now - item->begun_at) / 1000);

    if (item->dirty) {
        item->dirty = false;
        list_append(q, item, item->prio);
    }
    item_release(q, item);
}


int64_t
mc_workqueue_timeout(const mc_workqueue_t *q, int64_t now)
{
    bool  ready = q->lists[MC_WORKQUEUE_NORMAL].first != NULL
                  || q->lists[MC_WORKQUEUE_LOW].first != NULL;

    if (ready && q->active < q->conf.workers) {
        return 0;
    }
    if (q->heap_n == 0) {
        return -1;
    }
    return q->heap[1]->due > now ? q->heap[1]->due - now : 0;
}


unsigned
mc_workqueue_active(const mc_workqueue_t *q)
{
    return q->active;
}
