/*
 * The container's environment: the contract of the itzg images, of which the
 * demo image understands its part.
 */

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include "gameversion.h"
#include "manifest_private.h"
#include "properties.h"
#include "text.h"

typedef struct {
    const char  *type;                  /* software.type */
    const char  *env;                   /* TYPE of the image */
    const char  *build;                 /* variable of software.build */
} type_t;

static const type_t  types[] = {
    { "vanilla", "VANILLA", NULL },
    { "paper", "PAPER", "PAPER_BUILD" },
    { "purpur", "PURPUR", "PURPUR_BUILD" },
    { "folia", "FOLIA", "FOLIA_BUILD" },
    { "fabric", "FABRIC", "FABRIC_LOADER_VERSION" },
    { "forge", "FORGE", "FORGE_VERSION" },
    { "neoforge", "NEOFORGE", "NEOFORGE_VERSION" },
    { "quilt", "QUILT", "QUILT_LOADER_VERSION" },
    { "velocity", "VELOCITY", "VELOCITY_BUILD_ID" }
};

/* Kubernetes puts another variable, say RCON_PASSWORD, where a value says
 * "$(RCON_PASSWORD)": in a doubled dollar it sees a plain one. */
void
mc_build_env_add(build_t *b, mc_json_t *list, const char *name,
    const char *value)
{
    mc_json_t   *o = mc_build_obj(b);
    mc_text_t    t = { .a = b->a };
    const char  *p;

    mc_build_str(b, o, "name", name);
    for (p = strchr(value, '$'); p; p = strchr(value, '$')) {
        mc_text_add(&t, value, (size_t) (p - value));
        mc_text_puts(&t, "$$");
        value = p + 1;
    }
    mc_text_puts(&t, value);
    value = mc_text_end(&t);
    if (value == NULL) {
        b->failed = true;
        return;
    }
    mc_build_str(b, o, "value", value);
    mc_build_add(b, list, o);
}

static void
env_number(build_t *b, mc_json_t *list, const char *name, int64_t n)
{
    char  digits[24];

    snprintf(digits, sizeof(digits), "%lld", (long long) n);
    mc_build_env_add(b, list, name, digits);
}

static void
env_text(build_t *b, mc_json_t *list, const char *name, mc_text_t *t)
{
    const char  *s = mc_text_end(t);

    if (s == NULL) {
        b->failed = true;
    } else if (*s) {
        mc_build_env_add(b, list, name, s);
    }
}

static void
software(build_t *b, mc_json_t *list)
{
    const char  *build = mc_build_spec(b, "software.build", NULL);
    const char  *version = *b->version ? b->version : "LATEST";
    size_t       i;

    for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (strcmp(b->type, types[i].type) == 0) {
            mc_build_env_add(b, list, "TYPE", types[i].env);
            if (build && types[i].build) {
                mc_build_env_add(b, list, types[i].build, build);
            }
        }
    }
    mc_build_env_add(b, list,
                     strcmp(b->type, "velocity") == 0 ? "VELOCITY_VERSION"
                                                      : "VERSION", version);
}

/* Consent is the tenant's to give, never this program's. */
static void
eula(build_t *b, mc_json_t *list)
{
    if (strcmp(b->type, "demo") != 0
        && mc_json_bool(mc_json_at(b->spec, "eula.accepted"), 0))
    {
        mc_build_env_add(b, list, "EULA", "TRUE");
    }
}

static void
rcon(build_t *b, mc_json_t *list)
{
    mc_json_t  *o = mc_build_obj(b), *ref;
    char        name[MC_NAME_LEN + 1];

    mc_manifest_name(name, b->server, MC_NAME_SECRET);
    mc_build_env_add(b, list, "ENABLE_RCON", "true");
    env_number(b, list, "RCON_PORT", MC_RCON_PORT);
    mc_build_str(b, o, "name", "RCON_PASSWORD");
    ref = mc_build_obj_in(b, mc_build_obj_in(b, o, "valueFrom"),
                          "secretKeyRef");
    mc_build_str(b, ref, "name", name);
    mc_build_str(b, ref, "key", MC_SECRET_KEY);
    mc_build_add(b, list, o);
}

/* The heap is a share of the container's memory, which Java sees: the rest is
 * for Java itself. An absolute heap equal to the limit ends in an OOM kill. */
