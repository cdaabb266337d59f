-- Every SQL statement of both programs, by name. tools/sql2c.awk compiles
-- this file into the statement table (common/mc_sql.h).
--
--   -- fragment: NAME     text that statements include as {{NAME}}
--   -- name: NAME         begins a statement; it ends at a line ending in ";"
--   -- params: a, b       what $1, $2 … are (all sent as text)
--   -- read-only          safe to send again when a connection was lost
--
-- The tenant is never a parameter of an API statement: it is what
-- `authenticate` found for the presented key, transaction-local.

-- fragment: tenant
nullif(current_setting('app.tenant_id', true), '')::uuid

-- fragment: key
nullif(current_setting('app.key_id', true), '')::uuid

-- What a statement behind idempotency_claim has done is kept in the same
-- transaction: a is its one row.
-- fragment: remember
set_config('app.answer', row_to_json(a)::text, true)

-- The document of contract "server": s is a servers row, st its status.
-- fragment: document
json_build_object(
    'id', s.id, 'tenantId', s.tenant_id, 'name', s.name,
    'generation', s.generation,
    'createdAt', s.created_at, 'updatedAt', s.updated_at,
    'deletedAt', s.deleted_at, 'specOwner', s.spec_owner, 'spec', s.spec,
    'status', coalesce(st.status, '{"state": "Pending"}'::jsonb))


-- == Every API segment begins with these two ==

-- name: present_key
-- params: key_hash, statement_timeout
-- read-only
SELECT set_config('app.key_hash', $1, true),
       set_config('statement_timeout', $2, true);

-- One row for a live key, none for an unknown, expired or revoked one. The
-- tenant is set only when the role suffices: without it the statement behind
-- this one sees and writes nothing.
-- name: authenticate
-- params: minimum_role
-- read-only
SELECT k.tenant_id, k.id, k.role, k.name, to_json(k.expires_at) #>> '{}', a.allowed,
       set_config('app.tenant_id', CASE WHEN a.allowed THEN k.tenant_id::text ELSE '' END, true),
       set_config('app.key_id', k.id::text, true)
  FROM api_keys k,
       LATERAL (SELECT array_position(ARRAY['viewer', 'operator', 'admin', 'owner'], k.role)
                    >= array_position(ARRAY['viewer', 'operator', 'admin', 'owner'], $1) AS allowed) a
 WHERE k.key_hash = nullif(current_setting('app.key_hash', true), '')
   AND k.revoked_at IS NULL
   AND (k.expires_at IS NULL OR k.expires_at > now());


-- == API: one JSON text per reply ==

-- name: ping
-- read-only
SELECT 1;

-- name: me
-- read-only
SELECT json_build_object(
           'tenant', json_build_object('id', t.tenant_id, 'name', t.name),
           'key', json_build_object('id', k.id, 'name', k.name, 'role', k.role,
                                    'createdAt', k.created_at, 'expiresAt', k.expires_at))
  FROM tenants t
  JOIN api_keys k ON k.tenant_id = t.tenant_id AND k.id = {{key}}
 WHERE t.tenant_id = {{tenant}};

-- name: server_list
-- params: limit, after
-- read-only
SELECT json_build_object(
           'items', coalesce(json_agg(page.document ORDER BY page.id) FILTER (WHERE page.n <= $1::bigint), '[]'::json),
           'next', max(page.id::text) FILTER (WHERE page.n = $1::bigint AND page.more))
  FROM (SELECT s.id, row_number() OVER w AS n, lead(s.id) OVER w IS NOT NULL AS more,
               {{document}} AS document
          FROM servers s
          LEFT JOIN server_status st ON st.tenant_id = s.tenant_id AND st.server_id = s.id
         WHERE s.tenant_id = {{tenant}}
           AND s.id > coalesce(nullif($2, '')::uuid, '00000000-0000-0000-0000-000000000000'::uuid)
           AND (s.deleted_at IS NULL OR st.finalized_at IS NULL)
        WINDOW w AS (ORDER BY s.id)
         ORDER BY s.id
         LIMIT $1::bigint + 1) page;

-- name: server_get
-- params: id
-- read-only
SELECT s.generation, {{document}}, s.spec, s.name, s.deleted_at IS NOT NULL, s.spec_owner
  FROM servers s
  LEFT JOIN server_status st ON st.tenant_id = s.tenant_id AND st.server_id = s.id
 WHERE s.tenant_id = {{tenant}}
   AND s.id = $1::uuid
   AND (s.deleted_at IS NULL OR st.finalized_at IS NULL);

