/*
 * The files of a server's ConfigMap, which the image copies into /data at
 * every start: server.properties, and the lists of players.
 *
 * A list that is copied replaces what was done in the game: right for
 * access.mode Exact only. A game's list names players by UUID; where one is
 * not known (a name of an online-mode server) the list is no file but goes
 * through the environment (manifest_env.c), and the image looks the UUID up.
 */

#include <stdio.h>
#include <string.h>
#include <openssl/evp.h>
#include "manifest_private.h"
#include "properties.h"

/* What the lists say when nobody knows when or why. */
#define CREATED  "1970-01-01 00:00:00 +0000"

static bool
offline(const build_t *b)
{
    return strcmp(b->type, "demo") == 0     /* it is never anything else */
           || !mc_json_bool(mc_json_at(b->spec, "properties.onlineMode"), 1);
}

/* The UUID that a server in offline mode gives a name: version 3, of the MD5
 * of "OfflinePlayer:<name>". */
static void
offline_uuid(const char *name, char dst[MC_UUID_LEN + 1])
{
    unsigned char  md[EVP_MAX_MD_SIZE] = { 0 };
    char           text[128];
    int            n = snprintf(text, sizeof(text), "OfflinePlayer:%s", name);

    EVP_Digest(text, (size_t) n, md, NULL, EVP_md5(), NULL);
    md[6] = (unsigned char) ((md[6] & 0x0f) | 0x30);
    md[8] = (unsigned char) ((md[8] & 0x3f) | 0x80);
    snprintf(dst, MC_UUID_LEN + 1, "%02x%02x%02x%02x-%02x%02x-%02x%02x-"
             "%02x%02x-%02x%02x%02x%02x%02x%02x", md[0], md[1], md[2], md[3],
             md[4], md[5], md[6], md[7], md[8], md[9], md[10], md[11], md[12],
             md[13], md[14], md[15]);
}

/* A player is a name, or an object with name and perhaps uuid. */
static const char *
player_name(const mc_json_t *v)
{
    return v->type == MC_JSON_STRING ? v->str
                                     : mc_json_str(mc_json_get(v, "name"), "");
}

static bool
player_uuid(const build_t *b, const mc_json_t *v, char dst[MC_UUID_LEN + 1])
{
    const char  *uuid = mc_json_str(mc_json_get(v, "uuid"), NULL);

    if (uuid) {
        snprintf(dst, MC_UUID_LEN + 1, "%s", uuid);
        return true;
    }
    if (!offline(b)) {
        return false;
    }
    offline_uuid(player_name(v), dst);
    return true;
}

bool
mc_build_uuids_known(const build_t *b, const mc_json_t *players)
{
    const mc_json_t  *v;
    char              uuid[MC_UUID_LEN + 1];

    for (v = players ? players->child : NULL; v; v = v->next) {
        if (!player_uuid(b, v, uuid)) {
            return false;
        }
    }
    return true;
}

static void
add_file(build_t *b, mc_json_t *files, const char *name, const mc_json_t *v)
{
    size_t   n = mc_json_write(NULL, 0, v);
    char    *text = b->a->alloc(b->a->pool, n + 1);

    if (text == NULL) {
        b->failed = true;
        return;
    }
    mc_json_write(text, n + 1, v);
    mc_build_str(b, files, name, text);
}

static mc_json_t *
player(build_t *b, const mc_json_t *v)
{
    mc_json_t  *o = mc_build_obj(b);
    char        uuid[MC_UUID_LEN + 1] = "";

    player_uuid(b, v, uuid);
    mc_build_str(b, o, "uuid", uuid);
    mc_build_str(b, o, "name", player_name(v));
    return o;
}

static void
ban(build_t *b, mc_json_t *o)
{
    mc_build_str(b, o, "created", CREATED);
    mc_build_str(b, o, "source", "mchost");
    mc_build_str(b, o, "expires", "forever");
    mc_build_str(b, o, "reason", "Banned by an operator.");
}

static void
operators(build_t *b, mc_json_t *files)
{
    const mc_json_t  *list = mc_json_at(b->spec, "access.operators"), *v;
    mc_json_t        *out = mc_build_arr(b), *o;

    if (!mc_build_uuids_known(b, list)) {
        return;
    }
    for (v = list ? list->child : NULL; v; v = v->next) {
        o = player(b, v);
        mc_build_num(b, o, "level", mc_json_int(mc_json_get(v, "level"), 4));
        mc_build_bool(b, o, "bypassesPlayerLimit",
                      mc_json_bool(mc_json_get(v, "bypassesPlayerLimit"), 0));
        mc_build_add(b, out, o);
    }
    add_file(b, files, "ops.json", out);
}

static void
allow_list(build_t *b, mc_json_t *files)
{
    const mc_json_t  *list = mc_json_at(b->spec, "access.allowList.players");
    const mc_json_t  *v;
    mc_json_t        *out = mc_build_arr(b);

    if (!mc_build_uuids_known(b, list)) {
        return;
    }
    for (v = list ? list->child : NULL; v; v = v->next) {
        mc_build_add(b, out, player(b, v));
    }
    add_file(b, files, "whitelist.json", out);
}

static void
banned_players(build_t *b, mc_json_t *files)
{
    const mc_json_t  *list = mc_json_at(b->spec, "access.bans.players"), *v;
    mc_json_t        *out = mc_build_arr(b), *o;

    if (!mc_build_uuids_known(b, list)) {
        return;
    }
    for (v = list ? list->child : NULL; v; v = v->next) {
        o = player(b, v);
        ban(b, o);
        mc_build_add(b, out, o);
    }
    add_file(b, files, "banned-players.json", out);
}

static void
banned_ips(build_t *b, mc_json_t *files)
{
    const mc_json_t  *list = mc_json_at(b->spec, "access.bans.ips"), *v;
    mc_json_t        *out = mc_build_arr(b), *o;

    for (v = list ? list->child : NULL; v; v = v->next) {
        o = mc_build_obj(b);
        mc_build_str(b, o, "ip", mc_json_str(v, ""));
        ban(b, o);
        mc_build_add(b, out, o);
    }
    add_file(b, files, "banned-ips.json", out);
}

mc_json_t *
mc_build_files(build_t *b)
{
    mc_json_t   *files = mc_build_obj(b);
    const char  *text;

    if (strcmp(b->type, "velocity") == 0) {
        return files;                   /* a proxy has none of these */
    }
    text = mc_properties_text(b->a, b->spec);
    if (text == NULL) {
        b->failed = true;
        return files;
    }
    mc_build_str(b, files, "server.properties", text);
    if (strcmp(mc_build_spec(b, "access.mode", "Merge"), "Exact") == 0) {
        operators(b, files);
        allow_list(b, files);
        banned_players(b, files);
        banned_ips(b, files);
    }
    return files;
}

mc_json_t *
mc_manifest_config_map(const mc_manifest_t *m)
{
    build_t     b;
    mc_json_t  *v, *data;
    char        name[MC_NAME_LEN + 1];

    mc_build_init(&b, m);
    mc_manifest_name(name, m->server, MC_NAME_CONFIG);
    v = mc_build_object(&b, "v1", "ConfigMap", name);
    mc_build_owner(&b, v);
    data = mc_build_files(&b);
    if (mc_manifest_in_kube(m->server) && strcmp(b.type, "velocity") != 0) {
        mc_build_access_settings(&b, data);
    }
    mc_build_set(&b, v, "data", data);
    return mc_build_end(&b, v);
}
