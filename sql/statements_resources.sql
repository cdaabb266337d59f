-- Statements of the resources beside a server's own: see statements.sql for
-- how this file is written.

-- == Idempotency-Key ==

-- Behind authenticate. same: the request is the one that the key was used for.
-- answer: what that one did; then, and when it was another request, the
-- statement behind this one has no tenant and does nothing. A second request
-- of the same key waits here for the first one's end.
-- name: idempotency_claim
-- params: key, fingerprint
WITH claim AS (
    INSERT INTO idempotency_keys AS i (tenant_id, owner, key, fingerprint, expires_at)
    SELECT {{tenant}}, coalesce({{key}}::text, ''), $1, $2, now() + interval '24 hours'
     WHERE {{tenant}} IS NOT NULL
    ON CONFLICT (tenant_id, owner, key) DO UPDATE
       SET fingerprint = CASE WHEN i.expires_at > now() THEN i.fingerprint ELSE excluded.fingerprint END,
           answer = CASE WHEN i.expires_at > now() THEN i.answer END,
           expires_at = CASE WHEN i.expires_at > now() THEN i.expires_at ELSE excluded.expires_at END
    RETURNING fingerprint, answer
)
SELECT claim.fingerprint = $2 AS same, claim.answer,
       set_config('app.tenant_id', CASE WHEN claim.fingerprint = $2 AND claim.answer IS NULL
                                        THEN {{tenant}}::text ELSE '' END, true)
  FROM claim;

-- Behind the statement; one that did nothing leaves no claim.
-- name: idempotency_keep
-- params: key
UPDATE idempotency_keys
   SET answer = nullif(current_setting('app.answer', true), ''),
       expires_at = CASE WHEN nullif(current_setting('app.answer', true), '') IS NULL THEN now() ELSE expires_at END
 WHERE tenant_id = {{tenant}} AND owner = coalesce({{key}}::text, '') AND key = $1;

-- name: idempotency_prune
DELETE FROM idempotency_keys
 WHERE tenant_id = {{tenant}}
   AND (owner, key) IN (SELECT i.owner, i.key FROM idempotency_keys i
                         WHERE i.tenant_id = {{tenant}} AND i.expires_at < now()
                         ORDER BY i.expires_at LIMIT 20 FOR UPDATE SKIP LOCKED);


-- == Servers ==

-- A page of those in a state, or whose name or display name holds a text.
-- name: server_search
-- params: limit, after, state, text
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
           AND ($3 = '' OR coalesce(st.status ->> 'state', 'Pending') = $3)
           AND ($4 = '' OR position(lower($4) IN s.name) > 0
                OR position(lower($4) IN lower(coalesce(s.spec ->> 'displayName', ''))) > 0)
        WINDOW w AS (ORDER BY s.id)
         ORDER BY s.id
         LIMIT $1::bigint + 1) page;

-- No row: no such server.
-- name: server_exists
-- params: id
-- read-only
SELECT s.id
  FROM servers s
  LEFT JOIN server_status st ON st.tenant_id = s.tenant_id AND st.server_id = s.id
 WHERE s.tenant_id = {{tenant}} AND s.id = $1::uuid
   AND (s.deleted_at IS NULL OR st.finalized_at IS NULL);


-- == Operations: what became of an action ==

-- An action has changed the spec, so its end is read off the status. Once
-- another action has followed, the status speaks of that one.
-- name: server_operation
-- params: id, operation
-- read-only
SELECT json_build_object(
           'id', o.id, 'server', o.server_id, 'action', substr(o.action, 8),
           'generation', (o.detail ->> 'generation')::bigint, 'createdAt', o.at,
           'state', CASE WHEN o.later THEN 'Superseded'
                         WHEN o.observed < (o.detail ->> 'generation')::bigint THEN 'Pending'
                         WHEN o.status ->> 'state' = 'Failed' THEN 'Failed'
                         WHEN o.progressing = 'False' THEN 'Succeeded'
                         ELSE 'Running' END,
           'message', CASE WHEN NOT o.later AND o.observed >= (o.detail ->> 'generation')::bigint
                           THEN o.status ->> 'message' END)
  FROM (SELECT t.id, t.server_id, t.action, t.at, t.detail, st.status,
               coalesce(st.observed_generation, 0) AS observed,
               (SELECT c.v ->> 'status' FROM jsonb_array_elements(st.status -> 'conditions') AS c(v)
                 WHERE c.v ->> 'type' = 'Progressing' LIMIT 1) AS progressing,
               EXISTS (SELECT 1 FROM audit l
                        WHERE l.tenant_id = t.tenant_id AND l.server_id = t.server_id
                          AND l.action IN ('server.start', 'server.stop', 'server.restart', 'server.delete')
                          AND (l.detail ->> 'generation')::bigint > (t.detail ->> 'generation')::bigint) AS later
          FROM audit t
          LEFT JOIN server_status st ON st.tenant_id = t.tenant_id AND st.server_id = t.server_id
         WHERE t.tenant_id = {{tenant}} AND t.server_id = $1::uuid AND t.id = $2::uuid
           AND t.action IN ('server.start', 'server.stop', 'server.restart')) o;