static void
java(build_t *b, mc_json_t *list)
{
    const char       *flags = mc_build_spec(b, "jvm.flags", "None");
    const mc_json_t  *v = mc_json_at(b->spec, "jvm.extraArgs");
    mc_text_t         opts = { .a = b->a };
    int64_t           percent;

    percent = mc_json_int(mc_json_at(b->spec, "jvm.heapPercent"), 75);
    mc_build_env_add(b, list, "MEMORY", "");
    mc_text_printf(&opts, "-XX:MaxRAMPercentage=%lld", (long long) percent);
    env_text(b, list, "JVM_XX_OPTS", &opts);
    if (strcmp(flags, "Aikar") == 0) {
        mc_build_env_add(b, list, "USE_AIKAR_FLAGS", "true");
    } else if (strcmp(flags, "MeowIce") == 0) {
        mc_build_env_add(b, list, "USE_MEOWICE_FLAGS", "true");
    }
    memset(&opts, 0, sizeof(opts));
    opts.a = b->a;
    for (v = v ? v->child : NULL; v; v = v->next) {
        if (opts.len) {
            mc_text_puts(&opts, " ");
        }
        mc_text_puts(&opts, mc_json_str(v, ""));
    }
    env_text(b, list, "JVM_OPTS", &opts);
}

/* Names, or UUIDs where they are known, with commas. */
static void
player_list(build_t *b, mc_json_t *list, const char *name,
    const mc_json_t *players)
{
    mc_text_t         t = { .a = b->a };
    const mc_json_t  *v;

    for (v = players ? players->child : NULL; v; v = v->next) {
        if (t.len) {
            mc_text_puts(&t, ",");
        }
        mc_text_puts(&t, v->type == MC_JSON_STRING ? v->str
                     : mc_json_str(mc_json_get(v, "uuid"),
                                   mc_json_str(mc_json_get(v, "name"), "")));
    }
    env_text(b, list, name, &t);
}

static bool
exact(const build_t *b)
{
    return strcmp(mc_build_spec(b, "access.mode", "Merge"), "Exact") == 0;
}

/* Lists that are no file of the ConfigMap; see manifest_config.c. */
static void
access_lists(build_t *b, mc_json_t *list)
{
    const mc_json_t  *ops = mc_json_at(b->spec, "access.operators");
    const mc_json_t  *allowed = mc_json_at(b->spec,
                                           "access.allowList.players");
    const char       *mode = exact(b) ? "SYNCHRONIZE" : "MERGE";

    if (mc_json_bool(mc_json_at(b->spec, "access.allowList.enabled"), 0)) {
        mc_build_env_add(b, list, "ENABLE_WHITELIST", "true");
        mc_build_env_add(b, list, "ENFORCE_WHITELIST", "true");
    }
    if (exact(b) && mc_build_uuids_known(b, ops)) {
        mc_build_env_add(b, list, "EXISTING_OPS_FILE", "SKIP");
    } else {
        player_list(b, list, "OPS", ops);
        mc_build_env_add(b, list, "EXISTING_OPS_FILE", mode);
    }
    if (exact(b) && mc_build_uuids_known(b, allowed)) {
        mc_build_env_add(b, list, "EXISTING_WHITELIST_FILE", "SKIP");
    } else {
        player_list(b, list, "WHITELIST", allowed);
        mc_build_env_add(b, list, "EXISTING_WHITELIST_FILE", mode);
    }
}

/* Console commands that the image runs once the game is up. */
static void
startup_commands(build_t *b, mc_json_t *list)
{
    const mc_json_t  *bans = mc_json_at(b->spec, "access.bans.players"), *v;
    mc_text_t         t = { .a = b->a };
    const char       *rules = mc_properties_rules(b->a, b->spec);

    if (rules == NULL) {
        b->failed = true;
        return;
    }
    mc_text_puts(&t, rules);
    if (!exact(b) || !mc_build_uuids_known(b, bans)) {
        for (v = bans ? bans->child : NULL; v; v = v->next) {
            mc_text_printf(&t, "ban %s\n", mc_json_str(v, ""));
        }
    }
    if (!exact(b)) {
        v = mc_json_at(b->spec, "access.bans.ips");
        for (v = v ? v->child : NULL; v; v = v->next) {
            mc_text_printf(&t, "ban-ip %s\n", mc_json_str(v, ""));
        }
    }
    env_text(b, list, "RCON_CMDS_STARTUP", &t);
}

static mc_json_t *
access_env(build_t *b)
{
    mc_json_t  *list = mc_build_arr(b);

    access_lists(b, list);
    startup_commands(b, list);
    return list;
}

void
mc_build_access_settings(build_t *b, mc_json_t *data)
{
    const mc_json_t  *v = access_env(b);

    for (v = v ? v->child : NULL; v; v = v->next) {
        mc_build_str(b, data, mc_json_str(mc_json_get(v, "name"), ""),
                     mc_json_str(mc_json_get(v, "value"), ""));
    }
}

/* A game that Kubernetes starts again in the same pod begins with the lists as
 * they are by then: it reads them from the ConfigMap. Who lost his rights while
 * it ran must not get them back. */