-- No row: the tenant's quota is used up. The counter's row lock makes the
-- limit hold however many creates run at once.
-- name: server_create
-- params: id, name, spec, audit_id, request_id
WITH quota AS (
    UPDATE tenant_usage u
       SET servers = u.servers + 1
      FROM tenants t
     WHERE u.tenant_id = {{tenant}}
       AND t.tenant_id = u.tenant_id
       AND u.servers < t.max_servers
    RETURNING u.tenant_id
), s AS (
    INSERT INTO servers (tenant_id, id, name, spec)
    SELECT quota.tenant_id, $1::uuid, $2, $3::jsonb FROM quota
    RETURNING *
), trail AS (
    INSERT INTO audit (tenant_id, id, key_id, action, server_id, request_id, detail)
    SELECT s.tenant_id, $4::uuid, {{key}}, 'server.create', s.id, $5, json_build_object('name', s.name)::jsonb FROM s
    RETURNING id
), a AS (
    SELECT s.generation, {{document}} AS document, s.id
      FROM s, trail, (SELECT NULL::jsonb AS status) st
)
SELECT a.generation, a.document, a.id, {{remember}} FROM a;

-- The whole spec, guarded by the generation that it was made from. No row:
-- the server is gone or another write came first.
-- name: server_update
-- params: id, generation, spec, audit_id, request_id
WITH s AS (
    UPDATE servers
       SET spec = $3::jsonb, generation = generation + 1, updated_at = now()
     WHERE tenant_id = {{tenant}} AND id = $1::uuid
       AND generation = $2::bigint AND deleted_at IS NULL
    RETURNING *
), trail AS (
    INSERT INTO audit (tenant_id, id, key_id, action, server_id, request_id, detail)
    SELECT s.tenant_id, $4::uuid, {{key}}, 'server.update', s.id, $5, json_build_object('generation', s.generation)::jsonb FROM s
    RETURNING id
)
SELECT s.generation, {{document}}
  FROM s
  JOIN trail ON true
  LEFT JOIN server_status st ON st.tenant_id = s.tenant_id AND st.server_id = s.id;

-- No row: no such server. deleted false: If-Match did not match.
-- name: server_delete
-- params: id, if_match_generation, purge, audit_id, request_id
WITH found AS (
    SELECT tenant_id, id, generation FROM servers
     WHERE tenant_id = {{tenant}} AND id = $1::uuid AND deleted_at IS NULL
), s AS (
    UPDATE servers
       SET deleted_at = now(), updated_at = now(), generation = generation + 1, purge = $3::boolean
     WHERE tenant_id = {{tenant}} AND id = $1::uuid AND deleted_at IS NULL
       AND (nullif($2, '') IS NULL OR generation = nullif($2, '')::bigint)
    RETURNING *
), quota AS (
    UPDATE tenant_usage u SET servers = u.servers - 1
      FROM s WHERE u.tenant_id = s.tenant_id AND u.servers > 0
    RETURNING u.tenant_id
), trail AS (
    INSERT INTO audit (tenant_id, id, key_id, action, server_id, request_id, detail)
    SELECT s.tenant_id, $4::uuid, {{key}}, 'server.delete', s.id, $5, json_build_object('purge', s.purge, 'generation', s.generation)::jsonb FROM s
    RETURNING id
)
SELECT found.generation, s.id IS NOT NULL AS deleted,
       CASE WHEN s.id IS NOT NULL THEN {{document}} END
  FROM found
  LEFT JOIN s ON s.tenant_id = found.tenant_id AND s.id = found.id
  LEFT JOIN trail ON true
  LEFT JOIN server_status st ON st.tenant_id = found.tenant_id AND st.server_id = found.id;

