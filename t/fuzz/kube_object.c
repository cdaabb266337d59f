/* Any text as an object: what is read is consistent, and its metadata are the
 * same when only they are read. */

#include "fuzz.h"
#include "kube_object.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char              *text = exact(data, size);
    mc_kube_object_t  *obj = mc_kube_object_read(text, size);
    mc_kube_object_t  *meta = mc_kube_object_meta(text, size);

    if (obj) {
        MUST(meta != NULL);
        MUST(obj->meta.name[0] != '\0');
        MUST(strlen(obj->meta.uid) < sizeof(obj->meta.uid));
        MUST(strlen(obj->meta.ns) + strlen(obj->pod.message)
             + strlen(obj->pod.init_message) + strlen(obj->claim.size)
             + strlen(obj->service.ingress) <= size * 5);
    }
    mc_kube_object_free(obj);
    mc_kube_object_free(meta);
    free(text);
    return 0;
}
