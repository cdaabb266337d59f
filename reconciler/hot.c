#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "hot.h"

typedef struct {
    const mc_alloc_t  *a;
    mc_json_t         *list;
    const mc_json_t   *before, *after;
    bool               failed;
} commands_t;

/* A list of the spec and the commands for its members. */
typedef struct {
    const char  *path;
    const char  *add, *remove;
} list_t;

static const list_t  lists[] = {
    { "access.operators", "op", "deop" },
    { "access.allowList.players", "whitelist add", "whitelist remove" },
    { "access.bans.players", "ban", "pardon" },
    { "access.bans.ips", "ban-ip", "pardon-ip" }
};

#define N(table)  (sizeof(table) / sizeof((table)[0]))


bool
mc_hot_operator(const mc_json_t *operator)
{
    return mc_json_int(mc_json_get(operator, "level"), 4) == 4
           && !mc_json_bool(mc_json_get(operator, "bypassesPlayerLimit"), 0);
}

/* The name or address that an entry is about. The console knows no quotes for
 * it: one that could be read as anything else (a selector, an option, a second
 * command) is none. */
static const char *
target(const mc_json_t *v)
{
    const char  *s = mc_json_str(v, mc_json_str(mc_json_get(v, "name"), ""));
    size_t       n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                               "abcdefghijklmnopqrstuvwxyz0123456789_.:");

    return n > 0 && n <= 45 && s[n] == '\0' ? s : NULL;
}

static void
say(commands_t *c, const char *command, const char *argument)
{
    char  line[128];
    int   n;

    n = snprintf(line, sizeof(line), "%s %s", command, argument);
    if (n < 0 || (size_t) n >= sizeof(line)
        || mc_json_add(c->list, mc_json_string(c->a, line, (size_t) n)) != 0)
    {
        c->failed = true;
    }
}

/* The entry as the console can have it, of an operator with all rights. */
static bool
wanted(const mc_json_t *v)
{
    return v->type == MC_JSON_STRING || mc_hot_operator(v);
}

/* The game does not tell names by case. */
static bool
listed(const mc_json_t *list, const char *name, bool as_wanted)
{
    const mc_json_t  *v;
    const char       *s;

    for (v = list ? list->child : NULL; v; v = v->next) {
        s = target(v);
        if (s && strcasecmp(s, name) == 0) {
            return !as_wanted || wanted(v);
        }
    }
    return false;
}

static void
take_away(commands_t *c, const list_t *l)
{
    const mc_json_t  *before = mc_json_at(c->before, l->path), *v;
    const mc_json_t  *after = mc_json_at(c->after, l->path);

    for (v = before ? before->child : NULL; v; v = v->next) {
        if (target(v) && !listed(after, target(v), wanted(v))) {
            say(c, l->remove, target(v));
        }
    }
}

static void
give(commands_t *c, const list_t *l)
{
    const mc_json_t  *before = mc_json_at(c->before, l->path), *v;
    const mc_json_t  *after = mc_json_at(c->after, l->path);

    for (v = after ? after->child : NULL; v; v = v->next) {
        if (target(v) && wanted(v) && !listed(before, target(v), true)) {
            say(c, l->add, target(v));
        }
    }
}

static void
setting(commands_t *c, const char *command, const char *path, const char *def)
{
    const char  *value = mc_json_str(mc_json_at(c->after, path), def);

    if (c->before == NULL
        || strcmp(mc_json_str(mc_json_at(c->before, path), def), value) != 0)
    {
        say(c, command, value);
    }
}

static bool
allow_list_enabled(const mc_json_t *spec)
{
    return mc_json_bool(mc_json_at(spec, "access.allowList.enabled"), 0);
}

mc_json_t *
mc_hot_commands(const mc_alloc_t *a, const mc_json_t *before,
    const mc_json_t *after)
{
    commands_t  c = { .a = a, .before = before, .after = after };
    size_t      i;

    c.list = mc_json_array(a);
    if (c.list == NULL
        || strcmp(mc_json_str(mc_json_at(after, "software.type"), ""),
                  "velocity") == 0)
    {
        return c.list;                  /* a proxy knows none of these */
    }
    setting(&c, "difficulty", "properties.difficulty", "easy");
    setting(&c, "defaultgamemode", "properties.gameMode", "survival");
    for (i = 0; i < N(lists); i++) {
        take_away(&c, &lists[i]);
        give(&c, &lists[i]);
    }
    /* After its players: they stay when it comes into force. */
    if (before == NULL
        || allow_list_enabled(before) != allow_list_enabled(after))
    {
        say(&c, "whitelist", allow_list_enabled(after) ? "on" : "off");
    }
    return c.failed ? NULL : c.list;
}

static bool
same_entry(const mc_json_t *v, const mc_json_t *list)
{
    const mc_json_t  *o;
    const char       *name = mc_json_str(mc_json_get(v, "name"),
                                         mc_json_str(v, ""));

    for (o = list ? list->child : NULL; o; o = o->next) {
        if (strcmp(mc_json_str(mc_json_get(o, "name"), mc_json_str(o, "")),
                   name) == 0)
        {
            return wanted(v) == wanted(o);
        }
    }
    return false;
}

/* As sets: lists of the spec have no order. */
static bool
same_list(const mc_json_t *one, const mc_json_t *two)
{
    const mc_json_t  *v;

    if ((one ? one->n : 0) != (two ? two->n : 0)) {
        return false;
    }
    for (v = one ? one->child : NULL; v; v = v->next) {
        if (!same_entry(v, two)) {
            return false;
        }
    }
    return true;
}

static bool
same_text(const mc_json_t *one, const mc_json_t *two, const char *path,
    const char *def)
{
    return strcmp(mc_json_str(mc_json_at(one, path), def),
                  mc_json_str(mc_json_at(two, path), def)) == 0;
}

bool
mc_hot_equal(const mc_json_t *before, const mc_json_t *after)
{
    size_t  i;

    if (before == NULL || after == NULL
        || !same_text(before, after, "properties.difficulty", "easy")
        || !same_text(before, after, "properties.gameMode", "survival")
        || !same_text(before, after, "access.mode", "Merge")
        || allow_list_enabled(before) != allow_list_enabled(after))
    {
        return false;
    }
    for (i = 0; i < N(lists); i++) {
        if (!same_list(mc_json_at(before, lists[i].path),
                       mc_json_at(after, lists[i].path)))
        {
            return false;
        }
    }
    return true;
}