static void
access_references(build_t *b, mc_json_t *list)
{
    static const char *const  names[] = {
        "ENABLE_WHITELIST", "ENFORCE_WHITELIST", "OPS", "EXISTING_OPS_FILE",
        "WHITELIST", "EXISTING_WHITELIST_FILE", "RCON_CMDS_STARTUP"
    };
    mc_json_t                *o, *ref;
    char                      config[MC_NAME_LEN + 1];
    size_t                    i;

    mc_manifest_name(config, b->server, MC_NAME_CONFIG);
    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        o = mc_build_obj(b);
        mc_build_str(b, o, "name", names[i]);
        ref = mc_build_obj_in(b, mc_build_obj_in(b, o, "valueFrom"),
                              "configMapKeyRef");
        mc_build_str(b, ref, "name", config);
        mc_build_str(b, ref, "key", names[i]);
        mc_build_bool(b, ref, "optional", true);
        mc_build_add(b, list, o);
    }
}

static void
access_settings(build_t *b, mc_json_t *list)
{
    if (mc_manifest_in_kube(b->server)) {
        access_references(b, list);
    } else {
        access_lists(b, list);
        startup_commands(b, list);
    }
}

/* Projects of Modrinth; the image finds the files that fit. */
static void
addons(build_t *b, mc_json_t *list)
{
    const mc_json_t  *v = mc_json_get(b->spec, "addons"), *source;
    mc_text_t         t = { .a = b->a };
    const char       *project, *version;

    for (v = v ? v->child : NULL; v; v = v->next) {
        source = mc_json_at(v, "source.modrinth");
        project = mc_json_str(mc_json_get(source, "project"), NULL);
        if (project == NULL) {
            continue;
        }
        if (t.len) {
            mc_text_puts(&t, "\n");
        }
        if (strcmp(mc_json_str(mc_json_get(v, "kind"), ""), "Datapack") == 0) {
            mc_text_puts(&t, "datapack:");
        }
        mc_text_puts(&t, project);
        version = mc_json_str(mc_json_get(source, "version"), NULL);
        if (version) {
            mc_text_printf(&t, ":%s", version);
        }
    }
    env_text(b, list, "MODRINTH_PROJECTS", &t);
}

/* The image puts a variable's value where the text says %NAME%, which must
 * not show a secret to players: such a sign is written as its full-width
 * kin. */
static void
motd(build_t *b, mc_json_t *list)
{
    const char  *p = mc_build_spec(b, "properties.motd", "A Minecraft Server");
    mc_text_t    t = { .a = b->a };

    for (; *p; p++) {
        if (*p == '%' && (isalpha((unsigned char) p[1]) || p[1] == '_')) {
            mc_text_puts(&t, "\xef\xbc\x85");
        } else {
            mc_text_add(&t, p, 1);
        }
    }
    p = mc_text_end(&t);
    if (p == NULL) {
        b->failed = true;
        return;
    }
    mc_build_env_add(b, list, "MOTD", p);   /* an empty one counts, too */
}

/* server.properties itself comes from /config; but for what is in here the
 * image would put its own defaults over it. */
static void
image_settings(build_t *b, mc_json_t *list)
{
    mc_build_env_add(b, list, "COPY_CONFIG_DEST", "/data");
    mc_build_env_add(b, list, "SYNC_SKIP_NEWER_IN_DESTINATION", "false");
    mc_build_env_add(b, list, "REPLACE_ENV_DURING_SYNC", "false");
    mc_build_env_add(b, list, "SKIP_CHOWN_DATA", "true");
    motd(b, list);
    env_number(b, list, "STOP_DURATION",
               mc_json_int(mc_json_at(b->spec, "shutdown.graceSeconds"), 60));
    if (strcmp(mc_build_spec(b, "network.proxyProtocol", "None"), "V2") == 0) {
        mc_build_env_add(b, list, "USES_PROXY_PROTOCOL", "true");
    }
}

mc_json_t *
mc_build_env(build_t *b)
{
    mc_json_t  *list = mc_build_arr(b);

    software(b, list);
    eula(b, list);
    rcon(b, list);
    if (strcmp(b->type, "demo") == 0) {
        access_settings(b, list);
        return list;
    }
    java(b, list);
    if (mc_build_is_game(b)) {
        image_settings(b, list);
        access_settings(b, list);
        if (!mc_manifest_in_kube(b->server)) {
            addons(b, list);
        }
    }
    return list;
}

const char *
mc_manifest_image(const mc_manifest_t *m, char buf[128])
{
    build_t      b;
    const char  *image, *java_tag;

    mc_build_init(&b, m);
    image = mc_build_spec(&b, "software.image", NULL);
    if (image) {
        return image;
    }
    if (strcmp(b.type, "demo") == 0) {
        return m->demo_image;
    }
    if (strcmp(b.type, "velocity") == 0) {
        return "docker.io/itzg/mc-proxy:latest";
    }
    java_tag = strpbrk(b.version, "0123456789") == NULL   ? "latest"
             : mc_version_at_least(b.version, 26, 1, 0)   ? "java25"
             : mc_version_at_least(b.version, 1, 20, 5)   ? "java21"
             : mc_version_at_least(b.version, 1, 17, 0)   ? "java17"
                                                          : "java8";
    snprintf(buf, 128, "docker.io/itzg/minecraft-server:%s", java_tag);
    return buf;
}
