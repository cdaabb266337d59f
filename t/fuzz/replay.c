/* Runs a fuzz target over files, or over all files of directories. */

#include <dirent.h>
#include <sys/stat.h>
#include "fuzz.h"

static int
run_file(const char *path)
{
    uint8_t  *data;
    long      size;
    FILE     *f = fopen(path, "rb");

    if (f == NULL || fseek(f, 0, SEEK_END) != 0 || (size = ftell(f)) < 0) {
        perror(path);
        exit(1);
    }
    rewind(f);
    data = malloc(size ? (size_t) size : 1);
    if (data == NULL || fread(data, 1, (size_t) size, f) != (size_t) size) {
        perror(path);
        exit(1);
    }
    fclose(f);

    /* said before, so that a crash names its input */
    fprintf(stderr, "%s\n", path);
    LLVMFuzzerTestOneInput(data, (size_t) size);
    free(data);
    return 1;
}

static int
run(const char *path)
{
    struct stat     st;
    struct dirent  *e;
    char            name[4096];
    DIR            *d;
    int             n = 0;

    if (stat(path, &st) != 0) {
        perror(path);
        exit(1);
    }
    if (!S_ISDIR(st.st_mode)) {
        return run_file(path);
    }
    d = opendir(path);
    if (d == NULL) {
        perror(path);
        exit(1);
    }
    while ((e = readdir(d)) != NULL) {
        if (e->d_name[0] != '.') {
            snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
            n += run(name);
        }
    }
    closedir(d);
    return n;
}

int
main(int argc, char **argv)
{
    int  i, n = 0;

    for (i = 1; i < argc; i++) {
        n += run(argv[i]);
    }
    printf("%d inputs\n", n);
    return n == 0;
}
