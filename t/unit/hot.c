/*
 * What the console is told when a spec changes.
 */

#include "hot.h"
#include "pool.h"
#include "tap.h"

static pool_t      pool = { .left = -1 };
static mc_alloc_t  a = { pool_alloc, &pool };

static mc_json_t *
json(const char *text)
{
    mc_json_error_t   err;
    mc_json_t        *v;

    if (text == NULL) {
        return NULL;
    }
    v = mc_json_parse(&a, text, strlen(text), &err);
    if (v == NULL) {
        printf("Bail out! %s: %s\n", err.message, text);
        exit(1);
    }
    return v;
}

/* The commands, separated by "; ". */
static const char *
commands(const char *before, const char *after)
{
    static char       text[4096];
    const mc_json_t  *v = mc_hot_commands(&a, json(before), json(after));

    text[0] = '\0';
    if (v == NULL) {
        return NULL;
    }
    for (v = v->child; v; v = v->next) {
        strcat(text, v->str);
        strcat(text, v->next ? "; " : "");
    }
    return text;
}

#define NONE  "{\"software\":{\"type\":\"paper\"}}"
#define FULL  "{\"software\":{\"type\":\"paper\"},"                          \
    "\"properties\":{\"difficulty\":\"hard\",\"gameMode\":\"creative\"},"    \
    "\"access\":{\"operators\":[{\"name\":\"Steve\",\"level\":4},"           \
    "{\"name\":\"Mod\",\"level\":2},"                                        \
    "{\"name\":\"Vip\",\"bypassesPlayerLimit\":true}],"                      \
    "\"allowList\":{\"enabled\":true,\"players\":[\"Alex\",\".Bedrock\"]},"  \
    "\"bans\":{\"players\":[\"Bad\"],\"ips\":[\"192.0.2.9\"]}}}"
#define OPS(list)  "{\"access\":{\"operators\":[" list "]}}"
#define ALLOW(list)  "{\"access\":{\"allowList\":{\"players\":[" list "]}}}"

static void
all_of_it(void)
{
    is(commands(NULL, FULL), "difficulty hard; defaultgamemode creative; "
       "op Steve; whitelist add Alex; whitelist add .Bedrock; ban Bad; "
       "ban-ip 192.0.2.9; whitelist on", "nothing known: all of it again");
    is(commands(NULL, NONE), "difficulty easy; defaultgamemode survival; "
       "whitelist off", "of an empty spec, the defaults");
    is(commands(NONE, FULL), "difficulty hard; defaultgamemode creative; "
       "op Steve; whitelist add Alex; whitelist add .Bedrock; ban Bad; "
       "ban-ip 192.0.2.9; whitelist on", "something from nothing");
    is(commands(FULL, NONE), "difficulty easy; defaultgamemode survival; "
       "deop Steve; deop Mod; deop Vip; whitelist remove Alex; "
       "whitelist remove .Bedrock; pardon Bad; pardon-ip 192.0.2.9; "
       "whitelist off", "and back");
    is(commands(FULL, FULL), "", "no change, no command");
    is(commands("{\"software\":{\"type\":\"velocity\"}}",
                "{\"software\":{\"type\":\"velocity\"},"
                "\"properties\":{\"difficulty\":\"hard\"}}"), "",
       "a proxy has no such console");
}

static void
lists(void)
{
    is(commands(ALLOW("\"A\",\"B\""), ALLOW("\"B\",\"C\"")),
       "whitelist remove A; whitelist add C", "only what differs");
    is(commands(ALLOW("\"A\",\"B\""), ALLOW("\"B\",\"A\"")), "",
       "lists have no order");
    is(commands(ALLOW("\"alex\""), ALLOW("\"Alex\"")), "",
       "nor do names have case");
    is(commands(OPS("{\"name\":\"A\"}"), OPS("{\"name\":\"A\",\"level\":2}")),
       "deop A", "fewer rights than the console gives: none, for now");
    is(commands(OPS("{\"name\":\"A\",\"level\":2}"), OPS("{\"name\":\"A\"}")),
       "op A", "all rights");
    is(commands(OPS(""), OPS("{\"name\":\"A\",\"level\":1}")), "",
       "who gets less than all is no matter of the console");
    is(commands("{}", "{\"access\":{\"allowList\":{\"enabled\":true}}}"),
       "whitelist on", "the list comes into force");
}

static void
injection(void)
{
    static const char *const  bad[] = {
        "@a", "A B", "A\\nstop", "A;stop", "", "A\\\"", "A\\u0000", "-x",
        "A/B", "A\\u00e4"
    };
    char                      text[128];
    mc_json_error_t           err;
    mc_json_t                *v;
    size_t                    i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        snprintf(text, sizeof(text), ALLOW("\"%s\""), bad[i]);
        v = mc_json_parse(&a, text, strlen(text), &err);
        if (v) {
            v = mc_hot_commands(&a, json("{}"), v);
        }
        ok(v == NULL || v->n == 0, "no command for a name like \"%s\"",
           bad[i]);
    }
}

static void
equality(void)
{
    static const struct {
        const char  *one, *two;
        bool         equal;
    } table[] = {
        { FULL, FULL, true }, { FULL, NONE, false }, { NONE, FULL, false },
        { "{}", NONE, true },
        { "{}", "{\"properties\":{\"difficulty\":\"easy\"}}", true },
        { "{}", "{\"properties\":{\"gameMode\":\"creative\"}}", false },
        { "{}", "{\"access\":{\"mode\":\"Exact\"}}", false },
        { "{}", "{\"properties\":{\"motd\":\"x\"}}", true },
        { ALLOW("\"A\",\"B\""), ALLOW("\"B\",\"A\""), true },
        { ALLOW("\"A\",\"B\""), ALLOW("\"B\",\"C\""), false },
        { ALLOW("\"A\""), ALLOW("\"A\",\"B\""), false },
        { OPS("{\"name\":\"A\"}"), OPS("{\"name\":\"A\",\"level\":4}"), true },
        { OPS("{\"name\":\"A\"}"), OPS("{\"name\":\"A\",\"level\":3}"), false }
    };
    size_t                    i;

    for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        ok(mc_hot_equal(json(table[i].one), json(table[i].two))
           == table[i].equal, "%s: %s and %s",
           table[i].equal ? "the same" : "not the same", table[i].one,
           table[i].two);
    }
    ok(!mc_hot_equal(NULL, json(FULL)), "what is not known is not equal");
}

static void
no_memory(void)
{
    mc_json_t  *spec = json(FULL), *v = NULL;
    long        n;

    for (n = 0; n < 200 && v == NULL; n++) {
        pool.left = n;
        v = mc_hot_commands(&a, NULL, spec);
    }
    pool.left = -1;
    ok(n > 8 && v && v->n == 8, "%ld times out of memory is NULL", n - 1);
}

int
main(void)
{
    all_of_it();
    lists();
    injection();
    equality();
    no_memory();
    pool_free(&pool);
    return done_testing();
}
