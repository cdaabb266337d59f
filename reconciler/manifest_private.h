/*
 * Shared by manifest*.c: trees are built through a builder that remembers
 * running out of memory, so that only the end asks.
 */

#ifndef MC_MANIFEST_PRIVATE_H
#define MC_MANIFEST_PRIVATE_H

#include <stdbool.h>
#include "manifest.h"

typedef struct {
    const mc_alloc_t   *a;
    const mc_server_t  *server;
    const mc_json_t    *spec;
    const char         *type;           /* software.type */
    const char         *version;        /* the effective one */
    const mc_manifest_t *m;
    bool                failed;
} build_t;

void mc_build_init(build_t *b, const mc_manifest_t *m);

/* v, or NULL when anything failed on the way. */
mc_json_t *mc_build_end(const build_t *b, mc_json_t *v);

mc_json_t *mc_build_obj(build_t *b);
mc_json_t *mc_build_arr(build_t *b);
void mc_build_set(build_t *b, mc_json_t *obj, const char *key, mc_json_t *v);
void mc_build_str(build_t *b, mc_json_t *obj, const char *key, const char *s);
void mc_build_num(build_t *b, mc_json_t *obj, const char *key, int64_t n);
void mc_build_bool(build_t *b, mc_json_t *obj, const char *key, bool v);
void mc_build_add(build_t *b, mc_json_t *arr, mc_json_t *v);
void mc_build_add_str(build_t *b, mc_json_t *arr, const char *s);

/* An object or array that is a member of obj. */
mc_json_t *mc_build_obj_in(build_t *b, mc_json_t *obj, const char *key);
mc_json_t *mc_build_arr_in(build_t *b, mc_json_t *obj, const char *key);

/* apiVersion, kind, metadata with name, namespace and labels. */
mc_json_t *mc_build_object(build_t *b, const char *api, const char *kind,
    const char *name);

/* The owner, if there is one, of such an object. */
void mc_build_owner(build_t *b, mc_json_t *object);
mc_json_t *mc_build_labels(build_t *b);

/* Text from the spec by path, def when absent. */
const char *mc_build_spec(const build_t *b, const char *path,
    const char *def);

/* The container's environment (manifest_env.c). */
mc_json_t *mc_build_env(build_t *b);
void mc_build_env_add(build_t *b, mc_json_t *list, const char *name,
    const char *value);

/* Those variables that change while a game runs, as members of the ConfigMap,
 * from which a pod in Kubernetes has them. */
void mc_build_access_settings(build_t *b, mc_json_t *data);

/* The list of add-ons for addons.sh, "" none (manifest_addons.c). */
const char *mc_build_addons(build_t *b);

/* The text of addons.sh (build/gen/mc_addons_sh.c). */
extern const char    mc_addons_sh[];
extern const size_t  mc_addons_sh_len;

/* The files of the ConfigMap by name (manifest_config.c). */
mc_json_t *mc_build_files(build_t *b);

/* Of access (manifest_config.c): the list is complete as a file only when
 * every player's UUID is known. */
bool mc_build_uuids_known(const build_t *b, const mc_json_t *players);

/* True for types of the itzg images (not demo, not velocity). */
bool mc_build_is_game(const build_t *b);

#endif
