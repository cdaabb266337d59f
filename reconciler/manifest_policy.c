/*
 * What guards a server: the Secret with the password of its RCON, and the
 * NetworkPolicy of its namespace.
 */

#include <stdio.h>
#include <string.h>
#include <arpa/inet.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include "manifest_private.h"
#include "properties.h"

#define PASSWORD_MAX  128


mc_json_t *
mc_manifest_secret(const mc_manifest_t *m, const char *password)
{
    build_t        b;
    mc_json_t     *v;
    unsigned char  text[4 * (PASSWORD_MAX + 2) / 3 + 1];
    char           name[MC_NAME_LEN + 1];
    size_t         len = strlen(password);

    if (len == 0 || len > PASSWORD_MAX) {
        return NULL;
    }
    mc_build_init(&b, m);
    mc_manifest_name(name, m->server, MC_NAME_SECRET);
    v = mc_build_object(&b, "v1", "Secret", name);
    mc_build_owner(&b, v);
    mc_build_str(&b, v, "type", "Opaque");
    EVP_EncodeBlock(text, (const unsigned char *) password, (int) len);
    mc_build_str(&b, mc_build_obj_in(&b, v, "data"), MC_SECRET_KEY,
                 (const char *) text);
    OPENSSL_cleanse(text, sizeof(text));
    return mc_build_end(&b, v);
}


/* -- NetworkPolicy -- */

static void
port(build_t *b, mc_json_t *rule, const char *protocol, int number)
{
    mc_json_t  *list = mc_json_get(rule, "ports"), *o = mc_build_obj(b);

    if (list == NULL) {
        list = mc_build_arr_in(b, rule, "ports");
    }
    mc_build_num(b, o, "port", number);
    mc_build_str(b, o, "protocol", protocol);
    mc_build_add(b, list, o);
}

static void
game_ports(build_t *b, mc_json_t *rule)
{
    port(b, rule, "TCP", MC_GAME_PORT);
    port(b, rule, "TCP", MC_PROXY_PORT);
}

/* Pods of servers; others in the namespace are none of our business. */
static mc_json_t *
servers(build_t *b)
{
    mc_json_t  *v = mc_build_obj(b), *labels;

    labels = mc_build_obj_in(b, v, "matchLabels");
    mc_build_str(b, labels, "app.kubernetes.io/name", "minecraft");
    mc_build_str(b, labels, "app.kubernetes.io/managed-by", "mchost");
    return v;
}

/* A rule of the list, which leaves out whom it is about. */
static mc_json_t *
rule(build_t *b, mc_json_t *list)
{
    mc_json_t  *v = mc_build_obj(b);

    mc_build_add(b, list, v);
    return v;
}

static void
ingress(build_t *b, mc_json_t *spec, const mc_manifest_policy_t *p)
{
    mc_json_t  *list = mc_build_arr_in(b, spec, "ingress"), *v, *o;

    v = rule(b, list);
    game_ports(b, v);
    if (*p->reconciler_ns) {
        v = rule(b, list);
        o = mc_build_obj(b);
        mc_build_str(b, mc_build_obj_in(b, mc_build_obj_in(b, o,
                     "namespaceSelector"), "matchLabels"),
                     "kubernetes.io/metadata.name", p->reconciler_ns);
        mc_build_add(b, mc_build_arr_in(b, v, "from"), o);
        port(b, v, "TCP", MC_RCON_PORT);
    }
}

/* The internet of one address family, without what is nobody's there: the
 * addresses of pods, services, machines and of a cloud's metadata. */
static void
internet(build_t *b, mc_json_t *to, const char *all,
    const char *const *private, const char *api, int api_bits)
{
    mc_json_t  *o = mc_build_obj(b), *block, *except;
    char        cidr[64];

    block = mc_build_obj_in(b, o, "ipBlock");
    mc_build_str(b, block, "cidr", all);
    except = mc_build_arr_in(b, block, "except");
    for (; *private; private++) {
        mc_build_add_str(b, except, *private);
    }
    if (api) {
        snprintf(cidr, sizeof(cidr), "%s/%d", api, api_bits);
        mc_build_add_str(b, except, cidr);
    }
    mc_build_add(b, to, o);
}

static void
egress(build_t *b, mc_json_t *spec, const mc_manifest_policy_t *p)
{
    static const char *const  private4[] = {
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8",
        "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", NULL
    };
    static const char *const  private6[] = {
        "::/128", "::1/128", "64:ff9b::/96", "fc00::/7", "fe80::/10", NULL
    };
    mc_json_t                *list = mc_build_arr_in(b, spec, "egress");
    mc_json_t                *v, *o, *to;
    unsigned char             address[16];
    bool                      v4, v6;

    v = rule(b, list);
    port(b, v, "UDP", 53);
    port(b, v, "TCP", 53);

    v = rule(b, list);
    o = mc_build_obj(b);
    mc_build_set(b, o, "podSelector", servers(b));
    mc_build_add(b, mc_build_arr_in(b, v, "to"), o);
    game_ports(b, v);

    to = mc_build_arr_in(b, rule(b, list), "to");
    v4 = inet_pton(AF_INET, p->api_address, address) == 1;
    v6 = inet_pton(AF_INET6, p->api_address, address) == 1;
    internet(b, to, "0.0.0.0/0", private4, v4 ? p->api_address : NULL, 32);
    internet(b, to, "::/0", private6, v6 ? p->api_address : NULL, 128);
}

mc_json_t *
mc_manifest_network_policy(const mc_alloc_t *a, const mc_manifest_policy_t *p)
{
    build_t     b = { .a = a };
    mc_json_t  *v = mc_build_obj(&b), *meta, *labels, *spec, *types;

    mc_build_str(&b, v, "apiVersion", "networking.k8s.io/v1");
    mc_build_str(&b, v, "kind", "NetworkPolicy");
    meta = mc_build_obj_in(&b, v, "metadata");
    mc_build_str(&b, meta, "name", MC_POLICY_NAME);
    mc_build_str(&b, meta, "namespace", p->ns);
    labels = mc_build_obj_in(&b, meta, "labels");
    mc_build_str(&b, labels, "app.kubernetes.io/name", "minecraft");
    mc_build_str(&b, labels, "app.kubernetes.io/managed-by", "mchost");
    mc_build_str(&b, labels, MC_LABEL_TENANT, p->tenant_id);
    spec = mc_build_obj_in(&b, v, "spec");
    mc_build_set(&b, spec, "podSelector", servers(&b));
    types = mc_build_arr_in(&b, spec, "policyTypes");
    mc_build_add_str(&b, types, "Ingress");
    mc_build_add_str(&b, types, "Egress");
    ingress(&b, spec, p);
    egress(&b, spec, p);
    return mc_build_end(&b, v);
}
