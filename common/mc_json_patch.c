/*
 * JSON merge patch, RFC 7396.
 */

#include "mc_json_private.h"

static mc_json_t *merge(const mc_alloc_t *a, mc_json_t *target,
    const mc_json_t *patch);

/* The patch's member of this key; sorted is by mc_json_sorted(). */
static const mc_json_t *
find(const mc_json_t **sorted, size_t n, const mc_json_t *key)
{
    size_t  low = 0, high = n, middle;
    int     order;

    while (low < high) {
        middle = low + (high - low) / 2;
        order = mc_json_key_cmp(key->key, key->key_len, sorted[middle]->key,
                                sorted[middle]->key_len);
        if (order == 0) {
            return sorted[middle];
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

/* Rebuilds target's list of members: those that the patch names are merged
 * in their place or dropped. */
static int
merge_present(const mc_alloc_t *a, mc_json_t *target, const mc_json_t *patch)
{
    const mc_json_t  **sorted, *p;
    mc_json_t         *c, *next, *merged;

    sorted = mc_json_sorted(a, patch);
    if (sorted == NULL) {
        return -1;
    }

    c = target->child;
    target->child = target->last = NULL;
    target->n = 0;

    for ( ; c; c = next) {
        next = c->next;
        merged = c;
        p = find(sorted, patch->n, c);
        if (p && p->type == MC_JSON_NULL) {
            continue;
        }
        if (p) {
            merged = merge(a, c, p);
            if (merged == NULL) {
                return -1;
            }
            merged->key = c->key;
            merged->key_len = c->key_len;
        }
        mc_json_append(target, merged);
    }
    return 0;
}

/* Appends what target does not have. The first n members of target are those
 * that it had before; keys in a patch are unique, so only they can match. */
static int
merge_absent(const mc_alloc_t *a, mc_json_t *target, const mc_json_t *patch)
{
    const mc_json_t  **sorted, *p;
    mc_json_t         *merged;
    size_t             n = target->n;

    sorted = mc_json_sorted(a, target);
    if (sorted == NULL) {
        return -1;
    }
    for (p = patch->child; p; p = p->next) {
        if (p->type == MC_JSON_NULL || find(sorted, n, p)) {
            continue;
        }
        merged = merge(a, NULL, p);
        if (merged == NULL) {
            return -1;
        }
        merged->key = mc_json_strdup(a, p->key, p->key_len);
        merged->key_len = p->key_len;
        if (merged->key == NULL) {
            return -1;
        }
        mc_json_append(target, merged);
    }
    return 0;
}

static mc_json_t *
merge(const mc_alloc_t *a, mc_json_t *target, const mc_json_t *patch)
{
    if (patch->type != MC_JSON_OBJECT) {
        return mc_json_copy(a, patch);
    }
    if (target == NULL || target->type != MC_JSON_OBJECT) {
        target = mc_json_object(a);
        if (target == NULL) {
            return NULL;
        }
    }
    if (merge_present(a, target, patch) != 0
        || merge_absent(a, target, patch) != 0)
    {
        return NULL;
    }
    return target;
}

mc_json_t *
mc_json_merge_patch(const mc_alloc_t *a, mc_json_t *target,
    const mc_json_t *patch)
{
    return patch ? merge(a, target, patch) : target;
}
