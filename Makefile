# mchost. `make help` lists the targets.

SHELL   := /bin/bash
VAR     ?= var
BUILD   := build
GEN     := $(BUILD)/gen
PREFIX  ?= /usr/local
VERSION := $(shell git describe --tags --always 2>/dev/null || echo 0)

CC      ?= gcc
WARN    := -Wall -Wextra -Werror
CFLAGS  ?= -O2 -g
CFLAGS  += -std=c11 $(WARN) -D_GNU_SOURCE -fno-common -fstack-protector-strong
INC     := -Icommon -I$(GEN)
SAN     := -fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined

COMMON_SRC := $(wildcard common/*.c) $(GEN)/mc_sql_table.c $(GEN)/mc_schema_json.c
RECON_SRC  := $(wildcard reconciler/*.c) $(GEN)/reconciler/mc_addons_sh.c
UNIT_SRC   := $(wildcard t/unit/*.c)
GEN_FILES  := $(GEN)/mc_sql_ids.h $(GEN)/mc_sql_table.c $(GEN)/mc_schema_json.c $(GEN)/mc_api_schema_json.c

RECON_LIBS  = $(shell pkg-config --libs libuv libcurl libpq hiredis yaml-0.1 libcrypto yajl) -lwslay
RECON_INC   = -Ireconciler $(shell pkg-config --cflags libuv libcurl libpq hiredis yaml-0.1 libcrypto yajl)

# Commands are shown with V=1.
Q := $(if $(V),,@)

# -- front door ------------------------------------------------------------

.PHONY: help
help:                      ## this list
	@sed -n 's/^\([a-z][a-z-]*\):[^#]*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

.PHONY: run up down
run: packages build        ## build and run the whole platform in the foreground until Ctrl-C
	@VAR=$(VAR) tools/stack run

up: packages build         ## the same in the background; 0 once /readyz answers 200
	@VAR=$(VAR) tools/stack up

down:                      ## stop what `make up` started; data stays
	@VAR=$(VAR) tools/stack down

.PHONY: packages test-packages
packages:                  ## install what building and running needs (apt)
	@tools/packages run

test-packages: packages    ## install what the tests need as well
	@tools/packages test

.PHONY: test
test: test-packages build asan fuzz-replay $(BUILD)/schema t/e2e/node_modules $(BUILD)/schemathesis/bin/openapi-spec-validator  ## every test, or one: make test T=t/020-auth.t
	@tools/run-tests $(T)

# -- build -----------------------------------------------------------------

.PHONY: build gen module reconciler unit asan
build: module reconciler   ## the nginx module and the reconciler

gen: $(GEN_FILES) conf/kubernetes/crd.yaml  ## what is made from sql/ and from the schema

SQL := sql/statements.sql $(wildcard sql/statements_*.sql)
$(GEN)/mc_sql_ids.h $(GEN)/mc_sql_table.c &: $(SQL) $(wildcard sql/migrations/*.sql) tools/sql2c.awk
	@mkdir -p $(GEN)
	awk -v gen=$(GEN) -f tools/sql2c.awk $(SQL) $(sort $(wildcard sql/migrations/*.sql))

$(GEN)/mc_schema_json.c: conf/minecraftserver.schema.json tools/embed.awk
	@mkdir -p $(GEN)
	awk -v name=mc_schema_json -v header=mc_schema.h -f tools/embed.awk $< > $@.tmp && mv $@.tmp $@

$(GEN)/mc_api_schema_json.c: conf/api.schema.json tools/embed.awk
	@mkdir -p $(GEN)
	awk -v name=mc_api_schema_json -v header=mc_schema.h -f tools/embed.awk $< > $@.tmp && mv $@.tmp $@

# The CustomResourceDefinition is committed: users apply it as it is.
conf/kubernetes/crd.yaml: conf/minecraftserver.schema.json tools/crd.in tools/schema.c
	@$(MAKE) -s $(BUILD)/schema
	$(BUILD)/schema crd tools/crd.in > $@.tmp && mv $@.tmp $@

$(BUILD)/schema: tools/schema.c $(wildcard common/*.[ch]) $(GEN_FILES)
	$(CC) $(CFLAGS) $(INC) -o $@ $(filter %.c,$^) -lyajl -lm

$(GEN)/reconciler/mc_addons_sh.c: reconciler/addons.sh tools/embed.awk
	@mkdir -p $(@D)
	awk -v name=mc_addons_sh -v header=manifest_private.h -f tools/embed.awk $< > $@.tmp && mv $@.tmp $@

# Objects: $(BUILD)/obj for the reconciler and unit tests, $(BUILD)/san the
# same with sanitizers.
obj  = $(patsubst %.c,$(BUILD)/$(1)/%.o,$(2))

$(BUILD)/obj/%.o: %.c $(GEN_FILES)
	@mkdir -p $(@D)
	@echo '  CC    $@'
	$(Q)$(CC) $(CFLAGS) $(INC) $(RECON_INC) -MMD -MP -c -o $@ $<

$(BUILD)/san/%.o: %.c $(GEN_FILES)
	@mkdir -p $(@D)
	@echo '  CC    $@'
	$(Q)$(CC) $(CFLAGS) $(SAN) $(INC) $(RECON_INC) -MMD -MP -c -o $@ $<

%/reconciler/main.o %/reconciler/kube.o: CFLAGS += -DMCHOST_VERSION='"$(VERSION)"'

-include $(shell find $(BUILD)/obj $(BUILD)/san -name '*.d' 2>/dev/null)

reconciler: $(BUILD)/mchost-reconciler
$(BUILD)/mchost-reconciler: $(call obj,obj,$(RECON_SRC) $(COMMON_SRC))
	@echo '  LINK  $@'
	$(Q)$(CC) $(CFLAGS) -o $@ $^ $(RECON_LIBS) -lm

$(BUILD)/san/mchost-reconciler: $(call obj,san,$(RECON_SRC) $(COMMON_SRC))
	@echo '  LINK  $@'
	$(Q)$(CC) $(CFLAGS) $(SAN) -o $@ $^ $(RECON_LIBS) -lm

# A unit test is one file t/unit/NAME.c with a main() that prints TAP; it is
# linked with common/ and with the reconciler's files but main.c, sanitized.
RECON_UNIT := $(filter-out reconciler/main.c,$(RECON_SRC))
unit: $(patsubst t/unit/%.c,$(BUILD)/unit/%,$(UNIT_SRC))
$(BUILD)/unit/%: $(BUILD)/san/t/unit/%.o $(call obj,san,$(RECON_UNIT) $(COMMON_SRC))
	@mkdir -p $(@D)
	@echo '  LINK  $@'
	$(Q)$(CC) $(CFLAGS) $(SAN) -o $@ $^ $(RECON_LIBS) -lm

# A driver is one file t/driver/NAME.c that a Perl test talks to (MCHost::Driver).
DRIVERS := $(patsubst t/driver/%.c,$(BUILD)/driver/%,$(wildcard t/driver/*.c))
$(BUILD)/driver/%: $(BUILD)/san/t/driver/%.o $(call obj,san,$(RECON_UNIT) $(COMMON_SRC))
	@mkdir -p $(@D)
	@echo '  LINK  $@'
	$(Q)$(CC) $(CFLAGS) $(SAN) -o $@ $^ $(RECON_LIBS) -lm

.SECONDARY:

MODULE_SRC := config $(wildcard ngx_mchost_module/*.[ch] common/*.[ch])

# The dynamic module for Debian's nginx.
module: $(BUILD)/ngx_http_mchost_module.so
$(BUILD)/ngx_http_mchost_module.so: $(MODULE_SRC) $(GEN_FILES)
	tools/build-nginx debian

# nginx from source with the module linked in and sanitizers on.
asan: $(BUILD)/nginx-asan/nginx $(BUILD)/san/mchost-reconciler unit $(DRIVERS)  ## sanitized builds of everything
$(BUILD)/nginx-asan/nginx: $(MODULE_SRC) $(GEN_FILES)
	tools/build-nginx asan

# The property-based tester of /openapi.json.
$(BUILD)/schemathesis/bin/openapi-spec-validator:
	python3 -m venv $(BUILD)/schemathesis
	$(BUILD)/schemathesis/bin/pip install -q --disable-pip-version-check schemathesis==4.32.5 openapi-spec-validator==0.9.0

t/e2e/node_modules: t/e2e/package-lock.json
	cd t/e2e && npm ci --no-audit --no-fund && touch node_modules

.PHONY: lint fresh fuzz fuzz-replay
lint: test-packages        ## everything that can be said about the sources without running them
	@tools/lint

fresh: test-packages       ## build and unit-test HEAD in a freshly bootstrapped Debian
	@tools/fresh

# A fuzz target is one file t/fuzz/NAME.c. With libFuzzer it searches, with
# replay.c it runs its corpus, which is a part of `make test`.
FUZZ_TIME  ?= 60
FUZZ_NAMES := $(notdir $(wildcard t/fuzz/corpus/*))
# Of the reconciler, the pure files that some target is about.
FUZZ_SRC   := $(COMMON_SRC) $(GEN)/mc_api_schema_json.c $(patsubst %,reconciler/%.c,arena clock kube_object kube_watch) $(wildcard reconciler/kubeconfig*.c)
FUZZ_LIBS   = $(shell pkg-config --libs yajl yaml-0.1 libcrypto) -lm
fuzz: $(patsubst %,$(BUILD)/fuzz/%,$(FUZZ_NAMES))  ## search with every fuzz target for FUZZ_TIME seconds
	@for name in $(FUZZ_NAMES); do \
	    mkdir -p $(BUILD)/fuzz/found/$$name && \
	    $(BUILD)/fuzz/$$name -max_total_time=$(FUZZ_TIME) -timeout=10 -print_final_stats=1 \
	        -artifact_prefix=$(BUILD)/fuzz/$$name- $(BUILD)/fuzz/found/$$name t/fuzz/corpus/$$name || exit 1; \
	done

fuzz-replay: $(patsubst %,$(BUILD)/fuzz/%-replay,$(FUZZ_NAMES))

$(BUILD)/fuzz/%-replay: t/fuzz/%.c t/fuzz/replay.c t/fuzz/fuzz.h t/unit/pool.h $(call obj,san,$(FUZZ_SRC))
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(SAN) $(INC) -Ireconciler -o $@ $(filter %.c %.o,$^) $(FUZZ_LIBS)

$(BUILD)/fuzz/%: t/fuzz/%.c t/fuzz/fuzz.h t/unit/pool.h $(FUZZ_SRC)
	@mkdir -p $(@D)
	clang $(CFLAGS) -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined $(INC) -Ireconciler -o $@ $(filter %.c,$^) $(FUZZ_LIBS)

# -- Kubernetes for development and tests --------------------------------------

.PHONY: kube-up kube-down image
image: packages build      ## the reconciler's container image, as an archive in build/
	@images/reconciler/build

kube-up: packages          ## a real single-node Kubernetes on loopback; VAR/kube/kubeconfig
	@VAR=$(VAR) t/kube/kube up

kube-down:                 ## stop it and remove VAR/kube
	@VAR=$(VAR) t/kube/kube down

# -- distribution ------------------------------------------------------------

MODULEDIR ?= $(PREFIX)/lib/nginx/modules
.PHONY: install dist clean
install: build             ## install below DESTDIR and PREFIX (the module in MODULEDIR)
	install -D -m 644 $(BUILD)/ngx_http_mchost_module.so $(DESTDIR)$(MODULEDIR)/ngx_http_mchost_module.so
	install -D -m 755 $(BUILD)/mchost-reconciler $(DESTDIR)$(PREFIX)/sbin/mchost-reconciler
	install -d $(DESTDIR)$(PREFIX)/share/mchost
	cp -r conf dashboard sql $(DESTDIR)$(PREFIX)/share/mchost/

dist:                      ## a source archive of HEAD in build/
	@mkdir -p $(BUILD)
	git archive --prefix=mchost-$(VERSION)/ -o $(BUILD)/mchost-$(VERSION).tar.gz HEAD
	@echo $(BUILD)/mchost-$(VERSION).tar.gz

clean:                     ## remove everything that was built
	rm -rf $(BUILD)

# -- benchmarks --------------------------------------------------------------

BENCH_BIN := $(patsubst %,$(BUILD)/bench/%,fanout sendloop statement)
.PHONY: bench
bench: test-packages build $(BENCH_BIN)  ## ratios against peers in one run; writes var/bench/*.json
	perl -It/lib bench/run.pl $(VAR)/bench

$(BUILD)/bench/%: bench/%.c common/mc_envelope.c common/mc_uuid.c $(GEN)/mc_sql_table.c $(GEN_FILES)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(INC) -o $@ $(filter %.c,$^) -lhiredis
