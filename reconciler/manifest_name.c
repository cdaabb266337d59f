/*
 * What the objects of a server are called.
 */

#include <stdio.h>
#include <string.h>
#include "manifest.h"
#include "secret.h"

/* A name of this length still leaves room for "mc-" and "-headless", and for
 * what a StatefulSet's controller appends to the names of its revisions. */
#define BASE_MAX   49
#define HEAD_LEN   36
#define HASH_LEN   12


static bool
ends_with(const char *s, const char *end)
{
    size_t  n = strlen(s), m = strlen(end);

    return n >= m && strcmp(s + n - m, end) == 0;
}

/* Like a name that was shortened. */
static bool
ends_with_hash(const char *s)
{
    size_t  n = strlen(s);

    return n > HASH_LEN && s[n - HASH_LEN - 1] == '-'
           && strspn(s + n - HASH_LEN, "0123456789abcdef") == HASH_LEN;
}

/* A server that is called "x-headless" would take the name of what belongs to
 * the server "x", one that looks shortened that of the one which was. */
static void
kube_base(char dst[BASE_MAX + 1], const char *name)
{
    char  hash[65];

    if (strlen(name) <= BASE_MAX && !ends_with(name, "-headless")
        && !ends_with_hash(name))
    {
        snprintf(dst, BASE_MAX + 1, "%s", name);
        return;
    }
    mc_sha256_hex(name, strlen(name), hash);
    snprintf(dst, BASE_MAX + 1, "%.*s-%.*s", HEAD_LEN, name, HASH_LEN, hash);
}

bool
mc_manifest_in_kube(const mc_server_t *s)
{
    return s->ns && *s->ns;
}

void
mc_manifest_name(char dst[MC_NAME_LEN + 1], const mc_server_t *s,
    mc_manifest_name_t what)
{
    static const char *const  suffix[] = {
        [MC_NAME_SET] = "", [MC_NAME_POD] = "", [MC_NAME_SERVICE] = "",
        [MC_NAME_SECRET] = "", [MC_NAME_HEADLESS] = "-headless",
        [MC_NAME_CONFIG] = "-config", [MC_NAME_CLAIM] = ""
    };
    char                      base[BASE_MAX + 1];
    bool                      kube = mc_manifest_in_kube(s);

    if (kube && what != MC_NAME_CLAIM) {
        kube_base(base, s->name);
    } else {
        snprintf(base, sizeof(base), "%s", s->id);
    }
    snprintf(dst, MC_NAME_LEN + 1, "mc-%s%s", base,
             kube && what == MC_NAME_POD ? "-0" : suffix[what]);
}