-- start, stop and restart are changes of the spec. No row: no such server.
-- done false: a stopped server cannot be restarted.
-- name: server_action
-- params: id, action, operation_id, request_id
WITH found AS (
    SELECT tenant_id, id FROM servers
     WHERE tenant_id = {{tenant}} AND id = $1::uuid AND deleted_at IS NULL
), s AS (
    UPDATE servers
       SET spec = CASE $2 WHEN 'start'   THEN jsonb_set(spec, '{runPolicy}', '"Always"')
                          WHEN 'stop'    THEN jsonb_set(spec, '{runPolicy}', '"Stopped"')
                          WHEN 'restart' THEN jsonb_set(spec, '{restartToken}', to_jsonb($3::text)) END,
           generation = generation + 1, updated_at = now()
     WHERE tenant_id = {{tenant}} AND id = $1::uuid AND deleted_at IS NULL
       AND ($2 IN ('start', 'stop') OR ($2 = 'restart' AND spec ->> 'runPolicy' IS DISTINCT FROM 'Stopped'))
    RETURNING *
), trail AS (
    INSERT INTO audit (tenant_id, id, key_id, action, server_id, request_id, detail)
    SELECT s.tenant_id, $3::uuid, {{key}}, 'server.' || $2, s.id, $4, json_build_object('generation', s.generation)::jsonb FROM s
    RETURNING id, at
), a AS (
    SELECT s.id IS NOT NULL AS done,
           json_build_object('id', trail.id, 'server', s.id, 'action', $2, 'generation', s.generation,
                             'createdAt', trail.at, 'state', 'Pending') AS operation,
           trail.id
      FROM found
      LEFT JOIN s ON s.tenant_id = found.tenant_id AND s.id = found.id
      LEFT JOIN trail ON true
)
SELECT a.done, a.operation, a.id, CASE WHEN a.done THEN {{remember}} END FROM a;

-- Leaves the trail of a console command; no row: no such server.
-- name: server_console
-- params: id, command, audit_id, request_id
INSERT INTO audit (tenant_id, id, key_id, action, server_id, request_id, detail)
SELECT s.tenant_id, $3::uuid, {{key}}, 'server.console', s.id, $4, json_build_object('command', $2::text)::jsonb
  FROM servers s
 WHERE s.tenant_id = {{tenant}} AND s.id = $1::uuid AND s.deleted_at IS NULL
RETURNING tenant_id, server_id;

-- What a socket needs to begin: the servers it may see and their state. An
-- empty list of ids means all. The time is as JSON has it, RFC 3339.
-- name: server_snapshot
-- params: ids
-- read-only
SELECT s.id, coalesce(st.seq, 0) AS seq, to_json(coalesce(st.updated_at, s.created_at)) #>> '{}' AS time,
       coalesce(st.status, '{"state": "Pending"}'::jsonb) AS status
  FROM servers s
  LEFT JOIN server_status st ON st.tenant_id = s.tenant_id AND st.server_id = s.id
 WHERE s.tenant_id = {{tenant}}
   AND ($1::uuid[] = '{}'::uuid[] OR s.id = ANY ($1::uuid[]))
   AND (s.deleted_at IS NULL OR st.finalized_at IS NULL)
 ORDER BY s.id
 LIMIT 10000;


-- == Reconciler ==

-- fragment: row
s.tenant_id, s.id, s.name, s.generation, s.spec_owner, s.spec,
       s.deleted_at IS NOT NULL AS deleted, s.purge,
       coalesce(st.observed_generation, 0) AS observed_generation,
       st.status, st.finalized_at IS NOT NULL AS finalized

-- name: reconciler_page
-- params: after_tenant, after_id, limit
-- read-only
SELECT {{row}}
  FROM servers s
  LEFT JOIN server_status st ON st.tenant_id = s.tenant_id AND st.server_id = s.id
 WHERE (s.tenant_id, s.id) > ($1::uuid, $2::uuid)
   AND st.finalized_at IS NULL
 ORDER BY s.tenant_id, s.id
 LIMIT $3::bigint;

-- name: reconciler_dirty
-- params: limit
-- read-only
SELECT {{row}}
  FROM servers s
  LEFT JOIN server_status st ON st.tenant_id = s.tenant_id AND st.server_id = s.id
 WHERE s.generation IS DISTINCT FROM st.observed_generation
   AND st.finalized_at IS NULL
 ORDER BY s.updated_at
 LIMIT $1::bigint;

-- name: reconciler_server
-- params: tenant_id, id
-- read-only
SELECT {{row}}
  FROM servers s
  LEFT JOIN server_status st ON st.tenant_id = s.tenant_id AND st.server_id = s.id
 WHERE s.tenant_id = $1::uuid AND s.id = $2::uuid;

-- An older observation never replaces a newer one: no row then.
-- name: reconciler_status
-- params: tenant_id, server_id, observed_generation, status, finalized
INSERT INTO server_status AS st (tenant_id, server_id, observed_generation, status, finalized_at)
VALUES ($1::uuid, $2::uuid, $3::bigint, $4::jsonb, CASE WHEN $5::boolean THEN now() END)
ON CONFLICT (tenant_id, server_id) DO UPDATE
   SET observed_generation = excluded.observed_generation,
       status = excluded.status,
       seq = st.seq + 1,
       updated_at = now(),
       finalized_at = coalesce(st.finalized_at, excluded.finalized_at)
 WHERE st.observed_generation <= excluded.observed_generation
RETURNING seq, updated_at;
